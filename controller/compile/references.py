"""Secrets and ConfigMaps that policies and trust roots name: which they are, and what stands in them.

Their objects come into compilation as documents beside the policies, so that a snapshot is a function of documents alone,
from a directory as from a cluster. Only what is named is ever looked for, and by name (design, section 4, rule 12).
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from controller.errors import Code, Invalid, Reason
from controller.policy.authorities import DataRef
from controller.policy.store import CONFIG_MAP, POLICY_KINDS, SECRET, TRUST_ROOT, Document
from controller.settings import Limits

_FIELDS: Final = {"secretKeyRef": SECRET, "configMapKeyRef": CONFIG_MAP}
_DEEPEST: Final = 16
"""Levels of a policy in which a reference can stand, and some more."""


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """A Secret or ConfigMap by name."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def referenced(documents: Iterable[Document], limits: Limits) -> frozenset[ObjectRef]:
    """Every object that the policies and trust roots among `documents` name, at most `referenced_objects`.

    A TrustPolicy names objects of its own namespace only, whatever it says (CVE-2026-22039).
    """
    found: dict[ObjectRef, None] = {}
    for document in sorted(documents, key=lambda one: (one.kind, one.namespace, one.name)):
        if document.kind in (*POLICY_KINDS, TRUST_ROOT):
            own = document.namespace if document.kind == "TrustPolicy" else ""
            for ref in _references(document.value.get("spec"), own, _DEEPEST):
                found[ref] = None
    return frozenset(tuple(found)[: limits.referenced_objects])


def _references(value: Any, own: str, deepest: int) -> Iterator[ObjectRef]:
    if not deepest:
        return
    if isinstance(value, list):
        for item in value:
            yield from _references(item, own, deepest - 1)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            kind = _FIELDS.get(name)
            if kind is None:
                yield from _references(item, own, deepest - 1)
            elif isinstance(item, Mapping):
                yield from _reference(item, kind, own)


def _reference(value: Mapping[str, Any], kind: str, own: str) -> Iterator[ObjectRef]:
    name, namespace = value.get("name"), value.get("namespace") or own
    foreign = bool(own) and namespace != own
    if isinstance(name, str) and isinstance(namespace, str) and name and namespace and not foreign:
        yield ObjectRef(kind, namespace, name)


class Data:
    """What stands in the Secrets and ConfigMaps among the documents. Contents never enter a reason."""

    __slots__ = ("_objects", "_used")

    def __init__(self, documents: Iterable[Document] = ()) -> None:
        """Know the objects among `documents`."""
        kinds = (SECRET, CONFIG_MAP)
        self._objects = {ObjectRef(d.kind, d.namespace, d.name): d.value for d in documents if d.kind in kinds}
        self._used: dict[str, str] = {}

    def find(self, kind: str, ref: DataRef, own: str) -> bytes | Reason:
        """The bytes that `ref` names, or why there are none.

        Args:
            kind: `Secret` or `ConfigMap`.
            ref: Which object, and which key of it.
            own: Namespace of the TrustPolicy that names it; empty for what is cluster-scoped.
        """
        where = ObjectRef(kind, ref.namespace or own, ref.name)
        if own and where.namespace != own:  # refused when it was written; judged again, should it ever be stored
            said = "a TrustPolicy reads its own namespace only"
            return Reason(Code.KEY_UNAVAILABLE, said, expected=f"namespace {own}", found=str(where))
        content = self._read(where, ref.key)
        mark = content.found if isinstance(content, Reason) else hashlib.sha256(content).hexdigest()
        self._used[f"{where} {ref.key}"] = mark
        return content

    @property
    def marks(self) -> tuple[str, ...]:
        """What was found so far, by hash: equal on replicas that found the same."""
        return tuple(sorted(f"{where} {mark}" for where, mark in self._used.items()))

    def _read(self, where: ObjectRef, key: str) -> bytes | Reason:
        value = self._objects.get(where)
        if value is None:
            return Reason(
                Code.KEY_UNAVAILABLE, f"{where} cannot be read", expected=f"an object with the key {key}", found="none"
            )
        content = _content(value, key, secret=where.kind == SECRET)
        if content is None:
            expected = f"text under the key {key}"
            return Reason(Code.KEY_UNAVAILABLE, f"{where} has no such key", expected=expected, found="none")
        return content


def quietly(error: Invalid) -> Reason:
    """Why an object's content cannot be used, without any of it: somebody may have put a private key there."""
    reason = error.reason
    return Reason(reason.code, reason.message, reason.expected)


def _content(value: Mapping[str, Any], key: str, *, secret: bool) -> bytes | None:
    """`data` of a Secret is base64, of a ConfigMap text; `stringData` and `binaryData` are the other way to write them."""
    for name, encoded in (("data", secret), ("stringData" if secret else "binaryData", not secret)):
        part = value.get(name)
        text = part.get(key) if isinstance(part, Mapping) else None
        if isinstance(text, str):
            return _decoded(text) if encoded else text.encode()
    return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
