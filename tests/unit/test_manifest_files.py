from pathlib import Path
from typing import Any

import pytest

from controller.admission.pods import ImageTable
from controller.commands import manifests
from controller.commands.manifests import Manifests
from controller.errors import Code, Invalid
from controller.settings import ImagePath, Limits

POD = """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: c, image: "registry.example.com/web:1"}]}
"""


def read(tmp_path: Path, text: str, name: str = "a.yaml", *paths: ImagePath, namespace: str = "") -> Manifests:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return manifests.read([path], namespace, ImageTable(paths, Limits()), Limits())


def test_an_object_lives_where_it_says_or_where_the_command_says_or_in_default(tmp_path: Path) -> None:
    own = POD.replace("{name: web}", "{name: web, namespace: shop}")
    places = [read(tmp_path, text, namespace=n).workloads[0] for text, n in ((POD, ""), (POD, "pay"), (own, "pay"))]
    assert [place.namespace for place in places] == ["default", "pay", "shop"]
    assert [place.subjects[0].workload.namespace for place in places] == ["default", "pay", "shop"]


def test_a_custom_kind_is_judged_where_settings_say_how_and_counted_where_not(tmp_path: Path) -> None:
    rollout = (
        POD.replace("v1", "argoproj.io/v1alpha1", 1).replace("Pod", "Rollout").replace("spec:", "spec: {template: {spec:")
    )
    text = f"{rollout.rstrip()}}}}}\n---\n{POD}"
    assert dict(read(tmp_path, text).others) == {"Rollout.argoproj.io": 1}
    path = ImagePath(group="argoproj.io", kind="Rollout", template="/spec/template")
    found = read(tmp_path, text, "a.yaml", path)
    assert [workload.kind for workload in found.workloads] == ["Rollout", "Pod"]
    assert found.workloads[0].subjects[0].pointer == "/spec/template/spec/containers/0/image"


def test_lists_of_lists_and_lists_that_say_the_kind(tmp_path: Path) -> None:
    inner = "{apiVersion: v1, kind: PodList, items: [{metadata: {name: p}, spec: {containers: [{image: i}]}}]}"
    found = read(tmp_path, f"apiVersion: v1\nkind: List\nitems: [{inner}]\n")
    assert [(w.kind, w.name, w.file[-22:]) for w in found.workloads] == [("Pod", "p", "yaml:1, item 0, item 0")]


@pytest.mark.parametrize(
    ("text", "says", "code"),
    [
        ("a: [", "a.yaml:2: not YAML", Code.INVALID_FILE),
        ("- a", "a.yaml:1: no object", Code.INVALID_FILE),
        ("a: 1\na: 2\n", "a.yaml:2: a key stands twice", Code.INVALID_FILE),
        ("kind: Pod\n", "a.yaml:1: no Kubernetes object", Code.INVALID_MANIFEST),
        (f"{POD}---\napiVersion: v1\nkind: [x]\n", "a.yaml:6: no Kubernetes object", Code.INVALID_MANIFEST),
        (POD.replace("image:", "imag:"), "Pod web: /spec/containers/0/image: must name an image", Code.INVALID_MANIFEST),
        ("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n", "Deployment d: /spec", Code.INVALID_MANIFEST),
        ("", "no object names an image", Code.INVALID_MANIFEST),
        ("apiVersion: v1\nkind: PodList\nitems: []\n", "no object names an image", Code.INVALID_MANIFEST),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path, text: str, says: str, code: Code) -> None:
    with pytest.raises(Invalid) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert caught.value.reason.code is code


def test_json_is_read_strictly(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="a name stands twice"):
        read(tmp_path, '{"kind": "Pod", "kind": "Service"}', "a.json")


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "_FILES", 2)
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_text(POD, encoding="utf-8")
    with pytest.raises(Invalid, match="holds too many files"):
        manifests.read([tmp_path], "", ImageTable((), Limits()), Limits())


def test_labels_are_those_of_the_pods(tmp_path: Path) -> None:
    labelled: Any = POD.replace("{name: web}", "{name: web, labels: {tier: prod}}")
    assert read(tmp_path, labelled).workloads[0].subjects[0].workload.labels == {"tier": "prod"}
