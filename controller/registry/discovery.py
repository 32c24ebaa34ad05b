"""Which evidence a repository holds about a digest: found, bounded, not judged.

Every place is looked at, all at once: the cosign tags `sha256-<hex>.sig` and `.att`, the referrers, and for OpenPGP the
stores beside the registry. What is wrong in one place is a `Gap` there and changes nothing elsewhere. A place that holds too
much is refused as a whole: which part of ten thousand signatures would be read is nothing an answer may depend on.

Annotations that tell what a bundle holds (`dev.sigstore.bundle.predicateType`) are written by whoever pushed it, so nothing
is left out for their sake; only the media types of manifest and layer choose.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Any, Final, Protocol

from controller.errors import Code, Reason, Refused, SigwardError, Undecided
from controller.evidence import Origin
from controller.reference import Digest, Repository
from controller.registry import lookup, mediatypes
from controller.registry.manifests import over_limit
from controller.registry.source import Descriptor, Manifest, SignatureStore, Source
from controller.settings import KIB, Limits


class Want(StrEnum):
    """What the applicable policies can use; nothing else is fetched."""

    SIGNATURES = "signatures"
    ATTESTATIONS = "attestations"
    SIMPLE_SIGNING = "OpenPGP signatures"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One stored piece, as bytes: a layer of a cosign tag manifest, or the layer of a referrer.

    `media_type` is the layer descriptor's, `artifact_type` the manifest's; `annotations` the layer's over the manifest's.
    """

    origin: Origin
    media_type: str
    artifact_type: str
    annotations: Mapping[str, str]
    payload: bytes


@dataclass(frozen=True, slots=True)
class Gap:
    """A source that did not answer, or whose answer was refused.

    `settled` is True for a refusal (limits, malformed, mismatch): final, remembered. False is `Undecided`: not remembered.
    """

    place: str
    reason: Reason
    settled: bool


@dataclass(frozen=True, slots=True)
class Discovery:
    """All that was found, and where looking failed."""

    attachments: tuple[Attachment, ...]
    gaps: tuple[Gap, ...]


class Budget(Protocol):
    """Payload bytes that all lookups together may hold."""

    async def reserve(self, count: int) -> int:
        """Wait for `count` bytes; returns what was reserved."""

    def release(self, count: int) -> None:
        """Give back what `reserve` returned."""


_BOTH: Final = frozenset({Want.SIGNATURES, Want.ATTESTATIONS})
_SIGNATURES: Final = frozenset({Want.SIGNATURES})
_ATTESTATIONS: Final = frozenset({Want.ATTESTATIONS})

_ARTIFACTS: Final[Mapping[str, frozenset[Want]]] = {
    mediatypes.COSIGN_SIGNATURE_ARTIFACT: _SIGNATURES,
    mediatypes.SIMPLE_SIGNING: _SIGNATURES,
    mediatypes.IN_TOTO: _ATTESTATIONS,
    mediatypes.DSSE: _ATTESTATIONS,
    mediatypes.NOTATION: _SIGNATURES,
}
"""What a referrer of this artifact type can hold. Bundles can hold both; other types are of no use and are not fetched."""

_LAYERS: Final[Mapping[str, frozenset[Want]]] = {
    mediatypes.SIMPLE_SIGNING: _SIGNATURES,
    mediatypes.DSSE: _ATTESTATIONS,
    mediatypes.IN_TOTO: _ATTESTATIONS,  # some tools name the envelope after its payload
    mediatypes.JOSE: _SIGNATURES,
    mediatypes.COSE: _SIGNATURES,
}
"""What a layer of this media type can hold. A bundle's layer goes by the manifest's artifact type as well as by its own."""

_SMALL: Final = 64 * KIB
_POCKET: Final = 128 * KIB
"""Blobs of at most `_SMALL` bytes, together at most `_POCKET`, are fetched without asking the budget: so the usual lookup
never waits for it, and a lookup asks once and for all it needs, so that no two lookups can wait for each other."""


async def discover(
    source: Source,
    repositories: Sequence[Repository],
    digest: Digest,
    wants: frozenset[Want],
    limits: Limits,
    budget: Budget | None = None,
) -> Discovery:
    """Collect what `repositories` hold about `digest`.

    Args:
        source: Whom to ask.
        repositories: Where to look; all count alike.
        digest: The image's, or index's.
        wants: What the applicable policies can use.
        limits: Counts and sizes; `evidence_bytes_per_image` is shared by all repositories.
        budget: Payload bytes of all lookups; what is reserved is given back when the result is returned.

    Returns:
        Attachments in a stable order (repository, `.sig`, `.att`, referrers as listed) and the gaps. Never raises for what a
        registry says or fails to say.
    """
    search = _Search(source, digest, wants, limits, budget)
    places = [place for repository in repositories for place in search.places(repository)]
    try:
        with lookup.current(limits.lookup_timeout):
            found = await _all(places)
            await search.fetch_large()
            return await search.collect(list(chain.from_iterable(found)))
    finally:
        search.close()


def cosign_tag(digest: Digest, suffix: str) -> str:
    """`sha256-<hex>.sig` (cosign, SIGNATURE_SPEC, "Tag-based Discovery")."""
    return f"{digest.algorithm}-{digest.hex}.{suffix}"


@dataclass(frozen=True, slots=True)
class _Piece:
    """A layer that was found: its bytes are being fetched, or will be."""

    origin: Origin
    layer: Descriptor
    artifact_type: str
    annotations: Mapping[str, str]


_Found = list[_Piece | Attachment | Gap]


class _Search:
    """One `discover` under way."""

    def __init__(
        self, source: Source, digest: Digest, wants: frozenset[Want], limits: Limits, budget: Budget | None
    ) -> None:
        self._source = source
        self._digest = digest
        self._wants = wants
        self._limits = limits
        self._budget = budget
        self._pocket = _POCKET
        self._bytes = 0
        self._reserved = 0
        self._blobs: dict[tuple[Repository, Digest], asyncio.Task[bytes]] = {}
        self._large: dict[tuple[Repository, Digest], Descriptor] = {}

    def places(self, repository: Repository) -> Iterable[Coroutine[Any, Any, _Found]]:
        """Everywhere to look in one repository."""
        limits = self._limits
        # A tag has at most 128 characters: about an image known by sha512, cosign can write no tag.
        if self._digest.algorithm == "sha256":
            if Want.SIGNATURES in self._wants:
                bound = ("limits.signaturesPerImage", limits.signatures_per_image)
                yield self._tag(repository, "sig", mediatypes.SIMPLE_SIGNING, bound)
            if Want.ATTESTATIONS in self._wants:
                bound = ("limits.attestationsPerImage", limits.attestations_per_image)
                yield self._tag(repository, "att", mediatypes.DSSE, bound)
        if self._wants & _BOTH:
            yield self._referrers(repository)
        if Want.SIMPLE_SIGNING in self._wants:
            yield from (self._stored(repository, store) for store in self._source.signature_stores(repository))

    async def _tag(self, repository: Repository, suffix: str, media_type: str, bound: tuple[str, int]) -> _Found:
        place = f"tag {self._digest.algorithm}-{self._digest.hex[:12]}….{suffix}"
        try:
            manifest = await self._source.manifest(repository, cosign_tag(self._digest, suffix))
            if manifest is None:
                return []
            self._count(len(manifest.raw))
            layers = [entry for entry in enumerate(manifest.layers, 1) if entry[1].media_type == media_type]
            _check_image(manifest, place, len(layers), bound)
        except SigwardError as error:
            return [_gap(f"{repository} {place}", error)]
        return [self._piece(repository, manifest, layer, f"{place}, layer {number}") for number, layer in layers]

    async def _stored(self, repository: Repository, store: SignatureStore) -> _Found:
        """Signatures that are kept outside the registry's content: by digest, without any manifest that names them."""
        found: list[_Piece | Attachment | Gap] = []
        try:
            for stored in await store.signatures(self._digest):
                self._count(len(stored.content))
                origin = Origin(repository, self._digest, f"{store.name}, {stored.place}")
                found.append(Attachment(origin, mediatypes.OPENPGP_MESSAGE, "", {}, stored.content))
        except SigwardError as error:
            return [_gap(store.name, error)]
        return found

    async def _referrers(self, repository: Repository) -> _Found:
        place = f"referrers of {self._digest.short}"
        limit = self._limits.referrers_per_image
        try:
            listing = await self._source.referrers(repository, self._digest)
            useful = [entry for entry in listing if self._useful(entry)]
            if len(useful) > limit:
                raise over_limit(place, "limits.referrersPerImage", limit, len(useful))
        except SigwardError as error:
            return [_gap(f"{repository} {place}", error)]
        found = await _all([self._referrer(repository, entry) for entry in useful])
        return list(chain.from_iterable(found))

    def _useful(self, referrer: Descriptor) -> bool:
        if referrer.media_type not in mediatypes.IMAGES:
            return False  # an index holds images, not evidence
        kind = referrer.artifact_type
        return kind in mediatypes.UNTELLING or bool(_held(_ARTIFACTS, kind) & self._wants)

    def _holds(self, manifest: Manifest, layer: Descriptor) -> frozenset[Want]:
        """What of the wanted the layer can hold."""
        is_bundle = manifest.artifact_type.startswith(mediatypes.BUNDLE_PREFIX)
        return self._wants if is_bundle else _held(_LAYERS, layer.media_type) & self._wants

    async def _referrer(self, repository: Repository, entry: Descriptor) -> _Found:
        place = f"referrer {entry.digest.short}"
        try:
            manifest = await self._source.manifest(repository, entry.digest)
            if manifest is None:
                raise Refused(Code.NOT_FOUND, f"{place} is listed, but not there")
            self._count(len(manifest.raw))
            layers = [layer for layer in manifest.layers if self._holds(manifest, layer)]
            _check_subject(manifest, self._digest, place)
            _check_notation(manifest, place)
            _check_image(manifest, place, len(layers), ("limits.signaturesPerImage", self._limits.signatures_per_image))
        except SigwardError as error:
            return [_gap(f"{repository} {place}", error)]
        return [self._piece(repository, manifest, layer, place) for layer in layers]

    def _piece(self, repository: Repository, manifest: Manifest, layer: Descriptor, place: str) -> _Piece | Gap:
        origin = Origin(repository, manifest.digest, place)
        annotations = {**manifest.annotations, **layer.annotations}
        try:
            self._check_layer(layer, self._holds(manifest, layer), annotations, place)
            self._want_blob(repository, layer)
        except Refused as error:
            return _gap(str(origin), error)
        return _Piece(origin, layer, _artifact_type(manifest), annotations)

    def _check_layer(self, layer: Descriptor, holds: frozenset[Want], annotations: Mapping[str, str], place: str) -> None:
        name, limit = "limits.signatureBytes", self._limits.signature_bytes
        if Want.ATTESTATIONS in holds:
            name, limit = "limits.attestationBytes", self._limits.attestation_bytes
        if layer.size > limit:
            raise over_limit(place, name, limit, layer.size)
        longest = max(map(len, annotations.values()), default=0)
        if longest > self._limits.annotation_bytes:
            raise over_limit(f"{place}: an annotation", "limits.annotationBytes", self._limits.annotation_bytes, longest)

    def _want_blob(self, repository: Repository, layer: Descriptor) -> None:
        """Start to fetch the blob, or put it off until all that is needed is known; each blob once.

        Signatures of several keys over one claim share its blob.
        """
        key = (repository, layer.digest)
        if key in self._blobs or key in self._large:
            return
        self._count(layer.size)
        if self._budget is None or (layer.size <= _SMALL and layer.size <= self._pocket):
            self._pocket -= layer.size
            self._start(key, layer)
        else:
            self._large[key] = layer

    def _count(self, size: int) -> None:
        limit = self._limits.evidence_bytes_per_image
        if self._bytes + size > limit:
            raise over_limit(f"evidence of {self._digest.short}", "limits.evidenceBytesPerImage", limit, "more")
        self._bytes += size

    def _start(self, key: tuple[Repository, Digest], layer: Descriptor) -> None:
        limit = max(self._limits.attestation_bytes, self._limits.signature_bytes)
        task = asyncio.ensure_future(self._source.blob(key[0], layer, limit=limit))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())  # seen, also where nobody asks any more
        self._blobs[key] = task

    async def fetch_large(self) -> None:
        """Start to fetch what was put off, once there is room for all of it."""
        if self._large and self._budget:
            self._reserved = await self._budget.reserve(sum(layer.size for layer in self._large.values()))
        for key, layer in self._large.items():
            self._start(key, layer)

    async def collect(self, found: _Found) -> Discovery:
        """Wait for every blob."""
        await asyncio.gather(*self._blobs.values(), return_exceptions=True)
        attachments: list[Attachment] = []
        gaps: list[Gap] = []
        for entry in found:
            if isinstance(entry, Gap):
                gaps.append(entry)
                continue
            if isinstance(entry, Attachment):
                attachments.append(entry)
                continue
            try:
                payload = self._blobs[entry.origin.repository, entry.layer.digest].result()
            except SigwardError as error:
                gaps.append(_gap(str(entry.origin), error))
            else:
                found_as = (entry.layer.media_type, entry.artifact_type, entry.annotations)
                attachments.append(Attachment(entry.origin, *found_as, payload))
        return Discovery(tuple(attachments), tuple(gaps))

    def close(self) -> None:
        """Stop what is under way and give the budget back."""
        for task in self._blobs.values():
            task.cancel()
        if self._budget and self._reserved:
            self._budget.release(self._reserved)


def _held(kinds: Mapping[str, frozenset[Want]], media_type: str) -> frozenset[Want]:
    return _BOTH if media_type.startswith(mediatypes.BUNDLE_PREFIX) else kinds.get(media_type, frozenset())


def _check_image(manifest: Manifest, place: str, layers: int, bound: tuple[str, int]) -> None:
    if manifest.is_index:
        raise Refused(Code.MALFORMED, f"{place} is an index", expected="an image manifest", found=manifest.media_type)
    name, limit = bound
    if layers > limit:
        raise over_limit(place, name, limit, layers)


def _artifact_type(manifest: Manifest) -> str:
    """Older manifests tell their type by that of their config (image specification, "Guidelines for Artifact Usage")."""
    return manifest.artifact_type or (manifest.config.media_type if manifest.config else "")


def _check_notation(manifest: Manifest, place: str) -> None:
    """Notary Project, signature-specification.md, "Storage": the manifest has exactly one layer, the envelope."""
    if _artifact_type(manifest) != mediatypes.NOTATION:
        return
    if len(manifest.layers) != 1 or manifest.layers[0].media_type not in {mediatypes.JOSE, mediatypes.COSE}:
        found = ", ".join(layer.media_type[:40] for layer in manifest.layers[:2]) or "no layer"
        expected = f"one layer {mediatypes.JOSE} or {mediatypes.COSE}"
        raise Refused(Code.MALFORMED, f"{place} is no Notary Project signature", expected=expected, found=found)


def _check_subject(manifest: Manifest, digest: Digest, place: str) -> None:
    """Both ways to list referrers are only lists: the referrer itself says what it is about (design, section 6)."""
    if manifest.subject is None or manifest.subject.digest != digest:
        found = manifest.subject.digest.short if manifest.subject else "no subject"
        raise Refused(Code.WRONG_DIGEST, f"{place} is about another image", expected=digest.short, found=found)


def _gap(place: str, error: SigwardError) -> Gap:
    return Gap(place, error.reason, settled=not isinstance(error, Undecided))


async def _all(places: Sequence[Coroutine[Any, Any, _Found]]) -> list[_Found]:
    """Every result, in order; an unexpected exception ends the others too."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(place) for place in places]
    return [task.result() for task in tasks]
