"""All policies about one image, combined: the strictest verdict wins and order never matters (design, section 3)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from controller.compile.compiled import CEILING, AllowUnsigned, CompiledPolicy, Effect
from controller.decision.applicable import Applicable
from controller.decision.exceptions import lift
from controller.decision.findings import Findings, Platform
from controller.decision.report import Named, Outcome, PolicyResult, Report, RequirementResult, Verdict
from controller.decision.requirements import allowed, judge_requirement, unavailable
from controller.decision.requirements import effect as effect_of
from controller.errors import Code, Reason, Refused, Undecided
from controller.policy.words import Mode
from controller.reference import Digest, Reference
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
_NO_PLATFORM: Final = Refused(Code.MALFORMED, "the index holds no platform", expected="at least one image")
_SEVERITY: Final = (Outcome.FAILED, Outcome.MISSING, Outcome.UNDECIDED)


def decide(named: Named, reference: Reference, policies: Applicable, findings: Findings, unmatched: Unmatched) -> Report:
    """The verdict on a digest whose evidence was looked for and judged."""
    everywhere = _revoked_signers(policies)
    until = math.inf
    results = []
    for policy in policies.judged:
        result, bound = _judge(policy, findings, everywhere | policy.revoked.signers)
        results.append(result)
        until = min(until, bound)
    report = _combine(named, reference, policies, results, unmatched, findings)
    return replace(report, cached_until=0.0 if report.undecided else until)


def unresolved(
    named: Named, reference: Reference, policies: Applicable, error: Refused | Undecided, unmatched: Unmatched
) -> Report:
    """The verdict where it is not known which digest the reference names.

    A registry that says there is no such image, or answers with bytes that may not be believed, is a refusal; one that does
    not answer leaves each policy undecided, which is the policy's `onUnavailable` to decide.
    """
    named_digest = [reference.digest] if reference.digest else []
    results = [_revoked_digest(policy, named_digest) or _unresolved(policy, error) for policy in policies.judged]
    return _combine(named, reference, policies, results, unmatched, None)


def without_evidence(named: Named, reference: Reference, policies: Applicable, unmatched: Unmatched) -> Report:
    """The verdict where no policy needs anything to be asked: none matches, or those that do have failed already."""
    return _combine(named, reference, policies, [], unmatched, None)


def invalid(named: Named, reason: Reason) -> Report:
    """The verdict on a text that is no image reference: nothing could run it and no policy could match it."""
    return Report(named, Verdict.DENY, reason=reason)


def _revoked_signers(policies: Applicable) -> frozenset[str]:
    """Signers that no applicable policy believes.

    Cluster policies revoke for all, whatever their mode, broken ones as far as they can be read. A namespaced policy does
    so only where it enforces: one that is to warn must not deny through another's requirements. Dropping a fact can only
    tighten, because no fact ever counts against an image.
    """
    said = (*policies.judged, *(policy for policy, _ in policies.failed))
    heard = (policy for policy in said if policy.is_cluster or (policy.mode is Mode.ENFORCE and not policy.broken))
    return frozenset(signer for policy in heard for signer in policy.revoked.signers)


def _judge(policy: CompiledPolicy, findings: Findings, revoked: frozenset[str]) -> tuple[PolicyResult, float]:
    """One policy's result, and until when (POSIX seconds) the facts under it hold."""
    denied = _revoked_digest(policy, (findings.digest, *findings.aliases), findings.within)
    if denied:
        return denied, math.inf
    parts = [Platform("", findings)]
    if policy.each_platform and findings.children:
        parts = list(findings.platforms) or [Platform("", _NO_PLATFORM)]  # an index that holds nothing to run passes nothing
    judged = [_judge_part(policy, part, revoked) for part in parts]
    results = tuple(result for part, _ in judged for result in part.requirements)
    effect = max((part.effect for part, _ in judged), default=Effect.IGNORE)
    outcomes = {part.outcome for part, _ in judged}
    outcome = next((worst for worst in _SEVERITY if worst in outcomes), Outcome.PASS)
    reason = next((part.reason for part, _ in judged if part.reason and part.outcome is outcome), None)
    return PolicyResult(policy.id, policy.mode, effect, outcome, results, reason), min(bound for _, bound in judged)


def _judge_part(policy: CompiledPolicy, part: Platform, revoked: frozenset[str]) -> tuple[PolicyResult, float]:
    """The same for one platform, or for the one digest of a policy that judges no platforms."""
    findings = part.findings
    if not isinstance(findings, Findings):
        unresolved = _unresolved(policy, findings)
        return replace(unresolved, requirements=_on(part.name, unresolved.requirements)), math.inf
    judged = [judge_requirement(policy, requirement, findings, revoked) for requirement in policy.requirements]
    results = _on(part.name, [item.result for item in judged])
    effect = max((result.effect for result in results), default=Effect.IGNORE)
    outcomes = {result.outcome for result in results}
    outcome = next((worst for worst in _SEVERITY if worst in outcomes), Outcome.PASS)
    bound = min((fact.valid_until for item in judged for fact in item.facts), default=math.inf)
    return PolicyResult(policy.id, policy.mode, effect, outcome, results), bound


def _on(platform: str, results: Iterable[RequirementResult]) -> tuple[RequirementResult, ...]:
    return tuple(replace(result, platform=platform) if platform else result for result in results)


def _revoked_digest(
    policy: CompiledPolicy, digests: Sequence[Digest], children: Sequence[Digest] = ()
) -> PolicyResult | None:
    """The denial of an image that is revoked under one of its `digests`, or through one of its platforms."""
    digest = next((digest for digest in (*digests, *children) if digest in policy.revoked.digests), None)
    if digest is None:
        return None
    what = "the image is revoked" if digest in digests else "a platform of the image is revoked"
    reason = Reason(Code.REVOKED, what, found=str(digest))
    return PolicyResult(policy.id, policy.mode, _revoking(policy), Outcome.FAILED, reason=reason)


def _revoking(policy: CompiledPolicy) -> Effect:
    """In a cluster policy `revoked` denies whatever the mode (design, section 3)."""
    return Effect.DENY if policy.is_cluster else CEILING[policy.mode]


def _unresolved(policy: CompiledPolicy, error: Refused | Undecided) -> PolicyResult:
    """Each requirement without a digest to judge; what passes whatever was found still does."""
    outcome = Outcome.UNDECIDED if isinstance(error, Undecided) else Outcome.FAILED
    passing = [(item, item.rule) for item in policy.requirements if isinstance(item.rule, AllowUnsigned)]
    results = tuple(allowed(item, rule) for item, rule in passing)
    others = [item for item in policy.requirements if not isinstance(item.rule, AllowUnsigned)]
    effects = [effect_of(policy, item, outcome, error.reason) for item in others]
    if policy.revoked.digests:  # it might be one of them
        effects.append(unavailable(policy, error.reason) if outcome is Outcome.UNDECIDED else _revoking(policy))
    effect = max((*effects, *(result.effect for result in results)), default=Effect.IGNORE)
    if not effects:
        return PolicyResult(policy.id, policy.mode, effect, Outcome.PASS, results)
    return PolicyResult(policy.id, policy.mode, effect, outcome, results, error.reason)


def _failed(policies: Applicable, digests: Sequence[Digest], children: Sequence[Digest]) -> Iterable[PolicyResult]:
    """Policies that fail without being judged; `onUnavailable` never covers them (design, rule 10)."""
    for policy, reason in policies.failed:
        outcome = Outcome.UNDECIDED if reason.code is Code.NAMESPACE_UNKNOWN else Outcome.FAILED
        plain = PolicyResult(policy.id, policy.mode, CEILING[policy.mode], outcome, reason=reason)
        yield _revoked_digest(policy, digests, children) or plain


def _lifted(results: Iterable[PolicyResult], policies: Applicable, *, digest_known: bool) -> Iterable[PolicyResult]:
    """The results after the TrustExceptions that are about this image."""
    if not policies.exceptions:
        return results
    known = {policy.id: policy for policy in (*policies.judged, *(policy for policy, _ in policies.failed))}
    exceptions = policies.exceptions
    return [lift(result, known[result.policy], exceptions, digest_known=digest_known) for result in results]


def _combine(
    named: Named,
    reference: Reference,
    policies: Applicable,
    judged: Iterable[PolicyResult],
    unmatched: Unmatched,
    findings: Findings | None,
) -> Report:
    digest = findings.digest if findings else reference.digest
    digests = [digest] if digest else []
    failed = _failed(policies, [*digests, *(findings.aliases if findings else ())], findings.within if findings else ())
    results = tuple(
        sorted(
            _lifted((*judged, *failed), policies, digest_known=digest is not None),
            key=lambda result: (result.policy.kind, str(result.policy)),
        )
    )
    effect = max((result.effect for result in results), default=Effect.IGNORE)
    reason = None
    if not policies.covered:
        effect = max(effect, _UNMATCHED[unmatched])
        reason = Reason(Code.UNMATCHED, "no cluster policy demands anything of this image", found=str(reference.repository))
    return Report(
        named,
        _VERDICTS[effect],
        reference,
        digest,
        results,
        reason,
        stale=findings.stale if findings else False,
        cached_until=math.inf if findings else 0.0,
    )
