"""The whole explanation of one image's verdict, from policy down to each check."""

from dataclasses import dataclass
from enum import StrEnum

from controller.compile.compiled import Effect, PolicyId, TrustException
from controller.errors import Reason
from controller.policy.words import Mode
from controller.reference import Digest, Reference


class Verdict(StrEnum):
    """What happens to the request because of one image. `Audit` and `Warn` admit."""

    ALLOW = "Allow"
    AUDIT = "Audit"
    WARN = "Warn"
    DENY = "Deny"


class Outcome(StrEnum):
    """What became of one requirement."""

    PASS = "Pass"  # noqa: S105 - an outcome, not a secret
    MISSING = "Missing"
    FAILED = "Failed"
    UNDECIDED = "Undecided"


@dataclass(frozen=True, slots=True)
class Check:
    """One authority's judgement of one piece of evidence.

    `reason` is None where it was proved; then `signer` names who signed.
    """

    authority: str
    expected: str
    evidence: str
    format: str
    signer: str = ""
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """One requirement: what was expected, what was found, and each check behind it.

    `effect` is IGNORE on Pass, except for `unsafeAllowUnsigned`, which passes and warns with its reason. Where the policy
    judges each platform of an index there is one result for each, which `platform` names. `exception` is what made a
    denial a warning.
    """

    name: str
    kind: str
    outcome: Outcome
    effect: Effect
    reason: Reason | None = None
    checks: tuple[Check, ...] = ()
    note: str = ""
    platform: str = ""
    exception: TrustException | None = None


@dataclass(frozen=True, slots=True)
class PolicyResult:
    """One policy's judgement. `reason` is set where the policy as a whole failed (broken, revoked digest, no digest).

    `exception` is what made that failure a warning.
    """

    policy: PolicyId
    mode: Mode
    effect: Effect
    outcome: Outcome
    requirements: tuple[RequirementResult, ...] = ()
    reason: Reason | None = None
    exception: TrustException | None = None

    @property
    def exceptions(self) -> tuple[TrustException, ...]:
        """Every exception that let something of this policy through, each once."""
        used = (self.exception, *(requirement.exception for requirement in self.requirements))
        return tuple(dict.fromkeys(each for each in used if each))


@dataclass(frozen=True, slots=True)
class Named:
    """The image as the object names it: text, JSON pointer, and the container's name (empty for volumes and commands)."""

    image: str
    pointer: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """One image's verdict and why.

    `reference` is None where the text is no reference; `digest` is None where it was not resolved (not needed, or failed).
    `reason` speaks for the whole where no policy does (invalid reference, unmatched image, registry out of reach).
    `stale` says that evidence from before the registry went away was used. `cached_until` bounds how long the same answer
    may be given again (POSIX seconds, 0 = not at all).
    """

    named: Named
    verdict: Verdict
    reference: Reference | None = None
    digest: Digest | None = None
    policies: tuple[PolicyResult, ...] = ()
    reason: Reason | None = None
    stale: bool = False
    cached_until: float = 0.0

    @property
    def undecided(self) -> bool:
        """Whether any part could not be answered: such a report is never remembered, whatever else it says."""
        return any(
            policy.outcome is Outcome.UNDECIDED or any(r.outcome is Outcome.UNDECIDED for r in policy.requirements)
            for policy in self.policies
        )

    @property
    def passed(self) -> bool:
        """Whether every requirement of every policy was met, whatever the modes would have forgiven."""
        return bool(self.policies) and all(policy.outcome is Outcome.PASS for policy in self.policies)
