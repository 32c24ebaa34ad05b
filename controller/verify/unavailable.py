"""The authority whose trusted root could not be loaded: it says neither yes nor no (design, rule 12)."""

import hashlib

from controller.errors import Code, Reason, Undecided
from controller.evidence import Evidence, Verified
from controller.reference import Digest


class UnavailableAuthority:
    """Answers every question with why it cannot be answered; other authorities of the policy still count."""

    __slots__ = ("_reason", "_root", "description", "fingerprint", "name")

    def __init__(self, name: str, root: str, reason: Reason) -> None:
        """Stand for authority `name`, whose trust root `root` is not to be had for `reason`."""
        self.name = name
        self._root = root
        self._reason = reason
        self.description = f"whoever trust root {root} vouches for"
        self.fingerprint = hashlib.sha256(f"unavailable 1\n{root}\n{reason}".encode()).hexdigest()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:  # noqa: ARG002 - none is asked
        """Nothing can be judged.

        Raises:
            Undecided: `TrustedRootUnavailable`, always.
        """
        reason = self._reason
        raise Undecided(
            Code.ROOT_UNAVAILABLE,
            f"trust root {self._root} cannot be used: {reason.message}",
            source=f"trust root {self._root}",
            expected=reason.expected,
            found=reason.found,
        )
