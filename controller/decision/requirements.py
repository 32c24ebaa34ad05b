"""Each requirement over what was found: Pass on what was found, Fail only when every source answered, else Undecided."""

from dataclasses import dataclass, replace
from typing import Final, assert_never

from controller.compile.compiled import (
    CEILING,
    AllowUnsigned,
    Attestation,
    CompiledPolicy,
    Digests,
    Effect,
    Requirement,
    Signature,
)
from controller.decision import wording
from controller.decision.findings import Findings
from controller.decision.outcome import Found
from controller.decision.report import Outcome, RequirementResult
from controller.decision.signatures import judge_signature
from controller.decision.statements import judge_attestation
from controller.errors import Code, Reason
from controller.evidence import Verified

_CHECKS_KEPT: Final = 64
_OURS: Final = frozenset({Code.BUSY, Code.INTERNAL, Code.ADDRESS_NOT_ALLOWED, Code.KEY_UNAVAILABLE})
"""Why we did not look, or did not finish: no registry and no root was away. Whoever asks for an image can bring the first
three about; a key that is gone is a policy that does not hold together."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A requirement's result and the facts it rests on."""

    result: RequirementResult
    facts: tuple[Verified, ...] = ()


def judge_requirement(
    policy: CompiledPolicy, requirement: Requirement, findings: Findings, revoked: frozenset[str]
) -> Judged:
    """What became of one requirement, and what that does to the request."""
    match requirement.rule:
        case Signature() as rule:
            found = judge_signature(policy, rule, findings, revoked)
        case Attestation() as rule:
            found = judge_attestation(policy, rule, findings, revoked)
        case Digests() as rule:
            found = _digests(rule, findings)
        case AllowUnsigned() as rule:
            return Judged(allowed(requirement, rule))
        case _:
            assert_never(requirement.rule)
    more = len(found.checks) - _CHECKS_KEPT
    reported = _reported(found)
    result = RequirementResult(
        requirement.name,
        found.kind,
        found.outcome,
        min(Effect.WARN, requirement.ceiling)
        if reported
        else effect(policy, requirement, found.outcome, found.reason, stated=bool(found.facts)),
        reported or found.reason,
        found.checks[:_CHECKS_KEPT],
        f"{more} more checks are not shown" if more > 0 else "",
    )
    return Judged(result, found.facts)


def effect(
    policy: CompiledPolicy, requirement: Requirement, outcome: Outcome, reason: Reason | None, *, stated: bool = False
) -> Effect:
    """What an outcome does to the request.

    `reason` says why it is undecided. A failure is `stated` where a statement about this image verified and says no. Without
    one the statement is missing as well, and whoever puts another image's beside it gains nothing by that.
    """
    match outcome:
        case Outcome.PASS:
            return Effect.IGNORE
        case Outcome.MISSING:
            return requirement.on_missing
        case Outcome.FAILED:
            return requirement.on_failure if stated else max(requirement.on_failure, requirement.on_missing)
        case Outcome.UNDECIDED:
            # It might have been a failure; a requirement that could never deny does not begin to.
            worst = max(requirement.on_missing, requirement.on_failure)
            return min(unavailable(policy, reason), worst)


def unavailable(policy: CompiledPolicy, reason: Reason | None) -> Effect:
    """What an open question does: `onUnavailable` where somebody is out of reach, and nothing else (design, rule 10)."""
    return CEILING[policy.mode] if reason is None or reason.code in _OURS else policy.on_unavailable


def _reported(found: Found) -> Reason | None:
    """What an authority was told only to report about facts that counted: the requirement passes, and says so each time."""
    warnings = [reason for fact in found.facts for reason in fact.warnings]
    if found.outcome is not Outcome.PASS or not warnings:
        return None
    first, *others = warnings
    more = f" (and {len(others)} more)" if others else ""
    return replace(first, message=f"passed, although {first.message}{more}")


def allowed(requirement: Requirement, rule: AllowUnsigned) -> RequirementResult:
    """`unsafeAllowUnsigned`: passes whatever was found, or not found, and says so each time."""
    note = Reason(Code.UNSIGNED_ALLOWED, f"admitted without a signature, as the policy says: {rule.reason}")
    warned = min(Effect.WARN, requirement.ceiling)
    return RequirementResult(requirement.name, "unsafeAllowUnsigned", Outcome.PASS, warned, note)


def _digests(rule: Digests, findings: Findings) -> Found:
    if findings.digest in rule.digests:
        return Found("digests", Outcome.PASS, None)
    listed = sorted(map(str, rule.digests))
    reason = Reason(
        Code.DIGEST_NOT_LISTED,
        "the image is not one of those listed",
        expected=wording.some(listed),
        found=str(findings.digest),
    )
    return Found("digests", Outcome.FAILED, reason)
