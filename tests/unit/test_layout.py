"""An OCI layout directory as a source: the same answers as a registry, and nothing from outside the directory."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Code, Invalid, Refused, Undecided
from controller.reference import Digest, Reference, Repository
from controller.registry import mediatypes
from controller.registry.discovery import Want, discover
from controller.registry.layout import REF_NAME, LayoutSource
from controller.registry.source import Descriptor
from controller.settings import Limits

LIMITS = Limits()
REPOSITORY = Repository("registry.example.com", "shop/web")


class Layout:
    """Writes a layout as tools do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries: list[dict[str, Any]] = []
        (root / "blobs/sha256").mkdir(parents=True)
        (root / "blobs/sha512").mkdir(parents=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        self.save()

    def save(self) -> None:
        document = {"schemaVersion": 2, "manifests": self.entries}
        (self.root / "index.json").write_text(json.dumps(document))

    def blob(self, content: bytes, media_type: str = "application/x", algorithm: str = "sha256") -> dict[str, Any]:
        digest = Digest.of(content, algorithm)
        (self.root / "blobs" / algorithm / digest.hex).write_bytes(content)
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    def image(self, *layers: dict[str, Any], **more: Any) -> dict[str, Any]:
        document = {"schemaVersion": 2, "config": self.blob(b"{}"), "layers": list(layers), **more}
        return self.blob(json.dumps(document).encode(), mediatypes.OCI_MANIFEST)

    def index(self, *entries: dict[str, Any]) -> dict[str, Any]:
        return self.blob(json.dumps({"schemaVersion": 2, "manifests": list(entries)}).encode(), mediatypes.OCI_INDEX)

    def add(self, entry: dict[str, Any], name: str = "") -> Digest:
        self.entries.append({**entry, "annotations": {REF_NAME: name}} if name else entry)
        self.save()
        return Digest.parse(entry["digest"])

    @property
    def source(self) -> LayoutSource:
        return LayoutSource(self.root, LIMITS)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


async def test_images_are_found_by_tag_by_whole_name_and_by_digest(layout: Layout) -> None:
    bare = layout.add(layout.image(), "1.4")
    whole = layout.add(layout.image(layout.blob(b"x")), "registry.example.com/shop/db:1.4")
    index = layout.add(layout.index(layout.image()), "all")
    assert (await layout.source.resolve(Reference(REPOSITORY, "1.4"))).digest == bare
    assert (await layout.source.resolve(Reference.parse("registry.example.com/shop/db:1.4"))).digest == whole
    found = await layout.source.resolve(Reference(REPOSITORY, "all"))
    assert (found.digest, found.is_index) == (index, True)
    assert (await layout.source.resolve(Reference(REPOSITORY, None, whole))).digest == whole
    with pytest.raises(Refused) as caught:
        await layout.source.resolve(Reference(REPOSITORY, "none"))
    assert caught.value.reason.code is Code.NOT_FOUND
    assert await layout.source.manifest(REPOSITORY, Digest.of(b"absent")) is None


async def test_containerds_name_is_read_too(layout: Layout) -> None:
    entry = {**layout.image(), "annotations": {"io.containerd.image.name": f"{REPOSITORY}:1.4", REF_NAME: "x"}}
    layout.entries.append(entry)
    layout.save()
    assert str((await layout.source.resolve(Reference(REPOSITORY, "1.4"))).digest) == entry["digest"]


async def test_two_entries_of_one_name_are_ambiguous(layout: Layout) -> None:
    layout.add(layout.image(), "1.4")
    layout.add(layout.image(layout.blob(b"x")), "1.4")
    with pytest.raises(Refused) as caught:
        await layout.source.resolve(Reference(REPOSITORY, "1.4"))
    assert caught.value.reason.code is Code.AMBIGUOUS


async def test_evidence_is_discovered_as_in_a_registry(layout: Layout) -> None:
    image = layout.image(layout.blob(b"layer"))
    digest = layout.add(image, "1.4")
    layout.add(layout.image(layout.blob(b"claim", mediatypes.SIMPLE_SIGNING)), f"sha256-{digest.hex}.sig")
    layout.add(layout.image(layout.blob(b"envelope", mediatypes.DSSE)), f"sha256-{digest.hex}.att")
    kind = f"{mediatypes.BUNDLE_PREFIX}.v0.3+json"
    layout.add(layout.image(layout.blob(b"one", kind), artifactType=kind, subject=image))
    listed = layout.image(layout.blob(b"two", kind), artifactType=kind, subject=image)
    layout.add(layout.index(listed), f"sha256-{digest.hex}")
    layout.add(layout.image(layout.blob(b"sbom"), artifactType="application/spdx+json", subject=image))
    found = await discover(layout.source, [REPOSITORY], digest, frozenset(Want), LIMITS)
    assert {attachment.payload for attachment in found.attachments} == {b"claim", b"envelope", b"one", b"two"}
    assert found.gaps == ()


async def test_bytes_are_hashed(layout: Layout) -> None:
    digest = layout.add(layout.image(), "1.4")
    (layout.root / "blobs/sha256" / digest.hex).write_bytes(b"{}")
    with pytest.raises(Refused) as caught:
        await layout.source.resolve(Reference(REPOSITORY, "1.4"))
    assert caught.value.reason.code is Code.DIGEST_MISMATCH


async def test_blobs_are_bounded_and_hashed(layout: Layout) -> None:
    digest, whole = Digest.of(b""), Descriptor("application/x", Digest.of(b""), 0)
    for algorithm in ("sha256", "sha512"):
        digest = Digest.parse(layout.blob(b"content", algorithm=algorithm)["digest"])
        whole = Descriptor("application/x", digest, 7)
        assert await layout.source.blob(REPOSITORY, whole, limit=7) == b"content"
        for size, limit in ((6, 7), (7, 6)):
            with pytest.raises(Refused) as caught:
                await layout.source.blob(REPOSITORY, Descriptor("application/x", digest, size), limit=limit)
            assert caught.value.reason.code is Code.LIMIT_EXCEEDED
    (layout.root / "blobs/sha512" / digest.hex).write_bytes(b"another")
    with pytest.raises(Refused) as caught:
        await layout.source.blob(REPOSITORY, whole, limit=7)
    assert caught.value.reason.code is Code.DIGEST_MISMATCH
    with pytest.raises(Refused) as caught:
        await layout.source.blob(REPOSITORY, Descriptor("application/x", Digest.of(b"absent"), 7), limit=7)
    assert caught.value.reason.code is Code.NOT_FOUND


@pytest.mark.parametrize("part", ["blobs", "blobs/sha256", "file"])
async def test_links_are_not_followed(layout: Layout, part: str) -> None:
    outside = layout.root.parent / f"{layout.root.name}-outside"
    digest = layout.add(layout.image(), "1.4")
    path = layout.root / (f"blobs/sha256/{digest.hex}" if part == "file" else part)
    path.rename(outside)
    path.symlink_to(outside)
    with pytest.raises(Refused, match="is a link, or lies behind one") as caught:
        await layout.source.resolve(Reference(REPOSITORY, "1.4"))
    assert caught.value.reason.code is Code.MALFORMED


async def test_pipes_and_folders_are_no_files(layout: Layout) -> None:
    digest = layout.add(layout.image(), "1.4")
    path = layout.root / "blobs/sha256" / digest.hex
    for make in (os.mkfifo, os.mkdir):
        path.unlink()
        make(path)
        with pytest.raises(Refused, match="no regular file"):
            await layout.source.resolve(Reference(REPOSITORY, "1.4"))
        if path.is_dir():
            path.rmdir()
            path.touch()


async def test_what_cannot_be_read_now_is_undecided(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    source = layout.source
    real = os.open

    def _broken(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if path == "index.json":
            raise OSError(5, "Input/output error")
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", _broken)
    with pytest.raises(Undecided, match=r"index\.json cannot be read") as caught:
        await source.resolve(Reference(REPOSITORY, "1.4"))
    assert caught.value.reason.code is Code.UNREACHABLE


@pytest.mark.parametrize("mark", [None, "", "{}", '{"imageLayoutVersion":1}', '{"imageLayoutVersion":"2.0.0"}', "x" * 2000])
def test_a_directory_that_is_no_layout_is_invalid(layout: Layout, mark: str | None) -> None:
    path = layout.root / "oci-layout"
    path.unlink()
    if mark is not None:
        path.write_text(mark)
    with pytest.raises(Invalid, match="OCI image layout") as caught:
        LayoutSource(layout.root, LIMITS)
    assert caught.value.reason.code is Code.INVALID_FILE


async def test_a_missing_or_broken_index_is_refused(layout: Layout) -> None:
    for content in (None, "{}", '{"schemaVersion":2,"layers":[],"config":{}}'):
        path = layout.root / "index.json"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        with pytest.raises(Refused, match=r"index\.json|manifest") as caught:
            await layout.source.resolve(Reference(REPOSITORY, "1.4"))
        assert caught.value.reason.code in {Code.MALFORMED, Code.AMBIGUOUS}
