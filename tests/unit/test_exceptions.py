"""TrustExceptions as they are written: every list is required, nothing lasts long, and the field at fault is named."""

import time
from dataclasses import replace
from typing import Any

import pytest

from controller.compile.exceptions import compile_exception
from controller.decision.report import Verdict
from controller.errors import Code, Invalid
from controller.policy.store import Document
from controller.render import refusal, text
from controller.render.tree import Style
from tests.fakes.policies import LIMITS, at, authority, exception, policy, snapshot, spec, verdict


def problem(document: Document, now: float | None = None) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_exception(document, LIMITS, now)
    assert caught.value.reason.code in {Code.INVALID_POLICY, Code.INVALID_REFERENCE}
    return caught.value


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"policies": []}, "spec.policies"),
        ({"requirements": []}, "spec.requirements"),
        ({"match": {"images": [], "namespaces": ["*"]}}, "spec.match.images"),
        ({"match": {"images": ["*/**"]}}, "spec.match.namespaces"),
        ({"match": {"images": ["web"], "namespaces": ["*"]}}, "spec.match.images[0]"),
        ({"policies": ["*", "corp"]}, "spec.policies"),
        ({"requirements": ["signed", "*"]}, "spec.requirements"),
        ({"match": {"images": ["*/**"], "namespaces": ["*", "shop"]}}, "spec.match.namespaces"),
        ({"policies": ["corp*"]}, "spec.policies[0]"),
        ({"match": {"images": ["*/**"], "namespaces": ["shop-*"]}}, "spec.match.namespaces[0]"),
        ({"reason": ""}, "spec.reason"),
        ({"expiresAt": "2026-13-01"}, "spec.expiresAt"),
        ({"expiresAt": at(200 * 3600)}, "spec.expiresAt"),
        ({"expiresAt": at(-7200)}, "spec.expiresAt"),
        ({"requirments": ["signed"]}, "spec.requirments"),
    ],
    ids=str,
)
def test_the_field_at_fault_is_named(fields: dict[str, Any], field: str) -> None:
    assert problem(exception(**fields)).field == field


def test_from_a_file_it_must_say_when_it_was_made() -> None:
    value = dict(exception().value)
    value["metadata"] = {"name": "outage"}
    assert problem(Document(value)).field == "metadata.creationTimestamp"
    assert compile_exception(Document(value), LIMITS, time.time()).name == "outage"  # being written: that is now


def test_its_lifetime_is_counted_from_its_making_however_often_it_is_written() -> None:
    old = exception(made=-160 * 3600, ends=7 * 3600)
    assert compile_exception(old, LIMITS, time.time()).name == "outage"
    extended = exception(made=-160 * 3600, ends=9 * 3600)
    found = problem(extended, time.time())
    assert (found.field, "at most 168h after the object was made" in str(found)) == ("spec.expiresAt", True)
    assert compile_exception(extended, replace_lifetime(169 * 3600), time.time()).name == "outage"


def replace_lifetime(seconds: float) -> Any:
    return LIMITS.model_copy(update={"exception_lifetime": seconds})


def test_one_that_has_run_out_cannot_be_written() -> None:
    expired = exception(made=-7200, ends=-1)
    assert problem(expired, time.time()).field == "spec.expiresAt"
    assert compile_exception(expired, LIMITS).until < time.time()  # stored, it is merely over


def test_more_than_the_limit_are_void_with_the_reason() -> None:
    documents = [exception(f"e{number}") for number in range(3)]
    found = snapshot(*documents, limits=LIMITS.model_copy(update={"exceptions": 2}))
    assert [each.name for each in found.exceptions] == ["e0", "e1"]
    assert [(name, reason.code) for name, reason in found.void_exceptions] == [("e2", Code.LIMIT_EXCEEDED)]


def test_the_snapshot_is_another_where_only_the_age_differs() -> None:
    ends = "2026-11-25T00:00:00Z"
    first, again = exception(made=-60, expiresAt=ends), exception(made=-120, expiresAt=ends)
    assert snapshot(first).fingerprint != snapshot(again).fingerprint
    assert snapshot(first).fingerprint == snapshot(Document(dict(first.value))).fingerprint


def test_the_warning_says_who_why_and_until_when() -> None:
    corp = policy(spec(authority()))
    ends = at(3000)
    broken = exception(owner="alice", ticket="INC-7", expiresAt=ends)
    report = verdict([corp, broken])
    assert report.verdict is Verdict.WARN
    (warning,) = refusal.warnings([report])
    said = f"policy corp, signed: let through by exception outage of alice (INC-7) until {ends}: registry is down"
    assert said in warning
    assert len(warning) <= 256
    tree = text.explanation(report, Style(ascii=True, width=200))
    assert f"outage until {ends}: registry is down" in tree
    assert "alice (INC-7)" in tree
    assert "a signature by release" in tree  # what is still wrong is told beside it


def test_only_a_denial_becomes_a_warning() -> None:
    for mode in ("Warn", "Audit"):
        with_, without_ = verdict([policy(spec(mode=mode)), exception()]), verdict(policy(spec(mode=mode)))
        assert with_ == replace(without_, cached_until=with_.cached_until)
