"""`attestation` and `sbom`: a statement of the right type, verified under one of the named authorities, about this image.

*Missing*: no statement of the type verifies. *Failed*: one does, and says no (design, section 3, "Defaults").
"""

from collections.abc import Sequence

from controller.compile.compiled import Attestation, CompiledPolicy, Sbom
from controller.decision import wording
from controller.decision.findings import Findings, Opinion, opinions
from controller.decision.outcome import Found
from controller.decision.report import Outcome
from controller.errors import Code, Reason, Refused
from controller.evidence import COSIGN_SIGN_PREDICATE, Claim, Verified
from controller.policy.predicate_types import is_of


def judge_attestation(policy: CompiledPolicy, rule: Attestation, findings: Findings, revoked: frozenset[str]) -> Found:
    """Pass on what was found; else undecided while a source is missing; else failed or missing."""
    kind = "sbom" if isinstance(rule, Sbom) else "attestation"
    seen = [opinion for index in rule.of for opinion in opinions(findings, policy.authorities[index], revoked)]

    def wanted(fact: Verified) -> bool:
        return fact.claim is Claim.ATTESTATION and accepts(rule, fact.predicate_type)

    shown = [opinion for opinion in seen if wording.hinted_type(opinion.evidence) != COSIGN_SIGN_PREDICATE]
    checks = tuple(wording.checks(shown, wanted))
    facts = tuple(fact for opinion in seen for fact in opinion.facts if wanted(fact))
    if facts:
        return Found(kind, Outcome.PASS, None, checks, facts[:1])
    what = "an SBOM" if kind == "sbom" else "an attestation"
    expected = f"{what} of type {' or '.join(rule.predicate_types)} by {wording.names(policy, rule.of)}"
    unknown = wording.undecided(findings, seen, expected)
    if unknown:
        return Found(kind, Outcome.UNDECIDED, unknown, checks)
    reason = _contradiction(rule, seen) or wording.refused(findings, expected)
    if reason:
        return Found(kind, Outcome.FAILED, reason, checks)
    return Found(kind, Outcome.MISSING, _missing(rule, shown, expected, findings), checks)


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
