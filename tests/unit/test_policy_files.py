"""Policy files are read whole or not at all, and each document has one reading."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from controller.errors import Code, Invalid
from controller.policy.store import Document, PolicyFiles, read_directory, read_text
from controller.settings import Limits

LIMITS = Limits()
HEAD = "apiVersion: sigward.dev/v1alpha1\nkind: ClusterTrustPolicy\nmetadata: {name: corp}\n"


def written(name: str = "corp", kind: str = "ClusterTrustPolicy", extra: str = "") -> str:
    return f"apiVersion: sigward.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}{extra}}}\nspec: {{}}\n"


def read(text: str, name: str = "corp.yaml", limits: Limits = LIMITS) -> tuple[Document, ...]:
    return read_text(text.encode(), name, limits)


def refusal(text: str, name: str = "corp.yaml", limits: Limits = LIMITS) -> Invalid:
    with pytest.raises(Invalid) as caught:
        read(text, name, limits)
    return caught.value


def names(files: PolicyFiles) -> list[str]:
    return [document.name for document in files.documents]


def test_each_document_knows_its_file_and_line() -> None:
    documents = read(f"# corp\n---\n{written('a')}---\n# nothing here\n---\n{written('b')}...\n")
    assert [(document.name, document.origin) for document in documents] == [("a", "corp.yaml:3"), ("b", "corp.yaml:10")]


def test_lists_are_opened() -> None:
    text = f"""
apiVersion: v1
kind: List
items:
- apiVersion: sigward.dev/v1alpha1
  kind: TrustPolicy
  metadata: {{name: a, namespace: shop}}
- apiVersion: v1
  kind: Namespace
  metadata: {{name: shop, labels: {{tier: prod}}}}
---
apiVersion: sigward.dev/v1alpha1
kind: ClusterTrustPolicyList
items:
- metadata: {{name: b}}
---
{written("c")}"""
    found = [(document.kind, document.name, document.origin) for document in read(text)]
    assert found == [
        ("TrustPolicy", "a", "corp.yaml:5"),
        ("Namespace", "shop", "corp.yaml:8"),
        ("ClusterTrustPolicy", "b", "corp.yaml:15"),
        ("ClusterTrustPolicy", "c", "corp.yaml:17"),
    ]


def test_json_is_read_strictly() -> None:
    document = {"apiVersion": "sigward.dev/v1alpha1", "kind": "ClusterTrustPolicy", "metadata": {"name": "corp"}}
    assert [found.origin for found in read(json.dumps(document), "corp.json")] == ["corp.json:1"]
    assert refusal('{"kind": "a", "kind": "b"}', "corp.json").reason.code is Code.INVALID_FILE
    assert refusal("[" * 70 + "]" * 70, "corp.json").reason.code is Code.LIMIT_EXCEEDED


TWO_READINGS = ["yes", "no", "on", "Off", "y", "N", "0777", "0x1F", "0o17", "1_000", "1:30", ".inf", ".NaN"]


@pytest.mark.parametrize("scalar", TWO_READINGS)
def test_what_two_versions_of_yaml_read_differently_is_refused(scalar: str) -> None:
    error = refusal(f"{HEAD}spec:\n  match: {scalar}\n")
    assert error.reason.code is Code.INVALID_FILE
    assert "corp.yaml:5: YAML 1.1 and 1.2 read this differently" in str(error)
    assert error.reason.found == scalar


@pytest.mark.parametrize("scalar", TWO_READINGS)
def test_in_quotes_it_is_text(scalar: str) -> None:
    (document,) = read(f"{HEAD}spec: '{scalar}'\n")
    assert document.value["spec"] == scalar


def test_times_stay_text_and_numbers_are_numbers() -> None:
    (document,) = read(f"{HEAD}spec: [2026-01-31T00:00:00Z, 2026-01-31, 2, -1.5, 1e3, true, ~, sha256:12, .5, -, 1.2.3]\n")
    expected = ["2026-01-31T00:00:00Z", "2026-01-31", 2, -1.5, 1000.0, True, None, "sha256:12", 0.5, "-", "1.2.3"]
    assert document.value["spec"] == expected


REFUSED = [
    ("spec: {match: 1, match: 2}", "corp.yaml:4: a key stands twice in one mapping: found 'match'"),
    ("spec: {1: 2}", "corp.yaml:4: a key must be text: put it in quotes: found 1"),
    ("spec: &a {b: *a}", "corp.yaml:4: an alias of nothing that stands before it: found *a"),
    ("spec: *a", "corp.yaml:4: an alias of nothing that stands before it: found *a"),
    ("a: &a {b: 1}\nspec: {<<: *a}", "corp.yaml:5: merge keys are not read here"),
    ("spec: !!binary aGVsbG8=", "corp.yaml:4: tags are not read here: found tag:yaml.org,2002:binary"),
    ("spec: !!python/object:os.system {}", "corp.yaml:4: tags are not read here"),
    ("spec: 1e999", "corp.yaml:4: a number is out of range"),
    ("spec: {", "corp.yaml:5: not YAML"),
    ("spec: @x", "corp.yaml:4: not YAML"),
    ("\tspec: x", "corp.yaml:4: not YAML"),
]


@pytest.mark.parametrize(("line", "message"), REFUSED)
def test_documents_that_mean_something_else_than_they_seem_are_refused(line: str, message: str) -> None:
    error = refusal(f"{HEAD}{line}\n")
    assert error.reason.code is Code.INVALID_FILE
    assert message in str(error)


def test_aliases_are_read() -> None:
    (document,) = read(f"{HEAD}spec: {{a: &images ['*/**'], b: *images}}\n")
    assert document.value["spec"] == {"a": ["*/**"], "b": ["*/**"]}


def test_a_bomb_of_aliases_is_counted_at_its_full_size() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20)]
    error = refusal(HEAD + "\n".join(lines))
    assert error.reason.code is Code.LIMIT_EXCEEDED
    assert "too many values" in str(error)


def test_a_tower_of_aliases_is_counted_at_its_full_height() -> None:
    lines = [f"a0: &a0 {'[' * 40}{']' * 40}", f"a1: {'[' * 40}*a0{']' * 40}"]
    error = refusal(HEAD + "\n".join(lines))
    assert error.reason.code is Code.LIMIT_EXCEEDED
    assert "corp.yaml:5: nested too deeply" in str(error)


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 100_000, "- " * 100_000])
def test_depth_is_bounded(text: str) -> None:
    error = refusal(text)
    assert error.reason.code is Code.LIMIT_EXCEEDED
    assert "nested too deeply" in str(error)


def test_a_file_too_long_is_refused_before_it_is_read() -> None:
    error = refusal(written(), limits=Limits(policy_file_bytes=10))
    assert (error.reason.code, error.reason.expected) == (Code.LIMIT_EXCEEDED, "at most 10 bytes")


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Invalid, match=r"corp\.yaml is not UTF-8"):
        read_text(b"a: \xff", "corp.yaml", LIMITS)


FOREIGN = [
    ("apiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", Code.INVALID_FILE, "corp.yaml:1: this kind does not belong"),
    ("kind: ClusterTrustPolicy\nmetadata: {name: x}\n", Code.INVALID_FILE, "corp.yaml:1: this kind does not belong"),
    (written(kind="TrustPolicies"), Code.INVALID_FILE, "found sigward.dev/v1alpha1 TrustPolicies"),
    (written(kind="TrustException").replace("v1alpha1", "v1"), Code.INVALID_POLICY, "corp.yaml:1: unknown version"),
    (written(kind="TrustRoot").replace("v1alpha1", "v1"), Code.INVALID_POLICY, "corp.yaml:1: unknown version"),
    (
        written().replace("v1alpha1", "v1"),
        Code.INVALID_POLICY,
        "corp.yaml:1: unknown version: expected sigward.dev/v1alpha",
    ),
    (written(kind="TrustPolicy"), Code.INVALID_POLICY, "corp.yaml:1: TrustPolicy corp: metadata.namespace is missing"),
    ("apiVersion: v1\nkind: Namespace\n", Code.INVALID_POLICY, "corp.yaml:1: Namespace: metadata.name is missing"),
    (
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {tier: 1}}\n",
        Code.INVALID_FILE,
        "metadata.labels must be a mapping of text",
    ),
    ("- a\n", Code.INVALID_FILE, "corp.yaml:1: no object"),
    ("hello\n", Code.INVALID_FILE, "corp.yaml:1: no object"),
    ("apiVersion: v1\nkind: List\nitems: {}\n", Code.INVALID_FILE, "corp.yaml:1: items of a List must be a list"),
    (f"{written()}---\nkind: List\nitems: [1]\n", Code.INVALID_FILE, "corp.yaml:6: items of a List"),
]


@pytest.mark.parametrize(("text", "code", "message"), FOREIGN)
def test_what_does_not_belong_among_policies_is_named_with_its_line(text: str, code: Code, message: str) -> None:
    error = refusal(text)
    assert error.reason.code is code
    assert message in str(error)


def test_a_directory_is_read_in_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(written("b"))
    (tmp_path / "a.yml").write_text(written("a"))
    (tmp_path / "c.json").write_text(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}))
    (tmp_path / "README.md").write_text("not a policy")
    (tmp_path / ".hidden.yaml").write_text("not: read")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "d.yaml").write_text("not: read")
    assert names(read_directory(tmp_path, LIMITS)) == ["a", "b", "shop"]
    assert names(read_directory(tmp_path / "b.yaml", LIMITS)) == ["b"]


def test_one_broken_file_refuses_the_directory(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(written("a"))
    (tmp_path / "b.yaml").write_text("spec: {")
    with pytest.raises(Invalid, match=r"b\.yaml:2: not YAML") as caught:
        read_directory(tmp_path, LIMITS)
    assert caught.value.reason.code is Code.INVALID_FILE


def test_a_name_that_stands_twice_is_refused_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(written("corp"))
    (tmp_path / "b.yaml").write_text("---\n" + written("corp"))
    with pytest.raises(Invalid, match=r"b\.yaml:2: ClusterTrustPolicy corp stands twice: found also at .*/a\.yaml:1"):
        read_directory(tmp_path, LIMITS)


def test_a_mounted_configmap_is_read_once(tmp_path: Path) -> None:
    version = tmp_path / "..2026_11_22"
    version.mkdir()
    (version / "corp.yaml").write_text(written("corp"))
    (tmp_path / "..data").symlink_to(version.name)
    (tmp_path / "corp.yaml").symlink_to("..data/corp.yaml")
    assert names(read_directory(tmp_path, LIMITS)) == ["corp"]


def test_a_swap_in_the_middle_of_reading_is_never_half_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in ("old", "new"):
        folder = tmp_path / f"..{version}"
        folder.mkdir()
        (folder / "a.yaml").write_text(written(f"{version}-a"))
        (folder / "b.yaml").write_text(written(f"{version}-b"))
    (tmp_path / "..data").symlink_to("..old")
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    swapped: list[bool] = []
    real = Path.open

    def swapping(self: Path, *args: Any) -> object:
        if self.name == "b.yaml" and not swapped:
            swapped.append(True)
            (tmp_path / "..tmp").symlink_to("..new")
            os.replace(tmp_path / "..tmp", tmp_path / "..data")  # noqa: PTH105 - what the kubelet does
        return real(self, *args)

    monkeypatch.setattr(Path, "open", swapping)
    assert names(read_directory(tmp_path, LIMITS)) == ["new-a", "new-b"]


def test_a_directory_that_never_rests_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(written("a"))
    times = iter(range(1, 100))
    real = Path.open

    def touching(self: Path, *args: Any) -> object:
        os.utime(self, (0, next(times)))
        return real(self, *args)

    monkeypatch.setattr(Path, "open", touching)
    with pytest.raises(Invalid, match="changes faster than it can be read"):
        read_directory(tmp_path, LIMITS)


def test_pipes_loops_and_dead_links_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(Invalid, match=r"pipe\.yaml is no regular file"):
        read_directory(tmp_path, LIMITS)
    (tmp_path / "pipe.yaml").unlink()
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    with pytest.raises(Invalid, match="cannot be read"):
        read_directory(tmp_path, LIMITS)
    (tmp_path / "loop.yaml").unlink()
    (tmp_path / "dead.yaml").symlink_to("nowhere.yaml")
    with pytest.raises(Invalid, match="cannot be read: found No such file"):
        read_directory(tmp_path, LIMITS)


def test_a_directory_that_is_not_there_is_no_empty_set(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="cannot be read") as caught:
        read_directory(tmp_path / "gone", LIMITS)
    assert caught.value.reason.code is Code.INVALID_FILE


def test_files_and_bytes_of_a_directory_are_bounded(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_text(written(f"p{number}"))
    with pytest.raises(Invalid, match="expected at most 2 files; found 3"):
        read_directory(tmp_path, Limits(policy_files=2))
    with pytest.raises(Invalid, match="the policy files are too long: expected at most 200 bytes"):
        read_directory(tmp_path, Limits(policy_bytes=200))
