"""All policies -> the immutable snapshot a request judges by."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from controller.compile.compiled import CompiledPolicy, PolicyId, Scope, Snapshot
from controller.compile.exceptions import compile_exceptions
from controller.compile.policy import compile_or_break, identity
from controller.compile.roots import BuiltIn, Mirrored, Roots
from controller.errors import Code, Reason
from controller.policy.store import CONFIG_MAP, SECRET, TRUST_EXCEPTION, Document
from controller.policy.words import Mode
from controller.roots import TrustedRoot
from controller.settings import Limits


def compile_policies(
    documents: Iterable[Document],
    number: int,
    limits: Limits,
    built_in: BuiltIn | None = None,
    mirrored: Mirrored | None = None,
) -> Snapshot:
    """Compile every policy among `documents` by their TrustRoots and the built-in ones; Namespaces give their labels.

    Nothing is dropped: a policy that does not compile refuses its scope, and so does, in one stroke, what exceeds a limit.
    The result depends on the documents alone, in whatever order they come (design, rule 12), and on the built-in roots.

    Args:
        documents: As `store` reads them, or as the cluster lists them.
        number: Of the snapshot, higher than the last.
        limits: `policies`, `policies_per_namespace` and `trust_policies`.
        built_in: The built-in trusted roots as they are believed now; by default as shipped.
        mirrored: Those of TrustRoots that a TUF repository publishes; by default none was fetched yet.
    """
    ordered = sorted(documents, key=lambda document: (document.kind, document.namespace, document.name))
    cluster = [document for document in ordered if document.kind == "ClusterTrustPolicy"]
    spaces: dict[str, list[Document]] = defaultdict(list)
    for document in ordered:
        if document.kind == "TrustPolicy":
            spaces[document.namespace].append(document)
    roots = Roots.read(ordered, limits, built_in, mirrored)
    policies = _within(cluster, limits.policies, "", roots, limits)
    left = limits.trust_policies
    # Smallest first: where the total is exceeded the largest lose, not whoever comes last in the alphabet.
    for namespace, own in sorted(spaces.items(), key=lambda item: (len(item[1]), item[0])):
        compiled = _within(own, min(left, limits.policies_per_namespace), namespace, roots, limits)
        left -= min(len(own), left)
        policies += compiled
    labels = {document.name: _labels(document) for document in ordered if document.kind == "Namespace"}
    believed = (_believed(name, root) for name, root in roots.believed.items())
    counted = (document for document in ordered if document.kind not in {SECRET, CONFIG_MAP})
    fingerprint = Snapshot.fingerprint_of((*map(_content, counted), *roots.data.marks, *believed))
    exceptions = compile_exceptions(ordered, limits)
    known = (MappingProxyType(labels), roots.named, *exceptions, MappingProxyType(roots.followed))
    return Snapshot(number, tuple(policies), fingerprint, *known)


def _within(
    documents: Sequence[Document], allowed: int, namespace: str, roots: Roots, limits: Limits
) -> list[CompiledPolicy]:
    """The first `allowed` by name; all others together become one policy that refuses everything in their scope."""
    policies = [compile_or_break(document, limits, roots) for document in documents[:allowed]]
    if len(documents) > allowed:
        policies.append(_too_many(documents[allowed], namespace, allowed, len(documents)))
    return policies


def _too_many(first: Document, namespace: str, allowed: int, found: int) -> CompiledPolicy:
    where = f"namespace {namespace}" if namespace else "the cluster"
    reason = Reason(Code.LIMIT_EXCEEDED, f"{where} has too many policies", f"at most {allowed}", str(found))
    name = PolicyId(first.kind, namespace, identity(first).name)
    return CompiledPolicy(name, Mode.ENFORCE, Scope(None, namespace=namespace), broken=reason)


def _labels(document: Document) -> Mapping[str, str]:
    metadata: Any = document.value.get("metadata")
    labels = metadata.get("labels") if isinstance(metadata, Mapping) else None
    read = labels.items() if isinstance(labels, Mapping) else ()
    return MappingProxyType({str(name): value for name, value in read if isinstance(value, str)})


def _believed(name: str, root: TrustedRoot | Reason) -> str:
    return f"trust root {name} {root.fingerprint if isinstance(root, TrustedRoot) else 'cannot be used'}"


def _content(document: Document) -> str:
    """What of a document enters the fingerprint: not what the API server changes by itself (versions, managed fields)."""
    parts = [document.kind, document.namespace, document.name]
    if document.kind == TRUST_EXCEPTION:  # made anew under the same name it has another age
        parts.append(str(document.value["metadata"].get("creationTimestamp")))
    what = _labels(document) if document.kind == "Namespace" else document.value.get("spec")
    text = json.dumps([*parts, dict(what) if isinstance(what, Mapping) else what], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
