"""The explanation of a report as a tree: image, policy, requirement, authority, check, expected against found."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from controller.compile.compiled import Effect, TrustException
from controller.decision.report import Check, Outcome, PolicyResult, Report, RequirementResult, Verdict
from controller.errors import Code, Reason
from controller.render.advice import next_step
from controller.render.findings import OBVIOUS, ends, refusals, settled
from controller.render.tree import Branch, Field, Mark, Style, draw

_VERDICTS = {Verdict.ALLOW: Mark.GOOD, Verdict.AUDIT: Mark.GOOD, Verdict.WARN: Mark.WARN, Verdict.DENY: Mark.BAD}
_EFFECTS = {Effect.IGNORE: "", Effect.AUDIT: "recorded", Effect.WARN: "warned about", Effect.DENY: "refused"}


def explanation(report: Report, style: Style, *, brief: bool = False) -> str:
    """Draw the tree of one image; `brief` tells what passed in one line each."""
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


def group(title: str, reports: Sequence[Report], *, brief: bool = False) -> Branch:
    """The images of one object under its title."""
    order = (Mark.BAD, Mark.OPEN, Mark.WARN, Mark.GOOD)
    marks = {_mark(report) for report in reports}
    worst = next((mark for mark in order if mark in marks), Mark.BAD)
    return Branch(title, worst, (), tuple(branch(report, brief=brief) for report in reports))


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
    step = next_step(cause.reason.code, cause.kind, cause.reason.expected)
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


def _exception(exception: TrustException | None) -> Iterator[Field]:
    """Who let it through, until when and why."""
    if exception is None:
        return
    yield Field("exception", f"{exception.name} until {ends(exception)}: {exception.reason}")
    if exception.owner or exception.ticket:
        yield Field("of", " ".join(filter(None, (exception.owner, exception.ticket and f"({exception.ticket})"))))


def _policy(result: PolicyResult, repository: str, *, brief: bool) -> Branch:
    title = f"policy {result.policy} ({result.policy.kind}, {result.mode.value})"
    undecided = result.outcome is Outcome.UNDECIDED
    title += f": {'undecided, ' if undecided else ''}{_EFFECTS[result.effect]}" if result.effect is not Effect.IGNORE else ""
    fields = (*_exception(result.exception), *(_reason(result.reason) if result.reason else ()))
    mark = _mark_of(result.effect, undecided=undecided)
    return Branch(title, mark, fields, tuple(_requirement(r, repository, brief=brief) for r in result.requirements))


def _mark_of(effect: Effect, *, undecided: bool = False) -> Mark:
    if undecided and effect is not Effect.IGNORE:
        return Mark.OPEN
    return {Effect.IGNORE: Mark.GOOD, Effect.AUDIT: Mark.NOTE, Effect.WARN: Mark.WARN, Effect.DENY: Mark.BAD}[effect]


def _requirement(result: RequirementResult, repository: str, *, brief: bool) -> Branch:
    on = f" on {result.platform}" if result.platform else ""
    title = f"{result.name} ({result.kind}){on}: {result.outcome.value.lower()}"
    if result.outcome is not Outcome.PASS and result.effect is not Effect.DENY:
        title += f", {_EFFECTS[result.effect] or 'ignored'}"
    reason = result.reason
    if reason and reason.message in OBVIOUS:  # the outcome says it already
        title, reason = f"{title} ({reason.code})", replace(reason, message="")
    fields = tuple(_reason(reason)) if reason else ()
    fields += (Field("note", result.note),) if result.note else ()
    fields = (*_exception(result.exception), *fields)
    mark = _mark_of(result.effect, undecided=result.outcome is Outcome.UNDECIDED)
    if result.outcome is not Outcome.PASS and result.effect is Effect.IGNORE:
        mark = Mark.NOTE
    if brief and result.outcome is Outcome.PASS:
        signers = dict.fromkeys(f"{check.authority} ({check.signer})" for check in result.checks if check.reason is None)
        return Branch(f"{title}, by {', '.join(signers)}" if signers else title, mark, fields)
    return Branch(title, mark, fields, tuple(_authorities(result.checks, repository, met=result.outcome is Outcome.PASS)))


def _authorities(checks: Iterable[Check], repository: str, *, met: bool) -> Iterator[Branch]:
    """Checks by authority, in the order the policy names them; the authority is proved if one of its checks is.

    What was not proved is a failure only where the requirement was not met without it; there, other people's signatures
    are not listed once for each authority that did not make them.
    """
    by_authority: dict[tuple[str, str], list[Check]] = {}
    for check in checks:
        by_authority.setdefault((check.authority, check.expected), []).append(check)
    for (name, expected), own in by_authority.items():
        proved = any(check.reason is None for check in own)
        unproved = Mark.NOTE if met or proved else Mark.BAD
        mark = Mark.GOOD if proved else unproved
        told = [check for check in own if not met or check.reason is None or check.reason.code is not Code.WRONG_KEY]
        title = f"{name}: {expected}" if told else f"{name}: {expected}: nothing by it"
        yield Branch(title, mark, (), tuple(_check(check, repository, unproved) for check in told))


def _check(check: Check, repository: str, unproved: Mark) -> Branch:
    place = check.evidence.removeprefix(repository)  # the image's own repository goes without saying
    title = f"{check.format} at {place}" if check.format else place
    if check.reason is None:
        return Branch(title if check.signer == check.expected else f"{title}: by {check.signer}", Mark.GOOD)
    told = check.reason if check.reason.expected != check.expected else replace(check.reason, expected="")
    return Branch(title, unproved, tuple(_reason(told)))
