"""What real cosign leaves in a registry, as far as our parsers rely on it: a new release that differs fails here first."""

import base64
import json
from http import HTTPStatus
from typing import Any

import pytest

from controller.demo.mediatypes import (
    COSIGN_SIGN,
    COSIGN_SIGNATURE,
    DSSE,
    IN_TOTO,
    OCI_EMPTY,
    SIGSTORE_BUNDLE,
    SIMPLE_SIGNING,
    SPDX,
    STATEMENT_V01,
    STATEMENT_V1,
)
from controller.demo.signingkeys import KeyType, SigningKey
from tests.fakes.keys import signing_key
from tests.interop.cosign import Cosign, KeyFiles, Storage
from tests.interop.tools import Product, RunningRegistry
from tests.interop.wire import PushedImage, Repository, push_image

pytestmark = pytest.mark.interop

_SBOM = {"spdxVersion": "SPDX-2.3", "name": "web", "packages": [{"name": "a", "versionInfo": "1"}]}


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return signing_key("interop")


@pytest.fixture(scope="module")
def files(cosign: Cosign, key: SigningKey) -> KeyFiles:
    return cosign.import_key("release", key)


def pushed(registry: RunningRegistry, cosign: Cosign, request: pytest.FixtureRequest) -> PushedImage:
    name = f"facts/{cosign}/{request.node.originalname}"
    return push_image(Repository(registry.host, name.lower()))


def cosign_layers(image: PushedImage, suffix: str) -> list[dict[str, Any]]:
    answer = image.repository.manifest(f"{image.digest.replace(':', '-')}.{suffix}")
    assert answer.status == HTTPStatus.OK
    layers: list[dict[str, Any]] = json.loads(answer.content)["layers"]
    return layers


def statement_of(envelope: dict[str, Any]) -> dict[str, Any]:
    assert envelope["payloadType"] == IN_TOTO
    statement: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return statement


def bundles(image: PushedImage) -> list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Descriptor, manifest and bundle of each referrer."""
    found = []
    for descriptor in image.repository.referrers(image.digest):
        manifest = json.loads(image.repository.manifest(descriptor["digest"]).content)
        bundle = json.loads(image.repository.blob(manifest["layers"][0]["digest"]))
        found.append((descriptor, manifest, bundle))
    return found


def test_which_registries_have_the_referrers_api(peer: RunningRegistry) -> None:
    image = push_image(Repository(peer.host, "facts/referrers"))
    answer = image.repository.call("GET", f"referrers/{image.digest}")
    assert answer.status == (HTTPStatus.OK if peer.referrers_api else HTTPStatus.NOT_FOUND)


def test_signature_tag(cosign: Cosign, files: KeyFiles, peer: RunningRegistry, request: pytest.FixtureRequest) -> None:
    image = pushed(peer, cosign, request)
    for who in ("ci", "qa"):
        cosign.sign(image.by_digest, files, Storage.TAG, {"who": who})
    layers = cosign_layers(image, "sig")
    assert [layer["mediaType"] for layer in layers] == [SIMPLE_SIGNING, SIMPLE_SIGNING]
    assert all(set(layer["annotations"]) == {COSIGN_SIGNATURE} for layer in layers)
    claims = [json.loads(image.repository.blob(layer["digest"])) for layer in layers]
    assert [claim["optional"] for claim in claims] == [{"who": "ci"}, {"who": "qa"}]
    assert claims[0]["critical"] == {
        "identity": {"docker-reference": f"{image.repository.host}/{image.repository.path}"},
        "image": {"docker-manifest-digest": image.digest},
        "type": "cosign container image signature",
    }


def test_attestation_tag(cosign: Cosign, files: KeyFiles, peer: RunningRegistry, request: pytest.FixtureRequest) -> None:
    image = pushed(peer, cosign, request)
    cosign.attest(image.by_digest, files, Storage.TAG, "spdxjson", _SBOM)
    [layer] = cosign_layers(image, "att")
    assert layer["mediaType"] == DSSE
    assert layer["annotations"] == {COSIGN_SIGNATURE: "", "predicateType": SPDX}
    statement = statement_of(json.loads(image.repository.blob(layer["digest"])))
    assert (statement["_type"], statement["predicateType"]) == (STATEMENT_V01, SPDX)
    [subject] = statement["subject"]
    assert subject["digest"] == {"sha256": image.digest.removeprefix("sha256:")}


def test_signature_bundle(
    cosign: Cosign, key: SigningKey, files: KeyFiles, peer: RunningRegistry, request: pytest.FixtureRequest
) -> None:
    image = pushed(peer, cosign, request)
    annotations = {"who": "ci"} if cosign.major > 2 else {}  # cosign 2 drops -a where it writes a bundle
    cosign.sign(image.by_digest, files, Storage.BUNDLE, annotations)
    [(descriptor, manifest, bundle)] = bundles(image)

    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == SIGSTORE_BUNDLE
    assert manifest["config"]["mediaType"] == OCI_EMPTY
    assert manifest["subject"]["digest"] == image.digest
    # The entry in a listing tells nothing: cosign 2's own fallback tag and some registries put the config's type there.
    config_type = peer.product is Product.REFERRERS or cosign.major == 2
    assert descriptor["artifactType"] == (OCI_EMPTY if config_type else SIGSTORE_BUNDLE)

    assert bundle["verificationMaterial"] == {"publicKey": {"hint": key.hint}}
    [signature] = bundle["dsseEnvelope"]["signatures"]
    assert set(signature) == {"sig"}
    subject = {"digest": {"sha256": image.digest.removeprefix("sha256:")}}
    expected: dict[str, Any] = {"_type": STATEMENT_V1, "predicateType": COSIGN_SIGN, "subject": [subject]}
    if cosign.major > 2:  # cosign 2 leaves the predicate out
        expected |= {"predicate": {}, "subject": [{**subject, "annotations": {"who": "ci"}}]}
    assert statement_of(bundle["dsseEnvelope"]) == expected


def test_attestation_bundle(cosign: Cosign, files: KeyFiles, peer: RunningRegistry, request: pytest.FixtureRequest) -> None:
    image = pushed(peer, cosign, request)
    cosign.attest(image.by_digest, files, Storage.BUNDLE, "spdxjson", _SBOM)
    [(_, manifest, bundle)] = bundles(image)
    assert manifest["annotations"]["dev.sigstore.bundle.predicateType"] == SPDX
    statement = statement_of(bundle["dsseEnvelope"])
    assert (statement["_type"], statement["predicateType"]) == (STATEMENT_V01, SPDX)
    assert statement["predicate"] == _SBOM


def test_cosign_takes_an_attestation_for_a_signature(
    cosign: Cosign, files: KeyFiles, peer: RunningRegistry, request: pytest.FixtureRequest
) -> None:
    """Both do, where the attestation is a bundle. We must not: the webhook's suite says so."""
    image = pushed(peer, cosign, request)
    cosign.attest(image.by_digest, files, Storage.BUNDLE, "spdxjson", _SBOM)
    assert cosign.verify(image.by_digest, files.public).accepted


@pytest.mark.parametrize(("kind", "hashed"), [(KeyType.P256, "sha256"), (KeyType.P384, "sha384"), (KeyType.P521, "sha512")])
@pytest.mark.parametrize("storage", list(Storage))
def test_which_hash_a_curve_signs_with(
    cosign: Cosign,
    registries: dict[Product, RunningRegistry],
    request: pytest.FixtureRequest,
    storage: Storage,
    kind: KeyType,
    hashed: str,
) -> None:
    image = pushed(registries[Product.REFERRERS], cosign, request)
    files = cosign.import_key(f"{kind}", signing_key("interop", kind))
    cosign.sign(image.by_digest, files, storage)
    more = () if hashed == "sha256" else ("--signature-digest-algorithm", hashed)
    assert cosign.verify(image.by_digest, files.public, *more).accepted


def test_ed25519_signs_images_prehashed(
    cosign: Cosign, registries: dict[Product, RunningRegistry], request: pytest.FixtureRequest
) -> None:
    """Ed25519ph (RFC 8032 section 5.1), which cosign's own `verify` refuses: it expects pure Ed25519."""
    image = pushed(registries[Product.REFERRERS], cosign, request)
    key = signing_key("interop", KeyType.ED25519)
    files = cosign.import_key("ed25519", key)
    cosign.sign(image.by_digest, files, Storage.TAG)
    [layer] = cosign_layers(image, "sig")
    made = base64.b64decode(layer["annotations"][COSIGN_SIGNATURE])
    claim = image.repository.blob(layer["digest"])
    assert made != key.sign(claim)  # pure Ed25519 is deterministic
    assert made == key.with_cosign_defaults().sign(claim)
    assert not cosign.verify(image.by_digest, files.public).accepted
