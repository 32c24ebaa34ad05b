"""Row 10: a threshold met by one key or log many times (CVE-2026-49834)."""

from typing import Any

import pytest

from controller.decision.report import Report, Verdict
from controller.demo.signingkeys import KeyType
from controller.errors import Code
from tests.fakes.evidence import attestation, image_bundle, signature, statement
from tests.fakes.keys import signing_key
from tests.fakes.policies import authority, policy, reason_codes, spec, verdict


def quorum(*authorities: dict[str, Any], threshold: int = 2) -> Any:
    of = [each["name"] for each in authorities]
    return policy(spec(*authorities, require=[{"name": "two", "signature": {"threshold": threshold, "of": of}}]))


def reason(report: Report) -> str:
    return str(report.policies[0].requirements[0].reason)


def test_the_same_key_signing_twice_counts_once() -> None:
    both = authority("a", "one", "two"), authority("b", "one", "two")
    twice = [signature(signing_key("one")), signature(signing_key("one")), image_bundle(signing_key("one"))]
    report = verdict(quorum(*both), *twice)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.THRESHOLD_NOT_MET}
    assert "a; missing b (by a signer that counts already)" in reason(report)
    assert verdict(quorum(*both), *twice, signature(signing_key("two"))).verdict is Verdict.ALLOW


def test_the_same_key_in_two_authorities_counts_once() -> None:
    report = verdict(quorum(authority("a", "one"), authority("b", "one")), signature(signing_key("one")))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.THRESHOLD_NOT_MET}


def test_the_same_key_under_two_names_and_two_encodings_counts_once() -> None:
    pem = signing_key("one").public_pem
    folded = pem.replace("\n", "\r\n")
    written = {"name": "a", "keys": [{"name": "x", "pem": pem}]}, {"name": "b", "keys": [{"name": "y", "pem": folded}]}
    report = verdict(quorum(*written), signature(signing_key("one")))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.THRESHOLD_NOT_MET}


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_a_shared_signer_is_given_to_the_authority_that_needs_it(order: tuple[str, str]) -> None:
    """{A, B} and {B}, signed by A and B, are two: taking B for the first would refuse a quorum that is met."""
    report = verdict(
        quorum(authority("first", "A", "B"), authority("second", "B")), *(signature(signing_key(name)) for name in order)
    )
    assert report.verdict is Verdict.ALLOW


def test_one_key_in_two_roles_fills_one() -> None:
    written = spec(
        authority("a", "one", role="dev"),
        authority("b", "one", role="qa"),
        require=[{"name": "roles", "signature": {"of": ["a", "b"], "perRole": {"dev": 1, "qa": 1}}}],
    )
    report = verdict(policy(written), signature(signing_key("one")))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.ROLE_NOT_MET}


def test_an_envelope_signed_twice_by_one_key_counts_once() -> None:
    key = signing_key("one", KeyType.P256)
    content = statement("https://sigstore.dev/cosign/sign/v1")
    report = verdict(quorum(authority("a", "one"), authority("b", "one")), attestation(content, key, key))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.THRESHOLD_NOT_MET}
