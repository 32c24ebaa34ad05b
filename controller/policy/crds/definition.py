"""The definitions themselves, and their text."""

import json
from dataclasses import dataclass
from typing import Any, Final

import yaml
from pydantic import BaseModel

from controller.policy.crds.structural import structural
from controller.policy.crds.unions import Rule
from controller.policy.exception import TrustExceptionSpec
from controller.policy.model import Spec
from controller.policy.status import READY, PolicyStatus, Status
from controller.policy.store import TRUST_EXCEPTION, TRUST_ROOT
from controller.policy.trustroot import TrustRootSpec
from controller.policy.words import GROUP, VERSION
from controller.roots import BUILT_IN

HEAD: Final = "# Made from the models by `make crds`; changes here are lost.\n"
"""The first line of every file."""
_CATEGORY: Final = "sigward"
Column = tuple[str, str, str, str]
"""Of `kubectl get`: name, type, JSON path and description."""
_MODE: Final = ("Mode", "string", ".spec.mode", "The strictest the policy can be.")
_READY: Final = (
    "Ready",
    "string",
    f'.status.conditions[?(@.type=="{READY}")].status',
    "Whether it is in force as written.",
)
_FAILING: Final = ("Failing", "integer", ".status.images.failing", "Running images that would not be admitted today.")
_EXPIRES: Final = ("Expires", "string", ".spec.expiresAt", "From then on it is void.")
_OWNER: Final = ("Owner", "string", ".spec.owner", "Who answers for it.")
_AGE: Final = ("Age", "date", ".metadata.creationTimestamp", "Time since it was made.")
_WIDTH: Final = 120


@dataclass(frozen=True, slots=True)
class Definition:
    """A kind of resource: its names, its scope, what it is and the models of its parts."""

    kind: str
    plural: str
    short: str
    cluster: bool
    meaning: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def file_name(self) -> str:
        """`clustertrustpolicies.yaml`."""
        return f"{self.plural}.yaml"

    def document(self) -> dict[str, Any]:
        """The CustomResourceDefinition (apiextensions.k8s.io/v1)."""
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {
                "group": GROUP,
                "scope": "Cluster" if self.cluster else "Namespaced",
                "names": {
                    "kind": self.kind,
                    "listKind": f"{self.kind}List",
                    "plural": self.plural,
                    "singular": self.kind.lower(),
                    "shortNames": [self.short],
                    "categories": [_CATEGORY],
                },
                "versions": [self._version()],
            },
        }

    def text(self) -> str:
        """The same as YAML, always the same bytes for the same models."""
        apart = json.loads(json.dumps(self.document()))  # YAML would write parts that are shared as anchors
        return HEAD + yaml.safe_dump(apart, sort_keys=False, allow_unicode=True, width=_WIDTH)

    def _version(self) -> dict[str, Any]:
        return {
            "name": VERSION,
            "served": True,
            "storage": True,
            "subresources": {"status": {}},
            "additionalPrinterColumns": [
                {"name": name, "type": kind, "jsonPath": path, "description": meaning}
                for name, kind, path, meaning in self.columns
            ],
            "schema": {"openAPIV3Schema": self._schema()},
        }

    def _schema(self) -> dict[str, Any]:
        return {
            "description": self.meaning,
            "type": "object",
            "required": ["spec"],
            "properties": {
                "apiVersion": {"description": "Version of this schema of the object.", "type": "string"},
                "kind": {"description": "Kind of the object.", "type": "string"},
                "metadata": {"type": "object"},  # an API server allows no description here
                "spec": structural(self.spec, cluster=self.cluster, strict=True),
                "status": structural(self.status, cluster=self.cluster, strict=False),
            },
            # A part that slipped out of `spec` by its indentation is refused, not dropped.
            "x-kubernetes-preserve-unknown-fields": True,
            **({"x-kubernetes-validations": [rule.document() for rule in self.rules]} if self.rules else {}),
        }


DEFINITIONS: Final = (
    Definition(
        "ClusterTrustPolicy",
        "clustertrustpolicies",
        "ctp",
        cluster=True,
        meaning="Which signatures and attestations images must carry, in every namespace it selects.",
        spec=Spec,
        status=PolicyStatus,
        columns=(_MODE, _READY, _FAILING, _AGE),
    ),
    Definition(
        "TrustPolicy",
        "trustpolicies",
        "tp",
        cluster=False,
        meaning="Which signatures and attestations images must carry in its namespace; it can only tighten.",
        spec=Spec,
        status=PolicyStatus,
        columns=(_MODE, _READY, _FAILING, _AGE),
    ),
    Definition(
        TRUST_ROOT,
        "trustroots",
        "tr",
        cluster=True,
        meaning="Whom a Sigstore instance of one's own asks to be trusted, under a name that policies may use.",
        spec=TrustRootSpec,
        status=Status,
        columns=(_READY, _AGE),
        rules=(Rule(f"!(self.metadata.name in {list(BUILT_IN)})", "is the name of a built-in trust root"),),
    ),
    Definition(
        TRUST_EXCEPTION,
        "trustexceptions",
        "tx",
        cluster=True,
        meaning="Break-glass: the policies it names only warn about the images it names, until it expires.",
        spec=TrustExceptionSpec,
        status=Status,
        columns=(_EXPIRES, _OWNER, _READY, _AGE),
    ),
)
"""Every resource of this version, in the order they are written."""
