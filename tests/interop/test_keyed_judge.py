"""Every key type that real cosign signs with, in both of its containers, before the judge itself."""

import json
from collections.abc import Iterator

import pytest

from controller.demo.mediatypes import COSIGN_SIGN, SPDX
from controller.demo.signingkeys import KeyType
from controller.errors import Code, Refused
from controller.evidence import Claim, Evidence, Format
from controller.formats import read
from controller.reference import Digest
from controller.registry.discovery import Attachment
from tests.fakes.evidence import LIMITS, ORIGIN, authority
from tests.fakes.keys import signing_key
from tests.interop.cosign import Cosign, Storage
from tests.interop.tools import Product, RunningRegistry
from tests.interop.wire import PushedImage, Repository, push_image

pytestmark = pytest.mark.interop

KINDS = (KeyType.P256, KeyType.P384, KeyType.P521, KeyType.ED25519, KeyType.RSA2048)
SBOM = {"spdxVersion": "SPDX-2.3", "name": "web"}


def stored(image: PushedImage, suffix: str) -> Iterator[Evidence]:
    """What a registry holds about the image, read as the product reads it."""
    manifests = [image.repository.manifest(f"{image.digest.replace(':', '-')}.{suffix}")]
    manifests += [image.repository.manifest(entry["digest"]) for entry in image.repository.referrers(image.digest)]
    for answer in manifests:
        document = json.loads(answer.content) if answer.status == 200 else {"layers": []}
        for layer in document["layers"]:
            annotations = {**document.get("annotations", {}), **layer.get("annotations", {})}
            payload = image.repository.blob(layer["digest"])
            yield from read(
                Attachment(ORIGIN, layer["mediaType"], document.get("artifactType", ""), annotations, payload), LIMITS
            )


@pytest.fixture
def image(registries: dict[Product, RunningRegistry], cosign: Cosign, request: pytest.FixtureRequest) -> PushedImage:
    name = f"judge/{cosign}/{request.node.name}".lower()
    path = "".join(letter if letter.isalnum() or letter in "/_" else "-" for letter in name).rstrip("-")
    return push_image(Repository(registries[Product.REFERRERS].host, path.replace("--", "-")))


@pytest.mark.parametrize("storage", list(Storage))
@pytest.mark.parametrize("kind", KINDS)
def test_signature_by_each_kind_of_key(cosign: Cosign, image: PushedImage, kind: KeyType, storage: Storage) -> None:
    key, subject = signing_key("interop", kind), Digest.parse(image.digest)
    cosign.sign(image.by_digest, cosign.import_key(f"judge-{kind}", key), storage, {"who": "ci"})
    (evidence,) = stored(image, "sig")
    (fact,) = authority(signing_key(), key).judge(evidence, subject, 0)
    assert (fact.claim, fact.digest) == (Claim.SIGNATURE, subject)
    assert fact.signer.id == f"key:sha256:{key.fingerprint}"
    assert fact.predicate_type == (COSIGN_SIGN if storage is Storage.BUNDLE else "")
    dropped = cosign.major == 2 and storage is Storage.BUNDLE  # cosign 2 drops -a where it writes a bundle
    assert dict(fact.annotations) == ({} if dropped else {"who": "ci"})
    for judge, about, code in (
        (authority(key), Digest.of(b"another image"), Code.WRONG_DIGEST),
        (authority(signing_key()), subject, Code.WRONG_KEY),
    ):
        with pytest.raises(Refused) as caught:
            judge.judge(evidence, about, 0)
        assert caught.value.reason.code is code


@pytest.mark.parametrize("storage", list(Storage))
@pytest.mark.parametrize("kind", KINDS)
def test_attestation_by_each_kind_of_key(cosign: Cosign, image: PushedImage, kind: KeyType, storage: Storage) -> None:
    key, subject = signing_key("interop", kind), Digest.parse(image.digest)
    cosign.attest(image.by_digest, cosign.import_key(f"judge-{kind}", key), storage, "spdxjson", SBOM)
    (evidence,) = stored(image, "att")
    assert evidence.format is (Format.BUNDLE if storage is Storage.BUNDLE else Format.COSIGN_ATTESTATION)
    (fact,) = authority(key).judge(evidence, subject, 0)
    assert (fact.claim, fact.predicate_type, fact.predicate) == (Claim.ATTESTATION, SPDX, SBOM)
