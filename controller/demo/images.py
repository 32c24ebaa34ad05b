"""Small real images: a layer that unpacks, a configuration that fits it, a manifest, and an index over platforms."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from controller.demo.mediatypes import (
    DOCKER_CONFIG,
    DOCKER_INDEX,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    IN_TOTO,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    STATEMENT_V01,
)
from controller.demo.registry import EmbeddedRegistry
from controller.demo.store import StoredManifest
from controller.reference import Digest, Reference, Repository

_EPOCH: Final = "1970-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class MediaTypes:
    """The names that one family of tools gives to the parts of an image."""

    manifest: str
    index: str
    config: str
    layer: str


OCI: Final = MediaTypes(OCI_MANIFEST, OCI_INDEX, OCI_CONFIG, OCI_LAYER)
DOCKER: Final = MediaTypes(DOCKER_MANIFEST, DOCKER_INDEX, DOCKER_CONFIG, DOCKER_LAYER)


@dataclass(frozen=True, slots=True)
class Platform:
    """Operating system, architecture and variant, in Go's names."""

    os: str = "linux"
    architecture: str = "amd64"
    variant: str = ""

    def document(self) -> dict[str, str]:
        """As an image index writes it."""
        document = {"architecture": self.architecture, "os": self.os}
        return {**document, "variant": self.variant} if self.variant else document


AMD64: Final = Platform()
ARM64: Final = Platform(architecture="arm64", variant="v8")


@dataclass(frozen=True, slots=True)
class Image:
    """A pushed image or index: what a signature can be about.

    `platforms` holds the images of an index, in its order; it is empty for a single image.
    """

    repository: Repository
    digest: Digest
    media_type: str
    size: int
    tag: str = ""
    platforms: tuple["Image", ...] = field(default=())

    @property
    def path(self) -> str:
        """The repository's path."""
        return self.repository.path

    @property
    def reference(self) -> Reference:
        """By tag, as a person writes it; by digest where there is no tag."""
        return Reference(self.repository, self.tag) if self.tag else self.pinned

    @property
    def pinned(self) -> Reference:
        """By digest."""
        return Reference(self.repository, None, self.digest)

    def descriptor(self) -> dict[str, Any]:
        """As another manifest refers to it."""
        return {"mediaType": self.media_type, "size": self.size, "digest": str(self.digest)}


class ImageBuilder:
    """Builds images and puts them into a registry.

    Args:
        registry: Where they go; it must have been started, because its host is part of every name.
        media_types: `OCI` or `DOCKER`.
    """

    def __init__(self, registry: EmbeddedRegistry, media_types: MediaTypes = OCI) -> None:
        self._registry = registry
        self._types = media_types

    def image(self, path: str, tag: str = "", *, content: bytes = b"", platform: Platform = AMD64) -> Image:
        """Push a single image; other `content`, repository or platform gives another digest, the same gives the same."""
        seed = content or f"{path}:{tag}".encode()
        layer = _layer(seed, platform)
        config = _config(layer, platform)
        manifest = {
            "schemaVersion": 2,
            "mediaType": self._types.manifest,
            "config": self._blob(path, self._types.config, config),
            "layers": [self._blob(path, self._types.layer, layer)],
        }
        return self._image(self._put(path, tag, manifest), path, tag)

    def index(
        self,
        path: str,
        tag: str = "",
        *,
        content: bytes = b"",
        platforms: tuple[Platform, ...] = (AMD64, ARM64),
        attestations: Sequence[str] = (),
    ) -> Image:
        """Push one image for each platform, and the index of them.

        With `attestations` (predicate types) BuildKit's unsigned attestation manifest stands beside each image.
        """
        images = tuple(
            self.image(path, content=content or f"{path}:{tag}".encode(), platform=platform) for platform in platforms
        )
        entries = [
            {**image.descriptor(), "platform": platform.document()}
            for image, platform in zip(images, platforms, strict=True)
        ]
        if attestations:
            entries += [self._attestation(path, image, attestations) for image in images]
        index = {"schemaVersion": 2, "mediaType": self._types.index, "manifests": entries}
        return self._image(self._put(path, tag, index), path, tag, images)

    def _attestation(self, path: str, image: Image, predicate_types: Sequence[str]) -> dict[str, Any]:
        """An entry as BuildKit writes it (attestation-storage.md): one unsigned statement for each type."""
        subject = {"name": path, "digest": {image.digest.algorithm: image.digest.hex}}
        layers = []
        for kind in predicate_types:
            statement = {"_type": STATEMENT_V01, "predicateType": kind, "subject": [subject], "predicate": {}}
            layer = self._blob(path, IN_TOTO, json.dumps(statement).encode())
            layers.append({**layer, "annotations": {"in-toto.io/predicate-type": kind}})
        config = self._blob(path, self._types.config, json.dumps({"architecture": "unknown", "os": "unknown"}).encode())
        manifest = {"schemaVersion": 2, "mediaType": self._types.manifest, "config": config, "layers": layers}
        stored = self._image(self._put(path, "", manifest), path, "")
        return {
            **stored.descriptor(),
            "annotations": {
                "vnd.docker.reference.digest": str(image.digest),
                "vnd.docker.reference.type": "attestation-manifest",
            },
            "platform": {"architecture": "unknown", "os": "unknown"},
        }

    def _put(self, path: str, tag: str, document: dict[str, Any]) -> StoredManifest:
        return self._registry.put_manifest(path, json.dumps(document).encode(), tag=tag)

    def _blob(self, path: str, media_type: str, content: bytes) -> dict[str, Any]:
        digest = self._registry.put_blob(path, content)
        return {"mediaType": media_type, "size": len(content), "digest": str(digest)}

    def _image(self, stored: StoredManifest, path: str, tag: str, platforms: tuple[Image, ...] = ()) -> Image:
        repository = self._registry.repository(path)
        return Image(repository, stored.digest, stored.media_type, len(stored.content), tag, platforms)


def _layer(content: bytes, platform: Platform) -> bytes:
    """A gzipped tar of one file, the same bytes every time."""
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("srv/content")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
        marker = platform.architecture.encode()
        entry = tarfile.TarInfo("etc/architecture")
        entry.size = len(marker)
        archive.addfile(entry, io.BytesIO(marker))
    return gzip.compress(unpacked.getvalue(), mtime=0)


def _config(layer: bytes, platform: Platform) -> bytes:
    """The image configuration (OCI image specification); a diff ID is the digest of the unpacked layer."""
    diff_id = f"sha256:{hashlib.sha256(gzip.decompress(layer)).hexdigest()}"
    config = {
        "created": _EPOCH,
        **platform.document(),
        "config": {"Entrypoint": ["/srv/content"]},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": _EPOCH, "created_by": "sigward demo"}],
    }
    return json.dumps(config).encode()
