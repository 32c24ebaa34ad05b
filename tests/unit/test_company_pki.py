"""cosign signatures under a company's PKI: the certificate and chain that lie beside them, the anchors of the policy."""

import json
import math
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from controller import certificates
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGNATURE, DSSE, SIMPLE_SIGNING
from controller.demo.signingkeys import SigningKey
from controller.errors import Code, Refused
from controller.evidence import Claim, Evidence, Needs, Verified
from controller.verify import subject
from controller.verify.pki import Level, Revocation, Stores
from controller.verify.x509 import X509Authority
from tests.fakes.authorities import b64
from tests.fakes.evidence import IMAGE, OTHER, attachment, one, statement
from tests.fakes.pki import DAY, NOW, Issued, authority, intermediate, issue, root, signer
from tests.fakes.sigstore import STAMP
from tests.fakes.timestamps import TimestampAuthority

ACME = "C=DE, ST=Berlin, O=Acme"
CERTIFICATE = "dev.sigstore.cosign/certificate"
CHAIN = "dev.sigstore.cosign/chain"
SPDX = "https://spdx.dev/Document"


def key(of: Issued) -> SigningKey:
    return SigningKey(of.key)


def beside(of: Issued, *chain: Issued) -> dict[str, str]:
    return {CERTIFICATE: of.pem.decode(), CHAIN: "".join(issued.pem.decode() for issued in chain)}


def signature(of: Issued, *chain: Issued, payload: bytes | None = None, signed_by: Issued | None = None) -> Evidence:
    """A `.sig` layer by cosign with `--certificate` and `--certificate-chain`."""
    content = payloads.claim(IMAGE, "registry.example.com/shop/web") if payload is None else payload
    hints = {COSIGN_SIGNATURE: payloads.signature(content, key(signed_by or of)), **beside(of, *chain)}
    return one(attachment(SIMPLE_SIGNING, content, hints))


def usual(of: Issued | None = None, **options: Any) -> Evidence:
    signed = of or signer()
    return signature(signed, *signed.chain[1:], **options)


def judge(stores: Stores | None = None, identity: str = ACME, **options: Any) -> X509Authority:
    return X509Authority("pki", stores or Stores(ca=(root().read,)), subject.parse_all([identity]), **options)


def judged(found: Evidence, by: X509Authority | None = None, now: float = NOW) -> Verified:
    (fact,) = (by or judge()).judge(found, IMAGE, now)
    return fact


def refusal(found: Evidence, by: X509Authority | None = None, now: float = NOW) -> Refused:
    with pytest.raises(Refused) as caught:
        judged(found, by, now)
    return caught.value


def test_signature() -> None:
    fact = judged(usual())
    assert (fact.claim, fact.digest) == (Claim.SIGNATURE, IMAGE)
    assert fact.signer.name == "CN=release,O=Acme,ST=Berlin,C=DE (under CN=Root,O=Acme,ST=Berlin,C=DE)"
    assert fact.valid_until == signer().read.window.end


def test_chain_without_its_root() -> None:
    assert judged(signature(signer(), intermediate())).claim is Claim.SIGNATURE


def test_no_chain_under_the_issuer() -> None:
    assert judged(signature(signer()), judge(Stores(ca=(intermediate().read,)))).claim is Claim.SIGNATURE


@pytest.mark.parametrize("kind", ["P-256", "P-384", "RSA 2048", "Ed25519"])
def test_every_key(kind: str) -> None:
    assert judged(usual(signer(key=kind, kind=kind))).claim is Claim.SIGNATURE


def test_attestation() -> None:
    envelope = payloads.encode(payloads.envelope(statement(SPDX, {"name": "bill"}), key(signer())))
    fact = judged(one(attachment(DSSE, envelope, beside(signer(), *signer().chain[1:]))))
    assert (fact.claim, fact.predicate_type, fact.predicate) == (Claim.ATTESTATION, SPDX, {"name": "bill"})


def test_one_signer_whatever_the_format() -> None:
    envelope = payloads.encode(payloads.envelope(statement(SPDX), key(signer())))
    attested = judged(one(attachment(DSSE, envelope, beside(signer(), *signer().chain[1:]))))
    assert attested.signer == judged(usual()).signer


def test_a_root_in_the_chain_is_nobodys() -> None:
    evil = signer("release", issuer=intermediate("Evil"))
    error = refusal(usual(evil))
    assert error.reason.code is Code.ROOT_IN_CHAIN
    assert error.reason.expected == root().read.subject


def test_a_root_that_only_has_the_right_name() -> None:
    copy = issue(authority(f"{ACME}, CN=Root", key="another"))
    evil = signer("release", issuer=issue(authority(f"{ACME}, CN=Intermediate", key="another too"), copy))
    assert refusal(usual(evil)).reason.code is Code.ROOT_IN_CHAIN


def test_without_the_intermediate_nothing_leads_there() -> None:
    assert refusal(signature(signer())).reason.code is Code.CERTIFICATE_UNTRUSTED


def test_another_identity() -> None:
    assert refusal(usual(), judge(identity=f"{ACME}, CN=other")).reason.code is Code.WRONG_SUBJECT


def test_another_image() -> None:
    payload = payloads.claim(OTHER, "registry.example.com/shop/web")
    assert refusal(usual(payload=payload)).reason.code is Code.WRONG_DIGEST


def test_signed_by_another_key() -> None:
    assert refusal(usual(signed_by=signer(key="thief"))).reason.code is Code.SIGNATURE_INVALID


def test_bare_key() -> None:
    content = payloads.claim(IMAGE, "x")
    plain = one(attachment(SIMPLE_SIGNING, content, {COSIGN_SIGNATURE: payloads.signature(content, key(signer()))}))
    assert refusal(plain).reason.code is Code.NO_CERTIFICATE
    hints = {COSIGN_SIGNATURE: payloads.signature(content, key(signer())), CERTIFICATE: key(signer()).public_pem}
    assert refusal(one(attachment(SIMPLE_SIGNING, content, hints))).reason.code is Code.NO_CERTIFICATE


@pytest.mark.parametrize(
    "changes",
    [
        {"purposes": ()},
        {"purposes": (ExtendedKeyUsageOID.SERVER_AUTH,)},
        {"usage": ("key_encipherment",)},
        {"basic": True},
    ],
)
def test_certificates_that_are_not_for_code(changes: dict[str, Any]) -> None:
    assert refusal(usual(signer(**changes))).reason.code is Code.CERTIFICATE_INVALID


def test_intermediate_for_another_use() -> None:
    middle = issue(authority(f"{ACME}, CN=Mail", purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)), root())
    assert refusal(usual(signer(issuer=middle))).reason.code is Code.CERTIFICATE_INVALID


def test_expired_certificate_and_intermediate() -> None:
    assert refusal(usual(signer(end=NOW - 1))).reason.code is Code.OUTSIDE_VALIDITY
    middle = issue(authority(f"{ACME}, CN=Old", start=NOW - 9 * DAY, end=NOW - DAY), root())
    assert refusal(usual(signer(issuer=middle))).reason.code is Code.OUTSIDE_VALIDITY
    error = refusal(usual(signer(start=NOW + DAY)))
    assert (error.reason.code, error.until) == (Code.OUTSIDE_VALIDITY, NOW + DAY)


class TestTimestampNobodyAskedFor:
    """A timestamp that could have saved an expired certificate is named in the refusal: whose it is, whose it should be."""

    @staticmethod
    def stamped(by: TimestampAuthority) -> Evidence:
        expired, content = signer(end=NOW - DAY), payloads.claim(IMAGE, "registry.example.com/shop/web")
        signed = key(expired).sign(content)
        stamp = json.dumps({"SignedRFC3161Timestamp": b64(by.stamp(signed, NOW - 2 * DAY))})
        hints = {COSIGN_SIGNATURE: b64(signed), **beside(expired, *expired.chain[1:]), STAMP: stamp}
        return one(attachment(SIMPLE_SIGNING, content, hints))

    @staticmethod
    def trusting(*clocks: TimestampAuthority) -> X509Authority:
        anchors = tuple(certificates.parse(clock.signer.der, "clock", limit=1 << 16) for clock in clocks)
        return judge(Stores(ca=(root().read,), tsa=anchors))

    def test_by_whom_it_should_be_it_saves_the_certificate(self) -> None:
        clock = TimestampAuthority("clock")
        assert judged(self.stamped(clock), self.trusting(clock)).valid_until == math.inf

    def test_by_somebody_else(self) -> None:
        clock, other = TimestampAuthority("clock"), TimestampAuthority("other clock")
        reason = refusal(self.stamped(other), self.trusting(clock)).reason
        assert reason.code is Code.OUTSIDE_VALIDITY
        assert "nothing proves another time: the timestamp is by no authority of the policy's stores" in reason.found
        assert f"expected {clock.signer.certificate.subject.rfc4514_string()}" in reason.found
        assert f"found a signer with certificate number {other.signer.certificate.serial_number:x}"[:80] in reason.found

    def test_without_any_store(self) -> None:
        reason = refusal(self.stamped(TimestampAuthority("clock"))).reason
        assert reason.code is Code.OUTSIDE_VALIDITY
        assert "the timestamp is by no authority of the policy's stores: expected no authority at all" in reason.found

    def test_without_any_timestamp_none_is_spoken_of(self) -> None:
        assert "timestamp" not in refusal(usual(signer(end=NOW - 1))).reason.found


def test_levels_report_times_and_enforce_authenticity() -> None:
    fact = judged(usual(signer(end=NOW - 1)), judge(level=Level.PERMISSIVE))
    assert [reason.code for reason in fact.warnings] == [Code.OUTSIDE_VALIDITY]
    evil = usual(signer("release", issuer=intermediate("Evil")))
    assert refusal(evil, judge(level=Level.AUDIT)).reason.code is Code.ROOT_IN_CHAIN


def test_revocation_is_asked_for() -> None:
    watched = usual(signer(ocsp=("http://ocsp.acme.example/",)))
    with pytest.raises(Needs) as caught:
        judged(watched)
    assert [question.url for question in caught.value.questions] == ["http://ocsp.acme.example/"]
    assert judged(watched, judge(revocation=Revocation.SKIP)).claim is Claim.SIGNATURE


def test_revoked_by_the_policy() -> None:
    for issued in signer().chain:
        by = judge(revoked=frozenset({issued.read.sha256}))
        assert refusal(usual(), by).reason.code is Code.REVOKED


def test_log_required_without_a_root() -> None:
    assert refusal(usual(), judge(log_required=True)).reason.code is Code.LOG_REQUIRED


def test_signing_authority_store_is_not_for_cosign() -> None:
    assert refusal(usual(), judge(Stores(signing_authority=(root().read,)))).reason.code is Code.ROOT_IN_CHAIN
