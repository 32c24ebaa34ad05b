"""What an authority of certificates trusts, and what was proved under it; shared by every format that brings a chain."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from controller import certificates
from controller.certificates import Certificate
from controller.errors import Code, Invalid, Reason, Refused
from controller.roots import Authority, TrustedRoot
from controller.settings import KIB, Limits
from controller.validity import ALWAYS
from controller.verify.claims import Said
from controller.verify.codesigning import Path
from controller.verify.subject import Subject

_BEGIN: Final = b"-----BEGIN "
_STORE_BYTES: Final = 256 * KIB
_STORE_ENTRIES: Final = 64
_SHOWN: Final = 2


class Level(StrEnum):
    """Which validations are enforced, and which only reported (trust-store-trust-policy.md)."""

    STRICT = "Strict"
    PERMISSIVE = "Permissive"
    AUDIT = "Audit"


class Revocation(StrEnum):
    """How revocation counts: `Soft` refuses what is known to be revoked and reports what is not known."""

    STRICT = "Strict"
    SOFT = "Soft"
    SKIP = "Skip"


@dataclass(frozen=True, slots=True)
class Stores:
    """Trust anchors by what they may vouch for: signers, signing authorities (`notary.x509.signingAuthority`), times."""

    ca: tuple[Certificate, ...] = ()
    signing_authority: tuple[Certificate, ...] = ()
    tsa: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Trust:
    """Everything one authority believes.

    `identities` None trusts every certificate under the anchors. `revocation` None leaves it to the level. `root` brings the
    logs and timestamp authorities of a trusted root for cosign signatures. `revoked` holds SHA-256 (hex) of certificates or
    keys no longer believed.
    """

    stores: Stores
    identities: tuple[Subject, ...] | None
    level: Level
    revocation: Revocation | None
    root: TrustedRoot
    revoked: frozenset[str]
    limits: Limits

    def check_end(self, end: Certificate) -> None:
        """Check that the signer is one of the trusted identities.

        Raises:
            Refused: `WrongSubject`.
        """
        if self.identities is not None and not any(identity.matches(end) for identity in self.identities):
            expected = " or ".join(identity.text for identity in self.identities[:_SHOWN])
            raise Refused(Code.WRONG_SUBJECT, "signed by somebody else", expected=expected, found=end.subject[:200])

    def check_revoked(self, path: Path) -> None:
        """Check that the policy does not revoke any certificate or key of the path.

        Raises:
            Refused: `Revoked`.
        """
        found = next((one for one in path if {one.sha256, one.key.spki_sha256} & self.revoked), None)
        if found:
            raise Refused(Code.REVOKED, "a certificate of the chain is revoked by the policy", found=found.subject[:200])


@dataclass(slots=True)
class Proved:
    """What held before revocation was asked for.

    `anchor` is None where authenticity failed and was only reported. `signed_at` is the earliest proven time, `until` when
    to judge again (POSIX seconds). `stamping` are the paths of the timestamp authorities that were believed.
    """

    path: Path
    anchor: Certificate | None
    said: Said
    signed_at: float | None
    until: float
    stamping: tuple[Path, ...] = ()
    warnings: list[Reason] = field(default_factory=list)


@contextmanager
def enforced(warnings: list[Reason], *, strictly: bool) -> Iterator[None]:
    """Let a refusal pass where it is `strictly` enforced, and only report it where it is not."""
    try:
        yield
    except Refused as error:
        if strictly:
            raise
        warnings.append(error.reason)


def time_root(stores: Stores, root: TrustedRoot | None) -> TrustedRoot:
    """The `tsa` store, and whoever else `root` believes about logs and time, in the form that proofs are judged by."""
    anchors = tuple(Authority("", (anchor,), ALWAYS) for anchor in stores.tsa)
    if root is None:
        return TrustedRoot("", (), (), (), anchors, "")
    return TrustedRoot(root.name, root.logs, (), (), (*anchors, *root.timestamp_authorities), root.fingerprint)


def read_store(raw: bytes, field: str, limits: Limits) -> tuple[Certificate, ...]:
    """Read the anchors of a store: one certificate as DER, or PEM blocks one after another.

    Raises:
        Invalid: `InvalidPolicy`, naming `field`.
    """
    if len(raw) > _STORE_BYTES:
        raise Invalid(Code.INVALID_POLICY, "the store is too long", field=field, expected=f"at most {_STORE_BYTES} bytes")
    blocks = [_BEGIN + part for part in raw.split(_BEGIN)[1:]] or [raw]
    if len(blocks) > _STORE_ENTRIES:
        raise Invalid(
            Code.INVALID_POLICY, "the store is too long", field=field, expected=f"at most {_STORE_ENTRIES} entries"
        )
    try:
        read = [certificates.parse(block, "certificate of the store", limit=limits.certificate_bytes) for block in blocks]
    except Refused as error:
        raise Invalid(
            Code.INVALID_POLICY, error.reason.message, field=field, expected="certificates", found=error.reason.found
        ) from None
    return tuple(dict.fromkeys(read))


def begins(path: Path, now: float) -> float:
    """When the next certificate becomes valid that is not yet: a refusal for its sake holds until then."""
    starts = (one.window.start for one in path if one.window.start is not None)
    return min((start for start in starts if start > now), default=math.inf)


def ends(path: Path, now: float) -> float:
    """When the first certificate that is valid now ceases to be."""
    windows = (one.window.end for one in path if one.window.end is not None)
    return min((end for end in windows if end >= now), default=math.inf)


def names(anchors: tuple[Certificate, ...]) -> str:
    """Anchors for people."""
    return " or ".join(anchor.subject[:100] for anchor in anchors[:_SHOWN]) or "no certificate at all"
