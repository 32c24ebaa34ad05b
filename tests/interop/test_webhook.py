"""What real cosign signed, in real registries, before the real webhook: admitted as it is, refused when changed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from controller.demo.mediatypes import COSIGN_SIGN, SPDX
from controller.demo.signingkeys import KeyType
from tests.fakes.commandline import sigward
from tests.interop import stored
from tests.interop.cosign import Cosign, Storage
from tests.interop.door import ATTESTED, SIGNED, SignedImage, Stock, ask
from tests.interop.stored import Edit
from tests.interop.tools import Product, RunningRegistry

pytestmark = pytest.mark.interop

KINDS: Final = (KeyType.P384, KeyType.RSA2048, KeyType.ED25519)


@pytest.fixture(params=list(Storage))
def storage(request: pytest.FixtureRequest) -> Storage:
    found: Storage = request.param
    return found


@pytest.fixture
def signed(stock: Stock, cosign: Cosign, storage: Storage, peer: RunningRegistry) -> SignedImage:
    """Signed and attested with a key over P-256; the same for all tests, which therefore change copies of it."""
    return stock.signed(cosign, storage, peer)


def both(code: str) -> Mapping[str, str]:
    return {"signed": code, "attested": code}


async def test_admitted(signed: SignedImage, tmp_path: Path) -> None:
    verdict = await ask(tmp_path, signed.image, signed.key, SIGNED, ATTESTED)
    assert verdict.allowed, verdict.message


async def test_the_command_line_says_the_same(signed: SignedImage, stock: Stock, cosign: Cosign) -> None:
    image = (signed.image.by_tag, "--insecure-registry", signed.image.repository.host, "-o", "json")
    ran = await sigward("verify", *image, "--key", signed.key.public, "--attestation-type", "spdxjson")
    assert ran.code == 0, ran.err
    assert ran.document["images"][0]["digest"] == signed.image.digest
    ran = await sigward("verify", *image, "--key", stock.key(cosign, "stranger").public)
    assert (ran.code, ran.document["images"][0]["policies"][0]["requirements"][0]["reason"]["code"]) == (1, "WrongKey")


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_key(
    stock: Stock,
    cosign: Cosign,
    storage: Storage,
    registries: dict[Product, RunningRegistry],
    kind: KeyType,
    tmp_path: Path,
) -> None:
    signed = stock.signed(cosign, storage, registries[Product.DISTRIBUTION], kind)
    verdict = await ask(tmp_path, signed.image, signed.key, SIGNED, ATTESTED)
    assert verdict.allowed, verdict.message
    altered = signed.elsewhere()
    stored.copy(signed.image, altered, stored.flip_signature)
    verdict = await ask(tmp_path, altered, signed.key, SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, both(_not_by_the_key(storage)))


async def test_another_key(signed: SignedImage, stock: Stock, cosign: Cosign, tmp_path: Path) -> None:
    verdict = await ask(tmp_path, signed.image, stock.key(cosign, "stranger"), SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, both("WrongKey"))


async def test_the_same_evidence_in_another_repository(signed: SignedImage, tmp_path: Path) -> None:
    """What the tests of changed evidence rest on: the copying alone changes no verdict."""
    copied = signed.elsewhere()
    stored.copy(signed.image, copied)
    verdict = await ask(tmp_path, copied, signed.key, SIGNED, ATTESTED)
    assert verdict.allowed, verdict.message


@pytest.mark.parametrize("edit", [stored.flip_signature, stored.flip_payload])
async def test_one_flipped_byte(signed: SignedImage, storage: Storage, edit: Edit, tmp_path: Path) -> None:
    altered = signed.elsewhere()
    stored.copy(signed.image, altered, edit)
    verdict = await ask(tmp_path, altered, signed.key, SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, both(_not_by_the_key(storage)))


async def test_one_flipped_byte_of_the_container(signed: SignedImage, storage: Storage, tmp_path: Path) -> None:
    """A claim stays bytes that somebody may have signed; an envelope or a bundle is no longer one."""
    altered = signed.elsewhere()
    stored.copy(signed.image, altered, stored.flip_container)
    verdict = await ask(tmp_path, altered, signed.key, SIGNED, ATTESTED)
    signature = "NoEvidence" if storage is Storage.BUNDLE else "WrongKey"
    assert (verdict.allowed, verdict.codes) == (False, {"signed": signature, "attested": "NoEvidence"})
    assert "unreadable" in verdict.reasons["attested"]


async def test_another_images_evidence(signed: SignedImage, tmp_path: Path) -> None:
    other = signed.elsewhere(content="another image")
    stored.copy(signed.image, other)
    verdict = await ask(tmp_path, other, signed.key, SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, both("WrongDigest"))


async def test_a_referrer_of_another_image_listed_as_this_ones(
    signed: SignedImage, storage: Storage, peer: RunningRegistry, tmp_path: Path
) -> None:
    """A fallback tag can list what refers to another image; a referrers API cannot, and then there is nothing."""
    other = signed.elsewhere(content="another image")
    stored.copy(signed.image, other, subject=signed.image)
    verdict = await ask(tmp_path, other, signed.key, SIGNED, ATTESTED)
    unlisted = peer.referrers_api and storage is Storage.BUNDLE
    assert (verdict.allowed, verdict.codes) == (False, both("NoEvidence" if unlisted else "WrongDigest"))


async def test_attested_is_not_signed(signed: SignedImage, storage: Storage, cosign: Cosign, tmp_path: Path) -> None:
    """Attack 36. Real cosign takes the attestation in a bundle for a signature; nobody else may."""
    attested = signed.elsewhere()
    stored.copy(signed.image, attested, stored.only(SPDX))
    assert cosign.verify(attested.by_digest, signed.key.public).accepted is (storage is Storage.BUNDLE)
    assert (await ask(tmp_path, attested, signed.key, ATTESTED)).allowed
    verdict = await ask(tmp_path, attested, signed.key, SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, {"signed": "WrongPredicateType"})
    verdict = await ask(tmp_path, attested, signed.key, SIGNED)
    unread = storage is Storage.TAG  # no policy asks for attestations, so `.att` is not fetched
    assert (verdict.allowed, verdict.codes) == (False, {"signed": "NoEvidence" if unread else "WrongPredicateType"})


async def test_signed_is_not_attested(signed: SignedImage, tmp_path: Path) -> None:
    """The reverse, and an attestation of another type."""
    only_signed = signed.elsewhere()
    stored.copy(signed.image, only_signed, stored.only(COSIGN_SIGN))
    verdict = await ask(tmp_path, only_signed, signed.key, SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, {"attested": "NoEvidence"})
    wanted = {"name": "attested", "attestation": {"predicateType": "cyclonedx"}}
    verdict = await ask(tmp_path, signed.image, signed.key, SIGNED, wanted)
    assert (verdict.allowed, verdict.codes) == (False, {"attested": "WrongPredicateType"})


async def test_foreign_referrers_do_not_disturb(signed: SignedImage, tmp_path: Path) -> None:
    """What other tools attach, before and after the signer came; none of it proves anything by itself."""
    image = signed.elsewhere()
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": stored.EMPTY, "size": 2}
    stored.attach(image, "application/vnd.example.sbom", "application/json", b'{"spdxVersion": "SPDX-2.3"}')
    stored.attach(image, "application/vnd.in-toto+json", "application/vnd.in-toto+json", b'{"_type": "unsigned"}')
    verdict = await ask(tmp_path, image, signed.key, SIGNED, ATTESTED)
    assert (verdict.allowed, verdict.codes) == (False, both("NoEvidence"))
    stored.copy(signed.image, image)
    stored.attach(image, stored.BUNDLE, stored.BUNDLE, b"not JSON")
    stored.attach(image, "application/vnd.example.empty", "", b"{}", layers=[empty], annotations={})
    verdict = await ask(tmp_path, image, signed.key, SIGNED, ATTESTED)
    assert verdict.allowed, verdict.message


def _not_by_the_key(storage: Storage) -> str:
    """A bundle hints at whose key it is, so that altered bytes are told apart from a stranger's; cosign's tags do not."""
    return "SignatureInvalid" if storage is Storage.BUNDLE else "WrongKey"
