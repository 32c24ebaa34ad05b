"""Real cosign accepts what the demo signer writes, from the embedded registry and from real ones."""

import asyncio
import json
from pathlib import Path

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.mediatypes import CYCLONEDX, SLSA_V1, SPDX, STATEMENT_V01, STATEMENT_V1
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.demo.signingkeys import KeyType, SigningKey
from tests.fakes.keys import signing_key
from tests.interop.cosign import Cosign, Outcome
from tests.interop.tools import RunningRegistry
from tests.interop.wire import Repository, mirror

pytestmark = pytest.mark.interop

_KEYS = [KeyType.P256, KeyType.P384, KeyType.P521, KeyType.RSA2048, KeyType.RSA4096, KeyType.ED25519]
_STYLES = [Style.TAG, Style.BUNDLE]
_PREDICATES = {"spdxjson": SPDX, "cyclonedx": CYCLONEDX, "slsaprovenance1": SLSA_V1}
_PREDICATE = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "components": [{"type": "library", "name": "a", "version": "1"}],
}


async def verify(cosign: Cosign, image: Image, key: SigningKey, folder: Path, *more: str) -> Outcome:
    public = folder / "public.pem"
    public.write_text(key.public_pem)
    return await asyncio.to_thread(cosign.verify, str(image.pinned), public, *more)


async def verify_attestation(cosign: Cosign, image: Image, key: SigningKey, folder: Path, kind: str) -> Outcome:
    public = folder / "public.pem"
    public.write_text(key.public_pem)
    return await asyncio.to_thread(cosign.verify_attestation, str(image.pinned), public, kind)


@pytest.mark.parametrize("kind", _KEYS)
@pytest.mark.parametrize("style", _STYLES)
async def test_signature_by_every_kind_of_key(
    cosign: Cosign, images: ImageBuilder, signer: Signer, tmp_path: Path, style: Style, kind: KeyType
) -> None:
    image, key = images.image("shop/web", "1"), signing_key(kind=kind)
    signer.sign(image, key, style=style)
    outcome = await verify(cosign, image, key, tmp_path)
    assert outcome.accepted, outcome.errors
    claims = json.loads(outcome.output)
    assert [claim["critical"]["image"]["docker-manifest-digest"] for claim in claims] == [str(image.digest)]


@pytest.mark.parametrize(("kind", "digest"), [(KeyType.P384, "sha384"), (KeyType.P521, "sha512")])
async def test_bundle_hashed_as_long_as_the_curve(
    cosign: Cosign, images: ImageBuilder, signer: Signer, tmp_path: Path, kind: KeyType, digest: str
) -> None:
    image, key = images.image("shop/web", "1"), signing_key(kind=kind).with_cosign_defaults()
    signer.sign(image, key, style=Style.BUNDLE)
    outcome = await verify(cosign, image, key, tmp_path, "--signature-digest-algorithm", digest)
    assert outcome.accepted, outcome.errors


@pytest.mark.parametrize("style", _STYLES)
async def test_signature_without_a_referrers_api(cosign: Cosign, tmp_path: Path, style: Style) -> None:
    async with EmbeddedRegistry(referrers_api=False) as registry:
        image, key = ImageBuilder(registry).image("shop/web", "1"), signing_key()
        Signer(registry).sign(image, signing_key("another"), key, style=style)
        outcome = await verify(cosign, image, key, tmp_path)
    assert outcome.accepted, outcome.errors
    assert len(json.loads(outcome.output)) == 1


@pytest.mark.parametrize("style", _STYLES)
async def test_signed_annotations(
    cosign: Cosign, images: ImageBuilder, signer: Signer, tmp_path: Path, style: Style
) -> None:
    image, key = images.image("shop/web", "1"), signing_key()
    signer.sign(image, key, style=style, annotations={"stage": "prod"})
    right = await verify(cosign, image, key, tmp_path, "-a", "stage=prod")
    wrong = await verify(cosign, image, key, tmp_path, "-a", "stage=test")
    assert right.accepted, right.errors
    if cosign.major < 3 and style is Style.BUNDLE:  # reads no annotations of a bundle: it accepts whatever -a asks for
        assert wrong.accepted
        return
    assert json.loads(right.output)[0]["optional"]["stage"] == "prod"
    assert not wrong.accepted


@pytest.mark.parametrize("kind", _PREDICATES)
@pytest.mark.parametrize("style", _STYLES)
async def test_attestation(
    cosign: Cosign, images: ImageBuilder, signer: Signer, tmp_path: Path, style: Style, kind: str
) -> None:
    image, key = images.image("shop/web", "1"), signing_key()
    version = STATEMENT_V1 if kind == "slsaprovenance1" else STATEMENT_V01
    signer.attest(image, key, predicate_type=_PREDICATES[kind], predicate=_PREDICATE, style=style, statement_type=version)
    outcome = await verify_attestation(cosign, image, key, tmp_path, kind)
    assert outcome.accepted, outcome.errors
    other = await verify_attestation(cosign, image, key, tmp_path, "openvex")
    assert not other.accepted


@pytest.mark.parametrize("style", _STYLES)
async def test_another_key_is_told_apart(
    cosign: Cosign, images: ImageBuilder, signer: Signer, tmp_path: Path, style: Style
) -> None:
    image = images.image("shop/web", "1")
    signer.sign(image, signing_key(), style=style)
    assert not (await verify(cosign, image, signing_key("another"), tmp_path)).accepted


@pytest.mark.parametrize("style", _STYLES)
async def test_copied_signature_is_told_apart(
    cosign: Cosign, images: ImageBuilder, signer: Signer, tmp_path: Path, style: Style
) -> None:
    signed, other, key = images.image("shop/web", "1"), images.image("shop/web", "2"), signing_key()
    signer.sign(signed, key, style=style)
    signer.copy(signed, other)
    assert (await verify(cosign, signed, key, tmp_path)).accepted
    assert not (await verify(cosign, other, key, tmp_path)).accepted


@pytest.mark.parametrize("style", _STYLES)
async def test_real_registries_take_and_give_what_the_signer_wrote(
    cosign: Cosign, peer: RunningRegistry, tmp_path: Path, style: Style
) -> None:
    path, key = f"demo/{cosign}/{style}", signing_key()
    async with EmbeddedRegistry(referrers_api=peer.referrers_api) as registry:
        image, signer = ImageBuilder(registry).image(path, "1"), Signer(registry)
        signer.sign(image, key, style=style)
        signer.attest(image, key, predicate_type=SPDX, predicate={"spdxVersion": "SPDX-2.3"}, style=style)
        target = Repository(peer.host, path)
        await asyncio.to_thread(mirror, Repository(registry.host, path), target)
    public = tmp_path / "public.pem"
    public.write_text(key.public_pem)
    name = target.named(str(image.digest))
    outcome = await asyncio.to_thread(cosign.verify, name, public)
    assert outcome.accepted, outcome.errors
    outcome = await asyncio.to_thread(cosign.verify_attestation, name, public, "spdxjson")
    assert outcome.accepted, outcome.errors
