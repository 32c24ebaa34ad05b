"""What becomes of evidence, requirement by requirement."""

from dataclasses import replace
from typing import Any

import pytest

from controller.decision.decide import decide, unresolved
from controller.decision.findings import Findings, Piece
from controller.decision.report import Named, Outcome, Report, RequirementResult, Verdict
from controller.errors import Code, Reason, Refused, Undecided
from controller.policy.predicate_types import CYCLONEDX, SPDX
from controller.reference import Reference
from controller.registry.discovery import Gap
from controller.settings import Unmatched
from tests.fakes.evidence import IMAGE, OTHER, attestation, image_bundle, signature, statement
from tests.fakes.keys import signing_key
from tests.fakes.policies import (
    IMAGE_NAME,
    applied,
    authority,
    policy,
    reason_codes,
    snapshot,
    spec,
    verdict,
)

NAMED = Named(IMAGE_NAME, "/spec/containers/0/image", "web")
REFERENCE = Reference.parse(IMAGE_NAME)
AWAY = Gap("registry.example.com", Reason(Code.UNREACHABLE, "no answer", found="connection refused"), settled=False)
TOO_MANY = Gap("tag sha256-ab.sig", Reason(Code.LIMIT_EXCEEDED, "too many signatures", "at most 64", "10000"), settled=True)
ROT = Gap("referrer sha256:12", Reason(Code.MALFORMED, "bundle is not JSON"), settled=False)
THREE = (authority("release"), authority("ci"), authority("security"))
OF_THREE = {"of": ["release", "ci", "security"]}


def signed(**rule: Any) -> list[dict[str, Any]]:
    return [{"name": "signed", "signature": rule}]


def bill(**fields: Any) -> dict[str, Any]:
    return spec(require=[{"name": "bill", "sbom": {}, **fields}])


def result(report: Report) -> RequirementResult:
    """The only requirement of the only policy."""
    (one,) = report.policies
    (requirement,) = one.requirements
    return requirement


def said(report: Report) -> str:
    reason = result(report).reason
    assert reason
    return f"expected {reason.expected}; found {reason.found}"


def fingerprint(name: str) -> str:
    return f"SHA256:{signing_key(name).fingerprint[:12]}…"


# Signatures


def test_a_signature_by_the_authority_passes_and_says_by_whom() -> None:
    for evidence in (signature(signing_key()), image_bundle(signing_key())):
        report = verdict(policy(spec()), evidence)
        assert report.verdict is Verdict.ALLOW
        (check,) = result(report).checks
        assert (check.authority, check.signer, check.reason) == ("release", f"key {fingerprint('release')}", None)


def test_an_unsigned_image_is_refused_in_the_words_of_the_design() -> None:
    report = verdict(policy(spec()))
    assert (report.verdict, result(report).outcome) == (Verdict.DENY, Outcome.MISSING)
    assert reason_codes(report) == {Code.NO_EVIDENCE}
    assert said(report) == f"expected a signature by release (key {fingerprint('release')}); found none"


def test_a_foreign_signature_is_shown_by_its_key() -> None:
    report = verdict(policy(spec()), image_bundle(signing_key("foreign")))
    assert reason_codes(report) == {Code.WRONG_KEY}
    expected = f"a signature by release (key {fingerprint('release')})"
    assert said(report) == f"expected {expected}; found 1, by key hint {fingerprint('foreign')}"


def test_a_signature_of_another_image_is_told_as_that() -> None:
    report = verdict(policy(spec()), signature(signing_key(), OTHER), signature(signing_key("foreign")))
    assert reason_codes(report) == {Code.WRONG_DIGEST}
    assert "found 2, none of them believed: the signature is about another image" in said(report)


QUORUM = [
    (("release", "ci"), "Allow", ""),
    (("release",), "Deny", "found release; missing one of ci, security"),
    ((), "Deny", "found none"),
]


@pytest.mark.parametrize(("signers", "expected", "words"), QUORUM)
def test_two_of_three(signers: tuple[str, ...], expected: str, words: str) -> None:
    written = policy(spec(*THREE, require=signed(threshold=2, **OF_THREE)))
    report = verdict(written, *(signature(signing_key(name)) for name in signers))
    assert report.verdict.value == expected
    if words:
        assert said(report) == f"expected signatures by 2 of release, ci, security, each by another signer; {words}"
        assert reason_codes(report) == {Code.THRESHOLD_NOT_MET if signers else Code.NO_EVIDENCE}


def test_all_of_three_names_everybody_who_is_missing() -> None:
    written = policy(spec(*THREE, require=signed(threshold=3, **OF_THREE)))
    assert said(verdict(written, signature(signing_key("ci")))).endswith("found ci; missing release, security")


def test_roles_are_named() -> None:
    roles = (
        authority("release", role="engineering"),
        authority("ci", role="engineering"),
        authority("security", role="quality"),
    )
    written = policy(spec(*roles, require=signed(threshold=2, perRole={"quality": 1}, **OF_THREE)))
    report = verdict(written, signature(signing_key("release")), signature(signing_key("ci")))
    assert reason_codes(report) == {Code.ROLE_NOT_MET}
    assert said(report) == (
        "expected signatures by 2 of release, ci, security, 1 as quality, each by another signer; "
        "found release, ci; missing 1 as quality"
    )


def test_one_signer_cannot_stand_for_two_roles() -> None:
    roles = (authority("a", "release", role="x"), authority("b", "release", role="y"))
    written = policy(spec(*roles, require=signed(of=["a", "b"], perRole={"x": 1, "y": 1})))
    report = verdict(written, signature(signing_key("release")))
    assert reason_codes(report) == {Code.ROLE_NOT_MET}
    assert "one signer cannot stand for two roles" in said(report)


def test_annotations_are_told_as_expected_and_found() -> None:
    written = policy(spec(require=signed(annotations={"env": "prod"})))
    report = verdict(written, signature(signing_key()))
    assert reason_codes(report) == {Code.WRONG_ANNOTATION}
    assert said(report).endswith("with env=prod; found 1, the signature holds, its annotations do not: no annotation env")


# Statements


def attested(kind: str = SPDX, by: str = "release", about: Any = IMAGE) -> Any:
    return attestation(statement(kind, None, about), signing_key(by))


def test_a_missing_sbom_warns_by_default() -> None:
    report = verdict(policy(bill()), signature(signing_key()))
    assert (report.verdict, result(report).outcome) == (Verdict.WARN, Outcome.MISSING)
    assert reason_codes(report) == {Code.NO_EVIDENCE}
    assert said(report).endswith("found none")


@pytest.mark.parametrize("kind", [SPDX, f"{SPDX}/v2.3", CYCLONEDX])
def test_an_sbom_passes(kind: str) -> None:
    assert verdict(policy(bill(onMissing="Deny")), attested(kind)).verdict is Verdict.ALLOW


@pytest.mark.parametrize("kind", [f"{SPDX}/v2.3/x", f"{SPDX}s", f"{CYCLONEDX}/v1.4", f"{SPDX}/vuln"])
def test_a_type_that_only_looks_like_an_sbom_does_not(kind: str) -> None:
    report = verdict(policy(bill(onMissing="Deny")), attested(kind))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.WRONG_PREDICATE_TYPE}
    assert f"found only {kind}" in said(report)


def test_an_sbom_about_another_image_is_a_failure_and_not_an_absence() -> None:
    report = verdict(policy(bill(onMissing="Ignore")), attested(about=OTHER))
    assert (report.verdict, result(report).outcome) == (Verdict.DENY, Outcome.FAILED)
    assert reason_codes(report) == {Code.WRONG_DIGEST}


def test_an_sbom_by_somebody_else_is_an_absence_and_shown() -> None:
    report = verdict(policy(bill()), attested(by="foreign", about=OTHER))
    assert (report.verdict, result(report).outcome) == (Verdict.WARN, Outcome.MISSING)
    assert reason_codes(report) == {Code.WRONG_KEY}


def test_a_signature_by_somebody_else_is_not_told_as_an_sbom() -> None:
    hints = {"dev.sigstore.bundle.predicateType": "https://sigstore.dev/cosign/sign/v1"}
    bundle = replace(image_bundle(signing_key("foreign")), annotations=hints)
    report = verdict(policy(bill()), signature(signing_key("foreign")), bundle)
    assert said(report).endswith("found none")
    assert result(report).checks == ()


def test_one_good_statement_suffices_beside_a_contradicting_one() -> None:
    report = verdict(policy(bill()), attested(about=OTHER), attested())
    assert report.verdict is Verdict.ALLOW


# What could not be looked at


@pytest.mark.parametrize("gap", [AWAY, ROT])
def test_a_source_that_did_not_answer_leaves_a_no_open(gap: Gap) -> None:
    report = verdict(policy(spec()), signature(signing_key("foreign")), gaps=[gap])
    assert (report.verdict, result(report).outcome) == (Verdict.DENY, Outcome.UNDECIDED)
    assert report.undecided
    assert report.cached_until == 0.0
    assert gap.place in said(report)


def test_what_was_found_passes_although_another_source_did_not_answer() -> None:
    report = verdict(policy(spec()), signature(signing_key()), gaps=[AWAY])
    assert report.verdict is Verdict.ALLOW
    assert not report.undecided


def test_a_source_that_was_refused_is_a_no_with_the_limits_name() -> None:
    report = verdict(policy(spec()), gaps=[TOO_MANY])
    assert (report.verdict, result(report).outcome) == (Verdict.DENY, Outcome.FAILED)
    assert reason_codes(report) == {Code.LIMIT_EXCEEDED}
    assert "too many signatures: expected at most 64; found 10000" in said(report)
    assert not report.undecided


def test_a_refused_source_makes_a_missing_sbom_a_failure() -> None:
    """Else whoever can make a source unreadable chooses the softer of the two effects."""
    report = verdict(policy(bill()), gaps=[TOO_MANY])
    assert (report.verdict, result(report).outcome) == (Verdict.DENY, Outcome.FAILED)


def test_unreadable_pieces_are_shown_as_found() -> None:
    report = verdict(policy(spec()), unreadable=[ROT])
    assert said(report).endswith("found 1 unreadable: bundle is not JSON")
    assert result(report).outcome is Outcome.MISSING


def test_on_unavailable_covers_a_registry_out_of_reach() -> None:
    report = verdict(policy(spec(onUnavailable="Warn")), gaps=[AWAY])
    assert (report.verdict, report.undecided) == (Verdict.WARN, True)
    assert reason_codes(report) == {Code.UNREACHABLE}


def test_an_authority_that_could_not_be_loaded_is_undecided_and_others_count() -> None:
    current = snapshot(policy(spec(authority("release"), authority("ci"), require=signed(of=["release", "ci"]))))
    release, ci = (each.judge.fingerprint for each in current.policies[0].authorities)
    away = Undecided(Code.UNREACHABLE, "the key of ci", source="Secret sec/keys")
    evidence = signature(signing_key())

    def judged(answer: Any) -> Report:
        findings = Findings(IMAGE, pieces=(Piece(evidence, {release: answer, ci: away}),))
        return decide(NAMED, REFERENCE, applied(current), findings, Unmatched.DENY)

    facts = current.policies[0].authorities[0].judge.judge(evidence, IMAGE, 0.0)
    assert judged(facts).verdict is Verdict.ALLOW
    refused = judged(Refused(Code.WRONG_KEY, "no trusted key made this signature"))
    assert (refused.verdict, result(refused).outcome) == (Verdict.DENY, Outcome.UNDECIDED)


def test_a_piece_that_nobody_judged_is_undecided() -> None:
    current = snapshot(policy(bill()))
    findings = Findings(IMAGE, pieces=(Piece(attested(), {}),))
    report = decide(NAMED, REFERENCE, applied(current), findings, Unmatched.DENY)
    assert (report.verdict, result(report).outcome) == (Verdict.DENY, Outcome.UNDECIDED)


def test_an_open_question_is_not_remembered_behind_a_settled_no() -> None:
    both = [*signed(), {"name": "listed", "mode": "Warn", "digests": [str(OTHER)]}]
    report = verdict(policy(spec(require=both)), gaps=[AWAY])
    assert report.policies[0].outcome is Outcome.FAILED
    assert report.undecided
    assert report.cached_until == 0.0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"mode": "Warn"}, Verdict.WARN),
        ({"mode": "Audit"}, Verdict.AUDIT),
        ({"onFailure": "Warn"}, Verdict.WARN),
        ({"onMissing": "Ignore", "onFailure": "Ignore"}, Verdict.ALLOW),
        ({}, Verdict.DENY),
    ],
)
def test_a_requirement_that_could_never_deny_does_not_begin_to(fields: dict[str, Any], expected: Verdict) -> None:
    assert verdict(policy(bill(**fields)), gaps=[AWAY]).verdict is expected
    current = snapshot(policy(bill(**fields)))
    error = Undecided(Code.UNREACHABLE, "registry.example.com")
    assert unresolved(NAMED, REFERENCE, applied(current), error, Unmatched.DENY).verdict is expected
