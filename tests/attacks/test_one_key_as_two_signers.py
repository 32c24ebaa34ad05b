"""Row 10: one key holder poses as two signers, by bare key and certificate, or by one certificate under two anchors."""

from typing import Any

import pytest

from controller import certificates
from controller.decision.quorum import one_signer
from controller.decision.report import Verdict
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGNATURE, SIMPLE_SIGNING
from controller.demo.signingkeys import SigningKey
from controller.errors import Code
from controller.evidence import Evidence, Signer
from tests.fakes import sigstore
from tests.fakes.authorities import ISSUER, SUBJECT
from tests.fakes.evidence import IMAGE, attachment, one
from tests.fakes.pki import Issued, intermediate, root
from tests.fakes.pki import signer as issued
from tests.fakes.policies import policy, reason_codes, spec, trust_root, verdict, without
from tests.fakes.sigstore import PrivateSigstore


def signature(of: Issued) -> Evidence:
    """What cosign writes with `--certificate`: a bare key sees a signature by its key, a PKI sees the certificate."""
    content = payloads.claim(IMAGE, "registry.example.com/shop/web")
    hints = {
        COSIGN_SIGNATURE: payloads.signature(content, SigningKey(of.key)),
        "dev.sigstore.cosign/certificate": of.pem.decode(),
        "dev.sigstore.cosign/chain": "".join(each.pem.decode() for each in of.chain[1:]),
    }
    return one(attachment(SIMPLE_SIGNING, content, hints))


def pki(name: str, anchor: Issued, **fields: Any) -> dict[str, Any]:
    stores = {"ca": {"pem": anchor.pem.decode()}}
    return {
        "name": name,
        "x509": {"stores": stores, "identities": ["C=DE, ST=Berlin, O=Acme"], "revocation": "Skip"},
        **fields,
    }


def bare(name: str, *of: Issued) -> dict[str, Any]:
    return {"name": name, "keys": [{"pem": SigningKey(each.key).public_pem} for each in of]}


def both(*authorities: dict[str, Any]) -> Any:
    of = [each["name"] for each in authorities]
    return policy(spec(*authorities, require=[{"name": "two", "signature": {"threshold": 2, "of": of}}]))


ALICE, BOB = issued("alice"), issued("bob")


@pytest.mark.parametrize(
    "authorities",
    [(bare("key", ALICE), pki("pki", root())), (pki("root", root()), pki("intermediate", intermediate()))],
    ids=["key and certificate", "two anchors"],
)
def test_one_holder_counts_once(authorities: tuple[dict[str, Any], ...]) -> None:
    report = verdict(both(*authorities), signature(ALICE))
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.THRESHOLD_NOT_MET})
    assert verdict(both(*authorities), signature(ALICE), signature(BOB)).verdict is Verdict.ALLOW


def test_one_holder_fills_one_role() -> None:
    written = spec(
        {**bare("key", ALICE), "role": "dev"},
        pki("pki", root(), role="qa"),
        require=[{"name": "roles", "signature": {"of": ["key", "pki"], "perRole": {"dev": 1, "qa": 1}}}],
    )
    report = verdict(policy(written), signature(ALICE))
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.ROLE_NOT_MET})
    assert verdict(policy(written), signature(ALICE), signature(BOB)).verdict is Verdict.ALLOW


def test_a_signer_with_two_keys_is_one_with_the_holders_of_both() -> None:
    found = one_signer(
        [Signer("x", "", "1"), Signer("y", "", "2"), Signer("x", "", "2"), Signer("z", "", "3"), Signer("w", "")]
    )
    assert found["x"] == found["y"]
    assert len({found["x"], found["z"], found["w"]}) == 3


@pytest.mark.parametrize("revoked", [ALICE, intermediate()], ids=["signer", "issuer"])
def test_a_key_revoked_by_another_policy_is_not_believed_in_a_certificate_either(revoked: Issued) -> None:
    trusting = policy(spec(pki("pki", root())))
    assert verdict(trusting, signature(ALICE)).verdict is Verdict.ALLOW
    fingerprint = revoked.read.key.spki_sha256
    other = policy(without(spec(mode="Audit", revoked={"keys": [fingerprint]}), "authorities"), "revocations")
    report = verdict([trusting, other], signature(ALICE))
    assert (report.verdict, Code.REVOKED in reason_codes(report)) == (Verdict.DENY, True)


SIGSTORE = PrivateSigstore("private")
ROOT = trust_root("private", SIGSTORE.document())
CI = {
    "name": "ci",
    "keyless": {
        "trustRoot": "private",
        "identities": [{"issuer": {"exact": ISSUER}, "subject": {"exact": SUBJECT}}],
    },
}


def test_one_key_certified_as_an_identity_counts_once() -> None:
    holder = SIGSTORE.holder()
    key = {"name": "key", "keys": [{"pem": holder.key.public_pem}]}
    signed = sigstore.evidence(SIGSTORE.sign_statement(holder=holder))
    report = verdict([both(key, CI), ROOT], signed)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.THRESHOLD_NOT_MET})
    assert verdict([both(bare("key", ALICE), CI), ROOT], signed, signature(ALICE)).verdict is Verdict.ALLOW


def test_a_certificate_authoritys_key_revoked_by_another_policy_is_not_believed_in_a_chain() -> None:
    trusting, signed = policy(spec(CI)), sigstore.evidence(SIGSTORE.sign_statement())
    assert verdict([trusting, ROOT], signed).verdict is Verdict.ALLOW
    issuer = certificates.parse(SIGSTORE.ca.intermediate.der, "issuer", limit=1 << 16).key.spki_sha256
    other = policy(without(spec(mode="Audit", revoked={"keys": [issuer]}), "authorities"), "revocations")
    report = verdict([trusting, other, ROOT], signed)
    assert (report.verdict, Code.REVOKED in reason_codes(report)) == (Verdict.DENY, True)
