"""The whole way: an AdmissionReview over TLS, a running registry, real signatures, a verdict and its reason."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.demo.authentication import Account, TokenAuthentication
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.settings import Limits, Unmatched
from tests.fakes.gates import authority, local, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import UID, pod, pod_spec, review, workload
from tests.fakes.webhook import Webhook

RELEASE = signing_key("release")
OTHER = signing_key("other")
CORP = policy(authorities=[authority("release", RELEASE)])


@pytest.fixture
async def webhook(tmp_path: Path, registry: EmbeddedRegistry) -> AsyncIterator[Webhook]:
    async with Webhook(tmp_path / "app", {"corp": CORP}, local(registry.host, limits=Limits(lame_duck=0))) as running:
        yield running


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
@pytest.mark.parametrize("style", Style)
async def test_signed_is_admitted(
    webhook: Webhook, images: ImageBuilder, signer: Signer, style: Style, version: str
) -> None:
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE, style=style)
    answer = await webhook.validate(review(pod(str(image.reference)), version=version))
    assert (answer.status, answer.document["apiVersion"], answer.document["kind"]) == (200, version, "AdmissionReview")
    assert (answer.response["uid"], answer.allowed, answer.warnings) == (UID, True, [])
    assert "patch" not in answer.response


async def test_unsigned_is_refused_with_a_reason_to_act_on(webhook: Webhook, images: ImageBuilder) -> None:
    image = images.image("shop/web", "1")
    answer = await webhook.validate(review(pod(str(image.reference))))
    assert not answer.allowed
    assert answer.response["status"]["code"] == 403
    for part in (
        str(image.reference),
        image.digest.short,
        "container c0",
        "/spec/containers/0/image",
        "policy corp",
        "release",
    ):
        assert part in answer.message


async def test_every_image_is_named_with_its_pointer(webhook: Webhook, images: ImageBuilder, signer: Signer) -> None:
    signed = images.image("shop/web", "1")
    signer.sign(signed, RELEASE)
    bad = [str(images.image("shop/bad", str(number)).reference) for number in range(4)]
    spec = pod_spec(
        str(signed.reference),
        bad[0],
        initContainers=[{"name": "i", "image": bad[1]}],
        ephemeralContainers=[{"name": "e", "image": bad[2]}],
        volumes=[{"name": "v", "image": {"reference": bad[3]}}],
    )
    answer = await webhook.validate(review(workload("CronJob", spec)))
    base = "/spec/jobTemplate/spec/template/spec"
    assert not answer.allowed
    for image, place in zip(
        bad,
        ["containers/1/image", "initContainers/0/image", "ephemeralContainers/0/image", "volumes/0/image/reference"],
        strict=True,
    ):
        assert image in answer.message
        assert f"{base}/{place}" in answer.message
    assert str(signed.reference) not in answer.message


async def test_the_object_selector_sees_the_labels_the_pods_will_have(
    tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder
) -> None:
    image = str(images.image("shop/web", "1").reference)
    only_web = policy(
        authorities=[authority("release", RELEASE)],
        match={"images": ["*/**"], "objectSelector": {"matchLabels": {"app": "web"}}},
    )
    async with Webhook(tmp_path / "app", {"corp": only_web}, local(registry.host)) as webhook:
        for kind in ("Pod", "Deployment", "CronJob"):
            spec = pod_spec(image)
            assert not (await webhook.validate(review(workload(kind, spec, labels={"app": "web"})))).allowed
            assert (await webhook.validate(review(workload(kind, spec, labels={"app": "db"})))).allowed


async def test_warn_mode_admits_and_says_so(tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    warn = policy(mode="Warn", authorities=[authority("release", RELEASE)])
    async with Webhook(tmp_path / "app", {"corp": warn}, local(registry.host)) as webhook:
        answer = await webhook.validate(review(pod(str(images.image("shop/web", "1").reference))))
        assert answer.allowed
        assert len(answer.warnings) == 1
        assert "corp" in answer.warnings[0]
        assert webhook.audit_lines[-1]["verdict"] == "Warn"


async def test_unmatched_images_follow_the_setting(tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    image = str(images.image("shop/web", "1").reference)
    elsewhere = policy(match={"images": ["registry.example.com/**"]}, authorities=[authority("release", RELEASE)])
    for setting, allowed in ((Unmatched.ALLOW, True), (Unmatched.DENY, False)):
        settings = local(registry.host, unmatched_images=setting)
        async with Webhook(tmp_path / setting, {"corp": elsewhere}, settings) as webhook:
            assert (await webhook.validate(review(pod(image)))).allowed is allowed
    assert len(registry.requests) == 0


class TestUpdate:
    async def test_an_unchanged_unsigned_image_does_not_block_labels(self, webhook: Webhook, images: ImageBuilder) -> None:
        old = pod(str(images.image("shop/web", "1").reference))
        new = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
        assert (await webhook.validate(review(new, operation="UPDATE", old=old))).allowed

    async def test_a_new_image_is_judged(self, webhook: Webhook, images: ImageBuilder) -> None:
        old, new = (pod(str(images.image("shop/web", tag).reference)) for tag in ("1", "2"))
        answer = await webhook.validate(review(new, operation="UPDATE", old=old))
        assert not answer.allowed
        assert "/spec/containers/0/image" in answer.message


class TestMutate:
    async def test_pods_are_pinned_to_what_the_tag_names(self, webhook: Webhook, images: ImageBuilder) -> None:
        image = images.image("shop/web", "1")
        pinned = str(image.pinned)
        document = pod(str(image.reference), pinned)
        answer = await webhook.mutate(review(document))
        assert answer.allowed
        assert answer.response["patchType"] == "JSONPatch"
        assert [(step["op"], step["path"], step["value"]) for step in answer.patch] == [
            ("test", "/spec/containers/0/image", str(image.reference)),
            ("replace", "/spec/containers/0/image", f"{image.reference}@{image.digest}"),
        ]

    async def test_the_pinned_pod_is_admitted_as_what_was_verified(
        self, webhook: Webhook, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        document = pod(str(image.reference))
        step = (await webhook.mutate(review(document))).patch[-1]
        document["spec"]["containers"][0]["image"] = step["value"]
        assert (await webhook.validate(review(document))).allowed
        assert (await webhook.mutate(review(document))).patch == []

    async def test_only_pods_are_changed_and_nothing_is_judged(self, webhook: Webhook, images: ImageBuilder) -> None:
        image = str(images.image("shop/web", "1").reference)
        answer = await webhook.mutate(review(workload("Deployment", pod_spec(image))))
        assert (answer.allowed, answer.patch) == (True, [])

    async def test_what_cannot_be_resolved_is_left_for_validation(
        self, webhook: Webhook, registry: EmbeddedRegistry
    ) -> None:
        document = pod(f"{registry.host}/shop/none:1")
        answer = await webhook.mutate(review(document))
        assert (answer.allowed, answer.patch) == (True, [])
        refused = await webhook.validate(review(document))
        assert not refused.allowed
        assert "not in its registry" in refused.message

    async def test_on_update_only_new_images_are_pinned(self, webhook: Webhook, images: ImageBuilder) -> None:
        old, new = (str(images.image("shop/web", tag).reference) for tag in ("1", "2"))
        answer = await webhook.mutate(review(pod(old, new), operation="UPDATE", old=pod(old)))
        assert {step["path"] for step in answer.patch} == {"/spec/containers/1/image"}

    async def test_pinning_can_be_switched_off(
        self, tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder
    ) -> None:
        async with Webhook(tmp_path / "app", {"corp": CORP}, local(registry.host, mutate=False)) as webhook:
            answer = await webhook.mutate(review(pod(str(images.image("shop/web", "1").reference))))
            assert (answer.allowed, answer.patch) == (True, [])


class TestAudit:
    async def test_one_line_per_decision_says_everything(self, webhook: Webhook, images: ImageBuilder) -> None:
        image = images.image("shop/web", "1")
        await webhook.validate(review(workload("Deployment", pod_spec(str(image.reference)))))
        (line,) = webhook.audit_lines
        assert {name: line[name] for name in ("uid", "user", "namespace", "object", "operation", "verdict", "allowed")} == {
            "uid": UID,
            "user": "alice",
            "namespace": "shop",
            "object": "Deployment.apps/web",
            "operation": "CREATE",
            "verdict": "Deny",
            "allowed": False,
        }
        (judged,) = line["images"]
        assert (judged["image"], judged["digest"]) == (str(image.reference), str(image.digest))
        assert judged["pointer"] == "/spec/template/spec/containers/0/image"
        (result,) = judged["policies"]
        assert (result["policy"], result["outcome"]) == ("corp", "Missing")
        assert result["reasons"][0]["code"] == "NoEvidence"
        assert line["duration"] > 0
        assert "dryRun" not in line

    async def test_a_dry_run_is_judged_and_marked(self, webhook: Webhook, images: ImageBuilder) -> None:
        answer = await webhook.validate(review(pod(str(images.image("shop/web", "1").reference)), dryRun=True))
        assert not answer.allowed
        assert webhook.audit_lines[-1]["dryRun"] is True

    async def test_metrics_count_verdicts(self, webhook: Webhook, images: ImageBuilder) -> None:
        await webhook.validate(review(pod(str(images.image("shop/web", "1").reference))))
        await webhook.validate(review(None, operation="DELETE", old=pod("x")))
        await webhook.validate(review(pod("x"), operation="NO"))
        shown = (await webhook.get("/metrics")).text.splitlines()
        assert 'sigward_admissions_total{path="validate",verdict="Deny"} 2.0' in shown
        assert 'sigward_admissions_total{path="validate",verdict="Allow"} 1.0' in shown
        assert 'sigward_admission_errors_total{code="InvalidReview"} 1.0' in shown
        assert 'sigward_policies{state="ready"} 1.0' in shown
        assert "sigward_admissions_in_flight 0.0" in shown
        assert "sigward_ready 1.0" in shown


async def test_metrics_count_what_was_asked_and_what_was_remembered(
    webhook: Webhook, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE)
    for _ in range(3):
        assert (await webhook.validate(review(pod(str(image.reference))))).allowed
    shown = (await webhook.get("/metrics")).text.splitlines()
    assert 'sigward_registry_requests_total{operation="resolve",outcome="found"} 1.0' in shown
    assert 'sigward_registry_requests_total{operation="referrers",outcome="none"} 1.0' in shown
    assert 'sigward_cache_lookups_total{cache="report",result="miss"} 1.0' in shown
    assert 'sigward_cache_lookups_total{cache="report",result="hit"} 2.0' in shown
    assert 'sigward_cache_lookups_total{cache="tag",result="miss"} 1.0' in shown
    assert 'sigward_cache_lookups_total{cache="evidence",result="miss"} 1.0' in shown


async def test_the_controllers_own_credentials_open_a_registry_that_asks(tmp_path: Path) -> None:
    async with EmbeddedRegistry(authentication=TokenAuthentication(Account("puller", "secret"))) as registry:
        image = ImageBuilder(registry).image("shop/web", "1")
        Signer(registry).sign(image, RELEASE)
        config = tmp_path / "config.json"
        config.write_text(json.dumps({"auths": {registry.host: {"username": "puller", "password": "secret"}}}))
        for settings, allowed in ((local(registry.host, docker_config=config), True), (local(registry.host), False)):
            async with Webhook(tmp_path / str(allowed), {"corp": CORP}, settings) as webhook:
                assert (await webhook.validate(review(pod(str(image.reference))))).allowed is allowed


async def test_many_at_once_all_get_their_own_answer(webhook: Webhook, images: ImageBuilder, signer: Signer) -> None:
    good, bad = images.image("shop/good", "1"), images.image("shop/bad", "1")
    signer.sign(good, RELEASE)

    async def ask(number: int) -> tuple[str, bool]:
        image = good if number % 2 else bad
        answer = await webhook.validate(review(pod(str(image.reference)), uid=f"uid-{number}"))
        return answer.response["uid"], answer.allowed

    found: list[Any] = await asyncio.gather(*(ask(number) for number in range(60)))
    assert found == [(f"uid-{number}", bool(number % 2)) for number in range(60)]
