"""Row 35: removing a piece of evidence, or adding a foreign one, turns a no into a yes.

Never, where onMissing and onFailure are Deny; where they are softer, only as far as onMissing says: the last tests pin it.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.decision.report import Verdict
from controller.errors import Code, Reason
from controller.policy.predicate_types import SPDX
from controller.registry.discovery import Gap
from tests.fakes.evidence import IMAGE, OTHER, attestation, statement
from tests.fakes.evidence_sets import FOREIGN, TRUSTED, Kind, evidence, pieces, strict_specs
from tests.fakes.keys import signing_key
from tests.fakes.policies import policy, reason_codes, spec, verdict

AWAY = Gap("registry.example.com", Reason(Code.UNREACHABLE, "no answer"), settled=False)
TOO_MANY = Gap("tag sha256-ab.att", Reason(Code.LIMIT_EXCEEDED, "too many"), settled=True)
ROT = Gap("referrer sha256:12", Reason(Code.MALFORMED, "not JSON"), settled=True)
LEAST_SHARE_OF_YES = 0.2


def admits(written: dict[str, Any], kinds: Sequence[Kind], **context: Any) -> bool:
    return verdict(policy(written), *map(evidence, kinds), **context).verdict is not Verdict.DENY


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], list[Kind], list[Kind]]:
    """A policy, what lies there by people it may trust, and what somebody foreign adds."""
    found = draw(st.lists(pieces(TRUSTED), min_size=2, max_size=8))
    return draw(strict_specs()), found, draw(st.lists(pieces(FOREIGN), max_size=4))


def test_neither_removing_nor_adding_evidence_turns_a_no_into_a_yes() -> None:
    counted: Counter[bool] = Counter()

    @settings(max_examples=150, deadline=None)
    @given(cases(), st.data())
    def check(case: tuple[dict[str, Any], list[Kind], list[Kind]], data: st.DataObject) -> None:
        written, found, foreign = case
        yes = admits(written, found)
        counted[yes] += 1
        assert admits(written, [*foreign, *found]) <= yes, "foreign evidence turned a no into a yes"
        left = [kind for kind in found if data.draw(st.booleans())]
        assert admits(written, left) <= yes, "removed evidence turned a no into a yes"
        gaps = data.draw(st.lists(st.sampled_from([AWAY, TOO_MANY]), min_size=1, max_size=2))
        assert admits(written, left, gaps=gaps) <= yes, "a source that fails turned a no into a yes"
        assert admits(written, found, unreadable=[ROT]) <= yes, "an unreadable piece turned a no into a yes"

    check()
    assert counted[True] / counted.total() >= LEAST_SHARE_OF_YES, counted


SOFT = {"name": "bill", "sbom": {}, "onMissing": "Warn", "onFailure": "Deny"}
CONTRADICTING = attestation(statement(SPDX, None, OTHER), signing_key())
FOREIGN_BILL = attestation(statement(SPDX, None, IMAGE), signing_key("foreign"))


@pytest.mark.parametrize(
    ("on_missing", "after"), [("Deny", Verdict.DENY), ("Warn", Verdict.WARN), ("Ignore", Verdict.ALLOW)]
)
def test_hiding_a_contradicting_sbom_gains_exactly_what_on_missing_gives(on_missing: str, after: Verdict) -> None:
    written = policy(spec(require=[{**SOFT, "onMissing": on_missing}]))
    shown = verdict(written, CONTRADICTING)
    assert (shown.verdict, reason_codes(shown)) == (Verdict.DENY, {Code.WRONG_DIGEST})
    assert verdict(written).verdict is after
    assert verdict(written, FOREIGN_BILL).verdict is after  # and a foreign one is as good as none


def test_hiding_behind_a_registry_out_of_reach_gains_what_on_unavailable_gives() -> None:
    written = policy(spec(require=[SOFT]))
    assert verdict(written, gaps=[AWAY]).verdict is Verdict.DENY
    assert verdict(written, CONTRADICTING, gaps=[AWAY]).verdict is Verdict.DENY


@pytest.mark.parametrize("on_failure", ["Deny", "Warn", "Ignore"])
@pytest.mark.parametrize(
    ("on_missing", "expected"), [("Deny", Verdict.DENY), ("Warn", Verdict.WARN), ("Ignore", Verdict.ALLOW)]
)
def test_what_is_missing_is_not_excused_by_what_hides_it(on_missing: str, expected: Verdict, on_failure: str) -> None:
    """Another image's statement, which anybody can copy, and a listing that anybody can fill are failures beside nothing."""
    softened = {"name": "built", "attestation": {"predicateType": SPDX}, "onMissing": on_missing, "onFailure": on_failure}
    written = policy(spec(require=[softened]))
    assert verdict(written).verdict is expected
    order = [Verdict.ALLOW, Verdict.WARN, Verdict.DENY]
    for report in (verdict(written, CONTRADICTING), verdict(written, gaps=[TOO_MANY])):
        assert order.index(report.verdict) >= order.index(expected)
        assert reason_codes(report) <= {Code.WRONG_DIGEST, Code.LIMIT_EXCEEDED}
