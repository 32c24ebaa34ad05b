"""Attack 23 in Notary Project envelopes and beside cosign signatures: a chain of a thousand certificates, huge names.

CVE-2026-32280, CVE-2023-25656. The count is refused before any certificate is read, so that the sender chooses nothing about
our work.
"""

import pytest
from cryptography import x509

from controller import certificates
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGNATURE, SIMPLE_SIGNING
from controller.demo.signingkeys import SigningKey
from controller.errors import Code, Refused
from controller.evidence import Evidence
from controller.verify import subject
from controller.verify.pki import Stores
from controller.verify.x509 import X509Authority
from tests.fakes.evidence import IMAGE, LIMITS, attachment, one
from tests.fakes.notation import FORMATS, Wanted, evidence
from tests.fakes.pki import NOW, Issued, intermediate, root, signer

TRUSTED = X509Authority("pki", Stores(ca=(root().read,)), subject.parse_all(["C=DE, ST=Berlin, O=Acme"]))


def refusal(found: Evidence) -> Refused:
    with pytest.raises(Refused) as caught:
        TRUSTED.judge(found, IMAGE, NOW)
    return caught.value


def cosign(by: Issued, chain: str) -> Evidence:
    claim = payloads.claim(IMAGE, "registry.example.com/shop/web")
    hints = {
        COSIGN_SIGNATURE: payloads.signature(claim, SigningKey(by.key)),
        "dev.sigstore.cosign/certificate": by.pem.decode(),
        "dev.sigstore.cosign/chain": chain,
    }
    return one(attachment(SIMPLE_SIGNING, claim, hints))


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("count", [LIMITS.certificates_per_chain + 1, 1000])
def test_too_many_certificates_are_refused_before_any_is_read(
    form: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evidence(form, signer(), Wanted(chain=[signer().der, *[b"no certificate"] * (count - 1)]))
    monkeypatch.setattr(certificates, "parse", None)  # reading the first would break off
    error = refusal(found)
    assert (error.reason.code, error.reason.found) == (Code.LIMIT_EXCEEDED, str(count))


@pytest.mark.parametrize("form", FORMATS)
def test_an_envelope_that_is_too_long_is_not_read(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = evidence(form, signer(), Wanted(unprotected={"com.example.padding": "x" * LIMITS.signature_bytes}))
    monkeypatch.setattr(certificates, "parse", None)
    assert refusal(found).reason.code is Code.LIMIT_EXCEEDED


@pytest.mark.parametrize("form", FORMATS)
def test_a_certificate_with_thousands_of_names(form: str) -> None:
    names = [x509.DNSName(f"host-{number}.{'x' * 20}.example") for number in range(2_000)]
    error = refusal(evidence(form, signer("names", extensions=((x509.SubjectAlternativeName(names), False),))))
    assert error.reason.code is Code.LIMIT_EXCEEDED


def test_thousand_certificates_beside_a_cosign_signature() -> None:
    with pytest.raises(Refused) as caught:
        cosign(signer(), "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n" * 1000)
    assert caught.value.reason.code is Code.LIMIT_EXCEEDED


def test_a_chain_that_goes_in_circles_ends() -> None:
    evil = signer(issuer=intermediate("Evil"))
    chain = "".join(issued.pem.decode() for issued in [root("Evil"), intermediate("Evil")] * 7)
    assert refusal(cosign(evil, chain)).reason.code is Code.ROOT_IN_CHAIN
