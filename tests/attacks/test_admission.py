"""Attacks on the way in: rows 14, 19, 26 and 27, each through the running webhook."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.settings import ImagePath, Limits
from tests.fakes.gates import authority, local, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import KINDS, UID, Document, body, pod, pod_spec, review, workload
from tests.fakes.webhook import Response, Webhook

RELEASE = signing_key("release")
ROLLOUT = ImagePath(group="acme.example", kind="Rollout", template="/spec/template")


@pytest.fixture
async def webhook(tmp_path: Path, registry: EmbeddedRegistry) -> AsyncIterator[Webhook]:
    settings = local(registry.host, limits=Limits(lame_duck=0, review_bytes=1_000_000), image_paths=(ROLLOUT,))
    policies = {"corp": policy(authorities=[authority("release", RELEASE)])}
    async with Webhook(tmp_path / "app", policies, settings) as running:
        yield running


@pytest.fixture
def good(images: ImageBuilder, signer: Signer) -> str:
    image = images.image("shop/good", "1")
    signer.sign(image, RELEASE)
    return str(image.reference)


@pytest.fixture
def bad(images: ImageBuilder) -> str:
    return str(images.image("shop/bad", "1").reference)


def check_refused(answer: Response, image: str, pointer: str) -> None:
    assert answer.response["uid"] == UID
    assert not answer.allowed
    for part in (image, pointer, "policy corp, signed: ", "expected a signature by release", "found none"):
        assert part in answer.message


class TestTerminatingObjects:
    """Row 14, CVE-2023-34091: an object with deletionTimestamp is judged like any other."""

    @pytest.mark.parametrize("kind", ["Pod", "Deployment"])
    async def test_a_terminating_object_with_a_finalizer_gets_no_new_image(
        self, webhook: Webhook, good: str, bad: str, kind: str
    ) -> None:
        old = workload(kind, pod_spec(good))
        old["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["acme.example/hold"]}
        new = copy.deepcopy(old)
        path = "/".join(("", *KINDS[kind][2], "spec/containers/0"))
        spec = new["spec"] if kind == "Pod" else new["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = bad
        check_refused(await webhook.validate(review(new, operation="UPDATE", old=old)), bad, f"{path}/image")

    async def test_its_finalizer_may_still_be_taken_off(self, webhook: Webhook, bad: str) -> None:
        old = pod(bad)
        old["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["acme.example/hold"]}
        new = copy.deepcopy(old)
        new["metadata"]["finalizers"] = []
        assert (await webhook.validate(review(new, operation="UPDATE", old=old))).allowed


class TestForgedAnnotations:
    """Row 19: whatever a client writes on the pod, ours or another tool's words, changes nothing."""

    @pytest.mark.parametrize(
        "annotations",
        [
            {"sigward.dev/verified": "true"},
            {"sigward.dev/verdict": "Allow", "sigward.dev/digest": f"sha256:{'0' * 64}"},
            {"kyverno.io/verify-images": '{"*":"pass"}', "policy.sigstore.dev/include": "false"},
        ],
    )
    async def test_an_annotation_frees_nothing(self, webhook: Webhook, bad: str, annotations: dict[str, str]) -> None:
        document = pod(bad)
        document["metadata"]["annotations"] = annotations
        check_refused(await webhook.validate(review(document)), bad, "/spec/containers/0/image")

    async def test_nor_does_a_digest_that_the_client_writes_itself(
        self, webhook: Webhook, good: str, images: ImageBuilder
    ) -> None:
        """Text that looks like the mutator's: a good tag with the digest of another image."""
        other = images.image("shop/good", "other")
        forged = f"{good}@{other.digest}"
        check_refused(await webhook.validate(review(pod(forged))), forged, "/spec/containers/0/image")


class TestPlacesToHide:
    """Row 26, CVE-2023-2727: each place carries the only unsigned image."""

    @pytest.mark.parametrize("kind", [*KINDS, "Rollout"])
    @pytest.mark.parametrize(
        "place", ["containers/1/image", "initContainers/0/image", "ephemeralContainers/0/image", "volumes/1/image/reference"]
    )
    async def test_every_place_of_every_kind(self, webhook: Webhook, good: str, bad: str, kind: str, place: str) -> None:
        document = hidden(kind, place, good, bad)
        path = () if kind == "Pod" else ("spec", "template") if kind == "Rollout" else KINDS[kind][2]
        pointer = "/".join(("", *path, "spec", place))
        check_refused(await webhook.validate(review(document)), bad, pointer)
        assert (await webhook.validate(review(hidden(kind, place, good, good)))).allowed

    async def test_an_ephemeral_container_added_to_a_running_pod(self, webhook: Webhook, good: str, bad: str) -> None:
        old = pod(good)
        new = {**old, "spec": {**old["spec"], "ephemeralContainers": [{"name": "debug", "image": bad}]}}
        asked = review(new, operation="UPDATE", old=old, subResource="ephemeralcontainers")
        check_refused(await webhook.validate(asked), bad, "/spec/ephemeralContainers/0/image")
        new["spec"]["ephemeralContainers"][0]["image"] = good
        assert (await webhook.validate(asked)).allowed

    async def test_an_old_object_that_lies_on_create_frees_nothing(self, webhook: Webhook, bad: str) -> None:
        check_refused(await webhook.validate(review(pod(bad), old=pod(bad))), bad, "/spec/containers/0/image")

    async def test_a_custom_kind_that_nobody_described_is_refused(self, webhook: Webhook, good: str) -> None:
        document = {**workload("Deployment", pod_spec(good)), "apiVersion": "other.example/v1", "kind": "Workflow"}
        answer = await webhook.validate(review(document))
        assert not answer.allowed
        assert "Workflow (other.example)" in answer.message
        assert answer.response["auditAnnotations"] == {"code": "UnknownKind"}


def hidden(kind: str, place: str, good: str, odd: str) -> Document:
    """An object of `kind` with `odd` at `place` and `good` everywhere else."""
    spec: dict[str, Any] = {
        "containers": [{"name": "a", "image": good}, {"name": "b", "image": good}],
        "initContainers": [{"name": "c", "image": good}],
        "ephemeralContainers": [{"name": "d", "image": good}],
        "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "image": {"reference": good}}],
    }
    *way, last = place.split("/")
    value: Any = spec
    for step in way:
        value = value[int(step)] if isinstance(value, list) else value[step]
    value[last] = odd
    if kind != "Rollout":
        return workload(kind, spec)
    return {**workload("Deployment", spec), "apiVersion": "acme.example/v1", "kind": "Rollout"}


def changed(**request: Any) -> bytes:
    return body(review(pod("nginx"), **request))


def without(*names: str) -> bytes:
    document = review(pod("nginx"))
    for name in names:
        document["request"].pop(name)
    return body(document)


UNANSWERABLE: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "half of it": changed()[:300],
    "two documents": changed() * 2,
    "not JSON": b"uid: 1",
    "not text": b"\xff\xfe" + changed(),
    "null request": body({**review(pod("nginx")), "request": None}),
    "no request": body({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}),
    "response instead": body(
        {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": {"uid": UID, "allowed": True}}
    ),
    "no uid": without("uid"),
    "null uid": changed(uid=None),
    "number as uid": changed(uid=7),
    "list as uid": changed(uid=[UID]),
    "empty uid": changed(uid=""),
    "wrong kind": body({**review(pod("nginx")), "kind": "SubjectAccessReview"}),
    "no kind": body({"request": {"uid": UID}}),
    "unknown version": body(review(pod("nginx"), version="admission.k8s.io/v3")),
    "huge": changed(note="x" * 1_000_001),
    "endlessly deep": b'{"a":' * 100_000,
    "deep and whole": changed(note=json.loads("[" * 900 + "]" * 900))
    .replace(b"[" * 900, b"[" * 3000)
    .replace(b"]" * 900, b"]" * 3000),
}
"""Reviews in which nobody can be answered."""

REFUSED: dict[str, tuple[bytes, str]] = {
    "null object": (changed(object=None), "request.object: must be an object"),
    "list as object": (changed(object=[]), "request.object: must be an object"),
    "text as object": (changed(object="Pod"), "request.object: must be an object"),
    "object of another kind": (changed(object={**pod("nginx"), "kind": "ConfigMap"}), "request.object: is another kind"),
    "kind of another object": (
        changed(kind={"group": "", "version": "v1", "kind": "ConfigMap"}),
        "request.object: is another kind",
    ),
    "no kind in the request": (without("kind"), "request.kind: must be an object"),
    "no operation": (without("operation"), "request.operation: is unknown"),
    "operation of no kind": (changed(operation="PATCH"), "request.operation: is unknown"),
    "no namespace": (without("namespace"), "request.namespace: is missing"),
    "another namespace": (changed(namespace="kube-system"), "/metadata/namespace: is another namespace"),
    "no containers": (changed(object=workload("Pod", {})), "/spec/containers: names no image"),
    "containers as a map": (
        changed(object=workload("Pod", {"containers": {"image": "nginx"}})),
        "/spec/containers: must be an array",
    ),
    "image as a list": (
        changed(object=workload("Pod", {"containers": [{"image": ["nginx"]}]})),
        "/spec/containers/0/image: must name an image",
    ),
    "no spec": (changed(object={"kind": "Pod", "apiVersion": "v1", "metadata": {}}), "/spec: must be an object"),
    "image twice": (changed().replace(b'"image":"nginx"', b'"image":"evil","image":"nginx"'), "stands twice"),
    "image twice, escaped": (changed().replace(b'"image":"nginx"', b'"im\\u0061ge":"evil","image":"nginx"'), "stands twice"),
    "operation twice": (changed().replace(b'"operation"', b'"operation":"DELETE","operation"'), "stands twice"),
    "uid twice": (changed().replace(b'"uid":', b'"uid":"other","uid":', 1), "stands twice"),
    "too many images": (changed(object=pod(*["nginx"] * 600)), "names too many images"),
}
"""Reviews that can be answered, and the reason they are given."""


class TestBrokenReviews:
    """Row 27, after Connaisseur's corpus: a denial with the right uid, or HTTP 400; never a 500, never an allow."""

    @pytest.mark.parametrize("path", ["/validate", "/mutate"])
    @pytest.mark.parametrize("name", UNANSWERABLE)
    async def test_where_nobody_can_be_answered_it_is_http_400(self, webhook: Webhook, path: str, name: str) -> None:
        answer = await webhook.post(path, UNANSWERABLE[name])
        assert (answer.status, answer.document) == (400, {})
        assert answer.text.startswith(("AdmissionReview ", "kind", "apiVersion", "request", "request.uid")), answer.text
        assert (await webhook.post(path, review(None, operation="DELETE"))).allowed

    @pytest.mark.parametrize("name", REFUSED)
    async def test_where_the_uid_can_be_read_it_is_a_denial_with_the_reason(self, webhook: Webhook, name: str) -> None:
        raw, reason = REFUSED[name]
        answer = await webhook.validate(raw)
        assert answer.status == 200
        assert answer.response["uid"] == UID
        assert not answer.allowed
        assert reason in answer.message
        assert answer.message.startswith("not judged: ")
        assert webhook.audit_lines[-1]["allowed"] is False

    async def test_the_uid_answered_is_the_requests_and_no_other(self, webhook: Webhook, bad: str) -> None:
        document = pod(bad)
        document["metadata"]["uid"] = "0" * 36
        asked = {**review(document, uid="the-request"), "uid": "the-review", "response": {"uid": "forged", "allowed": True}}
        answer = await webhook.validate(asked)
        assert (answer.response["uid"], answer.allowed) == ("the-request", False)
