"""The authority that trusts public keys."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from controller.errors import Code, Invalid, Refused
from controller.evidence import Content, Envelope, Evidence, Format, Signer, Verified
from controller.keys import Message, NamedKey
from controller.reference import Digest
from controller.settings import Limits
from controller.verify import claims

_ENGINE: Final = "keyed 1"
"""Part of every fingerprint: raise it when the same bytes may be judged differently, so that no old verdict is reused."""

_FORMATS: Final = frozenset({Format.COSIGN_SIGNATURE, Format.COSIGN_ATTESTATION, Format.BUNDLE})
_SHOWN: Final = 3


class KeyedAuthority:
    """Judges signatures by public keys alone.

    Certificates, log entries and timestamps that travel beside a signature are ignored, not believed (design, rule 4): a key
    that comes with the evidence is nobody's key.
    """

    __slots__ = ("_expected", "_keys", "_limits", "_log_required", "description", "fingerprint", "name")

    def __init__(
        self, name: str, keys: Sequence[NamedKey], *, log_required: bool = False, limits: Limits | None = None
    ) -> None:
        """Trust any one of `keys`; with `log_required`, only beside a proof that the signature stands in a log.

        Raises:
            Invalid: `InvalidPolicy` for no keys: an empty authority would trust nobody, and says so at once.
        """
        if not keys:
            raise Invalid(Code.INVALID_POLICY, f"authority {name} has no keys", expected="at least one")
        distinct = {named.key: named for named in reversed(keys)}  # the first name of a key that stands there twice
        self._keys = tuple(reversed(distinct.values()))
        self._log_required = log_required
        self._limits = limits or Limits()
        self.name = name
        self.description = _list(str(named) for named in self._keys)
        self._expected = _list(named.key.fingerprint for named in self._keys)
        self.fingerprint = _fingerprint(self._keys, log_required=log_required)

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:  # noqa: ARG002 - no windows yet
        """Judge one piece: one fact per distinct key that signed it, at least one.

        Raises:
            Refused: Always, when anything is not as it must be; also for an error nobody foresaw, panics of native code
                included (CVE-2026-44310): what could not be verified is not verified.
        """
        try:
            return self._judge(evidence, subject)
        except (Refused, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # not only Exception: a native library's panic is none
            raise Refused(Code.INTERNAL, "verification broke off", found=type(error).__name__) from error

    def _judge(self, evidence: Evidence, subject: Digest) -> tuple[Verified, ...]:
        if evidence.format not in _FORMATS:
            raise Refused(Code.WRONG_FORMAT, "not a format that is verified by a public key", found=evidence.format)
        message = claims.signed_message(evidence.content, subject)
        signers = self._signers(evidence, message)
        if not signers:
            raise self._nobody(evidence)
        if self._log_required:
            raise Refused(
                Code.LOG_REQUIRED,
                "the signature holds, but nothing proves that it stands in a log",
                found=_signed_by(signers),
            )
        said = claims.read(evidence.content, subject, self._limits)
        return tuple(self._fact(evidence, subject, named, said) for named in signers)

    def _signers(self, evidence: Evidence, message: Message) -> tuple[NamedKey, ...]:
        """The distinct keys that made a signature here. Hints say whom to ask first and decide nothing."""
        found: list[NamedKey] = []
        for signature, hint in _signatures(evidence):
            asked = sorted((key for key in self._keys if key not in found), key=lambda named: not _hinted(hint, named))
            for named in asked:
                if named.key.verifies(signature, message):
                    found.append(named)
                    break
        return tuple(found)

    def _nobody(self, evidence: Evidence) -> Refused:
        hints = [hint for _, hint in _signatures(evidence) if hint]
        for named in self._keys:
            if any(_hinted(hint, named) for hint in hints):
                return Refused(
                    Code.SIGNATURE_INVALID,
                    f"the signature names key {named.key.fingerprint}, but it is not that key's over this content",
                    expected=self._expected,
                )
        return Refused(
            Code.WRONG_KEY, "no trusted key made this signature", expected=self._expected, found=_found(evidence, hints)
        )

    def _fact(self, evidence: Evidence, subject: Digest, named: NamedKey, said: claims.Said) -> Verified:
        return Verified(
            digest=subject,
            authority=self.name,
            signer=Signer(f"key:sha256:{named.key.spki_sha256}", f"key {named.key.fingerprint}"),
            claim=said.claim,
            evidence=evidence.id,
            origin=evidence.origin,
            format=evidence.format,
            predicate_type=said.predicate_type,
            predicate=said.predicate,
            annotations=said.annotations,
        )


def _signatures(evidence: Evidence) -> tuple[tuple[bytes, str], ...]:
    """Each signature with the hint to its key."""
    content: Content = evidence.content
    if isinstance(content, Envelope):
        return tuple((entry.signature, entry.keyid or evidence.material.key_hint) for entry in content.signatures)
    return ((content.signature, evidence.material.key_hint),)


def _hinted(hint: str, named: NamedKey) -> bool:
    """Whether `hint` means the key: SHA-256 of its SubjectPublicKeyInfo in base64 (sigstore) or hex."""
    digest = named.key.spki_sha256
    return hint in {digest, base64.b64encode(bytes.fromhex(digest)).decode()}


def _found(evidence: Evidence, hints: Sequence[str]) -> str:
    if hints:
        return f"key hint {hints[0][:80]}"
    if evidence.material.certificate:
        return "a signature with a certificate"
    return "a signature by another key, or over other content"


def _signed_by(signers: Sequence[NamedKey]) -> str:
    return "a signature by " + _list(named.key.fingerprint for named in signers)


def _list(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" or {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return "key " + ", ".join(shown[:_SHOWN]) + more


def _fingerprint(keys: Sequence[NamedKey], *, log_required: bool) -> str:
    """Equal for authorities that believe the same: the keys and their ways in sorted order; names do not enter."""
    believed = sorted(f"{named.key.spki_sha256} {'|'.join(named.key.names)}" for named in keys)
    return hashlib.sha256("\n".join([_ENGINE, f"log={log_required}", *believed]).encode()).hexdigest()
