"""The items of `require` -> rules over indexes of authorities."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from controller.compile.compiled import (
    CEILING,
    AllowUnsigned,
    Attestation,
    Digests,
    Effect,
    Requirement,
    Rule,
    Sbom,
    Signature,
)
from controller.policy import predicate_types, requirements
from controller.policy.model import Spec
from controller.policy.words import OnFinding, SbomFormat
from controller.problems import Problems
from controller.reference import Digest

_EFFECTS: Final[Mapping[OnFinding, Effect]] = MappingProxyType(
    {OnFinding.DENY: Effect.DENY, OnFinding.WARN: Effect.WARN, OnFinding.IGNORE: Effect.IGNORE}
)
_TYPES: Final[Mapping[SbomFormat, str]] = MappingProxyType(
    {SbomFormat.CYCLONEDX: predicate_types.CYCLONEDX, SbomFormat.SPDX: predicate_types.SPDX}
)
DEFAULT_NAME: Final = "signed"
"""Name of the requirement of a policy that has none: one signature by its only authority."""


def compile_requirements(spec: Spec, problems: Problems) -> tuple[Requirement, ...]:
    """Every requirement of a policy whose shape and rules hold; what cannot be parsed goes to `problems`."""
    ceiling = CEILING[spec.mode]
    names = [authority.name for authority in spec.authorities]
    if spec.require is None:
        if not names:  # only match and revoked
            return ()
        rule = Signature(tuple(range(len(names))), 1, MappingProxyType({}), MappingProxyType({}))
        return (Requirement(DEFAULT_NAME, rule, ceiling, ceiling, ceiling),)
    compiled = (_requirement(item, index, names, ceiling, problems) for index, item in enumerate(spec.require))
    return tuple(requirement for requirement in compiled if requirement is not None)


def _requirement(
    item: requirements.Requirement, index: int, names: Sequence[str], ceiling: Effect, problems: Problems
) -> Requirement | None:
    field = f"spec.require[{index}]"
    rule: Rule | None = None
    with problems.at(field):
        rule = _rule(item, names, field)
    if rule is None:
        return None
    own = min(ceiling, CEILING[item.mode]) if item.mode else ceiling
    missing = item.on_missing or (OnFinding.WARN if item.sbom else OnFinding.DENY)
    failure = item.on_failure or OnFinding.DENY
    return Requirement(item.name, rule, min(_EFFECTS[missing], own), min(_EFFECTS[failure], own), own)


def _rule(item: requirements.Requirement, names: Sequence[str], field: str) -> Rule | None:
    """The one kind that is set, or None for a kind that is judged later (`rules.unsupported` refuses the policy for it)."""
    if item.signature:
        return _signature(item.signature, names)
    if item.attestation:
        wanted = predicate_types.resolve(item.attestation.predicate_type, f"{field}.attestation.predicateType")
        return Attestation(_indexes(item.attestation.of, names), (wanted,))
    if item.sbom:
        types = tuple(dict.fromkeys(_TYPES[form] for form in item.sbom.formats))
        return Sbom(_indexes(item.sbom.of, names), types)
    if item.digests is not None:
        return Digests(frozenset(map(Digest.parse, item.digests)))
    if item.unsafe_allow_unsigned:
        return AllowUnsigned(item.unsafe_allow_unsigned.reason)
    return None


def _signature(rule: requirements.Signature, names: Sequence[str]) -> Signature:
    per_role = MappingProxyType(dict(sorted(rule.per_role.items())))
    annotations = MappingProxyType(dict(sorted(rule.annotations.items())))
    return Signature(_indexes(rule.of, names), rule.threshold, per_role, annotations)


def _indexes(of: Sequence[str] | None, names: Sequence[str]) -> tuple[int, ...]:
    """Authorities by index; a name that is none has refused the policy already (`policy.rules`)."""
    return tuple(range(len(names))) if of is None else tuple(names.index(name) for name in of if name in names)
