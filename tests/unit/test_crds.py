"""The definitions of the resources, as far as no API server is needed; tests/interop/test_crds.py asks the real code."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from controller.commands import main
from controller.policy.crds import DEFINITIONS, HEAD, Definition
from controller.policy.crds.structural import structural
from controller.policy.part import Part
from controller.policy.words import Age, DigestText, Time
from tests.unit.policies_written import JUDGED, LATER

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "charts" / "sigward" / "crds"
LARGEST = 256 * 1024
SCHEMA_WORDS = {
    "additionalProperties",
    "default",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}


def root(definition: Definition) -> dict[str, Any]:
    (version,) = yaml.safe_load(definition.text())["spec"]["versions"]
    found: dict[str, Any] = version["schema"]["openAPIV3Schema"]
    return found


def nodes(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema below, with its path: `spec.authorities[].name`, `spec.….annotations{}`."""
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        yield from nodes(inner, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")


CLUSTER, NAMESPACED, *_ = DEFINITIONS
POLICIES = (CLUSTER, NAMESPACED)
EVERY = {definition.kind: dict(nodes(root(definition), "")) for definition in DEFINITIONS}
SPEC = dict(nodes(root(CLUSTER)["properties"]["spec"], ""))


def test_the_names_are_those_people_type() -> None:
    assert [definition.document()["metadata"]["name"] for definition in DEFINITIONS] == [
        "clustertrustpolicies.sigward.dev",
        "trustpolicies.sigward.dev",
        "trustroots.sigward.dev",
        "trustexceptions.sigward.dev",
    ]
    specs = [definition.document()["spec"] for definition in DEFINITIONS]
    assert [(spec["scope"], spec["names"]["shortNames"]) for spec in specs] == [
        ("Cluster", ["ctp"]),
        ("Namespaced", ["tp"]),
        ("Cluster", ["tr"]),
        ("Cluster", ["tx"]),
    ]
    assert all(spec["names"]["categories"] == ["sigward"] for spec in specs)
    assert all("conversion" not in spec for spec in specs)


@pytest.mark.parametrize("definition", POLICIES, ids=lambda definition: definition.kind)
def test_the_status_is_a_subresource_and_the_columns_say_what_matters(definition: Definition) -> None:
    (version,) = definition.document()["spec"]["versions"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    columns = {column["name"].upper(): column["jsonPath"] for column in version["additionalPrinterColumns"]}
    assert list(columns) == ["MODE", "READY", "FAILING", "AGE"]
    assert columns["READY"] == '.status.conditions[?(@.type=="Ready")].status'
    status = dict(nodes(root(definition)["properties"]["status"], ""))
    assert {"images.failing", "conditions[].observedGeneration", "authorities[].keys[].notAfter"} <= set(status)
    assert set(status["conditions[]"]["required"]) == {"type", "status", "lastTransitionTime", "reason", "message"}


def test_every_field_of_the_models_is_there() -> None:
    written = {re.sub(r"\[\]|\{\}", "", path) for path in SPEC}
    assert set(JUDGED) | set(LATER) <= written


@pytest.mark.parametrize("kind", EVERY)
def test_every_field_is_described_and_bounded(kind: str) -> None:
    whole = {path: node for path, node in EVERY[kind].items() if path != "metadata"}
    assert EVERY[kind]["metadata"] == {"type": "object"}  # an API server takes nothing else here
    named = [path for path in whole if not path.endswith(("[]", "{}"))]
    assert [path for path in named if not whole[path].get("description", "").strip()] == []
    # The two that are bounded by what they may be:
    assert [path for path, node in whole.items() if not _is_bounded(node)] == ["apiVersion", "kind"]
    assert {word for node in whole.values() for word in node} <= SCHEMA_WORDS


def _is_bounded(node: dict[str, Any]) -> bool:
    match node["type"]:
        case "string":
            return "maxLength" in node or "enum" in node
        case "array":
            return "maxItems" in node
        case "integer":
            return "minimum" in node and "maximum" in node
        case "object" if "additionalProperties" in node:
            return "maxProperties" in node and "properties" not in node
        case kind:
            return kind in {"object", "boolean"}


@pytest.mark.parametrize("kind", EVERY)
def test_unknown_fields_are_kept_wherever_a_restriction_may_be_misspelt(kind: str) -> None:
    kept = {path for path, node in EVERY[kind].items() if node.get("x-kubernetes-preserve-unknown-fields")}
    assert {"", "spec"} <= kept
    assert kept == {path for path, node in EVERY[kind].items() if "properties" in node and not path.startswith("status")}


@pytest.mark.parametrize("kind", EVERY)
def test_rules_speak_of_fields_that_exist(kind: str) -> None:
    known = {"FieldValueInvalid", "FieldValueRequired", "FieldValueForbidden", "FieldValueDuplicate"}
    for path, node in EVERY[kind].items():
        for rule in node.get("x-kubernetes-validations", ()):
            assert rule["message"]
            assert rule["reason"] in known
            named = re.findall(r"self\.(\w+)", rule["rule"]) + re.findall(r"^\.(\w+)$", rule.get("fieldPath", ""))
            fields = {re.sub(r"^__(\w+)__$", r"\1", name) for name in named}
            fields -= {"metadata"} if path == "" else set()
            assert fields <= set(node.get("properties", ["all"])), path


def test_a_restriction_without_a_value_is_kept_for_us_to_refuse() -> None:
    nullable = {path for path, node in SPEC.items() if node.get("nullable")}
    assert nullable == {path for path in SPEC if path.endswith("{}")}


def test_lists_of_named_things_are_maps() -> None:
    maps = {path: node["x-kubernetes-list-map-keys"] for path, node in SPEC.items() if "x-kubernetes-list-map-keys" in node}
    assert maps == {"authorities": ["name"], "require": ["name"], "match.matchConditions": ["name"]}
    # Names of keys may be left out, which keys of a list map may not: a rule holds them unique instead.
    assert SPEC["authorities[].keys"]["x-kubernetes-list-type"] == "atomic"
    assert SPEC["require[].signature.of"]["x-kubernetes-list-type"] == "set"
    status = dict(nodes(root(CLUSTER)["properties"]["status"], ""))
    maps = {
        path: node["x-kubernetes-list-map-keys"] for path, node in status.items() if "x-kubernetes-list-map-keys" in node
    }
    assert maps == {"conditions": ["type"], "authorities": ["name"], "authorities[].keys": ["sha256"]}


def test_defaults_are_the_models() -> None:
    assert SPEC["mode"]["default"] == "Enforce"
    assert SPEC["require[].signature.threshold"]["default"] == 1
    assert SPEC["require[].sbom.formats"]["default"] == ["CycloneDX", "SPDX"]
    assert "default" not in SPEC["require[].mode"]  # absent means the policy's
    assert "default" not in SPEC["authorities[].transparencyLog"]  # depends on the kind of authority


def test_only_the_namespaced_kind_refuses_what_is_for_cluster_policies() -> None:
    message = "only a ClusterTrustPolicy may select namespaces"
    assert message in NAMESPACED.text()
    assert message not in CLUSTER.text()


AGE = (Age, "require[].sbom.maxAge")
TIME = (Time, "authorities[].keys[].notAfter")
DIGEST = (DigestText, "revoked.digests[]")


def accepted_by(word: tuple[Any, str], value: str) -> tuple[bool, bool]:
    """Whether the model takes the value, and whether the schema does."""
    kind, path = word
    node = SPEC[path]
    fits = (
        re.search(node["pattern"].replace("$", r"\Z"), value) and node.get("minLength", 0) <= len(value) <= node["maxLength"]
    )
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False, bool(fits)
    return True, bool(fits)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((AGE, value) for value in ("720h", "1h30m", "1.5h", ".5h250µs")),
        *((TIME, value) for value in ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456789+02:00")),
        *((DIGEST, value) for value in ("sha256:" + "a" * 64, "sha512:" + "a" * 128)),
    ],
)
def test_what_the_model_reads_the_schema_takes(word: tuple[Any, str], value: str) -> None:
    assert accepted_by(word, value) == (True, True)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        *((AGE, value) for value in ("30 days", "30d", " 720h", "720h\n", "-1h", "1..5h", "", "1h" * 33)),
        *(
            (TIME, value)
            for value in ("2026-01-01t00:00:00Z", "2026-01-01T00:00:00", "2026-01-01", "2026-01-01T00:00:00Z\n")
        ),
        *((DIGEST, value) for value in ("sha256:" + "A" * 64, "sha512:" + "a" * 64, "sha256:" + "a" * 64 + "\n")),
    ],
)
def test_what_the_model_does_not_read_the_schema_refuses(word: tuple[Any, str], value: str) -> None:
    assert accepted_by(word, value) == (False, False)


def test_a_model_that_no_structural_schema_can_say_is_not_half_said() -> None:
    class Either(Part):
        """Two shapes in one field."""

        value: int | str

    class Loose(Part):
        """A field of any number."""

        value: float

    for model in (Either, Loose):
        with pytest.raises(TypeError, match="value has no structural schema"):
            structural(model, cluster=True, strict=True)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition.kind)
def test_the_text_is_small_repeatable_and_the_one_committed(definition: Definition) -> None:
    text = definition.text()
    assert len(text.encode()) < LARGEST
    assert text == definition.text()
    assert text.startswith(HEAD)
    assert not re.search(r"[:-] [&*]id\d", text), "no YAML anchors"
    assert (WRITTEN / definition.file_name).read_text(encoding="utf-8") == text, "run make crds"


def test_the_command_prints_every_definition_as_one_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["crds"]) == 0
    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert printed == [definition.document() for definition in DEFINITIONS]


def test_what_the_command_writes_passes_its_own_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "charts" / "crds"
    assert main(["crds", "--write", str(folder)]) == 0
    assert sorted(path.name for path in folder.iterdir()) == [
        "clustertrustpolicies.yaml",
        "trustexceptions.yaml",
        "trustpolicies.yaml",
        "trustroots.yaml",
    ]
    assert main(["crds", "--check", str(folder)]) == 0
    assert capsys.readouterr() == ("", "")


def test_drift_is_told_by_file_and_writing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["crds", "--write", str(tmp_path)])
    changed, gone = tmp_path / "clustertrustpolicies.yaml", tmp_path / "trustpolicies.yaml"
    changed.write_text(changed.read_text(encoding="utf-8").replace("maxItems: 64", "maxItems: 65", 1), encoding="utf-8")
    gone.rename(tmp_path / "trustpolicys.yaml")
    other = tmp_path / "somebody-elses.yaml"
    other.write_text("kind: ConfigMap\n", encoding="utf-8")
    assert main(["crds", "--check", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "clustertrustpolicies.yaml: is not what the models say" in said
    assert "trustpolicies.yaml: is missing" in said
    assert "trustpolicys.yaml: no longer one of the resources" in said
    assert "somebody-elses" not in said
    assert main(["crds", "--write", str(tmp_path)]) == 0
    assert main(["crds", "--check", str(tmp_path)]) == 0
    assert other.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["crds", "--write", str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert f"{tmp_path / 'file'}: cannot be used" in said
