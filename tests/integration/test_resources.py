"""`/policies`: our own resources are judged when somebody writes them, and the field at fault is named."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.settings import Limits, Settings
from tests.fakes.gates import Clock, authority, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import review
from tests.fakes.webhook import Response, Webhook
from tests.integration.test_exceptions import HOUR, NOON, exception

CORP = policy(authorities=[authority("release", signing_key("release"))])
OWN = policy("own", kind="TrustPolicy", namespace="shop", authorities=[authority("release", signing_key("release"))])


@pytest.fixture
async def webhook(tmp_path: Path) -> AsyncIterator[Webhook]:
    settings = Settings(limits=Limits(lame_duck=0, policies_per_namespace=1))
    async with Webhook(tmp_path / "app", {"corp": CORP, "own": OWN}, settings, Clock(NOON + HOUR)) as running:
        yield running


async def applied(webhook: Webhook, document: dict[str, Any], **request: Any) -> Response:
    return await webhook.apply(review(document, name=document["metadata"]["name"], **request))


def changed(document: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**document, "spec": {**document["spec"], **spec}}


async def test_what_is_right_may_be_written(webhook: Webhook) -> None:
    root = {**policy("own-root", kind="TrustRoot"), "spec": {"inline": "{}"}}
    for document in (CORP, {**OWN, "metadata": {"name": "own", "namespace": "other"}}, exception()):
        answer = await applied(webhook, document)
        assert (answer.allowed, answer.message) == (True, "")
    assert not (await applied(webhook, root)).allowed


@pytest.mark.parametrize(
    ("document", "said"),
    [
        (changed(CORP, packages={"denny": ["x"]}), "spec.packages"),
        (
            changed(CORP, require=[{"name": "bill", "sbom": {"packages": {"denny": ["pkg:npm/x@1"]}}}]),
            "spec.require[0].sbom.packages.denny",
        ),
        (changed(CORP, authorities=[{"name": "release", "keys": [{"pem": "no key"}]}]), "spec.authorities[0].keys[0].pem"),
        (changed(CORP, match={"images": ["icr.io"]}), "spec.match.images[0]"),
        (changed(OWN, match={"images": ["*/**"], "namespaceSelector": {}}), "spec.match.namespaceSelector"),
        (
            changed(CORP, authorities=[{"name": "ci", "keyless": {"trustRoot": "public-good", "identities": [
                {"issuer": {"exact": "https://issuer"}, "subject": {"regex": "("}}]}}]),
            "spec.authorities[0].keyless.identities[0].subject.regex",
        ),
        (exception(expiresAt="2027-02-15T08:00:00Z"), "spec.expiresAt"),
        (exception(policies=[]), "spec.policies"),
        ({**CORP, "kind": "TrustPolicies"}, "no such kind"),
        ({**CORP, "apiVersion": "sigward.dev/v2"}, "no such kind"),
        ({**CORP, "sepc": {}}, "sepc"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("operation", ["CREATE", "UPDATE"])
async def test_what_is_wrong_is_refused_naming_the_field(
    webhook: Webhook, document: dict[str, Any], said: str, operation: str
) -> None:
    old = {**document, "spec": {}} if operation == "UPDATE" else None
    answer = await applied(webhook, document, operation=operation, old=old)
    assert (answer.status, answer.allowed) == (200, False)
    assert said in answer.message
    assert answer.message.startswith(f"{document['kind']} {document['metadata']['name']}: ")
    assert webhook.audit_lines[-1]["verdict"] == "Deny"


async def test_what_is_stored_may_be_labelled_released_and_deleted_although_it_is_wrong(webhook: Webhook) -> None:
    broken = changed(CORP, packages={"denny": []})
    labelled = {
        **broken,
        "metadata": {**broken["metadata"], "labels": {"team": "shop"}, "deletionTimestamp": "2027-01-15T08:00:00Z"},
    }
    assert (await applied(webhook, labelled, operation="UPDATE", old=broken)).allowed
    assert (await applied(webhook, {**labelled, "status": {"conditions": []}}, operation="UPDATE", old=broken)).allowed
    assert (await webhook.apply(review(None, operation="DELETE", old=broken))).allowed
    slipped = {**labelled, "packages": {"deny": ["pkg:npm/x"]}}
    assert not (await applied(webhook, slipped, operation="UPDATE", old=broken)).allowed


async def test_a_policy_too_many_is_not_written(webhook: Webhook) -> None:
    second = {**OWN, "metadata": {"name": "second", "namespace": "shop"}}
    answer = await applied(webhook, second)
    assert not answer.allowed
    assert "namespace shop has as many policies as it may have: expected at most 1" in answer.message
    assert (await applied(webhook, changed(OWN, mode="Warn"), operation="UPDATE", old=OWN)).allowed


async def test_a_policy_may_be_written_before_the_trust_root_it_names(webhook: Webhook) -> None:
    keyless = {"trustRoot": "ours", "identities": [{"issuer": {"exact": "https://i"}, "subject": {"exact": "s"}}]}
    assert (await applied(webhook, changed(CORP, authorities=[{"name": "ci", "keyless": keyless}]))).allowed


async def test_broken_reviews_are_refused_here_too(webhook: Webhook) -> None:
    answer = await webhook.apply(b"{}")
    assert answer.status == 400
    other_kind = review(CORP)
    other_kind["request"]["object"] = {**CORP, "kind": "TrustRoot"}
    answer = await webhook.apply(other_kind)
    assert (answer.status, answer.allowed) == (200, False)
