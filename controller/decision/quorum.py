"""Quorum: a maximum matching of authorities to signers, each used at most once (design, rule 5).

With roles the question is whether one matching has `threshold` authorities and, of each role, at least the demanded number.
The sets of authorities that can be matched form a transversal matroid, in which any independent set extends to a maximum
one. So both halves may be asked apart: is the maximum matching large enough, and can each role's number be matched at once?
If both hold, the second matching extends to one that meets both.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from controller.evidence import Signer

_SOURCE: Final = ("source",)
_SINK: Final = ("sink",)


def one_signer(signers: Iterable[Signer]) -> Mapping[str, str]:
    """Each signer's ID to the ID under which it counts: whoever shares a public key with another is one signer with it.

    So a key and a certificate over it, or one certificate under two anchors, are not two people (design, rule 5).
    """
    parents: dict[str, str] = {}

    def first(item: str) -> str:
        while (parent := parents.setdefault(item, item)) != item:
            item = parent
        return item

    known = list(signers)
    for signer in known:
        own = first(signer.id)
        if signer.key:
            parents[first(f"key:sha256:{signer.key}")] = own
    return {signer.id: first(signer.id) for signer in known}


def maximum_matching(signers: Sequence[AbstractSet[str]]) -> int:
    """How many authorities can each have a signer of its own; `signers[i]` are those who signed for authority `i`."""
    taken: dict[str, int] = {}
    return sum(_augment(index, signers, taken, set()) for index in range(len(signers)))


def matched_authorities(signers: Sequence[AbstractSet[str]]) -> dict[int, str]:
    """One maximum matching, authority index to signer, for explanations."""
    taken: dict[str, int] = {}
    for index in range(len(signers)):
        _augment(index, signers, taken, set())
    return {index: signer for signer, index in taken.items()}


def roles_met(signers: Sequence[AbstractSet[str]], roles: Sequence[str], per_role: Mapping[str, int]) -> bool:
    """Whether one matching gives each role in `per_role` its number of authorities; `roles[i]` is authority `i`'s role."""
    demanded = {role: number for role, number in per_role.items() if number > 0}
    edges: dict[Hashable, dict[Hashable, int]] = {_SOURCE: {}}
    for index, role in enumerate(roles):
        if role not in demanded:
            continue
        authority = ("authority", index)
        for signer in sorted(signers[index]):
            edges[_SOURCE][("signer", signer)] = 1
            edges.setdefault(("signer", signer), {})[authority] = 1
        edges.setdefault(authority, {})[("role", role)] = 1
        edges.setdefault(("role", role), {})[_SINK] = demanded[role]
    return _flow(edges) >= sum(demanded.values())


def _augment(index: int, signers: Sequence[AbstractSet[str]], taken: dict[str, int], seen: set[str]) -> bool:
    """Kuhn's step. Its depth is bounded by the number of authorities of one policy."""
    for signer in sorted(signers[index] - seen):
        seen.add(signer)
        if signer not in taken or _augment(taken[signer], signers, taken, seen):
            taken[signer] = index
            return True
    return False


def _flow(edges: dict[Hashable, dict[Hashable, int]]) -> int:
    """Edmonds-Karp over unit steps; `edges` holds capacities and becomes the residual graph."""
    total = 0
    while (path := _path(edges)) is not None:
        for tail, head in path:
            edges[tail][head] -= 1
            back = edges.setdefault(head, {})
            back[tail] = back.get(tail, 0) + 1
        total += 1
    return total


def _path(edges: Mapping[Hashable, Mapping[Hashable, int]]) -> Iterable[tuple[Hashable, Hashable]] | None:
    came: dict[Hashable, Hashable] = {_SOURCE: _SOURCE}
    queue: deque[Hashable] = deque([_SOURCE])
    while queue:
        node = queue.popleft()
        for head, capacity in edges.get(node, {}).items():
            if capacity > 0 and head not in came:
                came[head] = node
                queue.append(head)
        if _SINK in came:
            break
    if _SINK not in came:
        return None
    steps: list[tuple[Hashable, Hashable]] = []
    node = _SINK
    while node != _SOURCE:
        steps.append((came[node], node))
        node = came[node]
    return steps
