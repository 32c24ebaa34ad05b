"""What holds for any policies and any evidence."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.decision.report import Verdict
from controller.policy.store import Document
from tests.fakes.evidence_sets import FOREIGN, TRUSTED, Kind, evidence, pieces, strict_specs
from tests.fakes.policies import policy, spec, verdict

STRICTNESS = [Verdict.ALLOW, Verdict.AUDIT, Verdict.WARN, Verdict.DENY]
EVIDENCE = st.lists(pieces(TRUSTED + FOREIGN), max_size=5)


@st.composite
def documents(draw: st.DrawFn) -> list[Document]:
    """One to three policies of any kind and mode; now and then one that does not compile."""
    written: list[Document] = []
    for name in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        body: dict[str, Any] = draw(strict_specs()) | {"mode": draw(st.sampled_from(["Enforce", "Warn", "Audit"]))}
        if draw(st.integers(0, 9)) == 0:
            body["platforms"] = "Each"
        written.append(policy(body, name, namespace=draw(st.sampled_from(["", "", "shop", "other"]))))
    return written


@settings(max_examples=60, deadline=None)
@given(documents(), EVIDENCE, st.data())
def test_order_never_changes_a_verdict(written: list[Document], kinds: list[Kind], data: st.DataObject) -> None:
    shuffled, moved = data.draw(st.permutations(written)), data.draw(st.permutations(kinds))
    one, other = verdict(written, *map(evidence, kinds)), verdict(shuffled, *map(evidence, moved))
    assert one.verdict is other.verdict
    assert [(each.policy, each.outcome, each.effect) for each in one.policies] == [
        (each.policy, each.outcome, each.effect) for each in other.policies
    ]


@settings(max_examples=60, deadline=None)
@given(documents(), EVIDENCE)
def test_a_further_policy_only_tightens(written: list[Document], kinds: list[Kind]) -> None:
    """The namespaced ones among them: what cluster policies refuse, none admits."""
    *before, added = written
    base = [*before, policy(spec(require=[{"name": "any", "unsafeAllowUnsigned": {"reason": "covers"}}], mode="Audit"), "z")]
    first, second = verdict(base, *map(evidence, kinds)), verdict([*base, added], *map(evidence, kinds))
    assert STRICTNESS.index(second.verdict) >= STRICTNESS.index(first.verdict)


@settings(max_examples=60, deadline=None)
@given(documents(), EVIDENCE)
def test_a_no_has_a_reason_and_a_yes_has_proof(written: list[Document], kinds: list[Kind]) -> None:
    report = verdict(written, *map(evidence, kinds))
    for each in report.policies:
        for result in each.requirements:
            assert (result.reason is None) == (result.outcome.value == "Pass")
            proved = [check for check in result.checks if check.reason is None]
            assert proved or result.outcome.value != "Pass"
    if report.verdict is Verdict.DENY:
        assert report.reason or any(
            each.reason or any(result.reason for result in each.requirements) for each in report.policies
        )
