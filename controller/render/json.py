"""Reports as the documents of `--output json`."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from controller import errors
from controller.compile.compiled import Effect, TrustException
from controller.decision import report as decided
from controller.render import output
from controller.render.advice import next_step
from controller.render.findings import ends, refusals, settled

_EFFECTS: dict[Effect, output.Effect] = {
    Effect.IGNORE: "Ignore",
    Effect.AUDIT: "Audit",
    Effect.WARN: "Warn",
    Effect.DENY: "Deny",
}
_OUTCOMES: dict[decided.Outcome, output.Outcome] = {
    decided.Outcome.PASS: "Pass",
    decided.Outcome.MISSING: "Missing",
    decided.Outcome.FAILED: "Failed",
    decided.Outcome.UNDECIDED: "Undecided",
}
_VERDICTS: dict[decided.Verdict, output.Verdict] = {
    decided.Verdict.ALLOW: "Allow",
    decided.Verdict.AUDIT: "Audit",
    decided.Verdict.WARN: "Warn",
    decided.Verdict.DENY: "Deny",
}
_EXIT_CODES: dict[output.Result, output.ExitCode] = {"Pass": 0, "Undecided": 3, "Refused": 1}


def encode(document: output.Document) -> str:
    """The document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode()


def result(report: decided.Report) -> output.Result:
    """Pass, Refused, or Undecided where everything that denies is an open question."""
    if report.verdict is not decided.Verdict.DENY:
        return "Pass"
    return "Refused" if settled(report) else "Undecided"


def worst(results: Iterable[output.Result]) -> output.Result:
    """Refused before Undecided before Pass: a settled no does not wait for an answer. Nothing at all is no yes."""
    found = set(results)
    order: tuple[output.Result, ...] = ("Refused", "Undecided", "Pass")
    return next((result for result in order if result in found), "Refused")


def exit_code(result: output.Result) -> output.ExitCode:
    """0, 1 or 3."""
    return _EXIT_CODES[result]


def verification(images: Sequence[output.Image]) -> output.Verification:
    """The document of `verify` and `explain`."""
    results = [image.result for image in images]
    overall = worst(results)
    warned = sum(image.verdict == "Warn" for image in images)
    return output.Verification(1, overall, exit_code(overall), summary(results, warned), list(images))


def summary(results: Sequence[output.Result], warned: int = 0) -> output.Summary:
    """Count the results."""
    return output.Summary(len(results), results.count("Pass"), warned, results.count("Refused"), results.count("Undecided"))


def image(report: decided.Report, where: output.Object | None = None) -> output.Image:
    """One report, whole."""
    return output.Image(
        image=report.named.image,
        object=where,
        pointer=report.named.pointer,
        container=report.named.container,
        reference=str(report.reference or ""),
        digest=str(report.digest or ""),
        result=result(report),
        verdict=_VERDICTS[report.verdict],
        stale=report.stale,
        reason=reason(report.reason),
        next=_next(report),
        policies=[_policy(policy) for policy in report.policies],
    )


def reason(value: errors.Reason | None) -> output.Reason | None:
    """One reason, or None."""
    return None if value is None else given(value)


def given(value: errors.Reason) -> output.Reason:
    """One reason."""
    return output.Reason(value.code.value, value.message, value.expected, value.found)


def error(failure: errors.SigwardError) -> output.Error:
    """The document of a command that could not do its work."""
    code: Literal[1, 2, 3] = 2
    if isinstance(failure, errors.Undecided):
        code = 3
    elif isinstance(failure, errors.Refused):
        code = 1
    field = failure.field if isinstance(failure, errors.Invalid) else ""
    return output.Error(1, code, field, given(failure.reason))


def _next(report: decided.Report) -> str:
    if report.verdict is not decided.Verdict.DENY:
        return ""
    cause = refusals(report)[0]
    return next_step(cause.reason.code, cause.kind, cause.reason.expected).text


def _policy(found: decided.PolicyResult) -> output.Policy:
    return output.Policy(
        kind=found.policy.kind,
        namespace=found.policy.namespace,
        name=found.policy.name,
        mode=found.mode.value,
        effect=_EFFECTS[found.effect],
        outcome=_OUTCOMES[found.outcome],
        reason=reason(found.reason),
        requirements=[_requirement(requirement) for requirement in found.requirements],
        exception=_exception(found.exception),
    )


def _requirement(found: decided.RequirementResult) -> output.Requirement:
    return output.Requirement(
        name=found.name,
        kind=found.kind,
        outcome=_OUTCOMES[found.outcome],
        effect=_EFFECTS[found.effect],
        reason=reason(found.reason),
        note=found.note,
        platform=found.platform,
        checks=[_check(check) for check in found.checks],
        exception=_exception(found.exception),
    )


def _exception(found: TrustException | None) -> output.Exempting | None:
    if found is None:
        return None
    return output.Exempting(found.name, found.owner, found.ticket, found.reason, ends(found))


def _check(found: decided.Check) -> output.Check:
    return output.Check(
        authority=found.authority,
        trusts=found.expected,
        evidence=found.evidence,
        format=found.format,
        proved=found.reason is None,
        signer=found.signer,
        reason=reason(found.reason),
    )
