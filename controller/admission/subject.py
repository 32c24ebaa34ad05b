"""What the gate is asked about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Workload:
    """The object that names images: where it will live and the labels its pods will have.

    `namespace` is empty for a bare image or a cluster-scoped object: selectors over namespaces then see no labels.
    """

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=lambda: _NONE)
    kind: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """One image of one workload. `image` is the text as written, `pointer` its JSON pointer in the object."""

    image: str
    pointer: str
    workload: Workload
    container: str = ""
