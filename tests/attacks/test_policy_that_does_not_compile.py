"""Row 39: a policy that does not compile, or a misspelt restriction, fails open."""

from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.errors import Code, Reason
from controller.registry.discovery import Gap
from tests.fakes.evidence import image_bundle, signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import authority, key, policy, reason_codes, spec, verdict

IMAGES = ["registry.example.com/shop/**"]
SIGNED = (signature(signing_key()), image_bundle(signing_key()))

MISSPELT = [
    spec(requires=[{"name": "two", "signature": {"threshold": 2}}]),
    spec(require=[{"name": "two", "signature": {"treshold": 2}}]),
    spec(require=[{"name": "bill", "sbom": {"packages": {"denny": ["pkg:npm/event-stream@3.3.6"]}}}]),
    spec(match={"images": IMAGES, "exclude": ["*/**"]}),
    spec(Revoked={"digests": ["sha256:" + "a" * 64]}),
    spec({"name": "release", "keys": [key()], "transparancyLog": "Required"}),
]
NOT_COMPILING = [
    spec({"name": "release", "keys": [{"pem": "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"}]}),
    spec(match={"images": ["nginx"]}),
    spec(match={"images": [*IMAGES, "registry.example.com/***"]}),
    spec(authority(), authority()),
    spec(require=[]),
    spec(require=[{"name": "x", "signature": {"of": ["nobody"]}}]),
    spec(mode="enforce"),
    spec(signatureRepositories=["registry.example.com/signatures"]),
    {},
    None,
    "mode: Audit",
]


@pytest.mark.parametrize("written", [*MISSPELT, *NOT_COMPILING])
def test_what_it_matches_is_refused_however_well_signed(written: Any) -> None:
    report = verdict(policy(written), *SIGNED)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) & {Code.INVALID_POLICY, Code.INVALID_KEY, Code.INVALID_REFERENCE, Code.NOT_SUPPORTED_YET}
    assert str(report.policies[0].policy) == "corp"


@pytest.mark.parametrize("written", MISSPELT)
def test_the_misspelling_is_named(written: Any) -> None:
    (result,) = verdict(policy(written), *SIGNED).policies
    assert "unknown field: expected" in str(result.reason)


@pytest.mark.parametrize(("mode", "expected"), [("Enforce", Verdict.DENY), ("Warn", Verdict.WARN), ("Audit", Verdict.AUDIT)])
def test_it_fails_in_its_own_mode(mode: str, expected: Verdict) -> None:
    report = verdict(policy(spec(mode=mode, signatureRepositories=["registry.example.com/signatures"])), *SIGNED)
    assert report.verdict is expected
    assert reason_codes(report) == {Code.NOT_SUPPORTED_YET}


def test_an_unreadable_mode_is_the_strictest() -> None:
    report = verdict(policy(spec(mode={"Audit": True})), *SIGNED)
    assert report.verdict is Verdict.DENY


def test_an_unreadable_scope_is_everything_in_reach() -> None:
    broken = spec(match={"images": "registry.example.com/shop/**"})
    assert verdict(policy(broken), *SIGNED, image="docker.io/library/nginx").verdict is Verdict.DENY
    inside = [policy(broken, namespace="shop"), policy(spec())]
    assert verdict(inside, *SIGNED).verdict is Verdict.DENY
    outside = [policy(broken, namespace="other"), policy(spec())]
    assert verdict(outside, *SIGNED).verdict is Verdict.ALLOW


def test_on_unavailable_does_not_soften_it() -> None:
    away = Gap("registry.example.com", Reason(Code.UNREACHABLE, "no answer"), settled=False)
    report = verdict(
        policy(spec(onUnavailable="Warn", signatureRepositories=["registry.example.com/signatures"])), gaps=[away]
    )
    assert report.verdict is Verdict.DENY


def test_another_policy_that_passes_does_not_help() -> None:
    report = verdict(
        [policy(spec(signatureRepositories=["registry.example.com/signatures"]), "broken"), policy(spec(), "fine")], *SIGNED
    )
    assert report.verdict is Verdict.DENY
    assert [str(each.policy) for each in report.policies if each.reason] == ["broken"]
