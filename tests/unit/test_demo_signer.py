"""What the signer leaves in a registry, checked with `cryptography` alone: the product's judges are not asked."""

import base64
import gzip
import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from controller.demo import payloads
from controller.demo.images import DOCKER, Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.demo.signingkeys import Hash, KeyType, Padding, SigningKey
from controller.demo.store import fallback_tag
from controller.errors import Code, Invalid
from controller.reference import Digest
from tests.fakes.keys import signing_key, variant

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
HASHES: dict[Hash, hashes.HashAlgorithm] = {
    Hash.SHA256: hashes.SHA256(),
    Hash.SHA384: hashes.SHA384(),
    Hash.SHA512: hashes.SHA512(),
}


class Room:
    """A registry that does not listen, an image in it, and a signer."""

    def __init__(self, *, referrers_api: bool = True) -> None:
        self.registry = EmbeddedRegistry(referrers_api=referrers_api)
        self.images = ImageBuilder(self.registry)
        self.signer = Signer(self.registry, lambda: datetime(2026, 11, 22, 10, 0, 0, 5, UTC))
        self.image = self.images.image("shop/web", "1.4")

    def tagged(self, suffix: str, image: Image | None = None) -> dict[str, Any]:
        digest = (image or self.image).digest
        stored = self.registry.manifest("shop/web", f"sha256-{digest.hex}.{suffix}")
        assert stored is not None
        return dict(json.loads(stored.content))

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        content = self.registry.blob("shop/web", Digest.parse(descriptor["digest"]))
        assert content is not None
        assert len(content) == descriptor["size"]
        return content

    def bundles(self) -> list[dict[str, Any]]:
        found = self.registry.referrers("shop/web", self.image.digest)
        return [json.loads(self.blob(json.loads(manifest.content)["layers"][0])) for manifest in found]


def check(key: SigningKey, signature: str, message: bytes, hash_name: Hash, *, salt: int | None = None) -> None:
    """Verify with the public key alone, under exactly the named hash and salt length; raises InvalidSignature."""
    public = load_pem_public_key(key.public_pem.encode())
    raw, algorithm = base64.b64decode(signature, validate=True), HASHES[hash_name]
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(raw, message, ec.ECDSA(algorithm))
    elif isinstance(public, rsa.RSAPublicKey):
        pss = padding.PSS(padding.MGF1(algorithm), salt) if salt is not None else padding.PKCS1v15()
        public.verify(raw, message, pss, algorithm)
    else:
        assert isinstance(
            public, ed25519.Ed25519PublicKey | mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
        )
        public.verify(raw, message)


def encoded(payload_type: str, payload: bytes) -> bytes:
    """PAE, written out again after the DSSE protocol: SP is 0x20, LEN is ASCII decimal without leading zeros."""
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


def test_a_tag_signature_is_what_cosign_2_writes() -> None:
    room, key = Room(), signing_key()
    room.signer.sign(room.image, key)
    manifest = room.tagged("sig")
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.oci.image.config.v1+json"
    assert json.loads(room.blob(manifest["config"]))["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == "application/vnd.dev.cosign.simplesigning.v1+json"
    payload = room.blob(layer)
    assert payload.decode() == (
        '{"critical":{"identity":{"docker-reference":"127.0.0.1:0/shop/web"},'
        f'"image":{{"docker-manifest-digest":"{room.image.digest}"}},'
        '"type":"cosign container image signature"},"optional":null}'
    )
    assert set(layer["annotations"]) == {"dev.cosignproject.cosign/signature"}
    check(key, layer["annotations"]["dev.cosignproject.cosign/signature"], payload, Hash.SHA256)


def test_tag_signatures_are_appended_and_keep_their_order() -> None:
    room = Room()
    keys = [signing_key(name) for name in "abc"]
    room.signer.sign(room.image, *keys[:2])
    room.signer.sign(room.image, keys[2], annotations={"team": "shop", "n": 1}, docker_reference="example.com/web")
    layers = room.tagged("sig")["layers"]
    for key, layer in zip(keys, layers, strict=True):
        check(key, layer["annotations"]["dev.cosignproject.cosign/signature"], room.blob(layer), Hash.SHA256)
    claim = json.loads(room.blob(layers[2]))
    assert claim["optional"] == {"team": "shop", "n": 1}
    assert claim["critical"]["identity"]["docker-reference"] == "example.com/web"


def test_a_tag_attestation_is_what_cosign_2_writes() -> None:
    room, key = Room(), signing_key()
    room.signer.attest(room.image, key, predicate_type="https://spdx.dev/Document", predicate={"spdxVersion": "SPDX-2.3"})
    (layer,) = room.tagged("att")["layers"]
    assert layer["mediaType"] == "application/vnd.dsse.envelope.v1+json"
    assert layer["annotations"] == {
        "dev.cosignproject.cosign/signature": "",
        "predicateType": "https://spdx.dev/Document",
    }
    envelope = json.loads(room.blob(layer))
    assert envelope["payloadType"] == IN_TOTO
    payload = base64.b64decode(envelope["payload"], validate=True)
    assert json.loads(payload) == {
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{"name": "127.0.0.1:0/shop/web", "digest": {"sha256": room.image.digest.hex}}],
        "predicateType": "https://spdx.dev/Document",
        "predicate": {"spdxVersion": "SPDX-2.3"},
    }
    (signature,) = envelope["signatures"]
    assert signature["keyid"] == ""
    check(key, signature["sig"], encoded(IN_TOTO, payload), Hash.SHA256)


def test_a_bundle_signature_is_what_cosign_3_writes() -> None:
    room, key = Room(), signing_key()
    (stored,) = room.signer.sign(room.image, key, style=Style.BUNDLE)
    manifest = json.loads(stored.content)
    assert manifest["artifactType"] == manifest["layers"][0]["mediaType"] == BUNDLE
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert room.blob(manifest["config"]) == b"{}"
    image = room.registry.manifest("shop/web", room.image.digest)
    assert image is not None
    assert manifest["subject"] == {
        "mediaType": image.media_type,
        "size": len(image.content),
        "digest": str(room.image.digest),
    }
    assert manifest["annotations"] == {
        "dev.sigstore.bundle.content": "dsse-envelope",
        "dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1",
        "org.opencontainers.image.created": "2026-11-22T10:00:00Z",
    }
    (bundle,) = room.bundles()
    assert bundle["mediaType"] == BUNDLE
    fingerprint = hashlib.sha256(key.public_der).digest()
    assert bundle["verificationMaterial"] == {"publicKey": {"hint": base64.b64encode(fingerprint).decode()}}
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"], validate=True)
    assert json.loads(payload) == {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"digest": {"sha256": room.image.digest.hex}}],
        "predicateType": "https://sigstore.dev/cosign/sign/v1",
        "predicate": {},
    }
    (signature,) = envelope["signatures"]
    assert set(signature) == {"sig"}
    check(key, signature["sig"], encoded(IN_TOTO, payload), Hash.SHA256)


def test_annotations_of_a_bundle_signature_stand_in_the_subject() -> None:
    room = Room()
    room.signer.sign(room.image, signing_key(), style=Style.BUNDLE, annotations={"team": "shop"})
    statement = json.loads(base64.b64decode(room.bundles()[0]["dsseEnvelope"]["payload"]))
    assert statement["subject"][0]["annotations"] == {"team": "shop"}


def test_a_message_signature_is_over_the_manifests_bytes() -> None:
    room, key = Room(), signing_key()
    (stored,) = room.signer.sign(room.image, key, style=Style.MESSAGE)
    assert stored.annotations["dev.sigstore.bundle.content"] == "message-signature"
    (bundle,) = room.bundles()
    image = room.registry.manifest("shop/web", room.image.digest)
    assert image is not None
    message = bundle["messageSignature"]
    assert message["messageDigest"]["algorithm"] == "SHA2_256"
    assert base64.b64decode(message["messageDigest"]["digest"]).hex() == room.image.digest.hex
    check(key, message["signature"], image.content, Hash.SHA256)


@pytest.mark.parametrize("style", [Style.TAG, Style.BUNDLE])
def test_subjects_predicates_and_statement_types_are_as_asked(style: Style) -> None:
    room = Room()
    subjects = [payloads.subject(Digest.of(b"x", "sha512")), payloads.subject(room.image.digest, "web")]
    kind = "https://in-toto.io/Statement/v1"
    room.signer.attest(
        room.image,
        signing_key(),
        predicate_type="https://example.com/p",
        predicate="a string",
        style=style,
        statement_type=kind,
        subjects=subjects,
    )
    envelope = (
        room.bundles()[0]["dsseEnvelope"]
        if style is Style.BUNDLE
        else json.loads(room.blob(room.tagged("att")["layers"][0]))
    )
    assert json.loads(base64.b64decode(envelope["payload"])) == {
        "_type": kind,
        "subject": [{"digest": {"sha512": Digest.of(b"x", "sha512").hex}}, {"name": "web", "digest": subjects[1]["digest"]}],
        "predicateType": "https://example.com/p",
        "predicate": "a string",
    }


def test_a_message_signature_carries_no_attestation() -> None:
    room = Room()
    with pytest.raises(Invalid) as raised:
        room.signer.attest(room.image, signing_key(), predicate_type="x", predicate={}, style=Style.MESSAGE)
    assert raised.value.reason.code is Code.WRONG_FORMAT


def test_an_envelope_takes_several_signatures() -> None:
    keys = signing_key("a"), signing_key("b")
    envelope = payloads.envelope(b"\x00\xff", *keys, payload_type="text/plain", key_ids=["first"])
    assert [signature["keyid"] for signature in envelope["signatures"]] == ["first", ""]
    for key, signature in zip(keys, envelope["signatures"], strict=True):
        check(key, signature["sig"], encoded("text/plain", b"\x00\xff"), Hash.SHA256)


def test_the_encoding_is_that_of_the_specifications_example() -> None:
    # DSSE protocol v1, "Test Vectors" of the reference implementation.
    found = payloads.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert found == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind not in {KeyType.RSA3072, KeyType.RSA4096}])
@pytest.mark.parametrize("style", Style)
def test_every_kind_of_key_signs_in_every_style(kind: KeyType, style: Style) -> None:
    room, key = Room(), signing_key("kinds", kind)
    room.signer.sign(room.image, key, style=style)
    if style is Style.TAG:
        (layer,) = room.tagged("sig")["layers"]
        signature, message = layer["annotations"]["dev.cosignproject.cosign/signature"], room.blob(layer)
    elif style is Style.BUNDLE:
        envelope = room.bundles()[0]["dsseEnvelope"]
        signature, message = envelope["signatures"][0]["sig"], encoded(IN_TOTO, base64.b64decode(envelope["payload"]))
    else:
        stored = room.registry.manifest("shop/web", room.image.digest)
        assert stored is not None
        signature, message = room.bundles()[0]["messageSignature"]["signature"], stored.content
    check(key, signature, message, Hash.SHA256)
    with pytest.raises(InvalidSignature):
        check(key, signature, message + b" ", Hash.SHA256)


@pytest.mark.parametrize(
    ("kind", "curve_hash"), [(KeyType.P256, Hash.SHA256), (KeyType.P384, Hash.SHA384), (KeyType.P521, Hash.SHA512)]
)
def test_the_hash_is_sha256_or_as_long_as_the_curve(kind: KeyType, curve_hash: Hash) -> None:
    plain = signing_key("hash", kind)
    curve = plain.with_cosign_defaults()
    check(plain, payloads.signature(b"m", plain), b"m", Hash.SHA256)
    check(curve, payloads.signature(b"m", curve), b"m", curve_hash)
    assert curve.public_der == plain.public_der
    if curve_hash is not Hash.SHA256:
        with pytest.raises(InvalidSignature):
            check(curve, payloads.signature(b"m", curve), b"m", Hash.SHA256)


def test_ed25519ph_is_that_of_the_standard() -> None:
    # RFC 8032, section 7.3, "Test Vectors for Ed25519ph".
    seed = bytes.fromhex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42")
    expected = (
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    key = SigningKey(ed25519.Ed25519PrivateKey.from_private_bytes(seed)).with_cosign_defaults()
    assert key.sign(b"abc").hex() == expected
    with pytest.raises(InvalidSignature):
        check(key, payloads.signature(b"abc", key), b"abc", Hash.SHA512)


def test_rsa_pads_as_asked() -> None:
    plain = signing_key("rsa", KeyType.RSA2048)
    pss = variant(plain, padding=Padding.PSS, hash_name=Hash.SHA384)
    longest = variant(plain, padding=Padding.PSS_LONGEST_SALT)
    check(plain, payloads.signature(b"m", plain), b"m", Hash.SHA256)
    check(pss, payloads.signature(b"m", pss), b"m", Hash.SHA384, salt=48)
    check(longest, payloads.signature(b"m", longest), b"m", Hash.SHA256, salt=256 - 32 - 2)
    with pytest.raises(InvalidSignature):
        check(pss, payloads.signature(b"m", pss), b"m", Hash.SHA384)
    assert plain.with_cosign_defaults() == plain


@pytest.mark.parametrize(
    ("kind", "bits"), [(KeyType.RSA2048, 2048), (KeyType.P256, 256), (KeyType.P384, 384), (KeyType.P521, 521)]
)
def test_keys_are_as_large_as_they_say(kind: KeyType, bits: int) -> None:
    private = signing_key("rsa" if kind is KeyType.RSA2048 else "hash", kind).private
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    assert private.key_size == bits


def test_without_the_referrers_api_the_fallback_tag_is_kept() -> None:
    room = Room(referrers_api=False)
    first = room.signer.sign(room.image, signing_key("a"), signing_key("b"), style=Style.BUNDLE)
    room.registry.referrers_api = True
    room.signer.sign(room.image, signing_key("c"), style=Style.BUNDLE)
    stored = room.registry.manifest("shop/web", f"sha256-{room.image.digest.hex}")
    assert stored is not None
    index = json.loads(stored.content)
    assert (index["mediaType"], index["schemaVersion"]) == ("application/vnd.oci.image.index.v1+json", 2)
    expected = sorted((manifest.descriptor() for manifest in first), key=lambda entry: str(entry["digest"]))
    assert index["manifests"] == expected
    assert expected[0]["artifactType"] == BUNDLE
    assert expected[0]["annotations"]["dev.sigstore.bundle.content"] == "dsse-envelope"


def test_a_fallback_tag_is_cut_to_what_a_tag_may_hold() -> None:
    digest = Digest.of(b"x", "sha512")
    assert fallback_tag(digest) == f"sha512-{digest.hex[:64]}"


def test_signatures_copied_to_another_image_still_speak_of_the_first() -> None:
    room = Room()
    other = room.images.image("shop/web", "evil", content=b"evil")
    room.signer.sign(room.image, signing_key())
    room.signer.sign(room.image, signing_key(), style=Style.BUNDLE)
    room.signer.attest(room.image, signing_key(), predicate_type="https://cyclonedx.org/bom", predicate={})
    room.signer.copy(room.image, other)
    assert room.tagged("sig", other) == room.tagged("sig")
    assert room.tagged("att", other) == room.tagged("att")
    (mine,), (theirs,) = (room.registry.referrers("shop/web", image.digest) for image in (room.image, other))
    assert json.loads(theirs.content)["layers"] == json.loads(mine.content)["layers"]
    assert theirs.subject == other.digest


def test_images_are_real_and_the_same_every_time() -> None:
    room = Room()
    index = room.images.index("shop/web", "multi")
    stored = room.registry.manifest("shop/web", "multi")
    assert stored is not None
    document = json.loads(stored.content)
    assert [entry["platform"] for entry in document["manifests"]] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux", "variant": "v8"},
    ]
    assert [entry["digest"] for entry in document["manifests"]] == [str(image.digest) for image in index.platforms]
    assert len({image.digest for image in index.platforms}) == 2
    manifest = room.registry.manifest("shop/web", index.platforms[0].digest)
    assert manifest is not None
    parts = json.loads(manifest.content)
    config, layer = json.loads(room.blob(parts["config"])), room.blob(parts["layers"][0])
    assert config["rootfs"]["diff_ids"] == [str(Digest.of(gzip.decompress(layer)))]
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        assert archive.getnames() == ["srv/content", "etc/architecture"]
    assert Room().image.digest == room.image.digest
    assert ImageBuilder(room.registry, DOCKER).image("shop/web", "d").media_type.startswith("application/vnd.docker.")
    assert str(index.reference) == "127.0.0.1:0/shop/web:multi"
    assert str(index.platforms[0].reference) == f"127.0.0.1:0/shop/web@{index.platforms[0].digest}"
