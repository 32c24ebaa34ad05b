"""An OCI image layout directory as a `Source` (image specification, "OCI Image Layout"): reading only.

What a layout says is as little believed as what a registry says: bytes are hashed, documents read strictly. Its files may
come from somebody else's archive, so no symbolic link is followed below its root and nothing but regular files is read.
"""

import asyncio
import errno
import os
import stat
from pathlib import Path
from typing import Final

from controller import documents
from controller.errors import Code, Invalid, Refused, Undecided
from controller.reference import Digest, Reference, Repository
from controller.registry import mediatypes
from controller.registry.listing import fallback_tag
from controller.registry.manifests import over_limit, read_listing, read_manifest
from controller.registry.source import Descriptor, Manifest, SignatureStore
from controller.settings import Limits

REF_NAME: Final = "org.opencontainers.image.ref.name"
"""The annotation of index.json that holds an entry's tag, or its whole reference where a layout holds several images."""
_CONTAINERD_NAME: Final = "io.containerd.image.name"
_VERSION: Final = "1.0.0"
_LONGEST_MARK: Final = 1024


class LayoutSource:
    """Answers from a directory with `oci-layout`, `index.json` and `blobs/`."""

    def __init__(self, root: Path, limits: Limits) -> None:
        """Check that `root` is a layout of a version we know.

        Raises:
            Invalid: `InvalidFile`.
        """
        self._root = root.absolute()
        self._limits = limits
        try:
            mark = self._read(("oci-layout",), _LONGEST_MARK, "limits.manifestBytes")
            document = documents.read_object(mark or b"", "oci-layout", limit=_LONGEST_MARK)
            version = documents.text(document, "imageLayoutVersion", "oci-layout")
        except (Refused, Undecided) as error:
            raise Invalid(Code.INVALID_FILE, f"{root} is no OCI image layout: {error.reason}") from None
        if version != _VERSION:
            raise Invalid(Code.INVALID_FILE, f"{root} is an OCI image layout", expected=f"version {_VERSION}", found=version)

    @property
    def scope(self) -> str:
        """As `Source.scope`."""
        return f"layout:{self._root}"

    async def resolve(self, reference: Reference) -> Manifest:
        """As `Source.resolve`."""
        name = reference.digest or reference.wanted_tag or ""
        manifest = await self.manifest(reference.repository, name)
        if manifest is None:
            raise Refused(Code.NOT_FOUND, f"{reference} is not in {self._root.name}")
        return manifest

    async def manifest(self, repository: Repository, name: Digest | str) -> Manifest | None:
        """As `Source.manifest`."""
        return await asyncio.to_thread(self._manifest, repository, name)

    async def blob(self, repository: Repository, descriptor: Descriptor, *, limit: int) -> bytes:  # noqa: ARG002 - one for all
        """As `Source.blob`."""
        return await asyncio.to_thread(self._blob, descriptor, limit)

    async def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """As `Source.referrers`: what the fallback tag lists, and every entry of index.json that has this subject."""
        return await asyncio.to_thread(self._referrers, repository, digest)

    def signature_stores(self, repository: Repository) -> tuple[SignatureStore, ...]:
        """As `Source.signature_stores`: a layout has no place for them."""
        del repository
        return ()

    def _manifest(self, repository: Repository, name: Digest | str) -> Manifest | None:
        if isinstance(name, Digest):
            raw = self._read_blob(name, self._limits.manifest_bytes, "limits.manifestBytes")
            return None if raw is None else read_manifest(raw, self._limits, expected=name)
        entry = self._tagged(self._index(), repository, name)
        return None if entry is None else self._listed(entry)

    def _listed(self, entry: Descriptor) -> Manifest:
        raw = self._read_blob(entry.digest, self._limits.manifest_bytes, "limits.manifestBytes")
        if raw is None:
            raise Refused(Code.NOT_FOUND, f"manifest {entry.digest.short} is listed in index.json, but not there")
        return read_manifest(raw, self._limits, content_type=entry.media_type, expected=entry.digest)

    def _blob(self, descriptor: Descriptor, limit: int) -> bytes:
        what = f"blob {descriptor.digest.short}"
        if descriptor.size > limit:
            raise over_limit(what, "the limit for its kind", limit, descriptor.size)
        raw = self._read_blob(descriptor.digest, descriptor.size, "the size in its descriptor")
        if raw is None:
            raise Refused(Code.NOT_FOUND, f"{what} is not in {self._root.name}")
        descriptor.digest.check(raw, what)
        return raw

    def _referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        index = self._index()
        found: dict[Digest, Descriptor] = {}
        fallback = self._tagged(index, repository, fallback_tag(digest))
        if fallback is not None:
            raw = self._read_blob(fallback.digest, self._limits.manifest_bytes, "limits.manifestBytes") or b""
            fallback.digest.check(raw, "fallback tag")
            found |= {entry.digest: entry for entry in read_listing(raw, self._limits)}
        for entry in index:
            # The tagged lists of referrers are indexes themselves, which may list anything.
            if entry.media_type in mediatypes.IMAGES:
                manifest = self._listed(entry)
                if manifest.subject and manifest.subject.digest == digest:
                    found[entry.digest] = _as_referrer(manifest)
        return tuple(found.values())

    def _index(self) -> tuple[Descriptor, ...]:
        raw = self._read(("index.json",), self._limits.manifest_bytes, "limits.manifestBytes")
        if raw is None:
            raise Refused(Code.MALFORMED, f"{self._root.name} has no index.json")
        return read_listing(raw, self._limits, "index.json")

    def _tagged(self, index: tuple[Descriptor, ...], repository: Repository, tag: str) -> Descriptor | None:
        """The entry of that name: by its whole reference, else by the bare tag of a layout that holds one repository."""
        whole = str(Reference(repository, tag))
        entries = [entry for entry in index if whole in {entry.annotations.get(key) for key in (REF_NAME, _CONTAINERD_NAME)}]
        entries = entries or [entry for entry in index if entry.annotations.get(REF_NAME) == tag]
        if len({entry.digest for entry in entries}) > 1:
            raise Refused(Code.AMBIGUOUS, f"index.json has two entries named {tag}", found=entries[1].digest.short)
        return entries[0] if entries else None

    def _read_blob(self, digest: Digest, limit: int, limit_name: str) -> bytes | None:
        # A `Digest` is lower-case hex under one of two algorithms: it cannot name another directory.
        return self._read(("blobs", digest.algorithm, digest.hex), limit, limit_name)

    def _read(self, parts: tuple[str, ...], limit: int, limit_name: str) -> bytes | None:
        """The bytes of a regular file below the root, None where there is none.

        Raises:
            Refused: A link, a device, or more than `limit` bytes.
            Undecided: The file system did not let us.
        """
        what = "/".join(parts)
        try:
            raw = _read_below(self._root, parts, limit + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise Refused(Code.MALFORMED, f"{what} is a link, or lies behind one", expected="a regular file") from None
            raise Undecided(
                Code.UNREACHABLE, f"{what} cannot be read", source=str(self._root), found=error.strerror or ""
            ) from None
        if len(raw) > limit:
            raise over_limit(what, limit_name, limit, "more")
        return raw


def _as_referrer(manifest: Manifest) -> Descriptor:
    """What the referrers API would list (distribution specification, "Listing Referrers")."""
    return Descriptor(
        media_type=manifest.media_type,
        digest=manifest.digest,
        size=len(manifest.raw),
        artifact_type=manifest.artifact_type or (manifest.config.media_type if manifest.config else ""),
        annotations=manifest.annotations,
    )


def _read_below(root: Path, parts: tuple[str, ...], count: int) -> bytes:
    handle = _open_below(root, parts)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused(Code.MALFORMED, f"{'/'.join(parts)} is no regular file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(count)
    finally:
        os.close(handle)


def _open_below(root: Path, parts: tuple[str, ...]) -> int:
    """Open a file step by step, so that no part of the way below `root` can be a link (or become one meanwhile)."""
    *folders, name = parts
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            below = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        # Without O_NONBLOCK a named pipe would wait for its writer.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
    finally:
        os.close(here)
