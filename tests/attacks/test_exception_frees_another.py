"""Row 18: an exception is about exactly what it names (GHSA-5cjf-wwfg-pj4c, CVE-2024-48921).

One for another image, namespace, policy or requirement changes nothing, two do not add up to a third, and a tenant's object
of the same shape counts for nothing.
"""

from typing import Any

import pytest

from controller.admission.subject import Workload
from controller.decision.report import Report, Verdict
from controller.errors import Code
from controller.policy.store import Document
from tests.fakes.evidence import IMAGE, OTHER
from tests.fakes.policies import at, authority, exception, policy, reason_codes, spec, verdict

CORP = policy(spec(authority("release"), authority("ci"), require=[
    {"name": "signed", "signature": {"of": ["release"]}},
    {"name": "built", "signature": {"of": ["ci"]}},
]))  # fmt: skip
ANYWHERE = ["registry.example.com/shop/**"]


def excepted(report: Report) -> list[str]:
    """Every exception that was used."""
    return [each.name for result in report.policies for each in result.exceptions]


def about(images: list[str] | None = None, namespaces: list[str] | None = None) -> dict[str, Any]:
    return {"images": images or ANYWHERE, "namespaces": namespaces or ["shop"]}


def test_without_an_exception_the_image_is_refused_and_with_one_it_is_let_through_with_a_warning() -> None:
    assert verdict(CORP).verdict is Verdict.DENY
    report = verdict([CORP, exception()])
    assert (report.verdict, excepted(report)) == (Verdict.WARN, ["outage"])
    assert not report.passed


@pytest.mark.parametrize(
    "other",
    [
        {"match": about(images=["registry.example.com/shop/api"])},
        {"match": about(images=["registry.example.com/shop"])},
        {"match": about(images=["registry.example.com/*"])},  # `*` ends with its segment
        {"match": about(namespaces=["shops", "default"])},
        {"policies": ["corporate"]},
        {"policies": ["shop/corp"]},  # the TrustPolicy of that name, not the ClusterTrustPolicy
        {"requirements": ["signed"]},  # the other one still denies
        {"requirements": ["built", "fresh"]},
    ],
    ids=str,
)
def test_an_exception_about_something_else_changes_nothing(other: dict[str, Any]) -> None:
    report = verdict([CORP, exception(**other)])
    assert report.verdict is Verdict.DENY
    assert Code.NO_EVIDENCE in reason_codes(report)


def test_two_exceptions_do_not_add_up_to_a_third() -> None:
    this_image = exception("one", match=about(namespaces=["other"]))
    this_place = exception("two", match=about(images=["registry.example.com/shop/api"]))
    other_policy = exception("three", policies=["elsewhere"])
    assert verdict([CORP, this_image, this_place, other_policy]).verdict is Verdict.DENY


def test_each_requirement_needs_an_exception_that_names_it_whole() -> None:
    signed, built = exception("one", requirements=["signed"]), exception("two", requirements=["built"])
    assert verdict([CORP, signed]).verdict is Verdict.DENY
    report = verdict([CORP, signed, built])
    assert (report.verdict, excepted(report)) == (Verdict.WARN, ["one", "two"])


def test_an_object_of_a_namespace_is_no_exception() -> None:
    value = dict(exception().value)
    value["metadata"] = {**value["metadata"], "namespace": "shop"}
    report = verdict([CORP, Document(value)])
    assert (report.verdict, excepted(report)) == (Verdict.DENY, [])


def test_what_cannot_be_read_opens_nothing() -> None:
    broken: dict[str, Any]
    for broken in (
        {"policies": []},
        {"requirements": None},
        {"match": {"images": ANYWHERE}},
        {"expiresAt": "tomorrow"},
        {"polices": ["*"]},
    ):
        report = verdict([CORP, exception(**broken)])
        assert (report.verdict, excepted(report)) == (Verdict.DENY, []), broken


def test_it_is_void_once_expired_and_where_it_would_last_too_long() -> None:
    assert verdict([CORP, exception(made=-7200, ends=-1)]).verdict is Verdict.DENY
    week = 168 * 3600.0
    assert verdict([CORP, exception(made=-60, ends=week - 120)]).verdict is Verdict.WARN
    assert verdict([CORP, exception(made=-60, ends=week)]).verdict is Verdict.DENY
    assert verdict([CORP, exception(made=7200, ends=10_000)]).verdict is Verdict.DENY  # no clock is two hours off


def test_what_a_cluster_policy_revokes_no_exception_lifts() -> None:
    for digest in (IMAGE, OTHER):
        revoking = policy(spec(revoked={"digests": [str(digest)]}))
        report = verdict([revoking, exception()], children=(OTHER,))
        assert report.verdict is Verdict.DENY
        assert Code.REVOKED in reason_codes(report)


def test_what_no_policy_covers_is_no_policys_to_let_through() -> None:
    elsewhere = policy(spec(match={"images": ["registry.example.com/other/**"]}))
    report = verdict([elsewhere, exception()])
    assert (report.verdict, report.reason and report.reason.code) == (Verdict.DENY, Code.UNMATCHED)


def test_a_policy_that_does_not_compile_is_lifted_only_by_one_about_every_requirement() -> None:
    broken = policy(spec(mode="Enforce", packages={"denny": []}))
    assert verdict(broken).verdict is Verdict.DENY
    assert verdict([broken, exception(requirements=["signed"])]).verdict is Verdict.DENY
    assert verdict([broken, exception()]).verdict is Verdict.WARN


def test_a_workload_outside_all_namespaces_is_only_meant_by_every_namespace() -> None:
    nowhere = Workload(kind="PodTemplate", name="web")
    assert verdict([CORP, exception()], workload=nowhere).verdict is Verdict.DENY
    everywhere = exception(match=about(namespaces=["*"]), expiresAt=at(60))
    assert verdict([CORP, everywhere], workload=nowhere).verdict is Verdict.WARN
