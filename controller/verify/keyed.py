"""The authority that trusts public keys."""

import base64
import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from controller.errors import Code, Invalid, Refused
from controller.evidence import Envelope, Evidence, Format, Signer, Verified
from controller.keys import Message, NamedKey
from controller.reference import Digest
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify import claims, proofs, time
from controller.verify.found import signatures, signer
from controller.verify.log import Signed
from controller.verify.time import Span

_ENGINE: Final = "keyed 2"
"""Part of every fingerprint: raise it when the same bytes may be judged differently, so that no old verdict is reused."""

_FORMATS: Final = frozenset({Format.COSIGN_SIGNATURE, Format.COSIGN_ATTESTATION, Format.BUNDLE})
_SHOWN: Final = 3


class _Life(NamedTuple):
    """Until when a signature counts, and when it was made, where that is proved (POSIX seconds)."""

    until: float
    made: float | None


class KeyedAuthority:
    """Judges signatures by public keys.

    Certificates that travel beside a signature are ignored (design, rule 4): a key that comes with the evidence is nobody's
    key. Log entries and timestamps are ignored too, unless a trusted root says whose to believe.
    """

    __slots__ = ("_by_hint", "_expected", "_keys", "_limits", "_log_required", "_root", "description", "fingerprint", "name")

    def __init__(
        self,
        name: str,
        keys: Sequence[NamedKey],
        *,
        root: TrustedRoot | None = None,
        log_required: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Trust any one of `keys`.

        Args:
            name: The authority's name in its policy.
            keys: At least one.
            root: Whom to believe about logs and time; without it no time is proved and no log believed.
            log_required: Whether a log of `root` must hold the signature, and something prove its time.
            limits: Bounds for what is read.

        Raises:
            Invalid: `InvalidPolicy` for no keys: an empty authority would trust nobody, and says so at once.
        """
        if not keys:
            raise Invalid(Code.INVALID_POLICY, f"authority {name} has no keys", expected="at least one")
        distinct = {named.key: named for named in reversed(keys)}  # the first name of a key that stands there twice
        self._keys = tuple(reversed(distinct.values()))
        self._by_hint = {hint: named for named in self._keys for hint in _hints(named)}
        self._root = root
        self._log_required = log_required
        self._limits = limits or Limits()
        self.name = name
        self.description = _list(str(named) for named in self._keys)
        self._expected = _list(named.key.fingerprint for named in self._keys)
        self.fingerprint = _fingerprint(self._keys, root, log_required=log_required)

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """Judge one piece: one fact per distinct key that signed it, at least one.

        Raises:
            Refused: Always, when anything is not as it must be; also for an error nobody foresaw, panics of native code
                included (CVE-2026-44310): what could not be verified is not verified.
        """
        try:
            return self._judge(evidence, subject, now)
        except (Refused, KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except BaseException as error:  # not only Exception: a native library's panic is none
            raise Refused(Code.INTERNAL, "verification broke off", found=type(error).__name__) from error

    def _judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        _check_shape(evidence)
        message = claims.signed_message(evidence.content, subject)
        signers = self._signers(evidence, message)
        if not signers:
            raise self._nobody(evidence, message)
        until, refusal = self._proved(evidence, message, signers, now)
        if refusal and not until:
            raise refusal
        said = claims.read(evidence.content, subject, self._limits)
        return tuple(self._fact(evidence, subject, named, said, life) for named, life in until.items())

    def _proved(
        self, evidence: Evidence, message: Message, signers: Iterable[tuple[NamedKey, bytes]], now: float
    ) -> tuple[dict[NamedKey, _Life], Refused | None]:
        """How long each signer's signature counts, and why the first that does not, does not."""
        until: dict[NamedKey, _Life] = {}
        refusal: Refused | None = None
        for named, signature in signers:
            try:
                until[named] = self._life(evidence, named, Signed(evidence.content, message, signature, named.key), now)
            except Refused as error:
                refusal = refusal or error
        return until, refusal

    def _life(self, evidence: Evidence, named: NamedKey, signed: Signed, now: float) -> _Life:
        """How long a signature that held counts: for ever where its time is proved, else while its key may be used.

        Raises:
            Refused: What logs and authorities prove is not enough, or is not within the key's window.
        """
        span = Span(named.window, f"key {named}")
        if self._root is None:
            if self._log_required:
                raise Refused(
                    Code.LOG_REQUIRED,
                    "the signature holds, but no trusted root says which log to believe",
                    found=f"a signature by key {named.key.fingerprint}",
                )
            time.check((time.unproven(now),), (span,))
            return _Life(time.earliest_end((span,)), None)
        found = proofs.check(evidence.material, signed, self._root, log_required=self._log_required, limits=self._limits)
        time.check_future(found.moments, now, self._limits.clock_skew)
        time.check(found.at(now), (span,))
        until = math.inf if found.moments else time.earliest_end((span,))
        return _Life(until, time.earliest(found.moments))

    def _signers(self, evidence: Evidence, message: Message) -> tuple[tuple[NamedKey, bytes], ...]:
        """The distinct keys that signed here, each with its signature. Hints say whom to ask first and decide nothing."""
        found: dict[NamedKey, bytes] = {}
        for signature, hint in signatures(evidence):
            asked = (named for named in self._in_order(hint) if named not in found)
            maker = next((named for named in asked if named.key.verifies(signature, message)), None)
            if maker:
                found[maker] = signature
        return tuple(found.items())

    def _in_order(self, hint: str) -> Iterator[NamedKey]:
        hinted = self._by_hint.get(hint)
        if hinted:
            yield hinted
        yield from (named for named in self._keys if named is not hinted)

    def _nobody(self, evidence: Evidence, message: Message) -> Refused:
        """Why nobody trusted signed this: another image, bytes altered under a trusted key's name, or another key."""
        other = claims.message_of_another_image(evidence.content, message)
        if other and self._signers(evidence, other.message):
            return Refused(
                Code.WRONG_DIGEST, "the message signature is about another image", expected=other.expected, found=other.found
            )
        hinted = next((self._by_hint[hint] for _, hint in signatures(evidence) if hint in self._by_hint), None)
        if hinted:
            return Refused(
                Code.SIGNATURE_INVALID,
                f"the signature names key {hinted.key.fingerprint}, but is not that key's over this content",
                expected=self._expected,
            )
        return Refused(
            Code.WRONG_KEY,
            "no trusted key made this signature",
            expected=self._expected,
            found=signer(evidence, message),
        )

    def _fact(self, evidence: Evidence, subject: Digest, named: NamedKey, said: claims.Said, life: _Life) -> Verified:
        return Verified(
            digest=subject,
            authority=self.name,
            signer=Signer(f"key:sha256:{named.key.spki_sha256}", f"key {named.key.fingerprint}", named.key.spki_sha256),
            claim=said.claim,
            evidence=evidence.id,
            origin=evidence.origin,
            format=evidence.format,
            predicate_type=said.predicate_type,
            predicate=said.predicate,
            annotations=said.annotations,
            valid_until=life.until,
            made=life.made,
        )


def _check_shape(evidence: Evidence) -> None:
    if evidence.format not in _FORMATS:
        raise Refused(Code.WRONG_FORMAT, "not a format that is verified by a public key", found=evidence.format)
    content = evidence.content
    if evidence.format is Format.BUNDLE and isinstance(content, Envelope) and len(content.signatures) != 1:
        raise Refused(Code.MALFORMED, "a bundle's envelope has exactly one signature", found=str(len(content.signatures)))


def _hints(named: NamedKey) -> tuple[str, str]:
    """What may mean the key: SHA-256 of its SubjectPublicKeyInfo in hex, or in base64 as sigstore-go writes it."""
    digest = named.key.spki_sha256
    return digest, base64.b64encode(bytes.fromhex(digest)).decode()


def _list(names: Iterable[str]) -> str:
    shown = list(names)
    more = f" or {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else ""
    return "key " + ", ".join(shown[:_SHOWN]) + more


def _fingerprint(keys: Sequence[NamedKey], root: TrustedRoot | None, *, log_required: bool) -> str:
    """Equal for authorities that believe the same: keys, ways and windows in sorted order; names do not enter."""
    believed = sorted(
        f"{named.key.spki_sha256} {'|'.join(named.key.names)} {named.window.start} {named.window.end}" for named in keys
    )
    asked = (f"root={root.fingerprint if root else ''}", f"log={log_required}")
    return hashlib.sha256("\n".join([_ENGINE, *asked, *believed]).encode()).hexdigest()
