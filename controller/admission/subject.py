"""What the gate is asked about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Workload:
    """The object that names images: where it will live, the labels its pods will have, and whose credentials pull for them.

    `namespace` is empty for a bare image or a cluster-scoped object: selectors over namespaces then see no labels.
    `pull_secrets` are the names that the pod spec gives, `service_account` the name whose own are added; empty where the
    object is no pod and has no template of one.
    """

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NONE)
    kind: str = ""
    name: str = ""
    pull_secrets: tuple[str, ...] = ()
    service_account: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """One image of one workload. `image` is the text as written, `pointer` its JSON pointer in the object."""

    image: str
    pointer: str
    workload: Workload
    container: str = ""
