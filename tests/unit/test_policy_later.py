"""Fields whose judgement does not exist yet: a policy that uses one is refused, never half obeyed."""

import re
from typing import Any

import pytest

from controller.compile import compile_one
from controller.compile.compiled import Effect
from controller.errors import Code
from tests.fakes.policies import LIMITS, policy, spec
from tests.unit.policies_written import LATER as LATER_FIELDS
from tests.unit.policies_written import matching, refusal, with_require

LATER = [
    (spec(signatureRepositories=["registry.example.com/signatures"]), "spec.signatureRepositories"),
    (matching(matchConditions=[{"name": "prod", "expression": "true"}]), "spec.match.matchConditions"),
    (
        with_require(
            {"name": "a", "attestation": {"predicateType": "vuln", "of": ["ci"], "validations": [{"expression": "true"}]}}
        ),
        "spec.require[0].attestation.validations",
    ),
    (with_require({"name": "a", "vulnerabilities": {"of": ["ci"], "failOn": "High"}}), "spec.require[0].vulnerabilities"),
]


@pytest.mark.parametrize(("written", "field"), LATER)
def test_a_field_that_nothing_judges_yet_makes_the_policy_invalid(written: Any, field: str) -> None:
    error = refusal(written)
    assert (error.field, error.reason.code) == (field, Code.NOT_SUPPORTED_YET)
    assert "not supported yet" in str(error)


def test_documented_defaults_may_be_written_out() -> None:
    written = with_require(
        {
            "name": "a",
            "mode": "Enforce",
            "onMissing": "Deny",
            "onFailure": "Deny",
            "signature": {"threshold": 1, "of": ["ci"]},
        },
        {
            "name": "b",
            "sbom": {
                "of": ["ci"],
                "formats": ["CycloneDX", "SPDX"],
                "packages": {"deny": []},
                "licenses": {"deny": [], "allow": []},
                "requireSupplier": False,
            },
        },
        {"name": "c", "attestation": {"predicateType": "vuln", "of": ["ci"], "select": "Any", "validations": []}},
        mode="Enforce",
        onUnavailable="Deny",
        platforms="Index",
        signatureRepositories=[],
        revoked={"digests": [], "keys": [], "certificates": []},
    )
    written["match"] |= {"excludeImages": [], "namespaceSelector": {}, "objectSelector": {}, "matchConditions": []}
    written["authorities"][0]["transparencyLog"] = "Optional"
    compiled = compile_one(policy(written), LIMITS)
    assert [requirement.on_missing for requirement in compiled.requirements] == [Effect.DENY, Effect.WARN, Effect.DENY]


def test_every_field_of_later_is_refused_here() -> None:
    refused = {re.sub(r"\[\d+\]", "", field).removeprefix("spec.") for _, field in LATER}
    assert refused == set(LATER_FIELDS)


def test_null_is_an_absent_field() -> None:
    compiled = compile_one(policy(spec(require=None)), LIMITS)
    assert [requirement.name for requirement in compiled.requirements] == ["signed"]
