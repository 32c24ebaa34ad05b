"""Rows 36 and 1: an SBOM, scan or provenance counted as an image signature, the reverse, and one type for another."""

from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.errors import Code
from controller.evidence import COSIGN_SIGN_PREDICATE
from controller.policy.predicate_types import CYCLONEDX, SPDX
from tests.fakes.evidence import attestation, bundle, image_bundle, signature, statement
from tests.fakes.keys import signing_key
from tests.fakes.policies import policy, reason_codes, spec, verdict

KEY = signing_key()
VULN = "https://cosign.sigstore.dev/attestation/vuln/v1"
SLSA = "https://slsa.dev/provenance/v1"


def requiring(**rule: Any) -> Any:
    return policy(spec(require=[{"name": "it", "onMissing": "Deny", **rule}]))


@pytest.mark.parametrize("kind", [SPDX, CYCLONEDX, VULN, SLSA, "https://example.com/review", f"{COSIGN_SIGN_PREDICATE}x"])
@pytest.mark.parametrize("stored", [attestation, bundle])
def test_no_attestation_is_an_image_signature(kind: str, stored: Any) -> None:
    report = verdict(policy(spec()), stored(statement(kind), KEY))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.WRONG_PREDICATE_TYPE}
    assert f"no signature, only attestations of type {kind}" in str(report.policies[0].requirements[0].reason)


@pytest.mark.parametrize("signed", [signature(KEY), image_bundle(KEY)])
@pytest.mark.parametrize("rule", [{"sbom": {}}, {"attestation": {"predicateType": "vuln"}}])
def test_no_image_signature_is_an_attestation(signed: Any, rule: dict[str, Any]) -> None:
    report = verdict(requiring(**rule), signed)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.NO_EVIDENCE}


def test_the_predicate_of_a_signature_cannot_even_be_asked_for_as_an_attestation() -> None:
    report = verdict(requiring(attestation={"predicateType": COSIGN_SIGN_PREDICATE}), image_bundle(KEY))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.INVALID_POLICY}


@pytest.mark.parametrize(("found", "rule"), [(VULN, {"sbom": {}}), (SPDX, {"attestation": {"predicateType": "vuln"}})])
def test_one_type_does_not_stand_for_another(found: str, rule: dict[str, Any]) -> None:
    """CVE-2022-35929: only a signed scan is there, the policy wants SPDX."""
    report = verdict(requiring(**rule), attestation(statement(found), KEY), signature(KEY))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.WRONG_PREDICATE_TYPE}
    assert f"found only {found}" in str(report.policies[0].requirements[0].reason)


def test_the_type_is_read_from_signed_bytes_and_not_from_annotations() -> None:
    lying = attestation(statement(VULN), KEY)
    object.__setattr__(lying, "annotations", {"predicateType": SPDX})
    report = verdict(requiring(sbom={}), lying)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.WRONG_PREDICATE_TYPE}
