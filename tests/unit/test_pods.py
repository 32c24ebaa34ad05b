"""Images found, left out, and refused, by kind and place."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from controller.admission.pods import BUILT_IN, ImageTable
from controller.admission.review import Review, open_envelope, read_review
from controller.errors import Code, Invalid, Refused
from controller.settings import ImagePath, Limits
from tests.fakes.reviews import KINDS, body, pod, pod_spec, resolve, review, workload

TABLE = ImageTable((), Limits())
EVERYWHERE = {
    "containers": [{"name": "app", "image": "a"}, {"name": "side", "image": "b"}],
    "initContainers": [{"name": "init", "image": "c"}],
    "ephemeralContainers": [{"name": "debug", "image": "d", "targetContainerName": "app"}],
    "volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "image": {"reference": "e", "pullPolicy": "Always"}}],
}
FOUND = [
    ("a", "containers/0/image", "app"),
    ("b", "containers/1/image", "side"),
    ("c", "initContainers/0/image", "init"),
    ("d", "ephemeralContainers/0/image", "debug"),
    ("e", "volumes/1/image/reference", ""),
]


def parsed(document: Any, **request: Any) -> Review:
    raw = body(review(document, **request))
    return read_review(raw, open_envelope(raw), Limits())


def judged(document: Any, *, table: ImageTable = TABLE, **request: Any) -> list[str]:
    return [subject.image for subject in table.to_judge(parsed(document, **request))]


def test_the_table_is_the_list_of_the_design() -> None:
    assert {(group, kind): "/".join(("", *path)) for kind, (group, _, path) in KINDS.items()} == BUILT_IN


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_in_every_kind(kind: str) -> None:
    document = workload(kind, EVERYWHERE, labels={"app": "web"})
    subjects = TABLE.to_judge(parsed(document))
    base = "/".join(("", *KINDS[kind][2], "spec", ""))
    assert [(s.image, s.pointer.removeprefix(base), s.container) for s in subjects] == FOUND
    assert all(resolve(document, subject.pointer) == subject.image for subject in subjects)
    place = subjects[0].workload
    assert (place.namespace, place.kind, place.name, dict(place.labels)) == ("shop", kind, "web", {"app": "web"})


def test_pods_made_by_a_controller_are_named_by_their_prefix() -> None:
    document = pod("a")
    document["metadata"] = {"generateName": "web-76f-"}
    assert TABLE.to_judge(parsed(document))[0].workload.name == "web-76f-*"


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_nothing_is_judged_where_nothing_starts(operation: str) -> None:
    assert judged(None, operation=operation, old=pod("a")) == []


@pytest.mark.parametrize(
    ("api_version", "kind", "subresource"),
    [
        ("autoscaling/v1", "Scale", "scale"),
        ("v1", "Binding", "binding"),
        ("policy/v1", "Eviction", "eviction"),
    ],
)
def test_subresources_that_carry_no_pod_are_let_through(api_version: str, kind: str, subresource: str) -> None:
    document = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "web"}}
    assert judged(document, subResource=subresource) == []
    with pytest.raises(Refused) as caught:  # as an object of its own it would be something we do not know
        judged(document)
    assert caught.value.reason.code is Code.UNKNOWN_KIND


def test_an_unknown_kind_is_refused_and_the_setting_named() -> None:
    document = {"apiVersion": "acme.example/v1", "kind": "Rollout", "metadata": {"name": "web"}, "spec": {}}
    with pytest.raises(Refused) as caught:
        judged(document)
    assert caught.value.reason.code is Code.UNKNOWN_KIND
    assert "Rollout (acme.example)" in caught.value.reason.message
    assert "imagePaths" in caught.value.reason.message


def test_a_kind_of_another_group_is_not_the_one_we_know() -> None:
    with pytest.raises(Refused) as caught:
        judged({**workload("Deployment", pod_spec("a")), "apiVersion": "acme.example/v1"})
    assert caught.value.reason.code is Code.UNKNOWN_KIND


def test_settings_add_custom_kinds() -> None:
    table = ImageTable((ImagePath(group="acme.example", kind="Rollout", template="/spec/pod~1template/~0x"),), Limits())
    document = {
        "apiVersion": "acme.example/v1",
        "kind": "Rollout",
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"pod/template": {"~x": {"metadata": {"labels": {"a": "b"}}, "spec": pod_spec("nginx")}}},
    }
    (subject,) = table.to_judge(parsed(document))
    assert subject.pointer == "/spec/pod~1template/~0x/spec/containers/0/image"
    assert resolve(document, subject.pointer) == "nginx"
    assert subject.workload.labels == {"a": "b"}
    document["spec"] = {"template": {"spec": pod_spec("nginx")}}
    with pytest.raises(Invalid) as caught:
        table.to_judge(parsed(document))
    assert caught.value.field == "/spec/pod~1template"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (ImagePath(group="apps", kind="Deployment", template="/spec/other"), "known already"),
        (ImagePath(group="x.example", kind="Y", template="spec/template"), "not a JSON pointer"),
    ],
)
def test_bad_image_paths_are_invalid(path: ImagePath, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        ImageTable((path,), Limits())
    assert caught.value.reason.code is Code.INVALID_SETTINGS


SPEC = "/spec/template/spec"


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        (None, SPEC),
        ([], SPEC),
        ("x", SPEC),
        ({}, f"{SPEC}/containers"),
        ({"containers": []}, f"{SPEC}/containers"),
        ({"containers": None}, f"{SPEC}/containers"),
        ({"containers": {}}, f"{SPEC}/containers"),
        ({"containers": "nginx"}, f"{SPEC}/containers"),
        ({"containers": ["nginx"]}, f"{SPEC}/containers/0"),
        ({"containers": [None]}, f"{SPEC}/containers/0"),
        ({"containers": [{"name": "a"}]}, f"{SPEC}/containers/0/image"),
        ({"containers": [{"image": ""}]}, f"{SPEC}/containers/0/image"),
        ({"containers": [{"image": None}]}, f"{SPEC}/containers/0/image"),
        ({"containers": [{"image": ["nginx"]}]}, f"{SPEC}/containers/0/image"),
        ({"containers": [{"image": {"reference": "nginx"}}]}, f"{SPEC}/containers/0/image"),
        ({"containers": [{"image": 0}]}, f"{SPEC}/containers/0/image"),
        ({"containers": [{"image": "a", "name": 1}]}, f"{SPEC}/containers/0/name"),
        ({**pod_spec("a"), "initContainers": {"a": {"image": "b"}}}, f"{SPEC}/initContainers"),
        ({**pod_spec("a"), "initContainers": [{}]}, f"{SPEC}/initContainers/0/image"),
        ({**pod_spec("a"), "ephemeralContainers": 1}, f"{SPEC}/ephemeralContainers"),
        ({**pod_spec("a"), "ephemeralContainers": [[]]}, f"{SPEC}/ephemeralContainers/0"),
        ({**pod_spec("a"), "volumes": {}}, f"{SPEC}/volumes"),
        ({**pod_spec("a"), "volumes": ["x"]}, f"{SPEC}/volumes/0"),
        ({**pod_spec("a"), "volumes": [{"image": "x"}]}, f"{SPEC}/volumes/0/image"),
        ({**pod_spec("a"), "volumes": [{}, {"image": {}}]}, f"{SPEC}/volumes/1/image/reference"),
        ({**pod_spec("a"), "volumes": [{"image": {"reference": 1}}]}, f"{SPEC}/volumes/0/image/reference"),
    ],
)
def test_wrong_types_are_refused_by_pointer(spec: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        judged(workload("Deployment", spec))
    assert (caught.value.reason.code, caught.value.field) == (Code.INVALID_MANIFEST, pointer)


@pytest.mark.parametrize(
    ("metadata", "pointer"),
    [
        ([], "/metadata"),
        ({"namespace": "other"}, "/metadata/namespace"),
        ({"namespace": ["shop"]}, "/metadata/namespace"),
        ({"labels": []}, "/metadata/labels"),
        ({"labels": {"a": 1}}, "/metadata/labels"),
    ],
)
def test_wrong_metadata_is_refused_by_pointer(metadata: Any, pointer: str) -> None:
    with pytest.raises(Invalid) as caught:
        judged({**pod("a"), "metadata": metadata})
    assert (caught.value.reason.code, caught.value.field) == (Code.INVALID_MANIFEST, pointer)


def test_a_namespaced_kind_without_a_namespace_is_refused() -> None:
    document = pod("a")
    del document["metadata"]["namespace"]
    with pytest.raises(Invalid) as caught:
        judged(document, namespace="")
    assert (caught.value.reason.code, caught.value.field) == (Code.INVALID_REVIEW, "request.namespace")


def test_images_of_one_object_are_bounded() -> None:
    table = ImageTable((), Limits(images_per_object=3))
    assert judged(pod("a", "b", "c"), table=table) == ["a", "b", "c"]
    with pytest.raises(Refused) as caught:
        judged(pod("a", "b", "c", "d"), table=table)
    assert (caught.value.reason.code, caught.value.reason.expected) == (Code.LIMIT_EXCEEDED, "at most 3")


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class TestUpdate:
    """Design, rule 9."""

    def test_unchanged_images_are_left_out_wherever_they_stand(self) -> None:
        new = pod("b", "new", "a", initContainers=[{"name": "i", "image": "b"}, {"name": "j", "image": "newer"}])
        assert judged(new, operation="UPDATE", old=pod("a", "b")) == ["new", "newer"]

    def test_labels_and_finalizers_need_no_image_judged(self) -> None:
        old = pod("a")
        new = copy.deepcopy(old)
        new["metadata"]["labels"] = {"more": "yes"}
        assert judged(new, operation="UPDATE", old=old) == []

    def test_another_spelling_is_another_string(self) -> None:
        assert judged(pod("nginx"), operation="UPDATE", old=pod("docker.io/library/nginx")) == ["nginx"]

    def test_the_old_object_is_ignored_on_create(self) -> None:
        assert judged(pod("a"), operation="CREATE", old=pod("a")) == ["a"]

    @pytest.mark.parametrize("old", [None, "", "None", [], {}, {"spec": []}, {"metadata": {}, "spec": {"containers": "a"}}])
    def test_an_old_object_that_cannot_be_read_frees_nothing(self, old: Any) -> None:
        assert judged(pod("a"), operation="UPDATE", old=old) == ["a"]

    def test_a_broken_spec_that_stays_as_it_is_may_be_labelled_but_not_made(self) -> None:
        broken = workload("Deployment", {"containers": []})
        assert judged({**broken, "metadata": {"name": "x"}}, operation="UPDATE", old=broken) == []
        with pytest.raises(Invalid):
            judged(broken)
        with pytest.raises(Invalid):
            judged(broken, operation="UPDATE", old=workload("Deployment", {"containers": [], "volumes": []}))

    def test_specs_too_deep_to_be_compared_are_taken_for_changed(self) -> None:
        old, new = parsed(pod("a")), parsed(pod("a", "b"), operation="UPDATE", old={})
        assert old.object is not None
        assert new.object is not None
        for document in (old.object, new.object):
            document["spec"]["deep"] = nested(5000)
        assert [s.image for s in TABLE.to_judge(replace(new, old_object=old.object))] == ["b"]

    def test_an_unknown_kind_is_refused_though_nothing_changed(self) -> None:
        document = {"apiVersion": "acme.example/v1", "kind": "Rollout", "metadata": {}, "spec": {}}
        with pytest.raises(Refused) as caught:
            judged(document, operation="UPDATE", old=document)
        assert caught.value.reason.code is Code.UNKNOWN_KIND
