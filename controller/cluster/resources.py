"""Which objects of the API server we read or write, and where they stand."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from controller.errors import Code, Invalid
from controller.policy.words import GROUP, VERSION

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object as the API server serves it. `group` is empty for core."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Where all of them stand, those of a namespace, or the one of a name.

        Raises:
            Invalid: `InvalidReference` for what is no name: names come from objects that others wrote, and must not lead to
                another path.
        """
        parts = [f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"]
        if self.namespaced and namespace:
            parts += ["namespaces", checked_name(namespace)]
        parts.append(self.plural)
        parts += [checked_name(name)] if name else []
        parts += [quote(subresource, safe="")] if subresource else []
        return "/".join(parts)

    @property
    def api_version(self) -> str:
        """As objects say it."""
        return f"{self.group}/{self.version}" if self.group else self.version


def is_name(text: object) -> bool:
    """Whether it can be an object's name (RFC 1123 subdomain, as all objects we read by name have)."""
    return isinstance(text, str) and len(text) <= _LONGEST_NAME and _NAME.fullmatch(text) is not None


def checked_name(text: str) -> str:
    """The same text.

    Raises:
        Invalid: `InvalidReference`.
    """
    if not is_name(text):
        raise Invalid(Code.INVALID_REFERENCE, "no object can have this name", found=repr(text[:80]))
    return text


def _own(plural: str, kind: str, *, namespaced: bool = False) -> Resource:
    return Resource(GROUP, VERSION, plural, kind, namespaced)


CLUSTER_TRUST_POLICIES: Final = _own("clustertrustpolicies", "ClusterTrustPolicy")
TRUST_POLICIES: Final = _own("trustpolicies", "TrustPolicy", namespaced=True)
TRUST_ROOTS: Final = _own("trustroots", "TrustRoot")
TRUST_EXCEPTIONS: Final = _own("trustexceptions", "TrustException")
NAMESPACES: Final = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
SECRETS: Final = Resource("", "v1", "secrets", "Secret", namespaced=True)
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap", namespaced=True)
SERVICE_ACCOUNTS: Final = Resource("", "v1", "serviceaccounts", "ServiceAccount", namespaced=True)

_KEPT: Final = frozenset({"name", "namespace", "uid", "generation", "creationTimestamp", "labels"})


def trimmed(resource: Resource, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of an object says something: not who wrote which field when, and of its status nothing.

    An event that leaves this the same changes nothing for us.
    """
    metadata = {key: part for key, part in value["metadata"].items() if key in _KEPT}
    rest = {key: part for key, part in value.items() if key not in {"metadata", "status"}}
    return {**rest, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def content(resource: Resource, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same of a Secret or ConfigMap: its data, and no label or annotation, which may repeat them."""
    metadata = {key: value["metadata"].get(key) for key in ("name", "namespace")}
    parts = {key: value[key] for key in ("type", "data", "binaryData") if value.get(key)}
    return {**parts, "apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}


def labels(_: Resource, value: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object, and nothing else of it."""
    found = value["metadata"].get("labels")
    if not isinstance(found, Mapping):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}
