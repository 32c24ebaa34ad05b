"""Real cosign accepts what our private Sigstore and our company sign, and refuses it after one change."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from cryptography import x509

from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGN, COSIGN_SIGNATURE, SIGSTORE_BUNDLE, SIMPLE_SIGNING
from controller.demo.signingkeys import SigningKey
from controller.reference import Digest
from tests.fakes.authorities import ISSUER, SUBJECT
from tests.fakes.evidence import statement
from tests.fakes.pki import Issued, intermediate, root, signer
from tests.fakes.sigstore import CERTIFICATE, CHAIN, PrivateSigstore
from tests.interop import stored
from tests.interop.cosign import Cosign, Outcome, Storage
from tests.interop.tools import Product, RunningRegistry
from tests.interop.wire import PushedImage, Repository, push_image

pytestmark = pytest.mark.interop

SIGSTORE: Final = PrivateSigstore()
EVIL: Final = PrivateSigstore("evil")
BUNDLES: Final[dict[str, tuple[list[str], int, list[str]]]] = {
    # log entries, timestamps, and what cosign has to be told; it reads entries of Rekor 2 about envelopes in version 2 only
    "dsse": (["dsse"], 0, []),
    "rekor2": (["hashedrekord 2"], 1, ["--use-signed-timestamps"]),
    "timestamp": ([], 1, ["--use-signed-timestamps", "--insecure-ignore-tlog"]),
}


@pytest.fixture
def registry(registries: dict[Product, RunningRegistry]) -> RunningRegistry:
    return registries[Product.DISTRIBUTION]


def written(folder: Path, sigstore: PrivateSigstore) -> Path:
    path = folder / "trusted_root.json"
    path.write_text(json.dumps(sigstore.document()))
    return path


def by_identity(subject: str = SUBJECT) -> list[str]:
    return ["--certificate-identity", subject, "--certificate-oidc-issuer", ISSUER]


def put_signature(image: PushedImage, payload: bytes, annotations: Mapping[str, str]) -> None:
    stored.put_tag(image, "sig", [stored.Piece(SIMPLE_SIGNING, payload, dict(annotations))])


def refused(outcome: Outcome, because: str) -> None:
    assert not outcome.accepted
    assert because in outcome.errors


@pytest.mark.parametrize("shape", BUNDLES)
def test_bundles_of_the_private_sigstore(cosign: Cosign, registry: RunningRegistry, shape: str, tmp_path: Path) -> None:
    logs, stamps, told = BUNDLES[shape]
    image = push_image(Repository(registry.host, f"fakes/{cosign}/{shape}"), content=f"{cosign} {shape}")
    signed = statement(COSIGN_SIGN, {}, Digest.parse(image.digest))
    bundle = SIGSTORE.sign_statement(logs, stamps=stamps, content=signed)
    stored.attach(image, SIGSTORE_BUNDLE, SIGSTORE_BUNDLE, json.dumps(bundle).encode())

    def verify(sigstore: PrivateSigstore, subject: str = SUBJECT) -> Outcome:
        trusted = ["--trusted-root", str(written(tmp_path, sigstore)), *by_identity(subject)]
        return cosign.verify_certificate(image.by_digest, Storage.BUNDLE, *trusted, *told)

    assert verify(SIGSTORE).accepted
    refused(verify(EVIL), "No certificate for signer" if shape == "timestamp" else "not enough verified log entries")
    refused(verify(SIGSTORE, "https://evil.example.com"), "expected SAN value")


def test_tags_of_the_private_sigstore(cosign: Cosign, registry: RunningRegistry, tmp_path: Path) -> None:
    image = push_image(Repository(registry.host, f"fakes/{cosign}/tag"), content=f"{cosign} tag")
    put_signature(image, *SIGSTORE.sign_layer(digest=Digest.parse(image.digest)))

    def verify(sigstore: PrivateSigstore, subject: str = SUBJECT) -> Outcome:
        trusted = ["--trusted-root", str(written(tmp_path, sigstore)), *by_identity(subject)]
        return cosign.verify_certificate(image.by_digest, Storage.TAG, *trusted)

    assert verify(SIGSTORE).accepted
    refused(verify(EVIL), "rekor log public key not found")
    refused(verify(SIGSTORE, "https://evil.example.com"), "none of the expected identities matched")


def test_tags_of_the_company(registry: RunningRegistry, tmp_path: Path) -> None:
    """cosign 2 alone takes a company's root, and wants an address in the certificate."""
    cosign = Cosign(2, tmp_path)
    address = x509.SubjectAlternativeName([x509.RFC822Name("release@acme.example")])
    by = signer(extensions=((address, False),))
    image = push_image(Repository(registry.host, "fakes/company"), content="company")
    claim = payloads.claim(Digest.parse(image.digest), "registry.example.com/shop/web")
    chain = "".join(one.pem.decode() for one in by.chain[1:])
    signature = payloads.signature(claim, SigningKey(by.key))
    put_signature(image, claim, {COSIGN_SIGNATURE: signature, CERTIFICATE: by.pem.decode(), CHAIN: chain})

    def verify(anchor: Issued, middle: Issued, subject: str = "release@acme.example") -> Outcome:
        roots, intermediates = tmp_path / "roots.pem", tmp_path / "intermediates.pem"
        roots.write_bytes(anchor.pem)
        intermediates.write_bytes(middle.pem)
        trusted = ["--ca-roots", str(roots), "--ca-intermediates", str(intermediates), "--certificate-identity", subject]
        told = ["--certificate-oidc-issuer-regexp", ".*", "--insecure-ignore-sct", "--insecure-ignore-tlog"]
        return cosign.verify_certificate(image.by_digest, Storage.TAG, *trusted, *told)

    assert verify(root(), intermediate()).accepted
    refused(verify(root("Evil"), intermediate("Evil")), "certificate signed by unknown authority")
    refused(verify(root(), intermediate(), "other@acme.example"), "none of the expected identities matched")
