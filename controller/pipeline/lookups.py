"""What the registry says, asked once: tags, manifests and evidence through memory and single flight.

Only settled answers are remembered. What a tag names and what is stored beside a digest are kept apart, because a digest's
bytes never change while a tag and the evidence beside a digest do.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, TypeVar

from controller.cache import ByteBudget, Entry, Flights, Memory
from controller.errors import Code, Refused, Undecided
from controller.evidence import Evidence
from controller.formats import buildkit, needs_artifact, read, with_artifact
from controller.reference import Digest, Reference, Repository
from controller.registry.discovery import Discovery, Gap, Want, discover
from controller.registry.lookup import Lookup, begin
from controller.registry.source import Manifest, Source
from controller.settings import Settings

T = TypeVar("T")

_ALGORITHMS: Final = ("sha256", "sha512")

LookedUp = Callable[[str, str], None]
"""Told of each look into a memory: which (`report`, `tag`, `evidence`), and `hit`, `miss` or `stale`."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a reference names now. `children` are the manifests of an index, empty for an image.

    `platforms` are those of them that could run, by name. `aliases` are the digests of the same bytes by other algorithms.
    """

    digest: Digest
    children: tuple[Digest, ...] = ()
    stale: bool = False
    is_index: bool = False
    platforms: tuple[tuple[str, Digest], ...] = ()
    aliases: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class Collected:
    """Everything found beside a digest, and where looking or reading failed.

    `gaps` are sources that gave no (believable) answer, `unreadable` pieces that are no evidence in any known form.
    `stripped` names pieces whose payload was dropped after it had been judged.
    """

    pieces: tuple[Evidence, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unreadable: tuple[Gap, ...] = ()
    stripped: frozenset[str] = frozenset()

    @property
    def settled(self) -> bool:
        """Whether every source answered, so that asking again gives the same."""
        return all(gap.settled for gap in self.gaps)

    @property
    def weight(self) -> int:
        """Bytes of the pieces' content."""
        return sum(piece.size for piece in self.pieces if piece.id not in self.stripped)


class Lookups:
    """The registry's answers for every door of one process."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float], looked_up: LookedUp = lambda _cache, _result: None
    ) -> None:
        """Keep answers as `settings` say, aged by `clock` (POSIX seconds)."""
        self._settings = settings
        self._clock = clock
        self._looked_up = looked_up
        cache, limits = settings.cache, settings.limits
        self._tags: Memory[Hashable, Resolved] = Memory(cache.entries, cache.entries * 1024)
        self._manifests: Memory[Hashable, Resolved] = Memory(cache.entries, cache.entries * 1024)
        self._evidence: Memory[Hashable, Collected] = Memory(cache.entries, cache.bytes)
        self._resolving: Flights[Hashable, Resolved] = Flights(limits.lookups_in_flight, limits.lookup_timeout)
        self._collecting: Flights[Hashable, Collected] = Flights(limits.lookups_in_flight, limits.lookup_timeout)
        self._budget = ByteBudget(limits.payload_bytes_in_flight)
        self._under_way: dict[Hashable, Lookup] = {}

    async def _join(
        self,
        flights: Flights[Hashable, T],
        key: Hashable,
        lookup: Callable[[], Awaitable[T]],
        deadline: float,
        registry: str,
    ) -> T:
        """One flight, whose caller is told which host kept it waiting: the registry, its token service or its storage."""

        async def timed() -> T:
            with begin(self._settings.limits.lookup_timeout) as self._under_way[key]:
                try:
                    return await lookup()
                finally:
                    del self._under_way[key]

        try:
            return await flights.join(key, timed, deadline, registry)
        except Undecided as error:
            waiting = self._under_way[key].waiting_for if key in self._under_way else ()
            if error.reason.code is not Code.DEADLINE or not waiting:
                raise
            hosts = ", ".join(waiting)
            raise Undecided(Code.DEADLINE, f"no answer in time from {hosts}", source=hosts) from None

    async def resolve(self, source: Source, reference: Reference, deadline: float, *, pinned: bool) -> Resolved:
        """What `reference` names: its own digest where it has one, else what the tag points to.

        A tag's last answer serves again while the registry is away only where pods are to be `pinned` to it.

        Raises:
            Refused: The registry says there is no such image, or its answer may not be believed.
            Undecided: No answer in time.
        """
        if reference.digest:
            return Resolved(reference.digest)
        key = (source.scope, reference.repository, reference.wanted_tag)
        entry = self._tags.get(key)
        if entry and entry.fresh(self._clock(), self._settings.cache.tag_ttl):
            self._looked_up("tag", "hit")
            return entry.value
        self._looked_up("tag", "miss")
        try:
            return await self._join(
                self._resolving, key, lambda: self._resolve(source, reference, key), deadline, reference.repository.registry
            )
        except Undecided as error:
            away = error.reason.code is not Code.UNAUTHORIZED  # a registry that refuses our credentials is there
            if (
                entry
                and away
                and pinned
                and self._settings.mutate
                and entry.fresh(self._clock(), self._settings.cache.max_stale)
            ):
                self._looked_up("tag", "stale")
                return replace(entry.value, stale=True)
            raise

    def tag_until(self, source: Source, reference: Reference, digest: Digest) -> float:
        """How long the reference is known to name `digest` (POSIX seconds); for ever where a digest is written.

        Not at all where another request has learned meanwhile that the tag moved: its time is not ours.
        """
        if reference.digest:
            return float("inf")
        entry = self._tags.get((source.scope, reference.repository, reference.wanted_tag))
        return entry.since + self._settings.cache.tag_ttl if entry and entry.value.digest == digest else 0.0

    async def children(self, source: Source, reference: Reference, resolved: Resolved, deadline: float) -> Resolved:
        """The same with the index's manifests filled in, where only the digest was known.

        Raises:
            Refused: The registry has no such manifest, or its bytes may not be believed.
            Undecided: No answer in time.
        """
        if resolved.children or not reference.digest:
            return resolved
        key = (source.scope, reference.repository, resolved.digest)
        entry = self._manifests.get(key)
        if entry:  # a digest's bytes never change
            return entry.value
        return await self._join(
            self._resolving,
            key,
            lambda: self._read_manifest(source, reference, key),
            deadline,
            reference.repository.registry,
        )

    async def _resolve(self, source: Source, reference: Reference, key: Hashable) -> Resolved:
        since = self._clock()
        resolved = _resolved(await source.resolve(reference))
        self._tags.put(key, resolved, since)
        return resolved

    async def _read_manifest(self, source: Source, reference: Reference, key: Hashable) -> Resolved:
        since = self._clock()
        resolved = _resolved(await source.resolve(reference))
        self._manifests.put(key, resolved, since)
        return resolved

    def remembered(
        self, source: Source, repository: Repository, digest: Digest, wants: frozenset[Want]
    ) -> Entry[Collected] | None:
        """Evidence collected before, however old."""
        return self._evidence.get((source.scope, repository, digest, wants))

    def evidence_until(self, entry: Entry[Collected]) -> float:
        """When the evidence must be collected again: soon where its last judgement was no."""
        cache = self._settings.cache
        return entry.since + (cache.evidence_ttl if entry.passing else cache.refusal_ttl)

    def usable_stale(self, entry: Entry[Collected]) -> bool:
        """Whether evidence that passed may stand in while its registry is away."""
        return entry.passing and entry.fresh(self._clock(), self._settings.cache.max_stale)

    async def collect(
        self, source: Source, repository: Repository, digest: Digest, wants: frozenset[Want], deadline: float
    ) -> Collected:
        """Everything stored beside `digest` that `wants` names, collected anew (or joined under way).

        Never raises for a registry's sake: what could not be had is among `gaps`.
        """
        key = (source.scope, repository, digest, wants)
        try:
            return await self._join(
                self._collecting,
                key,
                lambda: self._collect(source, repository, digest, wants, key),
                deadline,
                repository.registry,
            )
        except Undecided as error:
            return Collected(gaps=(Gap(str(repository), error.reason, settled=False),))

    async def _collect(
        self, source: Source, repository: Repository, digest: Digest, wants: frozenset[Want], key: Hashable
    ) -> Collected:
        since = self._clock()
        found = await discover(source, (repository,), digest, wants, self._settings.limits, self._budget)
        collected = self._read(found)
        if any(map(needs_artifact, collected.pieces)):
            collected = await self._with_artifact(source, repository, digest, collected)
        if collected.settled:
            self._evidence.put(key, collected, since, collected.weight)
        return collected

    def _read(self, found: Discovery) -> Collected:
        pieces: dict[str, Evidence] = {}
        unreadable: list[Gap] = []
        for attachment in found.attachments:
            try:
                for piece in read(attachment, self._settings.limits):
                    pieces.setdefault(piece.id, piece)
            except Refused as error:
                unreadable.append(Gap(str(attachment.origin), error.reason, settled=True))
        return Collected(tuple(pieces.values()), found.gaps, tuple(unreadable))

    async def _with_artifact(
        self, source: Source, repository: Repository, digest: Digest, collected: Collected
    ) -> Collected:
        """Add what the manifest is to signatures that name more of it than its digest, or are directly over it."""
        try:
            manifest = await source.resolve(Reference(repository, None, digest))
        except (Refused, Undecided) as error:
            gap = Gap(f"{repository}@{digest.short}", error.reason, settled=isinstance(error, Refused))
            return replace(collected, gaps=(*collected.gaps, gap))
        pieces = tuple(with_artifact(piece, manifest.raw, manifest.media_type) for piece in collected.pieces)
        return replace(collected, pieces=pieces)

    def judged(
        self, source: Source, repository: Repository, digest: Digest, wants: frozenset[Want], *, passing: bool
    ) -> None:
        """Say what the evidence's judgement was, and drop the payloads that are too long to keep."""
        key = (source.scope, repository, digest, wants)
        entry = self._evidence.get(key)
        if entry is None:
            return
        entry.passing = passing
        kept = self._settings.cache.payload_kept_bytes
        long = frozenset(piece.id for piece in entry.value.pieces if piece.size > kept) - entry.value.stripped
        if long:
            stripped = replace(
                entry.value,
                pieces=tuple(piece.without_payload() if piece.id in long else piece for piece in entry.value.pieces),
                stripped=entry.value.stripped | long,
            )
            self._evidence.put(key, stripped, entry.since, stripped.weight).passing = passing

    def forget(self, source: Source, repository: Repository, digest: Digest, wants: frozenset[Want]) -> None:
        """Drop what was collected, so that the next question asks the registry."""
        self._evidence.forget((source.scope, repository, digest, wants))

    async def close(self) -> None:
        """End the lookups under way."""
        await self._resolving.close()
        await self._collecting.close()


def _resolved(manifest: Manifest) -> Resolved:
    return Resolved(
        manifest.digest,
        tuple(child.digest for child in manifest.manifests),
        is_index=manifest.is_index,
        platforms=buildkit.platforms(manifest.manifests),
        aliases=tuple(digest for digest in map(partial(Digest.of, manifest.raw), _ALGORITHMS) if digest != manifest.digest),
    )
