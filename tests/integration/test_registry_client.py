"""The client against the embedded registry: what it finds, and with how many requests."""

import json

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.errors import Code, Refused
from controller.reference import Digest, Reference
from controller.registry import mediatypes
from controller.registry.client import RegistryClient
from controller.registry.discovery import Discovery, Want, discover
from controller.registry.source import Descriptor
from tests.fakes.clients import QUICK, transport
from tests.fakes.keys import signing_key

_KEYS = [signing_key(f"key-{number}") for number in range(3)]
_SIGNATURES = frozenset({Want.SIGNATURES})
_ATTESTATIONS = frozenset({Want.ATTESTATIONS})
_BOTH = frozenset({Want.SIGNATURES, Want.ATTESTATIONS})


async def _cold(registry: EmbeddedRegistry, image: Image, wants: frozenset[Want] = _SIGNATURES) -> Discovery:
    """Resolve by tag and collect, as one admission does, with a client that knows nothing yet."""
    registry.requests.clear()
    async with transport(registry) as connections:
        client = RegistryClient(connections)
        manifest = await client.resolve(image.reference)
        assert manifest.digest == image.digest
        return await discover(client, [image.repository], manifest.digest, wants, QUICK)


async def test_an_image_is_resolved_by_tag_and_by_digest(registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    image = images.index("shop/web", "1.4")
    async with transport(registry) as connections:
        client = RegistryClient(connections)
        by_tag = await client.resolve(image.reference)
        assert by_tag == await client.resolve(image.pinned)
        assert by_tag.is_index
        assert [child.digest for child in by_tag.manifests] == [platform.digest for platform in image.platforms]
        assert [child.platform for child in by_tag.manifests] == ["linux/amd64", "linux/arm64/v8"]


async def test_what_is_not_there_is_a_settled_answer(registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    image = images.image("shop/web", "1.4")
    async with transport(registry) as connections:
        client = RegistryClient(connections)
        assert await client.manifest(image.repository, "none") is None
        assert await client.referrers(image.repository, image.digest) == ()
        absent = Descriptor("application/x", Digest.of(b"absent"), 6)
        for question in (
            client.resolve(Reference(image.repository, "none")),
            client.blob(image.repository, absent, limit=9),
        ):
            with pytest.raises(Refused) as caught:
                await question
            assert caught.value.reason.code is Code.NOT_FOUND


@pytest.mark.parametrize(("referrers_api", "most"), [(True, 6), (False, 7)])
async def test_cosign_tags_cost_three_requests_and_one_for_each_signature(*, referrers_api: bool, most: int) -> None:
    async with EmbeddedRegistry(referrers_api=referrers_api) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        for number, key in enumerate(_KEYS):
            Signer(registry).sign(image, key, annotations={"build": str(number)})
        found = await _cold(registry, image)
        assert len(found.attachments) == 3
        assert found.gaps == ()
        assert len(registry.requests.counted) == most


async def test_signatures_over_one_claim_share_its_blob(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1.4")
    signer.sign(image, *_KEYS)
    found = await _cold(registry, image)
    assert len({attachment.annotations["dev.cosignproject.cosign/signature"] for attachment in found.attachments}) == 3
    assert len(registry.requests.counted) == 4
    assert [str(attachment.origin) for attachment in found.attachments] == [
        f"{image.repository} tag sha256-{image.digest.hex[:12]}….sig, layer {number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(("referrers_api", "most"), [(True, 9), (False, 10)])
async def test_bundles_cost_three_requests_and_two_for_each_signature(*, referrers_api: bool, most: int) -> None:
    async with EmbeddedRegistry(referrers_api=referrers_api) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        Signer(registry).sign(image, *_KEYS, style=Style.BUNDLE)
        found = await _cold(registry, image)
        assert len(found.attachments) == 3
        assert found.gaps == ()
        assert all(attachment.media_type.startswith(mediatypes.BUNDLE_PREFIX) for attachment in found.attachments)
        assert len(registry.requests.counted) == most


async def test_attestations_are_looked_for_only_where_they_are_wanted(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1.4")
    signer.sign(image, _KEYS[0])
    signer.attest(image, _KEYS[0], predicate_type="https://spdx.dev/Document", predicate={})
    found = {wants: await _cold(registry, image, wants) for wants in (_SIGNATURES, _ATTESTATIONS, _BOTH, frozenset[Want]())}
    types = {wants: [attachment.media_type for attachment in found[wants].attachments] for wants in found}
    assert types[_SIGNATURES] == [mediatypes.SIMPLE_SIGNING]
    assert types[_ATTESTATIONS] == [mediatypes.DSSE]
    assert types[_BOTH] == [mediatypes.SIMPLE_SIGNING, mediatypes.DSSE]
    assert types[frozenset()] == []
    assert len(registry.requests.counted) == 1


async def test_other_referrers_are_not_fetched(registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer) -> None:
    image = images.image("shop/web", "1.4")
    for kind in ("application/spdx+json", "application/vnd.example.scan.v1+json", "text/plain"):
        signer.refer(image, kind, b"{}", {})
    signer.sign(image, _KEYS[0], style=Style.BUNDLE)
    found = await _cold(registry, image)
    assert len(found.attachments) == 1
    assert len(registry.requests.of(Kind.BLOB)) == 1
    assert len(registry.requests.counted) == 5


async def test_referrers_that_do_not_tell_their_type_are_looked_at(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    """go-containerregistry writes the config's media type, or nothing, into fallback tags (sigstore/cosign issue 4641)."""
    registry.referrers_api = False
    image = images.image("shop/web", "1.4")
    signer.sign(image, _KEYS[0], style=Style.BUNDLE)
    tag = f"sha256-{image.digest.hex}"
    stored = registry.manifest(image.path, tag)
    assert stored
    listing = json.loads(stored.content)
    for kind in (None, "application/vnd.oci.empty.v1+json"):
        listing["manifests"][0] |= {"artifactType": kind}
        registry.put_manifest(image.path, json.dumps(listing).encode(), tag=tag)
        assert len((await _cold(registry, image)).attachments) == 1


async def test_pages_of_referrers_are_one_listing(images: ImageBuilder, signer: Signer, registry: EmbeddedRegistry) -> None:
    registry.page_size = 2
    image = images.image("shop/web", "1.4")
    signer.sign(image, *_KEYS, style=Style.BUNDLE)
    signer.refer(image, "application/spdx+json", b"{}", {})
    found = await _cold(registry, image)
    assert len(found.attachments) == 3
    assert len(registry.requests.of(Kind.REFERRERS)) == 2


async def test_further_repositories_count_alike(registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer) -> None:
    image = images.image("shop/web", "1.4")
    elsewhere = registry.repository("signatures/web")
    signer.refer(image, f"{mediatypes.BUNDLE_PREFIX}.v0.3+json", b"{}", {}, path=elsewhere.path)
    async with transport(registry) as connections:
        found = await discover(RegistryClient(connections), [image.repository, elsewhere], image.digest, _SIGNATURES, QUICK)
    assert [attachment.origin.repository for attachment in found.attachments] == [elsewhere]
