"""Attack 4: a public key where the certificate belongs, so that nobody's identity is checked (GHSA-fx35-mq7g-6g98)."""

from typing import Any

import pytest

from controller.demo.mediatypes import COSIGN_SIGNATURE
from controller.errors import Code, Refused
from tests.fakes import rekor
from tests.fakes.authorities import b64
from tests.fakes.evidence import IMAGE, image_bundle
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import CERTIFICATE, CHAIN, ENTRY, NOW, PrivateSigstore, evidence, from_base64, signature_layer


def test_a_key_in_the_certificate_annotation() -> None:
    """Signature, log entry and timestamp are all good for that key: only nobody vouches for it."""
    sigstore, key = PrivateSigstore(), signing_key("foreign")
    claim, annotations = sigstore.sign_layer()
    signature = key.sign(claim)
    annotations |= {
        COSIGN_SIGNATURE: b64(signature),
        CERTIFICATE: key.public_pem,
        CHAIN: "",
        ENTRY: sigstore.rekor1.annotation(rekor.hashedrekord(claim, signature, key.public_pem.encode())),
    }
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(signature_layer(claim, annotations), IMAGE, NOW)
    assert caught.value.reason.code is Code.NO_CERTIFICATE
    assert "bare public key" in caught.value.reason.message


@pytest.mark.parametrize("encoding", ["der", "pem"])
def test_a_key_in_a_bundle_s_certificate(encoding: str) -> None:
    sigstore, key = PrivateSigstore(), signing_key("foreign")
    bundle: dict[str, Any] = sigstore.sign_statement()
    raw = key.public_der if encoding == "der" else key.public_pem.encode()
    bundle["verificationMaterial"]["certificate"] = {"rawBytes": b64(raw)}
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(evidence(bundle), IMAGE, NOW)
    assert caught.value.reason.code is Code.NO_CERTIFICATE


def test_a_keyed_bundle_is_nobody_s_identity() -> None:
    sigstore = PrivateSigstore()
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(image_bundle(signing_key()), IMAGE, NOW)
    reason = caught.value.reason
    assert (reason.code, reason.message) == (Code.NO_CERTIFICATE, "signed with a bare key")
    assert "release.yml" in reason.expected
    assert reason.found == f"key hint {signing_key().hint}"


def test_the_certificate_s_key_must_be_the_one_that_signed() -> None:
    """A good certificate copied beside somebody else's signature."""
    sigstore = PrivateSigstore()
    bundle = sigstore.sign_statement(holder=sigstore.ca.certify(signing_key("foreign")))
    honest = sigstore.sign_statement()
    bundle["verificationMaterial"]["certificate"] = honest["verificationMaterial"]["certificate"]
    assert from_base64(bundle["verificationMaterial"]["certificate"]["rawBytes"])
    with pytest.raises(Refused) as caught:
        sigstore.authority().judge(evidence(bundle), IMAGE, NOW)
    assert caught.value.reason.code is Code.SIGNATURE_INVALID
