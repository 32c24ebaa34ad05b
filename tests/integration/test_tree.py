"""`sigward tree` against a running registry."""

import json
from pathlib import Path
from typing import Any

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style, cosign_tag
from controller.demo.signingkeys import SigningKey
from tests.fakes import faults
from tests.fakes.commandline import Ran, sigward
from tests.fakes.registry import FaultyRegistry

CYCLONEDX = "https://cyclonedx.org/bom"
PROVENANCE = "https://slsa.dev/provenance/v1"


@pytest.fixture
def key(tmp_path: Path) -> SigningKey:
    key = SigningKey.generate()
    (tmp_path / "release.pub").write_text(key.public_pem, encoding="utf-8")
    return key


@pytest.fixture
def attached(images: ImageBuilder, signer: Signer, registry: EmbeddedRegistry, key: SigningKey) -> Image:
    """An index with one of everything."""
    image = images.index("shop/web", "1")
    signer.sign(image, key)
    signer.sign(image, SigningKey.generate(), style=Style.BUNDLE)
    signer.sign(image, key, style=Style.MESSAGE)
    signer.attest(image, key, predicate_type=CYCLONEDX, predicate={})
    signer.attest(image, key, predicate_type=PROVENANCE, predicate={}, style=Style.BUNDLE)
    signer.refer(image, "application/spdx+json", b"{}", {})
    signer.refer(image, "application/vnd.dev.sigstore.bundle.v0.3+json", b"{", {})
    signer.append(image, "sbom", "text/spdx", b"SPDXVersion: SPDX-2.3", {})
    return image


async def tree(registry: EmbeddedRegistry, *arguments: object) -> Ran:
    return await sigward("tree", *arguments, "--insecure-registry", registry.host)


def listed(document: dict[str, Any], member: str) -> list[tuple[str, Any]]:
    return sorted((entry["what"], entry[member]) for entry in document["attachments"])


async def test_without_a_key_everything_is_found_and_nothing_proved(registry: EmbeddedRegistry, attached: Image) -> None:
    ran = await tree(registry, attached.reference, "-o", "json")
    document = ran.document
    assert ran.code == 0
    assert listed(document, "predicateType") == [
        ("Attestation", CYCLONEDX),
        ("Attestation", PROVENANCE),
        ("Other", ""),
        ("Other", ""),
        ("Signature", ""),
        ("Signature", ""),
        ("Signature", ""),
        ("Unreadable", ""),
    ]
    assert (document["judged"], document["digest"]) == (False, str(attached.digest))
    assert document["platforms"] == ["linux/amd64", "linux/arm64/v8"]
    assert not any(entry["proved"] or entry["proofs"] for entry in document["attachments"])
    assert sorted(entry["type"] for entry in document["attachments"] if entry["what"] == "Other") == [
        "application/spdx+json",
        "text/spdx",
    ]


async def test_with_a_key_each_piece_is_proved_or_not(
    registry: EmbeddedRegistry, attached: Image, key: SigningKey, tmp_path: Path
) -> None:
    ran = await tree(registry, attached.reference, "--key", tmp_path / "release.pub", "-o", "json")
    signer = f"key SHA256:{key.fingerprint[:12]}…"
    assert ran.code == 0
    assert listed(ran.document, "proved") == [
        ("Attestation", True),
        ("Attestation", True),
        ("Other", False),
        ("Other", False),
        ("Signature", False),
        ("Signature", True),
        ("Signature", True),
        ("Unreadable", False),
    ]
    foreign = next(e for e in ran.document["attachments"] if e["what"] == "Signature" and not e["proved"])
    assert [proof["reason"]["code"] for proof in foreign["proofs"]] == ["WrongKey"]
    assert {p["signer"] for e in ran.document["attachments"] for p in e["proofs"] if p["proved"]} == {signer}
    broken = next(e for e in ran.document["attachments"] if e["what"] == "Unreadable")
    assert broken["reason"]["code"] == "Malformed"


async def test_a_signature_of_another_image_is_found_and_not_proved(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, key: SigningKey, tmp_path: Path
) -> None:
    signed, bare = images.image("shop/web", "1"), images.image("shop/db", "1")
    signer.sign(signed, key)
    signer.copy(signed, bare)
    ran = await tree(registry, bare.reference, "--key", tmp_path / "release.pub", "-o", "json")
    (entry,) = ran.document["attachments"]
    assert (entry["proved"], entry["proofs"][0]["reason"]["code"]) == (False, "WrongDigest")


async def test_the_policies_about_the_image_say_whom_to_trust(
    registry: EmbeddedRegistry, attached: Image, key: SigningKey, tmp_path: Path
) -> None:
    spec = {"authorities": [{"name": "ci", "keys": [{"pem": key.public_pem}]}]}
    document = {"apiVersion": "sigward.dev/v1alpha1", "kind": "ClusterTrustPolicy", "metadata": {"name": "corp"}}

    def policy(images: str) -> dict[str, Any]:
        return {**document, "spec": {**spec, "match": {"images": [images]}}}

    path = tmp_path / "corp.json"
    path.write_text(json.dumps(policy(f"{registry.host}/shop/*")), encoding="utf-8")
    ran = await tree(registry, attached.reference, "--policy", path, "-o", "json")
    assert {(p["policy"], p["authority"]) for e in ran.document["attachments"] for p in e["proofs"]} == {("corp", "ci")}
    path.write_text(json.dumps(policy(f"{registry.host}/other/*")), encoding="utf-8")
    ran = await tree(registry, attached.reference, "--policy", path, "-o", "json")
    assert ran.document["judged"] is False


async def test_buildkits_attestations_are_shown_as_unsigned(
    registry: EmbeddedRegistry, images: ImageBuilder, tmp_path: Path
) -> None:
    platform = images.image("shop/kit")
    layer = registry.put_blob("shop/kit", b"{}")
    config = registry.put_blob("shop/kit", b"{}")
    inner = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": str(config), "size": 2},
        "layers": [
            {
                "mediaType": "application/vnd.in-toto+json",
                "digest": str(layer),
                "size": 2,
                "annotations": {"in-toto.io/predicate-type": PROVENANCE},
            }
        ],
    }
    stored = registry.put_manifest("shop/kit", json.dumps(inner).encode())
    entry = {
        "mediaType": inner["mediaType"],
        "digest": str(stored.digest),
        "size": len(stored.content),
        "platform": {"architecture": "unknown", "os": "unknown"},
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": str(platform.digest),
        },
    }
    own = {**platform.descriptor(), "platform": {"architecture": "amd64", "os": "linux"}}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [own, entry]}
    registry.put_manifest("shop/kit", json.dumps(index).encode(), tag="1")
    ran = await tree(registry, f"{registry.host}/shop/kit:1", "-o", "json")
    (found,) = ran.document["attachments"]
    assert (found["what"], found["predicateType"]) == ("UnsignedAttestation", PROVENANCE)
    assert found["about"] == str(platform.digest)
    assert ran.document["platforms"] == ["linux/amd64"]
    text = (await tree(registry, f"{registry.host}/shop/kit:1")).out
    assert f"unsigned attestation of type {PROVENANCE}" in text
    assert "only through a signature on sha256:" in text


async def test_the_tree_in_words(registry: EmbeddedRegistry, attached: Image, key: SigningKey, tmp_path: Path) -> None:
    ran = await tree(registry, attached.reference, "--key", tmp_path / "release.pub")
    tag = cosign_tag(attached.digest, "sig").replace(attached.digest.hex, f"{attached.digest.hex[:12]}…")
    assert ran.lines[:5] == [
        str(attached.reference),
        f"│  digest     {attached.digest}",
        "│  type       application/vnd.oci.image.index.v1+json",
        "│  platforms  linux/amd64, linux/arm64/v8",
        f"├─ ✓ signature: cosign signature at tag {tag}, layer 1",
    ]
    assert f"│  └─ ✓ release (policy command-line): proved, by key SHA256:{key.fingerprint[:12]}…" in ran.lines
    assert not any(len(line) > 100 for line in ran.lines)


async def test_nothing_attached_is_said_in_words(registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    image = images.image("shop/bare", "1")
    ran = await tree(registry, image.reference)
    assert ran.lines[-1] == "└─ · nothing is attached"
    assert ran.code == 0


async def test_a_place_that_could_not_be_read_is_named(faulty_registry: FaultyRegistry, key: SigningKey) -> None:
    image = ImageBuilder(faulty_registry).image("shop/web", "1")
    Signer(faulty_registry).sign(image, key)
    faulty_registry.inject(faults.status(403), Kind.REFERRERS)
    ran = await tree(faulty_registry, image.reference, "-o", "json")
    assert ran.code == 3
    assert [entry["what"] for entry in ran.document["attachments"]] == ["Signature"]
    assert [gap["reason"]["code"] for gap in ran.document["gaps"]] == ["Unauthorized"]
    assert "could not be read" in (await tree(faulty_registry, image.reference)).out


async def test_an_image_that_is_not_there_is_an_error_and_a_registry_away_another(
    registry: EmbeddedRegistry, images: ImageBuilder
) -> None:
    ran = await tree(registry, f"{registry.host}/shop/none:1", "-o", "json")
    assert (ran.code, ran.document["reason"]["code"]) == (1, "NotFound")
    images.image("shop/web", "1")
    await registry.stop()
    ran = await tree(registry, f"{registry.host}/shop/web:1", "-o", "json")
    assert (ran.code, ran.document["reason"]["code"]) == (3, "Unreachable")
    ran = await tree(registry, "UPPER:CASE:1", "-o", "json")
    assert (ran.code, ran.document["reason"]["code"]) == (2, "InvalidReference")
