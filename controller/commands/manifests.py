"""Kubernetes manifests as `helm template` and `kustomize build` write them: which images would they run?"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.admission.pods import ImageTable
from controller.admission.subject import Subject
from controller.documents import read_json
from controller.errors import Code, Invalid, Refused
from controller.policy import yamlfile
from controller.policy.store import Document
from controller.settings import MIB, Limits

_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_STDIN: Final = Path("-")
_FILES: Final = 10_000
_FILE_BYTES: Final = 64 * MIB
_VALUES: Final = 4_000_000
"""JSON values of one file; a chart with large CRDs renders to some 100,000."""
_CORE_WITHOUT_PODS: Final = frozenset(
    {
        "ConfigMap",
        "Endpoints",
        "LimitRange",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "ResourceQuota",
        "Secret",
        "Service",
        "ServiceAccount",
    }
)
_GROUPS_WITHOUT_PODS: Final = frozenset(
    {
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "autoscaling",
        "networking.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)
DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Workload:
    """One object that names images. `file` says where it stands (`deploy.yaml:12`)."""

    file: str
    kind: str
    namespace: str
    name: str
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Manifests:
    """What is to be judged, the Namespaces beside it, and how many objects there are of kinds that might run pods unseen."""

    workloads: tuple[Workload, ...]
    namespaces: tuple[Document, ...]
    others: Mapping[str, int]


def read(paths: Sequence[Path], namespace: str, table: ImageTable, limits: Limits) -> Manifests:
    """Read files, folders (with everything below them) and standard input (`-`).

    Args:
        paths: Where to look.
        namespace: Of objects that name none.
        table: Where each kind keeps its images.
        limits: Of depth and counts; sizes are those of this module, because charts are larger than policies.

    Raises:
        Invalid: `InvalidFile` or `InvalidManifest` with file and line, also where no object names an image: then nothing
            was judged, which must not look like a pass.
    """
    workloads: list[Workload] = []
    namespaces: list[Document] = []
    others: Counter[str] = Counter()
    for origin, value in _objects(paths, limits):
        group, kind = _kind(value, origin)
        if (group, kind) == ("", "Namespace"):
            namespaces.append(Document(value, origin))
            continue
        own = Document(value, origin)
        place = own.namespace or namespace or DEFAULT_NAMESPACE
        try:
            subjects = table.images((group, kind), value, place)
        except Refused as error:
            if error.reason.code is not Code.UNKNOWN_KIND:
                raise
            others[f"{kind}.{group}" if group else kind] += 1
            continue
        except Invalid as error:
            raise Invalid(error.reason.code, str(error.reason), field=f"{origin}: {kind} {own.name}") from None
        workloads.append(Workload(origin, kind, place, own.name, subjects))
    if not workloads:
        found = ", ".join(f"{count} {kind}" for kind, count in sorted(others.items())) or "nothing"
        raise Invalid(Code.INVALID_MANIFEST, "no object names an image", expected="at least one workload", found=found)
    unknown = {name: count for name, count in others.items() if not _runs_nothing(name)}
    return Manifests(tuple(workloads), tuple(namespaces), unknown)


def _runs_nothing(name: str) -> bool:
    """Whether Kubernetes itself defines the kind, as one without pods."""
    return name in _CORE_WITHOUT_PODS or name.partition(".")[2] in _GROUPS_WITHOUT_PODS


def _objects(paths: Sequence[Path], limits: Limits) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in paths:
        for file in _files(path):
            name = "stdin" if file == _STDIN else str(file)
            for value, line in _documents(_content(file), name, limits):
                yield from _items(value, f"{name}:{line}")


def _files(path: Path) -> list[Path]:
    if path == _STDIN or not path.is_dir():
        return [path]
    found = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _SUFFIXES and file.is_file() and not any(p.startswith(".") for p in file.relative_to(path).parts)
    )
    if len(found) > _FILES:
        raise Invalid(
            Code.LIMIT_EXCEEDED, f"{path} holds too many files", expected=f"at most {_FILES}", found=str(len(found))
        )
    return found


def _content(file: Path) -> bytes:
    try:
        if file == _STDIN:
            return sys.stdin.buffer.read(_FILE_BYTES + 1)
        with file.open("rb") as stream:
            return stream.read(_FILE_BYTES + 1)
    except OSError as error:
        raise Invalid(Code.INVALID_FILE, f"{file} cannot be read", found=error.strerror or str(error)) from None


def _documents(raw: bytes, name: str, limits: Limits) -> Iterator[tuple[Any, int]]:
    if not name.endswith(".json"):
        bounds = limits.model_copy(update={"policy_file_bytes": _FILE_BYTES, "policy_file_values": _VALUES})
        yield from ((parsed.value, parsed.line) for parsed in yamlfile.read(raw, name, bounds, doubtful_as_text=True))
        return
    try:
        yield read_json(raw, name, limit=_FILE_BYTES, fold_names=False), 1
    except Refused as error:
        reason = error.reason
        raise Invalid(Code.INVALID_FILE, reason.message, expected=reason.expected, found=reason.found) from None


def _items(value: Any, origin: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The object itself, or the objects of a list, each given the kind that the list says where it says none."""
    if not isinstance(value, dict):
        raise Invalid(Code.INVALID_FILE, f"{origin}: no object", expected="a mapping with apiVersion and kind")
    kind, items = value.get("kind"), value.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield origin, value
        return
    said = {} if kind == "List" else {"apiVersion": value.get("apiVersion"), "kind": kind.removesuffix("List")}
    for number, item in enumerate(items):
        yield from _items({**said, **item} if isinstance(item, dict) else item, f"{origin}, item {number}")


def _kind(value: Mapping[str, Any], origin: str) -> tuple[str, str]:
    version, kind = value.get("apiVersion"), value.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str) or not kind:
        raise Invalid(Code.INVALID_MANIFEST, "no Kubernetes object", field=origin, expected="apiVersion and kind")
    return version.rpartition("/")[0], kind
