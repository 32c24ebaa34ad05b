"""Attack 10 with certificates: one key signs as itself and under its certificate, and is still one signer.

And a key that a policy revokes takes the certificates over it, and under it, with it.
"""

from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.demo import payloads
from controller.demo.mediatypes import COSIGN_SIGNATURE, SIMPLE_SIGNING
from controller.demo.signingkeys import SigningKey
from controller.errors import Code
from controller.evidence import Evidence
from controller.formats import notation
from tests.fakes.evidence import IMAGE, attachment, one
from tests.fakes.notation import evidence
from tests.fakes.pki import Issued, root, signer
from tests.fakes.policies import policy, reason_codes, spec, verdict, without

ACME = "C=DE, ST=Berlin, O=Acme"


def keyed(by: Issued) -> Evidence:
    claim = payloads.claim(IMAGE, "registry.example.com/shop/web")
    return one(attachment(SIMPLE_SIGNING, claim, {COSIGN_SIGNATURE: payloads.signature(claim, SigningKey(by.key))}))


def both(*, threshold: int, key: Issued, **fields: Any) -> dict[str, Any]:
    pki = {"stores": {"ca": {"pem": root().pem.decode()}}, "identities": [ACME]}
    return spec(
        {"name": "key", "keys": [{"pem": SigningKey(key.key).public_pem}]},
        {"name": "pki", "x509": pki},
        require=[{"name": "both", "signature": {"threshold": threshold, "of": ["key", "pki"]}}],
        **fields,
    )


def test_one_key_as_key_and_certificate_is_one_signer() -> None:
    found = (keyed(signer()), evidence(notation.JWS, signer()))
    assert verdict(policy(both(threshold=1, key=signer())), *found).verdict is Verdict.ALLOW
    report = verdict(policy(both(threshold=2, key=signer())), *found)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.THRESHOLD_NOT_MET})


def test_two_keys_are_two_signers() -> None:
    other = signer("other")
    found = (keyed(other), evidence(notation.JWS, signer()))
    assert verdict(policy(both(threshold=2, key=other)), *found).verdict is Verdict.ALLOW


def test_two_names_over_one_key_are_one_signer() -> None:
    first, second = signer("first", key="shared"), signer("second", key="shared")
    authorities = [
        {
            "name": name,
            "x509": {"stores": {"ca": {"pem": root().pem.decode()}}, "identities": [f"{ACME}, CN={name}"]},
        }
        for name in ("first", "second")
    ]
    require = [{"name": "both", "signature": {"threshold": 2, "of": ["first", "second"]}}]
    found = (evidence(notation.JWS, first), evidence(notation.COSE, second))
    report = verdict(policy(spec(*authorities, require=require)), *found)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.THRESHOLD_NOT_MET})
    distinct = (evidence(notation.JWS, first), evidence(notation.COSE, signer("second")))
    assert verdict(policy(spec(*authorities, require=require)), *distinct).verdict is Verdict.ALLOW


@pytest.mark.parametrize("which", range(3))
def test_a_revoked_key_anywhere_in_the_chain(which: int) -> None:
    """Revoked by another cluster policy than the one that trusts the chain."""
    x509 = {"stores": {"ca": {"pem": root().pem.decode()}}, "identities": [ACME]}
    trusting = policy(spec({"name": "pki", "x509": x509}))
    revoking = policy(
        without(spec(revoked={"keys": [signer().chain[which].read.key.spki_sha256]}), "authorities"), "revoking"
    )
    found = evidence(notation.JWS, signer())
    assert verdict([trusting], found).verdict is Verdict.ALLOW
    report = verdict([trusting, revoking], found)
    assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.REVOKED})
