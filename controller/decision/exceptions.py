"""TrustException: the denial of a policy that it names becomes a warning, and nothing else does (design, section 3)."""

from collections.abc import Iterable
from dataclasses import replace

from controller.compile.compiled import AllowUnsigned, CompiledPolicy, Effect, TrustException
from controller.decision.report import PolicyResult, RequirementResult
from controller.errors import Code


def lift(
    result: PolicyResult, policy: CompiledPolicy, exceptions: Iterable[TrustException], *, digest_known: bool
) -> PolicyResult:
    """The result after `exceptions`, which are about this image, here and now.

    A policy that failed as a whole is lifted by one exception that names all its requirements; each requirement by one that
    names it. What is revoked stays denied, and so does what might be: a tag that could not be resolved (then `digest_known`
    is False) under a policy that revokes digests.
    """
    if result.effect is not Effect.DENY or _revoked(result) or (policy.revoked.digests and not digest_known):
        return result
    named = [each for each in exceptions if each.policies is None or str(policy.id) in each.policies]
    if not named:
        return result
    requirements = tuple(_lift(requirement, result, named) for requirement in result.requirements)
    whole = next((each for each in named if each.lifts(policy.id, _everything(policy))), None)
    if result.reason is not None and whole is None:
        return replace(result, requirements=requirements)
    effect = max((requirement.effect for requirement in requirements), default=Effect.IGNORE)
    if result.reason is None:
        return replace(result, requirements=requirements, effect=effect)
    return replace(result, requirements=requirements, effect=max(effect, Effect.WARN), exception=whole)


def _revoked(result: PolicyResult) -> bool:
    return result.reason is not None and result.reason.code is Code.REVOKED


def _everything(policy: CompiledPolicy) -> frozenset[str] | None:
    """The requirements that could deny; None where what they are is not known."""
    if policy.broken:
        return None
    return frozenset(item.name for item in policy.requirements if not isinstance(item.rule, AllowUnsigned))


def _lift(requirement: RequirementResult, result: PolicyResult, named: Iterable[TrustException]) -> RequirementResult:
    if requirement.effect is not Effect.DENY:
        return requirement
    found = next((each for each in named if each.lifts(result.policy, (requirement.name,))), None)
    return replace(requirement, effect=Effect.WARN, exception=found) if found else requirement
