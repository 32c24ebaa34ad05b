"""The demonstration keeps its word: every scenario's verdict and reason, through the code that a person runs."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from controller.commands import demo
from controller.commands.demo import Outcome
from controller.decision.report import Verdict
from controller.demo.scenarios import SCENARIOS
from tests.fakes.commandline import run

EXPECTED: Mapping[str, str] = MappingProxyType(
    {
        "signed with cosign 2": "Allow",
        "signed with cosign 3": "Allow",
        "unsigned": "Deny NoEvidence",
        "signed with the wrong key": "Deny WrongKey",
        "another image's signature": "Deny WrongDigest",
        "hidden in an init container": "Deny NoEvidence",
        "keyless": "Allow",
        "keyless, another workflow's identity": "Deny WrongSubject",
        "signed with notation": "Allow",
        "signed with notation, under another root": "Deny CertificateUntrusted",
        "signed with OpenPGP": "Allow",
        "signed with OpenPGP, under another name": "Deny WrongIdentity",
        "two of three signers": "Allow",
        "one of three signers": "Deny ThresholdNotMet",
        "no SBOM": "Warn NoEvidence",
        "another image's SBOM": "Deny WrongDigest",
        "an SBOM of its own": "Allow",
        "a tag moved after signing": "Deny NoEvidence",
        "registry out of reach": "Deny Unreachable",
    }
)
"""Written out once more: a scenario whose expectation was changed to fit must not pass for it."""

SAYS: Mapping[str, str] = MappingProxyType(
    {
        "unsigned": "policy corp, signed: expected a signature by release (key SHA256:",
        "signed with the wrong key": "found 1, by key hint SHA256:",
        "another image's signature": "found 1, the signature is about another image: sha256:",
        "hidden in an init container": "(container init, /spec/template/spec/initContainers/0/image)",
        "keyless, another workflow's identity": "policy platform, signed: expected a signature by workflow (",
        "signed with notation, under another root": "expected a signature by pki (",
        "signed with OpenPGP, under another name": "vendor/agent:1.0",
        "one of three signers": "expected signatures by 2 of alice, bob, carol, each by another signer; found bob; missing",
        "no SBOM": "policy catalog, bill-of-materials: ",
        "another image's SBOM": "policy catalog, bill-of-materials: the statement is about another image",
        "a tag moved after signing": "; found none. Next: sign this digest with a key the policy trusts",
        "registry out of reach": "(the connection broke: connection refused). Next: check the registry's name; try again",
    }
)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {outcome.scenario.name: outcome for outcome in asyncio.run(demo.play(SCENARIOS))}


def test_every_scenario_is_expected_here_and_the_other_way_round() -> None:
    assert [scenario.name for scenario in SCENARIOS] == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_the_scenario_comes_out_as_it_must(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert outcome.came == EXPECTED[name]
    assert outcome.allowed is not EXPECTED[name].startswith("Deny")
    assert outcome.as_expected


@pytest.mark.parametrize("name", SAYS)
def test_the_webhook_says_why(outcomes: dict[str, Outcome], name: str) -> None:
    outcome = outcomes[name]
    assert SAYS[name] in " ".join([outcome.message, *outcome.warnings])


def test_only_the_missing_sbom_warns(outcomes: dict[str, Outcome]) -> None:
    assert [name for name, outcome in outcomes.items() if outcome.warnings] == ["no SBOM"]


def test_the_signed_image_beside_a_hidden_one_is_not_blamed(outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes["hidden in an init container"]
    assert [report.verdict for report in outcome.reports] == [Verdict.ALLOW, Verdict.DENY]
    assert "shop/app" not in outcome.message


@pytest.fixture
def any_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "_REGISTRY_PORT", 0)


def test_the_command_tells_each_scenario(any_port: None) -> None:
    ran = run("demo", "--only", "signed with cosign", "--only", "unsigned", "--only", "no sbom")
    assert ran.code == 0
    assert ran.lines[-1] == "4 scenarios, all as expected."
    for part in (
        "1. signed with cosign 2",
        "webhook: allowed",
        "webhook: denied: 127.0.0.1:",
        "warning: 127.0.0.1:",
        "└─ ✓",
    ):
        assert part in ran.out
    assert ran.err == ""


def test_the_command_writes_the_documented_json(any_port: None) -> None:
    ran = run("demo", "--only", "unsigned", "-o", "json")
    (scenario,) = ran.document["scenarios"]
    assert ran.code == 0
    assert (scenario["name"], scenario["came"], scenario["asExpected"]) == ("unsigned", "Deny NoEvidence", True)
    assert scenario["response"]["allowed"] is False
    assert scenario["images"][0]["policies"][0]["name"] == "corp"


def test_what_does_not_come_out_as_expected_fails_the_command(any_port: None, monkeypatch: pytest.MonkeyPatch) -> None:
    unsigned = next(scenario for scenario in SCENARIOS if scenario.name == "unsigned")
    monkeypatch.setattr(demo, "SCENARIOS", (replace(unsigned, verdict=Verdict.ALLOW),))
    ran = run("demo")
    assert ran.code == 1
    assert "not as expected: unsigned" in ran.lines[-1]
    assert "NOT AS EXPECTED: expected Allow NoEvidence, came Deny NoEvidence" in ran.out


def test_a_scenario_that_cannot_be_played_is_named_and_left_out(any_port: None, monkeypatch: pytest.MonkeyPatch) -> None:
    able = next(scenario for scenario in SCENARIOS if scenario.name == "unsigned")
    unable = replace(able, name="signed with magic", needs=lambda: False)
    monkeypatch.setattr(demo, "SCENARIOS", (able, unable))
    ran = run("demo")
    assert (ran.code, ran.lines[-1]) == (0, "1 scenario, as expected.")
    assert "left out, because the extra it needs is not installed: signed with magic" in ran.err


def test_no_scenario_is_no_success(any_port: None) -> None:
    ran = run("demo", "--only", "unsigned", "--only", "nonsense")
    assert (ran.code, ran.out) == (2, "")
    assert "--only: no scenario has these words in its name: expected signed with cosign 2, " in ran.err
    assert "found 'nonsense'" in ran.err
