import json
from dataclasses import replace

import pytest

from controller.admission.response import MAX_AUDIT_VALUE, MAX_MESSAGE, MAX_WARNING, MAX_WARNINGS, bounded
from controller.compile.compiled import Effect, PolicyId
from controller.decision.report import Named, Outcome, Report, RequirementResult, Verdict
from controller.errors import Code, Reason
from controller.policy.words import Mode
from controller.reference import Reference
from controller.render.advice import next_step
from controller.render.refusal import answer
from tests.fakes import reports


def test_a_refusal_says_which_image_where_by_which_policy_what_was_expected_what_was_found_and_what_to_do() -> None:
    assert answer([reports.refused()]).message == (
        f"registry.example.com/shop/web:1.4@{reports.DIGEST.short}… (container web, /spec/containers/0/image): "
        "policy corp, signed: expected a signature by release (key SHA256:ab12cd34ef56…); "
        "found 1, by key SHA256:9c41aa00bb11…. "
        "Next: sign this digest with a key the policy trusts: cosign sign --key KEY IMAGE; "
        "details: sigward explain registry.example.com/shop/web:1.4"
    )


def test_what_was_found_does_not_vanish_behind_a_long_expectation() -> None:
    wanted, found = (
        f"a signature by ci (identity https://{'a' * 300}.example)",
        "1, signed by somebody else: URI https://b.example/x",
    )
    reason = Reason(Code.WRONG_SUBJECT, "not met", wanted, found)
    refused = reports.report(Verdict.DENY, reports.failed(reason, Outcome.FAILED))
    text = answer([refused]).message
    assert len(text) <= 400
    assert "expected a signature by ci (identity https://aaa" in text
    assert found in text


def test_what_was_not_answered_says_whom_to_ask_and_names_no_digest() -> None:
    assert answer([reports.undecided()]).message == (
        "registry.example.com/shop/web:1.4 (container web, /spec/containers/0/image): policy corp: "
        "image: registry.example.com did not answer (the connection broke: refused). "
        "Next: check the registry's name; try again; if it lasts, tell whoever runs the registry; "
        "details: sigward explain registry.example.com/shop/web:1.4"
    )


def test_policies_that_say_the_same_are_named_together() -> None:
    base = PolicyId("ClusterTrustPolicy", "", "base")
    both = replace(
        reports.undecided(),
        policies=tuple(reports.failed(reports.UNREACHABLE, Outcome.UNDECIDED, name) for name in (reports.CORP, base)),
    )
    assert "policies corp, base: image: registry.example.com did not answer" in answer([both]).message


def test_a_settled_cause_is_told_before_an_open_one() -> None:
    other = reports.failed(reports.UNREACHABLE, Outcome.UNDECIDED, PolicyId("ClusterTrustPolicy", "", "base"))
    both = reports.report(Verdict.DENY, other, reports.policy(reports.WRONGLY_SIGNED))
    text = answer([both]).message
    assert "policy corp, signed: expected a signature" in text
    assert text.index("policy corp") < text.index("policy base") if "policy base" in text else "(+1 more)" in text


def test_an_image_that_nobody_can_read_is_refused_by_no_policy() -> None:
    reason = Reason(Code.INVALID_REFERENCE, "image reference 'UPPER/x': the registry is not a host name")
    text = answer([Report(Named("UPPER/x", "/spec/containers/0/image", "web"), Verdict.DENY, reason=reason)]).message
    assert text == (
        "UPPER/x (container web, /spec/containers/0/image): image reference 'UPPER/x': the registry is not a host name. "
        "Next: correct the image's name: registry/repository:tag or @sha256:…; details: sigward explain UPPER/x"
    )


def test_every_image_is_named_with_its_pointer_and_two_are_told_in_full() -> None:
    refused = [reports.refused(number, f"registry.example.com/shop/part-{number}:1") for number in range(20)]
    text = answer(refused).message
    assert text.count("Next: ") == 2
    assert "+18 more: registry.example.com/shop/part-2:1 (container web-2, /spec/containers/2/image), " in text
    assert all(f"/shop/part-{n}:1" in text and f"/spec/containers/{n}/image" in text for n in range(20))
    assert len(text) <= MAX_MESSAGE


def test_more_images_than_a_message_holds_are_in_the_audit_annotations() -> None:
    refused = [reports.refused(number, f"registry.example.com/{'long/' * 40}part-{number}:1") for number in range(300)]
    said = answer(refused)
    assert len(said.message) <= MAX_MESSAGE
    assert "/spec/containers/40/image" in said.message
    assert all(len(value) <= MAX_AUDIT_VALUE for value in said.audit.values())
    audited = [entry for value in said.audit.values() for entry in json.loads(value)]
    assert [entry["pointer"] for entry in audited] == [f"/spec/containers/{n}/image" for n in range(300)]
    assert {entry["verdict"] for entry in audited} == {"Deny"}


def test_only_what_is_denied_is_in_the_message() -> None:
    said = answer([reports.allowed(), reports.refused(1, "registry.example.com/shop/db:2")])
    assert not said.allowed
    assert said.message.startswith("registry.example.com/shop/db:2")
    assert "more:" not in said.message


def test_an_allowed_object_has_no_message_and_an_audit_line() -> None:
    said = answer([reports.allowed()])
    assert (said.allowed, said.message, said.warnings) == (True, "", ())
    assert json.loads(said.audit["images"]) == [
        {
            "image": reports.IMAGE,
            "pointer": "/spec/containers/0/image",
            "digest": str(reports.DIGEST),
            "verdict": "Allow",
            "policies": ["corp"],
        }
    ]


def test_a_warning_says_what_is_missing() -> None:
    said = answer([reports.warned()])
    assert said.allowed
    assert list(said.warnings) == [
        f"{reports.IMAGE}: policy corp, bill: missing: expected an SBOM of type https://cyclonedx.org/bom by ci"
    ]


def test_an_unsigned_image_that_a_policy_lets_in_warns_on_every_use() -> None:
    note = Reason(Code.UNSIGNED_ALLOWED, "admitted without a signature, as the policy says: vendor does not sign")
    let_in = RequirementResult("vendor", "unsafeAllowUnsigned", Outcome.PASS, Effect.WARN, note)
    said = answer([reports.report(Verdict.WARN, reports.policy(let_in))])
    assert said.allowed
    why = "admitted without a signature, as the policy says: vendor does not sign"
    assert list(said.warnings) == [f"{reports.IMAGE}: policy corp, vendor: {why}"]


def test_evidence_from_before_an_outage_and_an_image_nobody_is_about_are_warned_of() -> None:
    unmatched = Reason(Code.UNMATCHED, "no cluster policy is about this image", found="registry.example.com/shop/web")
    said = answer([replace(reports.report(Verdict.WARN), reason=unmatched), replace(reports.allowed(), stale=True)])
    assert said.warnings == (
        "registry.example.com/shop/web:1.4: no cluster policy is about this image (registry.example.com/shop/web)",
        "registry.example.com/shop/web:1.4: judged on evidence from before its registry went out of reach",
    )


def test_a_policy_in_warn_mode_is_no_reason_to_call_the_image_unmatched() -> None:
    unmatched = Reason(Code.UNMATCHED, "no cluster policy is about this image")
    said = answer([replace(reports.warned(), reason=unmatched)])
    assert [warning for warning in said.warnings if "no cluster policy" in warning] == []


def test_equal_warnings_are_given_once_and_all_stay_within_what_kubernetes_shows() -> None:
    said = answer([reports.warned()] * 3)
    assert len(said.warnings) == 1
    no_sbom = reports.policy(reports.NO_SBOM)
    many = [reports.report(Verdict.WARN, no_sbom, image=f"r.example/{'x' * 80}/{number}") for number in range(99)]
    shown = bounded(answer(many).warnings)
    assert len(shown) > 10
    assert all(len(warning) <= MAX_WARNING for warning in shown)
    assert sum(map(len, shown)) <= MAX_WARNINGS


HOSTILE = "line one\nadmission allowed\x1b[2J\u202egnp.exe\u2028 \x00" + "A" * 5000


def test_text_from_outside_is_one_bounded_line_without_control_characters() -> None:
    reason = replace(reports.UNREACHABLE, found=HOSTILE)
    requirement = replace(reports.NO_SBOM, reason=replace(reason, code=Code.REGISTRY_ERROR))
    name = Named(HOSTILE, f"/spec/{HOSTILE}", HOSTILE)
    denied = Report(name, Verdict.DENY, policies=(reports.failed(reason), reports.policy(requirement)))
    said = answer([denied])
    for text in (said.message, *said.warnings, *said.audit.values()):
        assert text.isprintable()
    assert len(said.message) <= 400
    assert "line one admission allowed" in said.message
    assert len(said.warnings[0]) <= MAX_WARNING


@pytest.mark.parametrize("length", [1, 60, 120, 200, 255])
@pytest.mark.parametrize("reason", [10, 100, 2000])
def test_one_image_takes_at_most_400_characters_and_always_says_what_to_do(length: int, reason: int) -> None:
    image = f"registry.example.com/{'a' * length}:1.4"
    said = RequirementResult("signed", "signature", Outcome.FAILED, Effect.DENY, Reason(Code.WRONG_KEY, "w " * reason))
    denied = reports.report(Verdict.DENY, reports.policy(said, said, reports.NO_SBOM), image=image)
    text = answer([replace(denied, reference=Reference.parse(image))]).message
    assert len(text) <= 400
    assert "/spec/containers/0/image" in text
    assert "policy corp, signed: w w w" in text
    assert ". Next: sign this digest with a key the policy trusts" in text


def test_several_causes_are_told_as_far_as_they_fit_and_the_others_counted() -> None:
    causes = tuple(
        RequirementResult(f"rule-{n}", "digests", Outcome.FAILED, Effect.DENY, Reason(Code.DIGEST_NOT_LISTED, "no " * 15))
        for n in range(6)
    )
    text = answer([reports.report(Verdict.DENY, reports.policy(*causes))]).message
    assert len(text) <= 400
    assert "rule-0" in text
    assert " more). Next: deploy a digest that the policy lists" in text


def test_a_denial_without_a_cause_is_shown_as_the_fault_it_is() -> None:
    broken = reports.report(Verdict.DENY, reports.policy(reports.SIGNED))
    assert "refused without a reason given. Next: report this" in answer([broken]).message


@pytest.mark.parametrize("code", list(Code))
def test_every_reason_has_a_next_step(code: Code) -> None:
    step = next_step(code)
    assert step is not next_step(Code.INTERNAL) or code is Code.INTERNAL, "add it to controller/render/advice.py"
    assert str(step).isprintable()
    assert len(str(step)) <= 160


@pytest.mark.parametrize(
    ("kind", "command"),
    [("signature", "cosign sign "), ("attestation", "cosign attest "), ("sbom", "--type cyclonedx --predicate sbom.json")],
)
@pytest.mark.parametrize("code", [Code.NO_EVIDENCE, Code.WRONG_KEY, Code.WRONG_PREDICATE_TYPE, Code.SIGNATURE_INVALID])
def test_what_is_missing_decides_which_command_helps(code: Code, kind: str, command: str) -> None:
    assert command in next_step(code, kind).command


def test_an_sbom_of_another_image_is_made_again_and_a_signature_of_another_image_too() -> None:
    assert next_step(Code.WRONG_DIGEST, "sbom").text == "make the document from this very image and attest it again"
    assert next_step(Code.WRONG_DIGEST, "signature").text == "a signature is for one digest only: sign this one"


def test_digests_are_cut_short_in_a_refusal() -> None:
    other = Reason(Code.WRONG_DIGEST, "the statement is about another image", str(reports.DIGEST), f"sha256:{'0' * 64}")
    denied = reports.report(Verdict.DENY, reports.policy(replace(reports.WRONGLY_SIGNED, reason=other)))
    assert f"expected {reports.DIGEST.short}…; found sha256:{'0' * 12}…. Next: " in answer([denied]).message


def test_audit_mode_says_nothing_to_the_user() -> None:
    seen = replace(reports.WRONGLY_SIGNED, effect=Effect.AUDIT)
    said = answer([reports.report(Verdict.AUDIT, reports.policy(seen, mode=Mode.AUDIT))])
    assert (said.allowed, said.message, said.warnings) == (True, "", ())
    assert '"verdict":"Audit"' in said.audit["images"]
