"""A source that counts what is asked of it, by what was asked and how it ended."""

from collections.abc import Awaitable
from typing import TypeVar

from controller.errors import Refused
from controller.reference import Digest, Reference, Repository
from controller.registry.source import Descriptor, Manifest, SignatureStore, Source, StoredSignature
from controller.telemetry import Telemetry

T = TypeVar("T")


class CountedSource:
    """`source`, counted in `telemetry`: outcomes are `found`, `none`, `refused` and `undecided`."""

    def __init__(self, source: Source, telemetry: Telemetry) -> None:
        self._source = source
        self._telemetry = telemetry

    @property
    def scope(self) -> str:
        """As `Source.scope`."""
        return self._source.scope

    async def resolve(self, reference: Reference) -> Manifest:
        """As `Source.resolve`."""
        return await _counted(self._telemetry, "resolve", self._source.resolve(reference))

    async def manifest(self, repository: Repository, name: Digest | str) -> Manifest | None:
        """As `Source.manifest`."""
        return await _counted(self._telemetry, "manifest", self._source.manifest(repository, name))

    async def blob(self, repository: Repository, descriptor: Descriptor, *, limit: int) -> bytes:
        """As `Source.blob`."""
        return await _counted(self._telemetry, "blob", self._source.blob(repository, descriptor, limit=limit))

    async def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """As `Source.referrers`."""
        return await _counted(self._telemetry, "referrers", self._source.referrers(repository, digest))

    def signature_stores(self, repository: Repository) -> tuple[SignatureStore, ...]:
        """As `Source.signature_stores`."""
        return tuple(_CountedStore(store, self._telemetry) for store in self._source.signature_stores(repository))


class _CountedStore:
    """A store of a counted source."""

    def __init__(self, store: SignatureStore, telemetry: Telemetry) -> None:
        self._store = store
        self._telemetry = telemetry
        self.name = store.name

    async def signatures(self, digest: Digest) -> tuple[StoredSignature, ...]:
        """As `SignatureStore.signatures`."""
        return await _counted(self._telemetry, "signatures", self._store.signatures(digest))


async def _counted(telemetry: Telemetry, operation: str, asked: Awaitable[T]) -> T:
    outcome = "undecided"
    try:
        found = await asked
        outcome = "none" if found is None or found == () else "found"
    except Refused:
        outcome = "refused"
        raise
    finally:
        telemetry.asked(operation, outcome)
    return found
