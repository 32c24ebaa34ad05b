"""Authorities of which something could not be loaded, a trusted root or a key: they never say no (design, rule 12)."""

import hashlib

from controller.errors import Code, Reason, Refused, Undecided
from controller.evidence import Evidence, Judge, Verified
from controller.reference import Digest


class UnavailableAuthority:
    """Answers every question with why it cannot be answered; other authorities of the policy still count."""

    __slots__ = ("_code", "_reason", "_what", "description", "fingerprint", "name")

    def __init__(self, name: str, what: str, reason: Reason, *, code: Code = Code.ROOT_UNAVAILABLE) -> None:
        """Stand for authority `name`, whose `what` (`trust root corp`) is not to be had for `reason`."""
        self.name = name
        self._what = what
        self._reason = reason
        self._code = code
        self.description = f"whoever {what} vouches for"
        self.fingerprint = hashlib.sha256(f"unavailable 2\n{what}\n{reason}".encode()).hexdigest()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:  # noqa: ARG002 - none is asked
        """Nothing can be judged.

        Raises:
            Undecided: Always: `TrustedRootUnavailable` or `KeyUnavailable`.
        """
        raise self.undecided()

    def undecided(self) -> Undecided:
        """Why nothing can be said."""
        reason, what = self._reason, self._what
        message = f"{what} cannot be used: {reason.message}"
        return Undecided(self._code, message, source=what, expected=reason.expected, found=reason.found)


class IncompleteAuthority:
    """An authority of several keys, some of which could not be loaded: those it has can say yes, it cannot say no."""

    __slots__ = ("_known", "_missing", "description", "fingerprint", "name")

    def __init__(self, known: Judge, missing: UnavailableAuthority) -> None:
        """Ask `known`; where it refuses, say what `missing` says."""
        self.name = known.name
        self._known = known
        self._missing = missing
        self.description = f"{known.description} or {missing.description}"
        self.fingerprint = hashlib.sha256(f"incomplete 1\n{known.fingerprint}\n{missing.fingerprint}".encode()).hexdigest()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        """As the keys that are there judge.

        Raises:
            Undecided: `KeyUnavailable` where none of them signed: one that is missing may have.
        """
        try:
            return self._known.judge(evidence, subject, now)
        except Refused:
            raise self._missing.undecided() from None
