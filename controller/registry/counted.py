"""A source that counts what is asked of it, by what was asked and how it ended."""

from collections.abc import Awaitable
from typing import TypeVar

from controller.errors import Refused
from controller.reference import Digest, Reference, Repository
from controller.registry.source import Descriptor, Manifest, SignatureStore, Source
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
        return await self._counted("resolve", self._source.resolve(reference))

    async def manifest(self, repository: Repository, name: Digest | str) -> Manifest | None:
        """As `Source.manifest`."""
        return await self._counted("manifest", self._source.manifest(repository, name))

    async def blob(self, repository: Repository, descriptor: Descriptor, *, limit: int) -> bytes:
        """As `Source.blob`."""
        return await self._counted("blob", self._source.blob(repository, descriptor, limit=limit))

    async def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """As `Source.referrers`."""
        return await self._counted("referrers", self._source.referrers(repository, digest))

    def signature_stores(self, repository: Repository) -> tuple[SignatureStore, ...]:
        """As `Source.signature_stores`."""
        return self._source.signature_stores(repository)

    async def _counted(self, operation: str, asked: Awaitable[T]) -> T:
        outcome = "undecided"
        try:
            found = await asked
            outcome = "none" if found is None or found == () else "found"
        except Refused:
            outcome = "refused"
            raise
        finally:
            self._telemetry.asked(operation, outcome)
        return found
