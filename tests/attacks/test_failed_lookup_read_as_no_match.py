"""Row 16: a failed lookup read as "does not match" (CVE-2025-46342)."""

import pytest

from controller.admission.subject import Workload
from controller.decision.report import Outcome, Verdict
from controller.errors import Code
from tests.fakes.evidence import signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import namespace, policy, reason_codes, spec, verdict

PROD = {"images": ["*/**"], "namespaceSelector": {"matchLabels": {"tier": "prod"}}}


@pytest.mark.parametrize("signers", [(), ("release",)])
@pytest.mark.parametrize("choice", ["Deny", "Warn"])
def test_a_namespace_nobody_knows_is_denied_whatever_on_unavailable_says(signers: tuple[str, ...], choice: str) -> None:
    documents = [policy(spec(match=PROD, onUnavailable=choice)), namespace("other", tier="dev")]
    report = verdict(documents, *(signature(signing_key(name)) for name in signers))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.NAMESPACE_UNKNOWN}
    assert [each.outcome for each in report.policies] == [Outcome.UNDECIDED]
    assert report.undecided
    assert report.cached_until == 0.0


def test_a_label_the_namespace_might_have_is_not_an_absent_one() -> None:
    """Read as "no labels", the unknown namespace would not be selected and nothing would judge the image."""
    match = {"images": ["*/**"], "namespaceSelector": {"matchExpressions": [{"key": "guarded", "operator": "Exists"}]}}
    report = verdict(policy(spec(match=match)), workload=Workload("shop", {}, "Pod"))
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.NAMESPACE_UNKNOWN}
