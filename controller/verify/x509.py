"""The authority that trusts certificates under given anchors: the Notary Project, or cosign under a company's PKI."""

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from controller.errors import Code, Invalid, Reason, Refused, Undecided
from controller.evidence import Answers, Evidence, Format, Needs, NotationEnvelope, Signer, Verified
from controller.reference import Digest
from controller.roots import TrustedRoot
from controller.settings import Limits
from controller.verify import company, notation, revocation
from controller.verify.chain import marks
from controller.verify.pki import Level, Proved, Revocation, Stores, Trust, names, time_root
from controller.verify.revocation import Inquiry, Status
from controller.verify.subject import Subject

_ENGINE: Final = "x509 1"
"""Part of every fingerprint: raise it when the same bytes may be judged differently, so that no old verdict is reused."""

_FORMATS: Final = frozenset({Format.NOTATION, Format.COSIGN_SIGNATURE, Format.COSIGN_ATTESTATION, Format.BUNDLE})
_NOBODY: Final = "x509:unauthenticated"
"""Whoever signed where authenticity is only reported (level Audit): all of them together count as one signer."""

_SHOWN: Final = 3


class X509Authority:
    """Judges Notary Project signatures, and cosign signatures that bring a certificate, by anchors and subjects."""

    __slots__ = ("_log_required", "_trust", "description", "fingerprint", "name")

    def __init__(
        self,
        name: str,
        stores: Stores,
        identities: Sequence[Subject] | None,
        *,
        level: Level = Level.STRICT,
        revocation: Revocation | None = None,
        root: TrustedRoot | None = None,
        log_required: bool = False,
        revoked: frozenset[str] = frozenset(),
        limits: Limits | None = None,
    ) -> None:
        """Trust `identities` under the anchors of `stores`.

        Args:
            name: The authority's name in its policy.
            stores: At least one anchor in `ca` or `signing_authority`.
            identities: Whose certificates; None trusts everyone whom the anchors vouch for.
            level: Which validations are enforced. `Audit` believes signatures whose chain nobody trusts, and warns.
            revocation: How revocation counts; None leaves it to the level.
            root: Logs and timestamp authorities for cosign signatures; without it they are ignored.
            log_required: Whether a signature must stand in a log of `root`; no Notary Project signature does.
            revoked: SHA-256 (hex) of certificates (DER) or keys (SubjectPublicKeyInfo) no longer believed.
            limits: Bounds for what is read.

        Raises:
            Invalid: `InvalidPolicy` for stores or identities that are empty.
        """
        if not stores.ca and not stores.signing_authority:
            expected = "a certificate in ca or signingAuthority"
            raise Invalid(Code.INVALID_POLICY, f"authority {name} has no anchors", expected=expected)
        if identities is not None and not identities:
            raise Invalid(Code.INVALID_POLICY, f"authority {name} has no identities", expected="at least one")
        whom = None if identities is None else tuple(identities)
        self._trust = Trust(stores, whom, level, revocation, time_root(stores, root), revoked, limits or Limits())
        self._log_required = log_required
        self.name = name
        self.description = _describe(whom, stores)
        self.fingerprint = _fingerprint(self._trust, log_required=log_required)

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """Judge one piece: exactly one fact, for the certificate that signed it.

        Raises:
            Refused: When anything is not as it must be; also for an error nobody foresaw, panics of native code included
                (CVE-2026-44310): what could not be verified is not verified.
            Undecided: Nobody said whether a certificate is revoked, where that must be known.
            Needs: The chain is proved; the status of its certificates is wanted.
        """
        return _guarded(lambda: self._judge(evidence, subject, now))

    def _judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        if evidence.format not in _FORMATS:
            raise Refused(Code.WRONG_FORMAT, "not a format that is verified by a certificate", found=evidence.format)
        if isinstance(evidence.content, NotationEnvelope) and self._log_required:
            raise Refused(Code.LOG_REQUIRED, "no log holds Notary Project signatures", expected="a log entry")
        if isinstance(evidence.content, NotationEnvelope):
            proved = notation.judge(evidence.content, subject, now, self._trust)
        else:
            proved = company.judge(evidence, subject, now, self._trust, log_required=self._log_required)
        return self._finish(evidence, subject, now, proved, {})

    def _resume(
        self, evidence: Evidence, subject: Digest, now: float, proved: Proved, before: Answers, more: Answers
    ) -> tuple[Verified, ...]:
        return _guarded(lambda: self._finish(evidence, subject, now, proved, {**before, **more}))

    def _finish(
        self, evidence: Evidence, subject: Digest, now: float, proved: Proved, answers: Answers
    ) -> tuple[Verified, ...]:
        """Revocation, with what is answered so far, and the fact."""
        warnings, until = list(proved.warnings), proved.until
        if self._trust.revocation is not Revocation.SKIP:
            limits = self._trust.limits
            status = self._status(proved, Inquiry(answers, now, proved.signed_at, limits), warnings)
            if status.questions:
                raise Needs(status.questions, partial(self._resume, evidence, subject, now, proved, answers))
            if status.unknown and self._revocation is Revocation.STRICT:
                raise status.unknown[0]
            warnings.extend(error.reason for error in status.unknown)
            until = min(until, status.until, now + limits.revocation_retry if status.unknown else math.inf)
        return (self._fact(evidence, subject, proved, until, warnings),)

    @property
    def _revocation(self) -> Revocation | None:
        """What is enforced; None where even a revoked certificate is only reported (levels Permissive and Audit)."""
        if self._trust.revocation is None and self._trust.level is Level.STRICT:
            return Revocation.STRICT
        return self._trust.revocation

    def _status(self, proved: Proved, inquiry: Inquiry, warnings: list[Reason]) -> Status:
        """What is known of the signer's chain and of those of the timestamp authorities, in one round of questions."""
        try:
            found = [revocation.examine(path, inquiry) for path in (proved.path, *proved.stamping)]
        except Refused as error:
            if self._revocation is not None:
                raise
            warnings.append(error.reason)
            return Status((), (), error.until)
        questions = dict.fromkeys(question for status in found for question in status.questions)
        unknown = tuple(error for status in found for error in status.unknown)
        return Status(tuple(questions), unknown, min(status.until for status in found))

    def _fact(
        self, evidence: Evidence, subject: Digest, proved: Proved, until: float, warnings: Sequence[Reason]
    ) -> Verified:
        return Verified(
            digest=subject,
            authority=self.name,
            signer=_signer(proved),
            claim=proved.said.claim,
            evidence=evidence.id,
            origin=evidence.origin,
            format=evidence.format,
            predicate_type=proved.said.predicate_type,
            predicate=proved.said.predicate,
            annotations=proved.said.annotations,
            valid_until=until,
            warnings=tuple(warnings),
            rests_on=marks(proved.path),
            made=proved.signed_at,
        )


def _guarded(judgement: Callable[[], tuple[Verified, ...]]) -> tuple[Verified, ...]:
    try:
        return judgement()
    except (Refused, Undecided, Needs, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # not only Exception: a native library's panic is none
        raise Refused(Code.INTERNAL, "verification broke off", found=type(error).__name__) from error


def _signer(proved: Proved) -> Signer:
    """The signer's subject under its anchor (design, rule 5): a renewed certificate is the same signer."""
    end = proved.path[0]
    if proved.anchor is None:
        return Signer(_NOBODY, f"{end.subject} (not authenticated)")
    state = hashlib.sha256(end.parsed.subject.public_bytes())
    state.update(bytes.fromhex(proved.anchor.sha256))
    return Signer(f"x509:sha256:{state.hexdigest()}", f"{end.subject} (under {proved.anchor.subject})", end.key.spki_sha256)


def _describe(identities: tuple[Subject, ...] | None, stores: Stores) -> str:
    if identities is None:
        return f"anybody under {names((*stores.ca, *stores.signing_authority))}"
    more = f" or {len(identities) - _SHOWN} more" if len(identities) > _SHOWN else ""
    return " or ".join(identity.text for identity in identities[:_SHOWN]) + more


def _fingerprint(trust: Trust, *, log_required: bool) -> str:
    """Equal for authorities that believe the same, in whatever order; names do not enter."""
    stores = trust.stores
    believed = [
        _ENGINE,
        f"level={trust.level} revocation={trust.revocation} log={log_required} root={trust.root.fingerprint}",
        *sorted(f"ca {one.sha256}" for one in stores.ca),
        *sorted(f"authority {one.sha256}" for one in stores.signing_authority),
        *sorted(f"tsa {one.sha256}" for one in stores.tsa),
        *sorted(f"revoked {one}" for one in trust.revoked),
        *(["anybody"] if trust.identities is None else sorted(_canonical(one) for one in trust.identities)),
    ]
    return hashlib.sha256("\n".join(believed).encode()).hexdigest()


def _canonical(identity: Subject) -> str:
    return "subject " + repr(sorted(identity.values.items()))
