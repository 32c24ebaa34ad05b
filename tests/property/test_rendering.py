"""Whatever registries, users and policies say, what is shown is bounded and cannot do anything to who reads it."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.admission.response import MAX_AUDIT_VALUE, MAX_MESSAGE, MAX_WARNING
from controller.compile.compiled import Effect, PolicyId
from controller.decision.report import Check, Named, Outcome, PolicyResult, Report, RequirementResult, Verdict
from controller.errors import Code, Reason
from controller.policy.words import Mode
from controller.render import json
from controller.render.clean import clean, clip_middle
from controller.render.refusal import answer
from controller.render.text import explanation
from controller.render.tree import Style

TEXTS = st.text(max_size=300) | st.text("a\n\x1b\u202e\x00 ", max_size=600)
REASONS = st.builds(Reason, st.sampled_from(Code), TEXTS, TEXTS, TEXTS)
CHECKS = st.builds(Check, TEXTS, TEXTS, TEXTS, TEXTS, TEXTS, st.none() | REASONS)
REQUIREMENTS = st.builds(
    RequirementResult,
    name=TEXTS,
    kind=st.sampled_from(["signature", "attestation", "sbom", "digests"]),
    outcome=st.sampled_from(Outcome),
    effect=st.sampled_from(Effect),
    reason=st.none() | REASONS,
    checks=st.lists(CHECKS, max_size=3).map(tuple),
    note=TEXTS,
)
POLICIES = st.builds(
    PolicyResult,
    policy=st.builds(PolicyId, st.just("ClusterTrustPolicy"), TEXTS, TEXTS),
    mode=st.sampled_from(Mode),
    effect=st.sampled_from(Effect),
    outcome=st.sampled_from(Outcome),
    requirements=st.lists(REQUIREMENTS, max_size=3).map(tuple),
    reason=st.none() | REASONS,
)
REPORTS = st.builds(
    Report,
    named=st.builds(Named, TEXTS, TEXTS, TEXTS),
    verdict=st.sampled_from(Verdict),
    policies=st.lists(POLICIES, max_size=3).map(tuple),
    reason=st.none() | REASONS,
    stale=st.booleans(),
)


@settings(max_examples=50)
@given(st.lists(REPORTS, max_size=3))
def test_an_answer_is_bounded_printable_and_denies_exactly_when_an_image_is_denied(reports: list[Report]) -> None:
    said = answer(reports)
    assert said.allowed is all(report.verdict is not Verdict.DENY for report in reports)
    assert bool(said.message) is not said.allowed
    assert len(said.message) <= MAX_MESSAGE
    assert all(len(warning) <= MAX_WARNING for warning in said.warnings)
    assert all(len(value) <= MAX_AUDIT_VALUE for value in said.audit.values())
    for text in (said.message, *said.warnings, *said.audit.values()):
        assert text.isprintable()


@settings(max_examples=25)
@given(st.lists(REPORTS, min_size=3, max_size=10))
def test_a_refusal_points_at_every_denied_image(reports: list[Report]) -> None:
    placed = [
        replace(report, verdict=Verdict.DENY, named=Named(f"image-{n}", f"/spec/containers/{n}/image"))
        for n, report in enumerate(reports)
    ]
    message = answer(placed).message
    assert all(f"/spec/containers/{n}/image" in message for n in range(len(placed)))


@given(REPORTS, st.booleans())
def test_a_tree_has_printable_lines_only(report: Report, brief: bool) -> None:  # noqa: FBT001 - hypothesis passes it
    for line in explanation(report, Style(), brief=brief).split("\n"):
        assert line.isprintable()


@given(REPORTS)
def test_every_report_can_be_written_as_json(report: Report) -> None:
    image = json.image(report)
    assert (image.result == "Pass") is (report.verdict is not Verdict.DENY)
    assert image.next if image.result != "Pass" else not image.next
    assert json.encode(json.verification([image]))


@given(TEXTS, st.integers(2, 400))
def test_clipped_text_is_never_longer_and_short_text_stays(text: str, limit: int) -> None:
    for short in (clean(text, limit), clip_middle(clean(text), limit)):
        assert len(short) <= limit
        assert short.isprintable()
    if text.isprintable() and len(text) <= limit:
        assert clean(text, limit) == text
