"""`attestation` and `sbom`: a statement of the right type, verified under one of the named authorities, about this image.

*Missing*: no statement of the type verifies. *Failed*: one does, and says no (design, section 3, "Defaults").
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, assert_never

from controller.compile.compiled import Attestation, CompiledPolicy, Provenance, Sbom
from controller.decision import wording
from controller.decision.findings import Findings, Opinion, opinions
from controller.decision.outcome import Found
from controller.decision.report import Outcome
from controller.errors import Code, Reason, Refused
from controller.evidence import COSIGN_SIGN_PREDICATE, Claim, Verified
from controller.policy.predicate_types import is_of
from controller.policy.words import Select

_KINDS: Final = {
    Attestation: ("attestation", "an attestation"),
    Sbom: ("sbom", "an SBOM"),
    Provenance: ("provenance", "provenance"),
}
"""The field of the policy, and what it asks for in words."""
_NO_TIME: Final = Reason(Code.TIME_NOT_PROVEN, "nothing proves which is the newest", expected="a proven time of each")


def judge_attestation(policy: CompiledPolicy, rule: Attestation, findings: Findings, revoked: frozenset[str]) -> Found:
    """Pass on what was found; else undecided while a source is missing; else failed or missing.

    With `select: Any` one statement that does is enough, and what else lies there changes nothing. `Newest` and `All` are as
    good as the registry is honest: it can hide what would have failed.
    """
    kind, what = _KINDS[type(rule)]
    readers = rule.judges or tuple(policy.authorities[index] for index in rule.of)
    seen = [opinion for reader in readers for opinion in opinions(findings, reader, revoked)]

    def wanted(fact: Verified) -> bool:
        return fact.claim is Claim.ATTESTATION and accepts(rule, fact.predicate_type)

    shown = [opinion for opinion in seen if wording.hinted_type(opinion.evidence) != COSIGN_SIGN_PREDICATE]
    checks = tuple(wording.checks(shown, wanted))
    facts = tuple(fact for opinion in seen for fact in opinion.facts if wanted(fact))
    good, bad = _selected(rule.select, facts)
    expected = f"{what} of type {' or '.join(rule.predicate_types)} by {wording.names(policy, rule.of)}"
    unknown = wording.undecided(findings, seen, expected)
    if good and (rule.select is Select.ANY or not unknown):
        return Found(kind, Outcome.PASS, None, checks, good)
    if unknown and not (bad and rule.select is Select.ALL):  # of all, one that says no is enough
        return Found(kind, Outcome.UNDECIDED, unknown, checks)
    if bad:
        return Found(kind, Outcome.FAILED, _against(bad[0]), checks, bad)
    reason = _contradiction(rule, seen) or wording.refused(findings, expected)
    if reason:
        return Found(kind, Outcome.FAILED, reason, checks)
    return Found(kind, Outcome.MISSING, _missing(rule, shown, expected, findings), checks)


def _selected(select: Select, facts: Sequence[Verified]) -> tuple[tuple[Verified, ...], tuple[Verified, ...]]:
    """The facts by which the requirement is met, or else those by which it fails; both empty where there is none."""
    good = tuple(fact for fact in facts if fact.fails is None)
    bad = tuple(fact for fact in facts if fact.fails is not None)
    match select:
        case Select.ANY:
            return good[:1], bad
        case Select.ALL:
            return (() if bad else good), bad
        case Select.NEWEST:
            unproven = tuple(fact for fact in facts if fact.made is None)
            if unproven:  # it may be the newest
                return (), tuple(replace(fact, fails=fact.fails or _NO_TIME) for fact in unproven)
            newest = max((fact.made or 0.0 for fact in facts), default=0.0)
            latest = tuple(fact for fact in facts if fact.made == newest)
            failing = tuple(fact for fact in latest if fact.fails is not None)
            return (() if failing else latest), failing
        case _:
            assert_never(select)


def _against(fact: Verified) -> Reason:
    return fact.fails or _NO_TIME


def accepts(rule: Attestation, predicate_type: str) -> bool:
    """Whether a statement of `predicate_type` is of a demanded type."""
    return any(is_of(predicate_type, wanted) for wanted in rule.predicate_types)


def _contradiction(rule: Attestation, seen: Sequence[Opinion]) -> Reason | None:
    """A statement of the type whose signature held but which says no about this image."""
    for opinion in seen:
        answer = opinion.answer
        if isinstance(answer, Refused) and answer.predicate_type is not None and accepts(rule, answer.predicate_type):
            return answer.reason
    return None


def _missing(rule: Attestation, seen: Sequence[Opinion], expected: str, findings: Findings) -> Reason:
    """What lies there instead: of this type by somebody else, or of other types by whom we trust."""
    refused = [opinion for opinion in seen if not opinion.facts and _may_be(rule, opinion)]
    code = wording.first_code(refused)
    others = sorted({fact.predicate_type for opinion in seen for fact in opinion.facts if fact.claim is Claim.ATTESTATION})
    if code is Code.NO_EVIDENCE and others:
        return Reason(Code.WRONG_PREDICATE_TYPE, "missing", expected, f"only {wording.some(others)}")
    return Reason(code, "missing", expected, wording.found(refused, findings))


def _may_be(rule: Attestation, opinion: Opinion) -> bool:
    answer, hint = opinion.answer, wording.hinted_type(opinion.evidence)
    if isinstance(answer, Refused) and answer.predicate_type is not None:
        return accepts(rule, answer.predicate_type)
    return hint is None or accepts(rule, hint)
