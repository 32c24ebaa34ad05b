"""Answers within what Kubernetes shows, and patches that change what they say and nothing else."""

import base64
import json
from typing import Any

import pytest

from controller.admission.patch import pin
from controller.admission.response import Answer, bounded, clean, encode
from controller.admission.review import Envelope
from controller.admission.subject import Subject, Workload
from controller.reference import Digest, Reference
from tests.fakes.reviews import pod, resolve

V1 = Envelope("admission.k8s.io/v1", "the-uid", {})
DIGEST = Digest("sha256", "ab" * 32)


def answered(answer: Answer, envelope: Envelope = V1) -> dict[str, Any]:
    document = json.loads(encode(envelope, answer))
    assert (document["kind"], document["apiVersion"]) == ("AdmissionReview", envelope.version)
    response: dict[str, Any] = document["response"]
    assert response["uid"] == "the-uid"
    return response


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_a_yes_says_no_more_than_needed_in_the_version_asked(version: str) -> None:
    assert answered(Answer(allowed=True), Envelope(version, "the-uid", {})) == {"uid": "the-uid", "allowed": True}


def test_a_denial_carries_its_reason_on_one_line() -> None:
    response = answered(Answer(allowed=False, message="first\nsecond\x1b[31m\u202ethird"))
    assert response["status"] == {"message": "first second [31m third", "reason": "Forbidden", "code": 403}
    assert answered(Answer(allowed=False))["status"]["message"] == "denied"


def test_a_denial_carries_no_patch() -> None:
    response = answered(Answer(allowed=False, message="x", patch=({"op": "remove", "path": "/spec"},)))
    assert "patch" not in response
    assert "patchType" not in response


def test_audit_annotations_are_texts_on_one_line() -> None:
    response = answered(Answer(allowed=True, audit={"verdict": "Allow\x00", "images": "x" * 5000}))
    assert response["auditAnnotations"]["verdict"] == "Allow "
    assert len(response["auditAnnotations"]["images"]) == 4096


def test_warnings_stay_within_what_kubernetes_shows() -> None:
    shown = bounded([f"{number} " + "x" * 300 for number in range(100)])
    assert all(len(warning) <= 256 for warning in shown)
    assert sum(map(len, shown)) <= 4096
    assert shown[-1] == f"and {100 - (len(shown) - 1)} more warnings"
    assert bounded(["twice", "twice", "a\tb", ""]) == ["twice", "a b"]


@pytest.mark.parametrize(
    ("text", "limit", "expected"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("a\r\nb", 9, "a  b"), ("é…", 9, "é…")]
)
def test_text_is_cut_to_length_on_one_line(text: str, limit: int, expected: str) -> None:
    assert clean(text, limit) == expected


def apply(document: Any, operations: list[dict[str, Any]]) -> None:
    """Only what `pin` uses of RFC 6902."""
    for operation in operations:
        pointer, _, last = operation["path"].rpartition("/")
        if operation["op"] == "test":
            assert resolve(document, operation["path"]) == operation["value"]
        else:
            assert operation["op"] == "replace"
            resolve(document, pointer)[last] = operation["value"]


def subjects(*images: str) -> list[Subject]:
    return [Subject(image, f"/spec/containers/{number}/image", Workload()) for number, image in enumerate(images)]


def test_pinning_keeps_the_text_and_adds_the_digest() -> None:
    images = ("nginx", "index.docker.io/library/nginx:1.25", "Registry.Example.com:443/shop/web")
    document = pod(*images)
    patch = pin([(subject, DIGEST) for subject in subjects(*images)])
    response = answered(Answer(allowed=True, patch=patch))
    assert response["patchType"] == "JSONPatch"
    apply(document, json.loads(base64.b64decode(response["patch"])))
    pinned = [item["image"] for item in document["spec"]["containers"]]
    assert pinned == [f"{image}@{DIGEST}" for image in images]
    assert [Reference.parse(image) for image in pinned] == [Reference.parse(image).pinned(DIGEST) for image in images]
    assert pin([(subject, DIGEST) for subject in subjects(*pinned)]) == ()


def test_what_is_not_resolved_or_carries_a_digest_stays() -> None:
    other = f"nginx:1@sha256:{'cd' * 32}"
    assert pin(zip(subjects("nginx", other), [None, DIGEST], strict=True)) == ()
