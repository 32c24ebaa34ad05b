"""Which parts of a report made it what it is, the decisive ones first."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from controller.compile.compiled import Effect, TrustException
from controller.decision.report import Outcome, PolicyResult, Report, RequirementResult
from controller.errors import Code, Reason

_NO_REASON: Final = Reason(Code.INTERNAL, "refused without a reason given")
_UNANSWERED: Final = frozenset(
    {
        Code.UNREACHABLE,
        Code.UNAUTHORIZED,
        Code.RATE_LIMITED,
        Code.REGISTRY_ERROR,
        Code.DEADLINE,
        Code.ADDRESS_NOT_ALLOWED,
        Code.NAMESPACE_UNKNOWN,
        Code.ROOT_UNAVAILABLE,
        Code.KEY_UNAVAILABLE,
        Code.BUSY,
        Code.INTERNAL,
    }
)
"""Reasons that say "not answered": asked again, the same question may have another answer."""


OBVIOUS: Final = frozenset({"missing", "not met"})
"""Messages that say no more than the outcome does."""
_LONG_DIGEST: Final = re.compile(r"\b(sha(?:256|512):[0-9a-f]{12})[0-9a-f]{52,}\b")


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause: which policy and requirement (empty where the whole image or policy is meant), of which kind, and why.

    `settled` is False where the answer is still to come. `policies` names every policy that says the same.
    """

    reason: Reason
    policies: tuple[str, ...] = ()
    requirement: str = ""
    kind: str = ""
    settled: bool = True

    @property
    def why(self) -> str:
        """The reason in few words: "missing" goes without saying beside what was expected, digests are cut short."""
        reason = self.reason
        text = str(reason)
        if reason.expected and reason.message in OBVIOUS:
            text = f"expected {reason.expected}; found {reason.found or 'nothing'}"
        elif reason.found and not reason.expected:
            text = f"{reason.message} ({reason.found})"
        return _LONG_DIGEST.sub(r"\1…", text)

    @property
    def place(self) -> str:
        """`policy corp, signed`, for people; empty where no policy speaks."""
        if not self.policies:
            return ""
        word = "policy" if len(self.policies) == 1 else "policies"
        names = ", ".join(self.policies)
        return f"{word} {names}, {self.requirement}" if self.requirement else f"{word} {names}"


def findings(report: Report, effect: Effect) -> tuple[Finding, ...]:
    """Everything in `report` that has exactly this effect: settled causes first, equal ones said once."""
    merged: dict[tuple[Reason, str], Finding] = {}
    for finding in _all(report, effect):
        key = (finding.reason, finding.requirement)
        known = merged.get(key)
        policies = tuple(dict.fromkeys((*known.policies, *finding.policies))) if known else finding.policies
        merged[key] = Finding(finding.reason, policies, finding.requirement, finding.kind, finding.settled)
    return tuple(sorted(merged.values(), key=lambda finding: not finding.settled))


def refusals(report: Report) -> tuple[Finding, ...]:
    """Why a denied image is denied; never empty, because a refusal without a reason must be seen as the fault it is."""
    found = findings(report, Effect.DENY)
    if found:
        return found
    reason = report.reason or _NO_REASON
    return (Finding(reason, settled=reason.code not in _UNANSWERED),)


def settled(report: Report) -> bool:
    """Whether a denied image would be denied again: at least one cause is no open question."""
    return any(finding.settled for finding in refusals(report))


def _all(report: Report, effect: Effect) -> Iterator[Finding]:
    for policy in report.policies:
        name = (str(policy.policy),)
        if policy.reason and policy.effect is effect:
            why = excepted(policy.exception, policy.reason) if policy.exception else policy.reason
            yield Finding(why, name, settled=policy.outcome is not Outcome.UNDECIDED)
        for requirement in policy.requirements:
            if requirement.effect is effect:
                yield _finding(policy, requirement)


def _finding(policy: PolicyResult, requirement: RequirementResult) -> Finding:
    reason = requirement.reason or Reason(_NO_REASON.code, requirement.note or _NO_REASON.message)
    if requirement.exception:
        reason = excepted(requirement.exception, reason)
    settled = requirement.outcome is not Outcome.UNDECIDED
    name = f"{requirement.name} on {requirement.platform}" if requirement.platform else requirement.name
    return Finding(reason, (str(policy.policy),), name, requirement.kind, settled)


def excepted(exception: TrustException, instead: Reason) -> Reason:
    """Why a denial became a warning: who says so, why and until when; `found` is what would have been refused for."""
    owner = f" of {exception.owner}" if exception.owner else ""
    ticket = f" ({exception.ticket})" if exception.ticket else ""
    message = f"let through by exception {exception.name}{owner}{ticket} until {ends(exception)}: {exception.reason}"
    return Reason(Code.EXCEPTED, message, found=f"otherwise refused: {instead}")


def ends(exception: TrustException) -> str:
    """When it expires, to the second, in RFC 3339."""
    return datetime.fromtimestamp(exception.until, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
