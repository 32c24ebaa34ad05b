"""Row 17: an unanchored image pattern (Portieris before 0.14.2), as a policy meets it."""

import pytest

from controller.decision.report import Verdict
from controller.errors import Code
from controller.settings import Unmatched
from tests.fakes.evidence import signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import policy, reason_codes, spec, verdict


@pytest.mark.parametrize("image", ["evil.io/icr.io/x", "icr.io.evil.io/x", "xicr.io/x", "icr.io:5000/x", "evil.io/icr.io:x"])
def test_a_policy_about_icr_io_says_nothing_of_look_alikes(image: str) -> None:
    """A lax policy for icr.io must not admit them: nothing covers them, and unmatchedImages decides."""
    lax = spec(match={"images": ["icr.io/**"]}, require=[{"name": "any", "unsafeAllowUnsigned": {"reason": "vendor"}}])
    report = verdict(policy(lax), image=image, unmatched=Unmatched.DENY)
    assert report.verdict is Verdict.DENY
    assert report.reason
    assert report.reason.code is Code.UNMATCHED
    assert report.policies == ()


@pytest.mark.parametrize("image", ["icr.io/x", "icr.io/x/y@sha256:" + "a" * 64, "ICR.IO/x:1", "icr.io:443/x"])
def test_another_spelling_of_the_registry_is_no_way_out(image: str) -> None:
    strict = [policy(spec(match={"images": ["icr.io/**"]}))]
    report = verdict(strict, signature(signing_key("foreign")), image=image, unmatched=Unmatched.ALLOW)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.WRONG_KEY}


def test_an_exclusion_is_anchored_too() -> None:
    match = {"images": ["*/**"], "excludeImages": ["icr.io/vendor/*"]}
    written = policy(spec(match=match))
    assert verdict(written, image="icr.io/vendor/x", unmatched=Unmatched.ALLOW).verdict is Verdict.ALLOW
    for image in ("icr.io/vendor/x/y", "evil.io/icr.io/vendor/x", "icr.io/vendor-x", "docker.io/icr.io/vendor"):
        report = verdict(written, image=image, unmatched=Unmatched.ALLOW)
        assert (report.verdict, reason_codes(report)) == (Verdict.DENY, {Code.NO_EVIDENCE})
