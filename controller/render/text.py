"""The explanation of a report as a tree: image, policy, requirement, authority, check, expected against found."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from controller.compile.compiled import Effect
from controller.decision.report import Check, Outcome, PolicyResult, Report, RequirementResult, Verdict
from controller.errors import Reason
from controller.render.advice import next_step
from controller.render.findings import refusals, settled
from controller.render.tree import Branch, Field, Mark, Style, draw

_VERDICTS = {Verdict.ALLOW: Mark.GOOD, Verdict.AUDIT: Mark.GOOD, Verdict.WARN: Mark.WARN, Verdict.DENY: Mark.BAD}
_LONG_DIGEST: Final = re.compile(r"(sha(?:256|512)[:-][0-9a-f]{12})[0-9a-f]{20,}")
_EFFECTS = {Effect.IGNORE: "", Effect.AUDIT: "recorded", Effect.WARN: "warned about", Effect.DENY: "refused"}


def explanation(report: Report, style: Style, *, brief: bool = False) -> str:
    """Draw the tree of one image; `brief` leaves out what passed below the policies."""
    return draw(branch(report, brief=brief), style)


def branch(report: Report, *, brief: bool = False) -> Branch:
    """The tree of one image."""
    named = report.named
    title = f"{named.image} ({named.container})" if named.container else named.image
    repository = f"{report.reference.repository} " if report.reference else ""
    children = [_policy(policy, repository, brief=brief) for policy in report.policies]
    if report.verdict is Verdict.DENY:
        children.append(_next(report))
    return Branch(title, _mark(report), tuple(_facts(report)), tuple(children))


def summary(reports: Sequence[Report]) -> str:
    """`3 images: 1 allowed, 2 refused`."""
    counted = {"allowed": 0, "allowed with a warning": 0, "refused": 0, "undecided": 0}
    for report in reports:
        counted[_word(report)] += 1
    images = "1 image" if len(reports) == 1 else f"{len(reports)} images"
    return f"{images}: " + (", ".join(f"{count} {word}" for word, count in counted.items() if count) or "nothing to judge")


def _word(report: Report) -> str:
    match report.verdict:
        case Verdict.ALLOW | Verdict.AUDIT:
            return "allowed"
        case Verdict.WARN:
            return "allowed with a warning"
        case Verdict.DENY:
            return "refused" if settled(report) else "undecided"


def _mark(report: Report) -> Mark:
    if report.verdict is Verdict.DENY and not settled(report):
        return Mark.OPEN
    return _VERDICTS[report.verdict]


def _facts(report: Report) -> Iterator[Field]:
    word = _word(report)
    yield Field("verdict", f"{report.verdict.value} ({word})" if word == "undecided" else report.verdict.value)
    if report.reference and str(report.reference.repository) not in report.named.image:
        yield Field("means", str(report.reference))
    if report.digest:
        yield Field("digest", str(report.digest))
    if report.named.pointer:
        yield Field("at", report.named.pointer)
    if report.stale:
        yield Field("stale", "judged on evidence from before the registry went out of reach")
    if report.reason:
        yield from _reason(report.reason)


def _next(report: Report) -> Branch:
    """What to do, the command in lines that can be copied into a shell."""
    cause = refusals(report)[0]
    step = next_step(cause.reason.code, cause.kind)
    image = f"{report.reference.repository}@{report.digest}" if report.reference and report.digest else "IMAGE"
    lines = step.command.replace("IMAGE", "\\\n  " + image).split("\n") if step.command else []
    return Branch(step.text, Mark.NEXT, tuple(Field("", line, whole=True) for line in lines))


def _reason(reason: Reason) -> Iterator[Field]:
    if reason.message:
        yield Field("why", f"{reason.message} ({reason.code})")
    if reason.expected:
        yield Field("expected", reason.expected)
    if reason.found:
        yield Field("found", reason.found)


def _policy(result: PolicyResult, repository: str, *, brief: bool) -> Branch:
    title = f"policy {result.policy} ({result.policy.kind}, {result.mode.value})"
    undecided = result.outcome is Outcome.UNDECIDED
    title += f": {'undecided, ' if undecided else ''}{_EFFECTS[result.effect]}" if result.effect is not Effect.IGNORE else ""
    fields = tuple(_reason(result.reason)) if result.reason else ()
    shown = [r for r in result.requirements if not brief or r.outcome is not Outcome.PASS or r.effect is not Effect.IGNORE]
    mark = _mark_of(result.effect, undecided=undecided)
    return Branch(title, mark, fields, tuple(_requirement(r, repository) for r in shown))


def _mark_of(effect: Effect, *, undecided: bool = False) -> Mark:
    if undecided and effect is not Effect.IGNORE:
        return Mark.OPEN
    return {Effect.IGNORE: Mark.GOOD, Effect.AUDIT: Mark.NOTE, Effect.WARN: Mark.WARN, Effect.DENY: Mark.BAD}[effect]


def _requirement(result: RequirementResult, repository: str) -> Branch:
    title = f"{result.name} ({result.kind}): {result.outcome.value.lower()}"
    if result.outcome is not Outcome.PASS and result.effect is not Effect.DENY:
        title += f", {_EFFECTS[result.effect] or 'ignored'}"
    fields = tuple(_reason(result.reason)) if result.reason else ()
    fields += (Field("note", result.note),) if result.note else ()
    mark = _mark_of(result.effect, undecided=result.outcome is Outcome.UNDECIDED)
    if result.outcome is not Outcome.PASS and result.effect is Effect.IGNORE:
        mark = Mark.NOTE
    return Branch(title, mark, fields, tuple(_authorities(result.checks, repository)))


def _authorities(checks: Iterable[Check], repository: str) -> Iterator[Branch]:
    """Checks by authority, in the order the policy names them; the authority is proved if one of its checks is."""
    by_authority: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        by_authority.setdefault((check.authority, check.expected), []).append(check)
    for (name, expected), own in by_authority.items():
        proved = any(check.reason is None for check in own)
        yield Branch(
            f"{name}: {expected}", Mark.GOOD if proved else Mark.BAD, (), tuple(_check(check, repository) for check in own)
        )


def _check(check: Check, repository: str) -> Branch:
    # Whole in JSON; here the line is to be read: the image's own repository goes without saying.
    place = _LONG_DIGEST.sub(r"\1…", check.evidence.removeprefix(repository))
    title = f"{check.format} at {place}" if check.format else place
    if check.reason is None:
        return Branch(f"{title}: by {check.signer}", Mark.GOOD)
    told = check.reason if check.reason.expected != check.expected else replace(check.reason, expected="")
    return Branch(title, Mark.BAD, tuple(_reason(told)))
