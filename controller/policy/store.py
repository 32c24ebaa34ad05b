"""Policy files: what a directory holds, read whole or not at all."""

import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.documents import read_json
from controller.errors import Code, Invalid, Refused
from controller.policy import yamlfile
from controller.policy.words import API_VERSION, GROUP
from controller.roots.reading import MEDIA_TYPES
from controller.settings import Limits

POLICY_KINDS: Final = ("ClusterTrustPolicy", "TrustPolicy")
TRUST_ROOT: Final = "TrustRoot"
TRUST_EXCEPTION: Final = "TrustException"
SECRET: Final = "Secret"  # noqa: S105 - a kind
CONFIG_MAP: Final = "ConfigMap"
_CORE_KINDS: Final = ("Namespace", SECRET, CONFIG_MAP)
_OWN_KINDS: Final = (*POLICY_KINDS, TRUST_ROOT, TRUST_EXCEPTION)
_NAMESPACED: Final = ("TrustPolicy", SECRET, CONFIG_MAP)
_SUFFIXES: Final = (".yaml", ".yml", ".json")
_ATTEMPTS: Final = 3
_LISTS: Final[Mapping[str, str]] = {
    "List": "",
    "NamespaceList": "Namespace",
    **{f"{kind}List": kind for kind in _OWN_KINDS},
}


@dataclass(frozen=True, slots=True)
class Document:
    """One object as written: JSON values, and where it stands (`policies/corp.yaml:12`; empty for an object of the cluster).

    Its kind is ClusterTrustPolicy, TrustPolicy, TrustRoot, TrustException, Namespace, Secret or ConfigMap, and it has a
    name; nothing else was checked.
    """

    value: Mapping[str, Any]
    origin: str = ""

    @property
    def kind(self) -> str:
        """Kind of the object."""
        return str(self.value.get("kind", ""))

    @property
    def name(self) -> str:
        """Name of the object, empty where it has none."""
        return self._metadata("name")

    @property
    def namespace(self) -> str:
        """Namespace of the object, empty where it has none."""
        return self._metadata("namespace")

    def _metadata(self, name: str) -> str:
        metadata = self.value.get("metadata")
        value = metadata.get(name) if isinstance(metadata, Mapping) else None
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """Everything read from one place: policies, trust roots and namespaces, in the order of file names and lines."""

    documents: tuple[Document, ...]


def read_directory(path: Path, limits: Limits) -> PolicyFiles:
    """Read every `*.yaml`, `*.yml` and `*.json` in `path`, or the one file that `path` is.

    A trusted root as Sigstore writes it (JSON) counts as a TrustRoot, named by the file's name up to its first dot.

    Folders below and hidden entries are left alone, as `kubectl apply -f` does; a mounted ConfigMap keeps its versions in
    hidden folders and swaps one link. A directory that changes while it is read is read again.

    Raises:
        Invalid: `InvalidFile`, `InvalidPolicy`, `NotSupportedYet` or `LimitExceeded`, naming file and line: nothing was
            taken over then.
    """
    for _ in range(_ATTEMPTS):
        before = _listing(path, limits)
        documents = _documents(before, limits)
        if _listing(path, limits) == before:
            _check_names(documents)
            return PolicyFiles(documents)
    raise Invalid(Code.INVALID_FILE, f"{path} changes faster than it can be read")


def read_text(raw: bytes, name: str, limits: Limits) -> tuple[Document, ...]:
    """Read the documents of one file; `name` says its format by its ending and stands in every reason.

    Raises:
        Invalid: As `read_directory`.
    """
    return tuple(document for value, line in _parse(raw, name, limits) for document in _accept(value, f"{name}:{line}"))


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it was listed; two listings are equal when nothing changed between them."""

    name: str
    real: str
    identity: tuple[int, int, int, int]


def _listing(path: Path, limits: Limits) -> tuple[_File, ...]:
    try:
        if not path.is_dir():
            return (_file(path),)
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if _is_policy_file(entry))
        if len(names) > limits.policy_files:
            expected = f"at most {limits.policy_files} files"
            raise Invalid(Code.LIMIT_EXCEEDED, f"{path} holds too much", expected=expected, found=str(len(names)))
        return tuple(_file(path / name) for name in names)
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise _unreadable(path, error) from None


def _is_policy_file(entry: "os.DirEntry[str]") -> bool:
    return entry.name.endswith(_SUFFIXES) and not entry.name.startswith(".") and not entry.is_dir()


def _file(path: Path) -> _File:
    real = path.resolve(strict=True)
    status = real.stat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would never end
        raise Invalid(Code.INVALID_FILE, f"{path} is no regular file")
    return _File(str(path), str(real), (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


def _documents(files: Iterable[_File], limits: Limits) -> tuple[Document, ...]:
    documents: list[Document] = []
    left = limits.policy_bytes
    for file in files:
        raw = _content(file, limits)
        left -= len(raw)
        if left < 0:
            raise Invalid(
                Code.LIMIT_EXCEEDED, "the policy files are too long", expected=f"at most {limits.policy_bytes} bytes"
            )
        documents += read_text(raw, file.name, limits)
    return tuple(documents)


def _content(file: _File, limits: Limits) -> bytes:
    path = Path(file.real)
    try:
        with path.open("rb") as stream:
            return stream.read(limits.policy_file_bytes + 1)  # one more, so that the reader sees it is too long
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError | RuntimeError) -> Invalid:
    found = (error.strerror if isinstance(error, OSError) else "") or type(error).__name__
    return Invalid(Code.INVALID_FILE, f"{path} cannot be read", found=found)


def _parse(raw: bytes, name: str, limits: Limits) -> Iterator[tuple[Any, int]]:
    if not name.endswith(".json"):
        for parsed in yamlfile.read(raw, name, limits):
            yield from ((item, parsed.line_of(item)) for item in _items(parsed.value, f"{name}:{parsed.line}"))
        return
    try:
        value = read_json(raw, name, limit=limits.policy_file_bytes, fold_names=False)
    except Refused as error:
        code = Code.LIMIT_EXCEEDED if error.reason.code is Code.LIMIT_EXCEEDED else Code.INVALID_FILE
        reason = error.reason
        raise Invalid(code, reason.message, expected=reason.expected, found=reason.found) from None
    if isinstance(value, dict) and "kind" not in value and value.get("mediaType") in MEDIA_TYPES:
        value = _trust_root(value, name)
    yield from ((item, 1) for item in _items(value, f"{name}:1"))


def _trust_root(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    metadata = {"name": Path(name).name.partition(".")[0]}
    spec = {"inline": json.dumps(document, ensure_ascii=False)}
    return {"apiVersion": API_VERSION, "kind": TRUST_ROOT, "metadata": metadata, "spec": spec}


def _items(value: Any, origin: str) -> Iterator[Any]:
    """The object itself, or the objects of a List, each given the kind the list says where it says none."""
    if not isinstance(value, dict):
        raise Invalid(Code.INVALID_FILE, f"{origin}: no object", expected="a mapping with apiVersion and kind")
    kind = value.get("kind")
    if not isinstance(kind, str) or kind not in _LISTS:
        yield value
        return
    items = value.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Invalid(Code.INVALID_FILE, f"{origin}: items of a {kind} must be a list of objects")
    for item in items:
        if _LISTS[kind]:
            item.setdefault("kind", _LISTS[kind])
            item.setdefault("apiVersion", value.get("apiVersion"))
        yield item


def _accept(value: Mapping[str, Any], origin: str) -> Iterator[Document]:
    """What belongs among policies; anything else was put there by mistake and might be missed elsewhere."""
    document = Document(value, origin)
    api, kind = value.get("apiVersion"), value.get("kind")
    group, _, version = str(api).rpartition("/")
    if group == GROUP and kind in _OWN_KINDS and api != API_VERSION:
        raise Invalid(Code.INVALID_POLICY, f"{origin}: unknown version", expected=API_VERSION, found=version[:60])
    if not (api == API_VERSION and kind in _OWN_KINDS) and not (api == "v1" and kind in _CORE_KINDS):
        found = f"{str(api)[:60]} {str(kind)[:60]}"
        expected = f"{API_VERSION} {' or '.join(_OWN_KINDS)}, or v1 {', '.join(_CORE_KINDS)}"
        raise Invalid(
            Code.INVALID_FILE, f"{origin}: this kind does not belong among policies", expected=expected, found=found
        )
    if not document.name or (kind in _NAMESPACED and not document.namespace):
        missing = "metadata.namespace" if document.name else "metadata.name"
        raise Invalid(Code.INVALID_POLICY, f"{origin}: {kind} {document.name}".rstrip() + f": {missing} is missing")
    labels = value["metadata"].get("labels", {})
    if kind == "Namespace" and not (isinstance(labels, dict) and all(isinstance(label, str) for label in labels.values())):
        raise Invalid(Code.INVALID_FILE, f"{origin}: Namespace {document.name}: metadata.labels must be a mapping of text")
    yield document


def _check_names(documents: Iterable[Document]) -> None:
    seen: dict[tuple[str, str, str], str] = {}
    for document in documents:
        identity = (document.kind, document.namespace, document.name)
        if identity in seen:
            what = f"{document.kind} {document.name}"
            raise Invalid(Code.INVALID_POLICY, f"{document.origin}: {what} stands twice", found=f"also at {seen[identity]}")
        seen[identity] = document.origin
