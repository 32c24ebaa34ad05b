"""The audit line of one decision: who asked for what, and why it was answered so."""

from collections.abc import Sequence
from typing import Any

from controller.admission.response import Answer
from controller.admission.review import Envelope, Review
from controller.compile.compiled import Effect
from controller.decision.report import PolicyResult, Report
from controller.errors import Reason


def record(
    envelope: Envelope, review: Review | None, verdict: str, answer: Answer, reports: Sequence[Report], seconds: float
) -> dict[str, Any]:
    """Everything an auditor asks for, as far as the request could be read; `duration` is in seconds.

    A dry run is a line too, marked as such: it says what would have happened.
    """
    line: dict[str, Any] = {
        "uid": envelope.uid,
        "verdict": verdict,
        "allowed": answer.allowed,
        "duration": round(seconds, 6),
    }
    if answer.message:
        line["message"] = answer.message
    if review is None:
        return line
    group, kind = review.kind
    line["user"] = review.user
    line["operation"] = review.operation
    line["namespace"] = review.namespace
    line["object"] = f"{kind}.{group}/{review.name}" if group else f"{kind}/{review.name}"
    if review.subresource:
        line["subresource"] = review.subresource
    if review.dry_run:
        line["dryRun"] = True
    line["images"] = [_image(report) for report in reports]
    return line


def _image(report: Report) -> dict[str, Any]:
    image: dict[str, Any] = {
        "image": report.named.image,
        "pointer": report.named.pointer,
        "digest": str(report.digest) if report.digest else "",
        "verdict": report.verdict,
        "policies": [_policy(result) for result in report.policies],
    }
    if report.reason:
        image["reason"] = _reason(report.reason)
    if report.stale:
        image["stale"] = True
    return image


def _policy(result: PolicyResult) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy": str(result.policy), "kind": result.policy.kind, "outcome": result.outcome}
    reasons = [
        {"requirement": requirement.name, **_reason(requirement.reason)}
        for requirement in result.requirements
        if requirement.reason and requirement.effect is not Effect.IGNORE
    ]
    if result.reason:
        reasons.append(_reason(result.reason))
    if reasons:
        policy["reasons"] = reasons
    if result.exceptions:
        policy["exceptions"] = [
            {"name": each.name, "owner": each.owner, "ticket": each.ticket, "reason": each.reason}
            for each in result.exceptions
        ]
    return policy


def _reason(reason: Reason) -> dict[str, str]:
    return {"code": reason.code, "reason": str(reason)}
