"""What the pipeline may ask, whoever answers: a registry or an OCI layout directory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

from controller.reference import Digest, Reference, Repository

_EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An OCI content descriptor. `size`, `artifact_type` and `annotations` are hints: bytes are hashed by us."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=lambda: _EMPTY)
    platform: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """An image manifest or image index, read strictly. `digest` was computed from `raw`.

    Exactly one of `layers`/`config` (image) and `manifests` (index) is filled; `is_index` says which.
    """

    digest: Digest
    media_type: str
    raw: bytes
    is_index: bool
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    manifests: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=lambda: _EMPTY)


@dataclass(frozen=True, slots=True)
class StoredSignature:
    """An OpenPGP signature as it was stored: opaque bytes, and where they stood, for people."""

    place: str
    content: bytes


class SignatureStore(Protocol):
    """One place beside a registry where signatures of its images are kept."""

    @property
    def name(self) -> str:
        """Which place, for people: `lookaside server sigs.example.com`."""

    async def signatures(self, digest: Digest) -> tuple[StoredSignature, ...]:
        """All signatures of an image; none is the place's word that there are none.

        Raises:
            Refused: `LimitExceeded`, `Malformed`, `Ambiguous`.
            Undecided: The place did not answer, or did not let us ask.
        """


class Source(Protocol):
    """Answers questions about repositories. Every method raises `Undecided` when the answer is not to be had now."""

    @property
    def scope(self) -> str:
        """Identity of this view (credentials included): answers are shared only within one scope."""

    async def resolve(self, reference: Reference) -> Manifest:
        """The manifest that `reference` names, its digest computed from the bytes received.

        Raises:
            Refused: `NotFound` when the registry says there is none; `DigestMismatch`, `Malformed`, `Ambiguous`,
                `LimitExceeded` for what may not be believed.
            Undecided: The registry did not answer, or did not let us ask (401, 403).
        """

    async def manifest(self, repository: Repository, name: Digest | str) -> Manifest | None:
        """A manifest by digest or tag; None is the registry's word that there is none.

        Raises:
            Refused: As `resolve`, without `NotFound`.
            Undecided: As `resolve`.
        """

    async def blob(self, repository: Repository, descriptor: Descriptor, *, limit: int) -> bytes:
        """A blob, at most `limit` bytes, its digest checked.

        Raises:
            Refused: `LimitExceeded`, `DigestMismatch`, `NotFound`.
            Undecided: As `resolve`.
        """

    async def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """All manifests whose subject is `digest`: from the referrers API, else from the fallback tag; empty when none.

        Raises:
            Refused: `LimitExceeded` (pages, entries, bytes), `Malformed`, `Ambiguous`.
            Undecided: As `resolve`.
        """

    def signature_stores(self, repository: Repository) -> tuple[SignatureStore, ...]:
        """Where OpenPGP signatures of the repository's images are kept; asks nobody."""
