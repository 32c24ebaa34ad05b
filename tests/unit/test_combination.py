"""How policies are put together: digests, revocations, modes, coverage, and images whose digest is not known."""

from typing import Any

import pytest

from controller.decision.applicable import Applicable
from controller.decision.decide import invalid, unresolved, without_evidence
from controller.decision.report import Named, Outcome, Report, RequirementResult, Verdict
from controller.errors import Code, Reason, Refused, Undecided
from controller.reference import Reference
from controller.registry.discovery import Gap
from controller.settings import Unmatched
from tests.fakes.evidence import IMAGE, OTHER, signature
from tests.fakes.keys import signing_key
from tests.fakes.policies import (
    IMAGE_NAME,
    applied,
    namespace,
    policy,
    reason_codes,
    snapshot,
    spec,
    verdict,
    without,
)

NAMED = Named(IMAGE_NAME, "/spec/containers/0/image", "web")
REFERENCE = Reference.parse(IMAGE_NAME)
AWAY = Gap("registry.example.com", Reason(Code.UNREACHABLE, "no answer", found="connection refused"), settled=False)


def signed(**rule: Any) -> list[dict[str, Any]]:
    return [{"name": "signed", "signature": rule}]


def result(report: Report) -> RequirementResult:
    """The only requirement of the only policy."""
    (one,) = report.policies
    (requirement,) = one.requirements
    return requirement


# Digests, exceptions, revocations


def test_unsafe_allow_unsigned_passes_and_warns_each_time() -> None:
    item = {"name": "vendor", "unsafeAllowUnsigned": {"reason": "vendor does not sign"}}
    report = verdict(policy(spec(require=[item])), signature(signing_key()))
    assert (report.verdict, result(report).outcome) == (Verdict.WARN, Outcome.PASS)
    assert reason_codes(report) == {Code.UNSIGNED_ALLOWED}
    assert "vendor does not sign" in str(result(report).reason)
    # beside another requirement it excuses nothing
    both = verdict(policy(spec(require=[item, *signed()])))
    assert both.verdict is Verdict.DENY


def test_a_listed_digest_is_compared_with_the_one_asked_for_only() -> None:
    written = policy(spec(require=[{"name": "base", "digests": [str(OTHER)]}]))
    assert verdict(written, children=[OTHER]).verdict is Verdict.DENY
    assert reason_codes(verdict(written)) == {Code.DIGEST_NOT_LISTED}


@pytest.mark.parametrize("mode", ["Enforce", "Warn", "Audit"])
@pytest.mark.parametrize("children", [(IMAGE, OTHER), ()])
def test_a_revoked_digest_is_denied_in_every_mode_of_a_cluster_policy(mode: str, children: tuple[Any, ...]) -> None:
    revoked = {"digests": [str(OTHER if children else IMAGE)]}
    report = verdict(policy(spec(mode=mode, revoked=revoked)), signature(signing_key()), children=children)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.REVOKED}


def test_a_revoked_digest_of_a_namespaced_policy_has_its_mode() -> None:
    written = [policy(spec()), policy(spec(mode="Warn", revoked={"digests": [str(IMAGE)]}), "own", namespace="shop")]
    assert verdict(written, signature(signing_key())).verdict is Verdict.WARN


def revoking(key: str = "release", **fields: Any) -> dict[str, Any]:
    return without(spec(revoked={"keys": [signing_key(key).fingerprint]}, **fields), "authorities")


@pytest.mark.parametrize("mode", ["Enforce", "Warn", "Audit"])
def test_a_key_revoked_by_one_cluster_policy_is_believed_by_none(mode: str) -> None:
    report = verdict([policy(spec()), policy(revoking(mode=mode), "revoked")], signature(signing_key()))
    assert report.verdict is Verdict.DENY
    assert Code.REVOKED in reason_codes(report)


def test_the_presence_of_a_revoked_key_alone_denies_nothing() -> None:
    documents = [policy(spec()), policy(revoking("foreign"), "revoked")]
    assert verdict(documents, signature(signing_key()), signature(signing_key("foreign"))).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("mode", "expected"), [("Enforce", Verdict.DENY), ("Warn", Verdict.ALLOW), ("Audit", Verdict.ALLOW)]
)
def test_a_namespaced_policy_revokes_for_others_only_where_it_enforces(mode: str, expected: Verdict) -> None:
    documents = [policy(spec()), policy(revoking(mode=mode), "own", namespace="shop")]
    assert verdict(documents, signature(signing_key())).verdict is expected


def test_a_policy_that_does_not_compile_goes_on_revoking() -> None:
    digests = policy(
        spec(mode="Audit", signatureRepositories=["registry.example.com/signatures"], revoked={"digests": [str(IMAGE)]})
    )
    assert verdict(digests).verdict is Verdict.DENY
    keys = [
        policy(spec()),
        policy({**revoking(mode="Audit"), "signatureRepositories": ["registry.example.com/signatures"]}, "revoked"),
    ]
    assert verdict(keys, signature(signing_key())).verdict is Verdict.DENY


# Together


ORDER = [Verdict.ALLOW, Verdict.AUDIT, Verdict.WARN, Verdict.DENY]


@pytest.mark.parametrize("first", ["Enforce", "Warn", "Audit"])
@pytest.mark.parametrize("second", ["Enforce", "Warn", "Audit"])
def test_the_strictest_wins(first: str, second: str) -> None:
    by_mode = {"Enforce": Verdict.DENY, "Warn": Verdict.WARN, "Audit": Verdict.AUDIT}
    report = verdict([policy(spec(mode=first), "a"), policy(spec(mode=second), "b")])
    assert report.verdict is max(by_mode[first], by_mode[second], key=ORDER.index)


@pytest.mark.parametrize(
    ("unmatched", "expected"),
    [(Unmatched.ALLOW, Verdict.ALLOW), (Unmatched.WARN, Verdict.WARN), (Unmatched.DENY, Verdict.DENY)],
)
def test_only_cluster_policies_cover_an_image(unmatched: Unmatched, expected: Verdict) -> None:
    own = policy(spec(), "own", namespace="shop")
    report = verdict(own, signature(signing_key()), unmatched=unmatched)
    assert (report.verdict, report.reason is not None) == (expected, True)
    assert report.reason
    assert report.reason.code is Code.UNMATCHED
    both = verdict([own, policy(spec())], signature(signing_key()), unmatched=unmatched)
    assert (both.verdict, both.reason) == (Verdict.ALLOW, None)
    bare = without_evidence(NAMED, REFERENCE, Applicable(), unmatched)
    assert (bare.verdict, bare.policies) == (expected, ())


def test_a_broken_policy_fails_in_its_own_mode_and_nothing_covers_it() -> None:
    for mode, expected in (("Enforce", Verdict.DENY), ("Warn", Verdict.WARN), ("Audit", Verdict.AUDIT)):
        written = policy(spec(mode=mode, signatureRepositories=["registry.example.com/signatures"], onUnavailable="Warn"))
        report = verdict(written, signature(signing_key()), gaps=[AWAY])
        assert report.verdict is expected
        assert reason_codes(report) == {Code.NOT_SUPPORTED_YET}


# Without a digest


def test_an_unresolved_tag_is_for_on_unavailable_to_decide() -> None:
    error = Undecided(Code.DEADLINE, "no answer in time", source="registry.example.com")
    for choice, expected in (("Deny", Verdict.DENY), ("Warn", Verdict.WARN)):
        current = snapshot(policy(spec(onUnavailable=choice)))
        report = unresolved(NAMED, REFERENCE, applied(current), error, Unmatched.DENY)
        assert (report.verdict, report.undecided, report.digest) == (expected, True, None)
        assert reason_codes(report) == {Code.DEADLINE}


def test_an_image_that_is_not_there_is_refused_whatever_on_unavailable_says() -> None:
    current = snapshot(policy(spec(onUnavailable="Warn")))
    report = unresolved(NAMED, REFERENCE, applied(current), Refused(Code.NOT_FOUND, "no such tag"), Unmatched.DENY)
    assert (report.verdict, report.undecided) == (Verdict.DENY, False)
    assert reason_codes(report) == {Code.NOT_FOUND}


def test_what_passes_whatever_is_found_passes_without_a_digest() -> None:
    item = {"name": "vendor", "unsafeAllowUnsigned": {"reason": "vendor does not sign"}}
    error = Undecided(Code.UNREACHABLE, "registry.example.com")
    report = unresolved(NAMED, REFERENCE, applied(snapshot(policy(spec(require=[item])))), error, Unmatched.DENY)
    assert report.verdict is Verdict.WARN
    listed = spec(require=[item], revoked={"digests": [str(OTHER)]})
    report = unresolved(NAMED, REFERENCE, applied(snapshot(policy(listed))), error, Unmatched.DENY)
    assert report.verdict is Verdict.DENY  # it might be the revoked one


def test_a_revoked_digest_that_is_written_needs_no_registry() -> None:
    revoked = policy(spec(mode="Audit", onUnavailable="Warn", revoked={"digests": [str(IMAGE)]}))
    error = Undecided(Code.UNREACHABLE, "registry.example.com")
    report = unresolved(NAMED, REFERENCE.pinned(IMAGE), applied(snapshot(revoked)), error, Unmatched.DENY)
    assert report.verdict is Verdict.DENY
    assert reason_codes(report) == {Code.REVOKED}


def test_a_text_that_is_no_reference_is_denied() -> None:
    report = invalid(NAMED, Reason(Code.INVALID_REFERENCE, "no reference"))
    assert (report.verdict, report.reference) == (Verdict.DENY, None)


def test_the_namespace_may_decide_between_policies() -> None:
    selected = spec(match={"images": ["*/**"], "namespaceSelector": {"matchLabels": {"tier": "prod"}}})
    documents = [policy(selected), policy(spec(mode="Warn"), "everywhere")]
    assert verdict([*documents, namespace("shop", tier="prod")]).verdict is Verdict.DENY
    assert verdict([*documents, namespace("shop", tier="dev")]).verdict is Verdict.WARN
