"""AdmissionReviews read and refused."""

import contextlib
import json
from typing import Any

import pytest

from controller.admission.review import Operation, Review, open_envelope, read_review
from controller.errors import Code, Invalid, Refused, SigwardError
from controller.settings import Limits
from tests.fakes.reviews import UID, body, pod, review

LIMITS = Limits()


def read(raw: bytes, limits: Limits = LIMITS) -> Review:
    return read_review(raw, open_envelope(raw), limits)


def refusal(raw: bytes, limits: Limits = LIMITS) -> SigwardError:
    envelope = open_envelope(raw)
    assert envelope.uid == UID
    with pytest.raises((Invalid, Refused)) as caught:
        read_review(raw, envelope, limits)
    return caught.value


@pytest.mark.parametrize("version", ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"])
def test_everything_the_gate_needs_is_read(version: str) -> None:
    document = review(
        pod("nginx"), version=version, subResource="ephemeralcontainers", dryRun=True, operation="UPDATE", old=pod("a")
    )
    found = read(body(document))
    assert found == Review(
        version=version,
        uid=UID,
        kind=("", "Pod"),
        subresource="ephemeralcontainers",
        operation=Operation.UPDATE,
        namespace="shop",
        name="web",
        user="alice",
        dry_run=True,
        object=pod("nginx"),
        old_object=pod("a"),
    )


def test_unknown_fields_are_ignored_everywhere() -> None:
    document = review(pod("nginx"), futureField={"a": [1]})
    document["alsoNew"] = None
    document["request"]["object"]["spec"]["newer"] = 1.5
    assert read(body(document)).uid == UID


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_no_object_is_wanted_where_nothing_is_made(operation: str) -> None:
    assert read(body(review(None, operation=operation, old=pod("nginx")))).object is None


def without(name: str, document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b"", ""),
        (b"null", ""),
        (b"[]", ""),
        (b"{", ""),
        (b'{"a":1} {}', ""),
        (b"\xef\xbb\xbf{}", ""),
        (b'{"kind":"\xff"}', ""),
        (b'{"n":NaN}', ""),
        (b'{"n":' + b"1" * 10_000 + b"}", ""),
        (b"[" * 100_000, ""),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, ""),
        (body({**review(pod("a")), "kind": "Pod"}), "kind"),
        (body({**review(pod("a")), "kind": ["AdmissionReview"]}), "kind"),
        (body(without("kind", review(pod("a")))), "kind"),
        (body(review(pod("a"), version="admission.k8s.io/v2")), "apiVersion"),
        (body({**review(pod("a")), "apiVersion": 1}), "apiVersion"),
        (body({**review(pod("a")), "apiVersion": ["admission.k8s.io/v1"]}), "apiVersion"),
        (body({**review(pod("a")), "request": None}), "request"),
        (body({**review(pod("a")), "request": []}), "request"),
        (body(without("request", review(pod("a")))), "request"),
        (body(review(pod("a"), uid=None)), "request.uid"),
        (body(review(pod("a"), uid="")), "request.uid"),
        (body(review(pod("a"), uid=7)), "request.uid"),
        (body(review(pod("a"), uid={"a": 1})), "request.uid"),
        (body(review(pod("a"), uid="u" * 257)), "request.uid"),
    ],
)
def test_what_cannot_be_answered_is_invalid_and_names_the_field(raw: bytes, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        open_envelope(raw)
    assert (caught.value.reason.code, caught.value.field) == (Code.INVALID_REVIEW, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"object": None}, "request.object"),
        ({"object": []}, "request.object"),
        ({"object": "x"}, "request.object"),
        ({"object": {}}, "request.object"),
        ({"object": {**pod("a"), "kind": "ConfigMap"}}, "request.object"),
        ({"object": {**pod("a"), "apiVersion": "apps/v1"}}, "request.object"),
        ({"object": {**pod("a"), "kind": 1}}, "request.object.kind"),
        ({"object": {**pod("a"), "apiVersion": []}}, "request.object.apiVersion"),
        ({"kind": None}, "request.kind"),
        ({"kind": "Pod"}, "request.kind"),
        ({"kind": {"group": "", "version": "v1"}}, "request.kind.kind"),
        ({"kind": {"group": 1, "version": "v1", "kind": "Pod"}}, "request.kind.group"),
        ({"operation": None}, "request.operation"),
        ({"operation": "PATCH"}, "request.operation"),
        ({"operation": "create"}, "request.operation"),
        ({"operation": ["CREATE"]}, "request.operation"),
        ({"namespace": 1}, "request.namespace"),
        ({"name": []}, "request.name"),
        ({"subResource": {}}, "request.subResource"),
        ({"dryRun": "false"}, "request.dryRun"),
        ({"userInfo": {"username": 1}}, "request.userInfo.username"),
    ],
)
def test_a_broken_request_is_refused_under_its_uid_and_names_the_field(changes: dict[str, Any], field: str) -> None:
    error = refusal(body(review(pod("a"), **changes)))
    assert isinstance(error, Invalid)
    assert (error.reason.code, error.field) == (Code.INVALID_REVIEW, field)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"operation":"CREATE"', b'"operation":"DELETE","operation":"CREATE"'),
        (b'"image":"signed"', b'"image":"unsigned","image":"signed"'),
        (b'"image":"signed"', b'"image":"signed","im\\u0061ge":"unsigned"'),
        (b'"image":"signed"', b'"image":"signed","image":"signed"'),
        (b'"containers":[', b'"containers":[],"containers":['),
        (b'"image":"signed"', b'"image":1,"image":"signed"'),
        (b'"image":"signed"', b'"note":"\\\\u0022\\\\u0022","image":"unsigned","image":"signed"'),
        (b'"image":"signed"', b'"note":"\\u0022\\u0022\\u0022","image":"unsigned","image":"signed"'),
        (b'"image":"signed"', b'"":"","":"","image":"signed"'),
        (b'"uid":"', b'"uid":"' + UID.encode() + b'","uid":"'),
    ],
)
def test_a_repeated_name_is_refused(old: bytes, new: bytes) -> None:
    raw = body(review(pod("signed")))
    assert raw.count(old) == 1
    assert refusal(raw.replace(old, new)).reason.code is Code.AMBIGUOUS


@pytest.mark.parametrize("indent", [None, 2])
def test_the_same_name_in_two_objects_and_two_cases_of_one_name_are_no_repetition(indent: int | None) -> None:
    document = pod("nginx", "nginx")
    document["metadata"]["labels"] = {"App": "x", "app": "y", "quote": 'a"b\\"c\\u0022', "html": "<&>", "ü": "\U0001f600"}
    raw = json.dumps(review(document), indent=indent).encode()
    assert read(raw).object == document
    assert read(raw.replace(b"<&>", b"\\u003c\\u0026\\u003e").replace(b'a\\"b', b"a\\u0022b")).object == document


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_depth_ends_at_the_decoders_own_guard() -> None:
    document = {**pod("nginx"), "deep": nested(300)}
    assert read(body(review(document))).object == document
    raw = body(review({**pod("nginx"), "deep": "HERE"})).replace(b'"HERE"', b"[" * 5000 + b"]" * 5000)
    with pytest.raises(Invalid, match="nested too deeply"):
        open_envelope(raw)


def test_every_depth_is_read_or_refused() -> None:
    """Whatever the stack under the decoder, the encoder and the exact reader leaves: one of our own errors or a value."""
    for levels in range(900, 1010):
        for twice in (b"", b'"a":1,'):
            deep = b"[" * levels + b"]" * levels
            raw = body(review({**pod("nginx"), "deep": "HERE"})).replace(b'"deep":"HERE"', twice + b'"a":2,"deep":' + deep)
            with contextlib.suppress(SigwardError):
                found = read(raw)
                assert twice == b""
                assert found.uid == UID


def test_brackets_in_strings_are_no_depth() -> None:
    document = pod("nginx")
    document["metadata"]["labels"]["x"] = "[" * 5000
    assert read(body(review(document))).object == document
