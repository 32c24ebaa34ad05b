"""AdmissionReviews as an API server writes them, and JSON pointers followed the long way."""

import json
from typing import Any

Document = dict[str, Any]

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"

KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "Pod": ("", "v1", ()),
    "PodTemplate": ("", "v1", ("template",)),
    "ReplicationController": ("", "v1", ("spec", "template")),
    "Deployment": ("apps", "v1", ("spec", "template")),
    "ReplicaSet": ("apps", "v1", ("spec", "template")),
    "StatefulSet": ("apps", "v1", ("spec", "template")),
    "DaemonSet": ("apps", "v1", ("spec", "template")),
    "Job": ("batch", "v1", ("spec", "template")),
    "CronJob": ("batch", "v1", ("spec", "jobTemplate", "spec", "template")),
}
"""Group, version and the way to the pod template, written apart from the product's own table on purpose."""


def pod_spec(*images: str, **more: Any) -> Document:
    """A pod spec with one container for each image, named c0, c1…; `more` are further members."""
    return {"containers": [{"name": f"c{number}", "image": image} for number, image in enumerate(images)], **more}


def workload(kind: str, spec: Document, *, labels: dict[str, str] | None = None, namespace: str = "shop") -> Document:
    """An object of `kind` whose pods have `spec` and `labels`."""
    group, version, path = KINDS[kind]
    inner: Document = {"metadata": {"labels": labels or {}}, "spec": spec}
    for name in reversed(path):
        inner = {name: inner}
    api_version = f"{group}/{version}" if group else version
    metadata = {"name": "web", "namespace": namespace, **(inner.pop("metadata", {}))}
    return {"kind": kind, "apiVersion": api_version, "metadata": metadata, **inner}


def pod(*images: str, **more: Any) -> Document:
    """A Pod with one container for each image."""
    return workload("Pod", pod_spec(*images, **more))


def review(
    document: Document | None,
    *,
    operation: str = "CREATE",
    old: Any = None,
    version: str = "admission.k8s.io/v1",
    **request: Any,
) -> Document:
    """A review of `document`; `request` replaces or adds members of the request."""
    shown = document or old or {"kind": "Pod", "apiVersion": "v1"}
    group, _, api_version = str(shown["apiVersion"]).rpartition("/")
    kind = {"group": group, "version": api_version, "kind": shown["kind"]}
    resource = {"group": group, "version": api_version, "resource": str(shown["kind"]).lower() + "s"}
    return {
        "kind": "AdmissionReview",
        "apiVersion": version,
        "request": {
            "uid": UID,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": "web",
            "namespace": "shop",
            "operation": operation,
            "userInfo": {"username": "alice", "groups": ["system:authenticated"]},
            "object": document,
            "oldObject": old,
            "dryRun": False,
            "options": None,
            **request,
        },
    }


def body(document: Any) -> bytes:
    """The bytes an API server sends: compact JSON and a line break."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def resolve(document: Any, pointer: str) -> Any:
    """Follow a JSON pointer (RFC 6901)."""
    value = document
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        value = value[int(name)] if isinstance(value, list) else value[name]
    return value
