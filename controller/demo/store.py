"""What the embedded registry holds: blobs, manifests, tags and the referrers of each digest, in memory.

The store keeps bytes as they came and judges nothing, so that a test can put in what no registry should accept. The checks
of the OCI Distribution Specification stand where a push arrives over HTTP.
"""

import bisect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from controller.demo.mediatypes import OCI_MANIFEST
from controller.errors import Code, Invalid
from controller.reference import Digest

FALLBACK_ALGORITHM: Final = 32
FALLBACK_ENCODED: Final = 64


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it was pushed, and what a referrers listing says about it.

    `content` is never re-encoded. `subject`, `artifact_type` and `annotations` are read from it and are empty where it is
    no JSON object.
    """

    digest: Digest
    media_type: str
    content: bytes
    subject: Digest | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    def descriptor(self) -> dict[str, Any]:
        """The descriptor in a referrers listing (distribution specification, "Listing Referrers")."""
        descriptor: dict[str, Any] = {
            "mediaType": self.media_type,
            "size": len(self.content),
            "digest": str(self.digest),
        }
        if self.annotations:
            descriptor["annotations"] = dict(self.annotations)
        if self.artifact_type:
            descriptor["artifactType"] = self.artifact_type
        return descriptor


@dataclass(slots=True)
class _Shelf:
    """One repository."""

    blobs: dict[Digest, bytes] = field(default_factory=dict)
    manifests: dict[Digest, StoredManifest] = field(default_factory=dict)
    tags: dict[str, Digest] = field(default_factory=dict)
    referrers: dict[Digest, dict[Digest, StoredManifest]] = field(default_factory=dict)


class Store:
    """Repositories by path (`shop/web`), created by the first push."""

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}

    def put_blob(self, path: str, content: bytes, *, algorithm: str = "sha256") -> Digest:
        """Keep `content` and return its digest; `algorithm` is `sha256` or `sha512`."""
        digest = Digest.of(content, algorithm)
        self._shelf(path).blobs[digest] = content
        return digest

    def put_manifest(
        self, path: str, content: bytes, *, media_type: str = "", tag: str = "", digest: Digest | None = None
    ) -> StoredManifest:
        """Keep a manifest, unchecked.

        Args:
            path: The repository.
            content: Its bytes, kept as they are.
            media_type: What the registry will serve it as; by default what the bytes say, else an OCI image manifest.
            tag: Moved to this manifest if given.
            digest: The name it is kept under; by default its SHA-256. Any other digest makes the registry a liar.

        Returns:
            The manifest as stored.
        """
        manifest = _read(content, media_type, digest or Digest.of(content))
        shelf = self._shelf(path)
        self._forget(shelf, manifest.digest)
        shelf.manifests[manifest.digest] = manifest
        if manifest.subject:
            shelf.referrers.setdefault(manifest.subject, {})[manifest.digest] = manifest
        if tag:
            shelf.tags[tag] = manifest.digest
        return manifest

    def put_tag(self, path: str, tag: str, digest: Digest) -> None:
        """Let `tag` name `digest`, which need not exist."""
        self._shelf(path).tags[tag] = digest

    def manifest(self, path: str, reference: str | Digest) -> StoredManifest | None:
        """The manifest of a tag or digest, or None."""
        shelf = self._shelves.get(path)
        if shelf is None:
            return None
        digest = reference if isinstance(reference, Digest) else shelf.tags.get(reference)
        return shelf.manifests.get(digest) if digest else None

    def blob(self, path: str, digest: Digest) -> bytes | None:
        """The blob, or None."""
        shelf = self._shelves.get(path)
        return shelf.blobs.get(digest) if shelf else None

    def referrers(self, path: str, subject: Digest) -> tuple[StoredManifest, ...]:
        """The manifests whose `subject` is this digest, in the order they came. The subject need not exist."""
        shelf = self._shelves.get(path)
        return tuple(shelf.referrers.get(subject, {}).values()) if shelf else ()

    def tags(self, path: str, *, after: str = "") -> tuple[str, ...] | None:
        """The tags in ASCII order, those after `after`; None where the repository does not exist."""
        shelf = self._shelves.get(path)
        if shelf is None:
            return None
        names = sorted(shelf.tags)
        return tuple(names[bisect.bisect_right(names, after) :])

    def delete_tag(self, path: str, tag: str) -> bool:
        """Remove a tag and nothing else; whether it was there."""
        shelf = self._shelves.get(path)
        return shelf is not None and shelf.tags.pop(tag, None) is not None

    def delete_manifest(self, path: str, digest: Digest) -> bool:
        """Remove a manifest, its tags and its place among the referrers; whether it was there."""
        shelf = self._shelves.get(path)
        if shelf is None or digest not in shelf.manifests:
            return False
        self._forget(shelf, digest)
        shelf.tags = {tag: named for tag, named in shelf.tags.items() if named != digest}
        return True

    def delete_blob(self, path: str, digest: Digest) -> bool:
        """Remove a blob; whether it was there."""
        shelf = self._shelves.get(path)
        return shelf is not None and shelf.blobs.pop(digest, None) is not None

    def _shelf(self, path: str) -> _Shelf:
        if not path:
            raise Invalid(Code.INVALID_REFERENCE, "a repository needs a name")
        return self._shelves.setdefault(path, _Shelf())

    @staticmethod
    def _forget(shelf: _Shelf, digest: Digest) -> None:
        known = shelf.manifests.pop(digest, None)
        if known and known.subject:
            shelf.referrers[known.subject].pop(digest, None)


def fallback_tag(digest: Digest) -> str:
    """The tag that lists a digest's referrers where the API is absent (distribution specification, "Referrers Tag Schema").

    The algorithm is cut to 32 characters and the encoded part to 64, so two SHA-512 subjects may share a tag.
    """
    return f"{digest.algorithm[:FALLBACK_ALGORITHM]}-{digest.hex[:FALLBACK_ENCODED]}"


def _read(content: bytes, media_type: str, digest: Digest) -> StoredManifest:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        return StoredManifest(digest, media_type or OCI_MANIFEST, content)
    subject = document.get("subject")
    config = document.get("config")
    annotations = document.get("annotations")
    return StoredManifest(
        digest,
        media_type or _text(document, "mediaType") or OCI_MANIFEST,
        content,
        _digest(_text(subject, "digest")),
        _text(document, "artifactType") or _text(config, "mediaType"),
        annotations if isinstance(annotations, dict) else {},
    )


def _text(document: object, name: str) -> str:
    value = document.get(name) if isinstance(document, dict) else None
    return value if isinstance(value, str) else ""


def _digest(value: str) -> Digest | None:
    try:
        return Digest.parse(value)
    except Invalid:
        return None
