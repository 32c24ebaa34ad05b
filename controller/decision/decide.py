"""All policies about one image, combined: the strictest verdict wins and order never matters (design, section 3)."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from controller.compile.compiled import CEILING, CompiledPolicy, Effect
from controller.decision.applicable import Applicable
from controller.decision.findings import Findings
from controller.decision.report import Named, Outcome, PolicyResult, Report, Verdict
from controller.decision.requirements import judge_requirement
from controller.errors import Code, Reason, Refused, Undecided
from controller.reference import Reference
from controller.settings import Unmatched

_VERDICTS: Final[Mapping[Effect, Verdict]] = {
    Effect.IGNORE: Verdict.ALLOW,
    Effect.AUDIT: Verdict.AUDIT,
    Effect.WARN: Verdict.WARN,
    Effect.DENY: Verdict.DENY,
}
_UNMATCHED: Final[Mapping[Unmatched, Effect]] = {
    Unmatched.ALLOW: Effect.IGNORE,
    Unmatched.WARN: Effect.WARN,
    Unmatched.DENY: Effect.DENY,
}
_SEVERITY: Final = (Outcome.FAILED, Outcome.MISSING, Outcome.UNDECIDED)


def decide(named: Named, reference: Reference, policies: Applicable, findings: Findings, unmatched: Unmatched) -> Report:
    """The verdict on a digest whose evidence was looked for and judged."""
    revoked = frozenset(signer for policy in policies.judged for signer in policy.revoked.signers)
    until = math.inf
    results = []
    for policy in policies.judged:
        result, bound = _judge(policy, findings, revoked)
        results.append(result)
        until = min(until, bound)
    report = _combine(named, reference, policies, results, unmatched, findings)
    return report if until == math.inf and not report.undecided else _bounded(report, until)


def unresolved(
    named: Named, reference: Reference, policies: Applicable, error: Refused | Undecided, unmatched: Unmatched
) -> Report:
    """The verdict where it is not known which digest the reference names.

    A registry that says there is no such image, or answers with bytes that may not be believed, is a refusal; one that does
    not answer leaves each policy undecided, which is the policy's `onUnavailable` to decide.
    """
    undecided = isinstance(error, Undecided)
    results = [
        PolicyResult(
            policy.id,
            policy.mode,
            min(policy.on_unavailable, CEILING[policy.mode]) if undecided else CEILING[policy.mode],
            Outcome.UNDECIDED if undecided else Outcome.FAILED,
            reason=error.reason,
        )
        for policy in policies.judged
    ]
    return _combine(named, reference, policies, results, unmatched, None)


def without_evidence(named: Named, reference: Reference, policies: Applicable, unmatched: Unmatched) -> Report:
    """The verdict where no policy needs anything to be asked: none matches, or those that do have failed already."""
    return _combine(named, reference, policies, [], unmatched, None)


def invalid(named: Named, reason: Reason) -> Report:
    """The verdict on a text that is no image reference: nothing could run it and no policy could match it."""
    return Report(named, Verdict.DENY, reason=reason)


def _judge(policy: CompiledPolicy, findings: Findings, revoked: frozenset[str]) -> tuple[PolicyResult, float]:
    """One policy's result, and until when (POSIX seconds) the facts under it hold."""
    for digest in (findings.digest, *findings.children):
        if digest in policy.revoked.digests:
            # In a cluster policy this denies whatever the mode (design, section 3, `revoked`).
            effect = Effect.DENY if policy.is_cluster else CEILING[policy.mode]
            what = "the image is revoked" if digest == findings.digest else "a platform of the image is revoked"
            reason = Reason(Code.REVOKED, what, found=str(digest))
            return PolicyResult(policy.id, policy.mode, effect, Outcome.FAILED, reason=reason), math.inf
    judged = [judge_requirement(policy, requirement, findings, revoked) for requirement in policy.requirements]
    results = tuple(item.result for item in judged)
    effect = max((result.effect for result in results), default=Effect.IGNORE)
    outcomes = {result.outcome for result in results}
    outcome = next((worst for worst in _SEVERITY if worst in outcomes), Outcome.PASS)
    bound = min((fact.valid_until for item in judged for fact in item.facts), default=math.inf)
    return PolicyResult(policy.id, policy.mode, effect, outcome, results), bound


def _failed(policies: Applicable) -> Iterable[PolicyResult]:
    """Policies that fail without being judged; `onUnavailable` never covers them (design, rule 10)."""
    for policy, reason in policies.failed:
        outcome = Outcome.UNDECIDED if reason.code is Code.NAMESPACE_UNKNOWN else Outcome.FAILED
        yield PolicyResult(policy.id, policy.mode, CEILING[policy.mode], outcome, reason=reason)


def _combine(
    named: Named,
    reference: Reference,
    policies: Applicable,
    judged: Iterable[PolicyResult],
    unmatched: Unmatched,
    findings: Findings | None,
) -> Report:
    results = tuple(sorted((*judged, *_failed(policies)), key=lambda result: (result.policy.kind, str(result.policy))))
    effect = max((result.effect for result in results), default=Effect.IGNORE)
    reason = None
    if not policies.covered:
        effect = max(effect, _UNMATCHED[unmatched])
        reason = Reason(Code.UNMATCHED, "no cluster policy is about this image", found=str(reference.repository))
    return Report(
        named,
        _VERDICTS[effect],
        reference,
        findings.digest if findings else reference.digest,
        results,
        reason,
        stale=findings.stale if findings else False,
        cached_until=math.inf if findings else 0.0,
    )


def _bounded(report: Report, until: float) -> Report:
    return replace(report, cached_until=0.0 if report.undecided else until)
