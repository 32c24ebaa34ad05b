"""What each process may do in the cluster, and nothing else. The chart's roles are these rules, and tests compare them.

Nothing here writes. Secrets and ConfigMaps are asked for by name only: by `get`, or by `list` and `watch` with the name as
field selector, which RBAC compares with `resourceNames`. Who is given no `list` and `watch` on them still works: what
policies name is then read every second instead of watched.
"""

from dataclasses import dataclass
from typing import Any, Final

from controller.policy.words import GROUP

_WATCHED: Final = ("list", "watch")


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs on resources of one API group; `names` narrows it to objects of these names."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    names: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """As it stands in a Role or ClusterRole."""
        names = {"resourceNames": list(self.names)} if self.names else {}
        return {"apiGroups": [self.group], "resources": list(self.resources), "verbs": list(self.verbs), **names}


SERVE: Final = (
    Rule(GROUP, ("clustertrustpolicies", "trustpolicies", "trustroots", "trustexceptions"), _WATCHED),
    Rule("", ("namespaces",), ("get", *_WATCHED)),
)
"""What a replica reads in the whole cluster; a namespace is fetched while it is too new to have been watched."""

SECRETS: Final = (
    Rule("", ("secrets", "configmaps"), ("get", *_WATCHED)),
    Rule("", ("serviceaccounts",), ("get",)),
)
"""Keys that policies name, pull secrets, and which of them a ServiceAccount has; a role cannot know the names.

With `rbac.secrets: Cluster` they stand in a ClusterRole, with `Namespaces` in a Role of each listed namespace, with `None`
nowhere. Where they are missing, authorities that need a key are undecided and say so, and images are looked up with the
controller's own credentials.
"""


def own_secret(name: str) -> Rule:
    """The Secret with the serving certificate, in the controller's own namespace."""
    return Rule("", ("secrets",), ("get", *_WATCHED), (name,))
