"""Attacks 13, 24 and 37 as a registry can try them: other bytes, another subject, two readings."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.signer import Signer, Style
from controller.errors import Code, Refused
from controller.reference import Digest, Reference
from controller.registry import mediatypes
from controller.registry.client import RegistryClient
from controller.registry.discovery import Discovery, Want, discover
from controller.registry.source import Manifest
from tests.fakes import faults
from tests.fakes.clients import QUICK, transport
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry() as running:
        yield running


@pytest.fixture
def image(registry: FaultyRegistry) -> Image:
    return ImageBuilder(registry).image("shop/web", "1.4")


async def _resolve(registry: FaultyRegistry, reference: Reference) -> Manifest:
    async with transport(registry) as connections:
        return await RegistryClient(connections).resolve(reference)


async def _refusal(registry: FaultyRegistry, reference: Reference) -> Refused:
    with pytest.raises(Refused) as caught:
        await _resolve(registry, reference)
    return caught.value


async def _discover(registry: FaultyRegistry, image: Image, digest: Digest | None = None) -> Discovery:
    async with transport(registry) as connections:
        return await discover(
            RegistryClient(connections),
            [image.repository],
            digest or image.digest,
            frozenset({Want.SIGNATURES, Want.ATTESTATIONS}),
            QUICK,
        )


def _codes(found: Discovery) -> list[tuple[Code, bool]]:
    return [(gap.reason.code, gap.settled) for gap in found.gaps]


async def test_a_digest_header_that_lies_is_refused(registry: FaultyRegistry, image: Image) -> None:
    """The registry shows us one image under the tag and tells the runtime the digest of another (CVE-2022-47633)."""
    other = ImageBuilder(registry).image("shop/web", "evil")
    for algorithm in ("sha256", "sha512"):
        lie = str(Digest.of(b"other", algorithm)) if algorithm == "sha512" else str(other.digest)
        registry.inject(faults.header("Docker-Content-Digest", lie), Kind.MANIFEST)
        error = await _refusal(registry, image.reference)
        assert error.reason.code is Code.DIGEST_MISMATCH
        assert "Docker-Content-Digest" in error.reason.message
        assert (await _refusal(registry, image.pinned)).reason.code is Code.DIGEST_MISMATCH
        registry.heal()
    for hint in (None, "", "sha384:00", "nonsense"):
        registry.inject(faults.header("Docker-Content-Digest", hint), Kind.MANIFEST)
        assert (await _resolve(registry, image.reference)).digest == image.digest
        registry.heal()


async def test_other_bytes_under_a_digest_are_refused(registry: FaultyRegistry, image: Image) -> None:
    other = ImageBuilder(registry).image("shop/web", "evil")
    stored = registry.manifest("shop/web", other.digest)
    assert stored
    for behaviour in (faults.content(stored.content), faults.status(200, {}, stored.content)):
        registry.inject(behaviour, Kind.MANIFEST)
        assert (await _refusal(registry, image.pinned)).reason.code is Code.DIGEST_MISMATCH
        registry.heal()
    # By tag the bytes are another image, and that is what their digest says.
    registry.heal()
    registry.inject(faults.status(200, {"Content-Type": stored.media_type}, stored.content), Kind.MANIFEST)
    assert (await _resolve(registry, image.reference)).digest == other.digest


async def test_other_bytes_of_a_signature_are_refused(registry: FaultyRegistry, image: Image) -> None:
    Signer(registry).sign(image, signing_key())
    Signer(registry).sign(image, signing_key(), style=Style.BUNDLE)
    for body in (b"{}", b"", b"x" * 10_000):
        registry.inject(faults.content(body), Kind.BLOB)
        found = await _discover(registry, image)
        assert found.attachments == ()
        assert len(found.gaps) == 2
        assert {code for code, settled in _codes(found) if settled} <= {Code.DIGEST_MISMATCH, Code.LIMIT_EXCEEDED}
        registry.heal()
    assert len((await _discover(registry, image)).attachments) == 2


async def test_other_bytes_of_a_referrer_are_refused(registry: FaultyRegistry, image: Image) -> None:
    (stored,) = Signer(registry).sign(image, signing_key(), style=Style.BUNDLE)
    registry.inject(faults.content(stored.content + b" "), Kind.MANIFEST, path=str(stored.digest))
    found = await _discover(registry, image)
    assert (found.attachments, _codes(found)) == ((), [(Code.DIGEST_MISMATCH, True)])


@pytest.mark.parametrize("referrers_api", [True, False])
async def test_a_referrer_of_another_image_is_refused(*, referrers_api: bool) -> None:
    """Both ways to list referrers are the registry's, or the pusher's, word only (CVE-2023-33959)."""
    async with FaultyRegistry(referrers_api=referrers_api) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        other = ImageBuilder(registry).image("shop/web", "1.3")
        (stored,) = Signer(registry).sign(other, signing_key(), style=Style.BUNDLE)
        listing = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [stored.descriptor()]}
        body = json.dumps(listing).encode()
        if referrers_api:
            registry.inject(faults.status(200, {"Content-Type": mediatypes.OCI_INDEX}, body), Kind.REFERRERS)
        else:
            registry.put_manifest("shop/web", body, tag=f"sha256-{image.digest.hex}")
        found = await _discover(registry, image)
        assert found.attachments == ()
        assert _codes(found) == [(Code.WRONG_DIGEST, True)]
        assert found.gaps[0].reason.expected == image.digest.short
        assert found.gaps[0].reason.found == other.digest.short


async def test_a_sha512_image_does_not_take_the_referrers_of_one_that_shares_its_tag(registry: FaultyRegistry) -> None:
    """The fallback tag holds 64 of 128 digits (distribution specification, "Referrers Tag Schema")."""
    registry.referrers_api = False
    image = ImageBuilder(registry).image("shop/web", "1.4")
    stored = registry.manifest("shop/web", image.digest)
    assert stored
    digest = Digest.of(stored.content, "sha512")
    twin = Digest("sha512", digest.hex[:64] + "0" * 64)
    kind = f"{mediatypes.BUNDLE_PREFIX}.v0.3+json"
    blob = registry.put_blob("shop/web", b"{}")
    part = {"mediaType": kind, "digest": str(blob), "size": 2}
    entries = []
    for subject in (digest, twin):
        about = {"mediaType": image.media_type, "digest": str(subject), "size": image.size}
        document = {"schemaVersion": 2, "config": part, "layers": [part], "artifactType": kind, "subject": about}
        entries.append(registry.put_manifest("shop/web", json.dumps(document).encode()).descriptor())
    listing = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": entries}
    registry.put_manifest("shop/web", json.dumps(listing).encode(), tag=f"sha512-{digest.hex[:64]}")
    found = await _discover(registry, image, digest)
    assert len(found.attachments) == 1
    assert _codes(found) == [(Code.WRONG_DIGEST, True)]


async def test_a_listed_image_without_a_subject_is_no_referrer(registry: FaultyRegistry, image: Image) -> None:
    """GitLab-like fallbacks and careless pushers list images: an image is not evidence about another."""
    registry.referrers_api = False
    other = ImageBuilder(registry).image("shop/web", "1.3")
    listing = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [other.descriptor()]}
    registry.put_manifest("shop/web", json.dumps(listing).encode(), tag=f"sha256-{image.digest.hex}")
    found = await _discover(registry, image)
    assert (found.attachments, _codes(found)) == ((), [(Code.WRONG_DIGEST, True)])
    assert found.gaps[0].reason.found == "no subject"


def _descriptor(media_type: str = "application/x", **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(b"x")), "size": 1, **more}


_IMAGE: dict[str, Any] = {"schemaVersion": 2, "config": _descriptor(), "layers": [_descriptor()]}
_INDEX: dict[str, Any] = {"schemaVersion": 2, "manifests": [_descriptor(mediatypes.OCI_MANIFEST)]}


@pytest.mark.parametrize(
    "document",
    [
        {**_IMAGE, **_INDEX},
        {**_IMAGE, "Manifests": _INDEX["manifests"]},
        {**_INDEX, "Layers": _IMAGE["layers"]},
        {**_INDEX, "LAYERS": []},
        {**_IMAGE, "mediatype": mediatypes.OCI_INDEX},
        {**_IMAGE, "mediaType": mediatypes.OCI_INDEX},
        {**_INDEX, "mediaType": mediatypes.DOCKER_MANIFEST},
        {**_INDEX, "manifests": [_descriptor(mediatypes.OCI_INDEX)]},
        {**_INDEX, "manifests": [_descriptor(mediatypes.DOCKER_LIST)]},
        {**_INDEX, "manifests": [_descriptor(mediatypes.OCI_MANIFEST, Digest=str(Digest.of(b"y")))]},
        {**_INDEX, "manife\u017ft\u017f": []},
        {**_IMAGE, "fsLayers": [{"blobSum": str(Digest.of(b"y"))}]},
    ],
)
async def test_a_document_with_two_readings_is_refused(
    registry: FaultyRegistry, image: Image, document: dict[str, Any]
) -> None:
    raw = json.dumps(document).encode()
    for content_type in (mediatypes.OCI_MANIFEST, mediatypes.OCI_INDEX, "application/json"):
        registry.inject(faults.status(200, {"Content-Type": content_type}, raw), Kind.MANIFEST)
        assert (await _refusal(registry, image.reference)).reason.code is Code.AMBIGUOUS
        registry.heal()


async def test_a_name_that_stands_twice_is_refused(registry: FaultyRegistry, image: Image) -> None:
    raw = json.dumps(_IMAGE).encode()
    twice = raw[:-1] + b',"layers":' + json.dumps(_IMAGE["layers"]).encode() + b"}"
    registry.inject(faults.status(200, {}, twice), Kind.MANIFEST)
    assert (await _refusal(registry, image.reference)).reason.code is Code.AMBIGUOUS


async def test_the_media_type_inside_decides_against_the_header(registry: FaultyRegistry, image: Image) -> None:
    for document, kind, header in (
        (_IMAGE, mediatypes.OCI_MANIFEST, mediatypes.OCI_INDEX),
        (_INDEX, mediatypes.DOCKER_LIST, mediatypes.OCI_MANIFEST),
    ):
        raw = json.dumps({**document, "mediaType": kind}).encode()
        registry.inject(faults.status(200, {"Content-Type": header}, raw), Kind.MANIFEST)
        manifest = await _resolve(registry, image.reference)
        assert (manifest.media_type, manifest.is_index) == (kind, kind in mediatypes.INDEXES)
        registry.heal()
        # Without one inside, a header that contradicts the members is a second reading.
        registry.inject(faults.status(200, {"Content-Type": header}, json.dumps(document).encode()), Kind.MANIFEST)
        assert (await _refusal(registry, image.reference)).reason.code is Code.AMBIGUOUS
        registry.heal()


async def test_the_index_in_place_of_a_signature_manifest_is_refused(registry: FaultyRegistry, image: Image) -> None:
    raw = json.dumps({**_INDEX, "mediaType": mediatypes.OCI_INDEX}).encode()
    registry.put_manifest("shop/web", raw, tag=f"sha256-{image.digest.hex}.sig")
    found = await _discover(registry, image)
    assert (found.attachments, _codes(found)) == ((), [(Code.MALFORMED, True)])
