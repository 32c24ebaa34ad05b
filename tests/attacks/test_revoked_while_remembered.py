"""Row 33, the decision's part: what a policy revokes is refused although every judgement before said yes.

The facts handed to the decision are the remembered ones: nothing is verified again.
"""

from typing import Any

import pytest

from controller.decision.decide import decide
from controller.decision.findings import Findings
from controller.decision.report import Named, Report, Verdict
from controller.errors import Code
from controller.policy.store import Document
from controller.reference import Reference
from controller.settings import Unmatched
from tests.fakes.evidence import IMAGE, OTHER, signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import IMAGE_NAME, applied, piece, policy, reason_codes, snapshot, spec, without

NAMED = Named(IMAGE_NAME, "/spec/containers/0/image")
BEFORE = policy(spec())
REMEMBERED = Findings(IMAGE, (OTHER,), (piece(signature(signing_key()), snapshot(BEFORE).policies),))


def decided(*documents: Document) -> Report:
    return decide(NAMED, Reference.parse(IMAGE_NAME), applied(snapshot(*documents)), REMEMBERED, Unmatched.DENY)


@pytest.mark.parametrize(
    "revoked",
    [
        {"digests": [str(IMAGE)]},
        {"digests": [str(OTHER)]},  # a platform of the image
        {"keys": [signing_key().fingerprint]},
    ],
)
@pytest.mark.parametrize("elsewhere", [True, False])
def test_remembered_facts_do_not_survive_a_revocation(revoked: dict[str, Any], *, elsewhere: bool) -> None:
    assert decided(BEFORE).verdict is Verdict.ALLOW
    if elsewhere:
        other = policy(without(spec(mode="Audit", revoked=revoked), "authorities"), "revocations")
        report = decided(BEFORE, other)
    else:
        report = decided(policy(spec(revoked=revoked)))
    assert report.verdict is Verdict.DENY
    assert Code.REVOKED in reason_codes(report)


def test_a_key_taken_out_of_its_authority_is_no_longer_believed() -> None:
    report = decided(policy(spec({"name": "release", "keys": [{"pem": signing_key("next").public_pem}]})))
    assert report.verdict is Verdict.DENY
    assert report.undecided  # these facts were judged by another authority: this one was never asked
