"""The items of `require` -> rules over indexes of authorities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from controller.compile.compiled import (
    CEILING,
    AllowUnsigned,
    Attestation,
    Authority,
    Digests,
    Effect,
    Provenance,
    Requirement,
    Rule,
    Sbom,
    Signature,
)
from controller.policy import predicate_types, requirements
from controller.policy.model import Spec
from controller.policy.words import OnFinding, SbomFormat, Select
from controller.predicates import provenance
from controller.predicates.content import ContentJudge, ContentRule
from controller.predicates.licenses import Lists
from controller.predicates.packages import Denied
from controller.predicates.patterns import Pattern
from controller.predicates.provenance import ProvenanceRule
from controller.predicates.sbom import SbomRule
from controller.problems import Problems
from controller.reference import Digest
from controller.settings import Limits

_EFFECTS: Final[Mapping[OnFinding, Effect]] = MappingProxyType(
    {OnFinding.DENY: Effect.DENY, OnFinding.WARN: Effect.WARN, OnFinding.IGNORE: Effect.IGNORE}
)
_TYPES: Final[Mapping[SbomFormat, str]] = MappingProxyType(
    {SbomFormat.CYCLONEDX: predicate_types.CYCLONEDX, SbomFormat.SPDX: predicate_types.SPDX}
)
DEFAULT_NAME: Final = "signed"
"""Name of the requirement of a policy that has none: one signature by its only authority."""


@dataclass(frozen=True, slots=True)
class Context:
    """What requirements are compiled with: the policy's authorities, ready to judge, and by name; and bounds."""

    authorities: tuple[Authority, ...]
    names: tuple[str, ...]
    limits: Limits


def compile_requirements(
    spec: Spec, authorities: tuple[Authority, ...], problems: Problems, limits: Limits
) -> tuple[Requirement, ...]:
    """Every requirement of a policy whose shape and rules hold; what cannot be parsed goes to `problems`."""
    ceiling = CEILING[spec.mode]
    context = Context(authorities, tuple(authority.name for authority in spec.authorities), limits)
    if spec.require is None:
        if not context.names:  # only match and revoked
            return ()
        rule = Signature(tuple(range(len(context.names))), 1, MappingProxyType({}), MappingProxyType({}))
        return (Requirement(DEFAULT_NAME, rule, ceiling, ceiling, ceiling),)
    compiled = (_requirement(item, index, context, ceiling, problems) for index, item in enumerate(spec.require))
    return tuple(requirement for requirement in compiled if requirement is not None)


def _requirement(
    item: requirements.Requirement, index: int, context: Context, ceiling: Effect, problems: Problems
) -> Requirement | None:
    field = f"spec.require[{index}]"
    rule: Rule | None = None
    with problems.at(field):
        rule = _rule(item, context, field)
    if rule is None:
        return None
    own = min(ceiling, CEILING[item.mode]) if item.mode else ceiling
    missing = item.on_missing or (OnFinding.WARN if item.sbom else OnFinding.DENY)
    failure = item.on_failure or OnFinding.DENY
    return Requirement(item.name, rule, min(_EFFECTS[missing], own), min(_EFFECTS[failure], own), own)


def _rule(item: requirements.Requirement, context: Context, field: str) -> Rule | None:
    """The one kind that is set, or None for a kind that is judged later (`rules.unsupported` refuses the policy for it)."""
    if item.signature:
        return _signature(item.signature, context.names)
    if item.digests is not None:
        return Digests(frozenset(map(Digest.parse, item.digests)))
    if item.unsafe_allow_unsigned:
        return AllowUnsigned(item.unsafe_allow_unsigned.reason)
    return _about_statements(item, context, field)


def _about_statements(item: requirements.Requirement, context: Context, field: str) -> Rule | None:
    if item.attestation:
        return _attestation(item.attestation, context, f"{field}.attestation")
    if item.sbom:
        return _sbom(item.sbom, context, f"{field}.sbom")
    if item.provenance:
        return _provenance(item.provenance, context, f"{field}.provenance")
    return None


def _attestation(rule: requirements.Attestation, context: Context, field: str) -> Attestation:
    of = _indexes(rule.of, context.names)
    types = (predicate_types.resolve(rule.predicate_type, f"{field}.predicateType"),)
    judges = (
        _readers(context, of, types, (), rule.max_age) if rule.max_age is not None or rule.select is not Select.ANY else ()
    )
    return Attestation(of, types, judges, rule.select)


def _sbom(rule: requirements.Sbom, context: Context, field: str) -> Sbom:
    of = _indexes(rule.of, context.names)
    types = tuple(dict.fromkeys(_TYPES[form] for form in rule.formats))
    denied = tuple(Denied.parse(text, f"{field}.packages.deny[{index}]") for index, text in enumerate(rule.packages.deny))
    lists = Lists(*(tuple(name.lower() for name in names) for names in (rule.licenses.allow, rule.licenses.deny)))
    asked = SbomRule(denied, lists, rule.require_supplier, context.limits.sbom_components)
    return Sbom(of, types, _readers(context, of, types, (asked,), rule.max_age))


def _provenance(rule: requirements.Provenance, context: Context, field: str) -> Provenance:
    of = _indexes(rule.of, context.names)
    source = rule.source
    asked = ProvenanceRule(
        builders=_patterns(rule.builders, f"{field}.builders"),
        repository=source.repository if source else "",
        refs=_patterns(source.refs, f"{field}.source.refs") if source else (),
        build_types=_patterns(rule.build_types, f"{field}.buildTypes"),
        level=rule.level or 1,
    )
    return Provenance(of, provenance.TYPES, _readers(context, of, provenance.TYPES, (asked,), None))


def _patterns(texts: Sequence[str], field: str) -> tuple[Pattern, ...]:
    return tuple(Pattern(text, f"{field}[{index}]") for index, text in enumerate(texts))


def _readers(
    context: Context, of: Sequence[int], types: Sequence[str], asked: Sequence[ContentRule], max_age: float | None
) -> tuple[Authority, ...]:
    """The authorities of `of`, each as it reads what is asked of the content."""
    if len(context.authorities) != len(context.names):
        return ()  # the policy is refused for one of them
    return tuple(
        replace(context.authorities[index], judge=ContentJudge(context.authorities[index].judge, types, asked, max_age))
        for index in of
    )


def _signature(rule: requirements.Signature, names: Sequence[str]) -> Signature:
    per_role = MappingProxyType(dict(sorted(rule.per_role.items())))
    annotations = MappingProxyType(dict(sorted(rule.annotations.items())))
    return Signature(_indexes(rule.of, names), rule.threshold, per_role, annotations)


def _indexes(of: Sequence[str] | None, names: Sequence[str]) -> tuple[int, ...]:
    """Authorities by index; a name that is none has refused the policy already (`policy.rules`)."""
    return tuple(range(len(names))) if of is None else tuple(names.index(name) for name in of if name in names)
