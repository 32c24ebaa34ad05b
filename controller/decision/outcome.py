"""What became of one requirement, before its effect on the request is known."""

from dataclasses import dataclass

from controller.decision.report import Check, Outcome
from controller.errors import Reason
from controller.evidence import Verified


@dataclass(frozen=True, slots=True)
class Found:
    """An outcome, why, the judgements behind it and the facts it rests on. `kind` is the field of the policy.

    The facts of a failure are statements about this image that verified and say no.
    """

    kind: str
    outcome: Outcome
    reason: Reason | None
    checks: tuple[Check, ...] = ()
    facts: tuple[Verified, ...] = ()
