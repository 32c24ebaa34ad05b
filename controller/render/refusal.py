"""The few lines that the API server shows to whoever ran `kubectl apply` (design, section 10).

A refusal must say which image, where it stands, which policy, what was expected, what was found and what to do; it must not
be a page. Two images are told in full, every further one by name and JSON pointer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

import msgspec

from controller.admission.response import MAX_AUDIT_VALUE, MAX_MESSAGE, MAX_WARNING, MAX_WARNINGS, Answer
from controller.compile.compiled import Effect
from controller.decision.report import Named, Report, Verdict
from controller.render.advice import next_step
from controller.render.clean import clean, clip, clip_middle
from controller.render.findings import Finding, findings, refusals

_ENCODER: Final = msgspec.json.Encoder()
_PARAGRAPH: Final = 400
"""Characters for one image told in full."""
_IN_FULL: Final = 2
_SILENT: Final = frozenset({Verdict.ALLOW, Verdict.AUDIT})
_SEPARATOR: Final = " | "
_WARNING_AIM: Final = 120
_IMAGE: Final = 110
_IMAGE_BRIEF: Final = 60
_IMAGE_BRIEFEST: Final = 30
_POINTER: Final = 80
"""Characters of a JSON pointer; cut it would be none, and a CronJob's ephemeral container has one of 64."""
_NAME: Final = 63
_AUDITED_POLICIES: Final = 16
_PLACE: Final = 130
_REASON_LEAST: Final = 100


def answer(reports: Sequence[Report]) -> Answer:
    """Put the reports of one object into words.

    An object is allowed when none of its images is denied; one that names no image has none (the caller decides whether
    such an object may pass).
    """
    denied = [report for report in reports if report.verdict is Verdict.DENY]
    return Answer(not denied, message(denied) if denied else "", warnings(reports), _audit(reports))


def message(denied: Sequence[Report]) -> str:
    """Name every denied image with its JSON pointer, the first two in full; the audit annotations hold what is cut off."""
    paragraphs = [paragraph(report) for report in denied[:_IN_FULL]]
    rest = denied[_IN_FULL:]
    if rest:
        more = f"+{len(rest)} more: "
        room = MAX_MESSAGE - sum(len(text) + len(_SEPARATOR) for text in paragraphs) - len(more)
        paragraphs.append(more + _brief(rest, room))
    return _SEPARATOR.join(paragraphs)


def paragraph(report: Report) -> str:
    """One denied image in at most 400 characters: what, where, why, what next."""
    causes = refusals(report)
    head = f"{_image(report)} ({_where(report.named)}): "
    step = next_step(causes[0].reason.code, causes[0].kind, causes[0].reason.expected)
    tails = _tails(report, str(step), step.text)
    tail = next((t for t in tails if len(head) + len(t) + _wanted(causes) <= _PARAGRAPH), tails[-1])
    return head + _reasons(causes, _PARAGRAPH - len(head) - len(tail)) + tail


def warnings(reports: Iterable[Report]) -> tuple[str, ...]:
    """What admits but should be known: at most 256 characters each and 4096 together, no two alike."""
    kept: dict[str, None] = {}
    left = MAX_WARNINGS
    for text in chain.from_iterable(map(_warnings, reports)):
        if text in kept:
            continue
        if len(text) > left:
            break
        kept[text] = None
        left -= len(text)
    return tuple(kept)


def _warnings(report: Report) -> Iterator[str]:
    if report.verdict in _SILENT and not report.stale:  # nothing in it has a stronger effect; most requests end here
        return
    name = clip_middle(clean(report.named.image), _IMAGE_BRIEF)
    found = findings(report, Effect.WARN)
    for finding in found:
        place = f"{clip(clean(finding.place), _PLACE)}: " if finding.place else ""
        yield _aimed(f"{name}: {place}", finding)
    if report.verdict is Verdict.WARN and report.reason and not found:
        yield _aimed(f"{name}: ", Finding(report.reason))
    if report.stale:
        yield clip(f"{name}: judged on evidence from before its registry went out of reach", MAX_WARNING)


def _aimed(head: str, finding: Finding) -> str:
    """The whole reason where that is short; else what is wrong and what was expected, as far as it fits."""
    whole = head + clean(finding.why)
    if len(whole) <= _WARNING_AIM:
        return whole
    return clip(head + clean(str(replace(finding.reason, found=""))), MAX_WARNING)


def _image(report: Report) -> str:
    """The image as written, with the digest that was judged where it does not say it itself."""
    name = clip_middle(clean(report.named.image), _IMAGE)
    if report.digest is None or "@" in name:
        return name
    return f"{name}@{report.digest.short}…"


def _where(named: Named) -> str:
    pointer = clip(clean(named.pointer), _POINTER)
    return f"container {clip(clean(named.container), _NAME)}, {pointer}" if named.container else pointer


def _wanted(causes: Sequence[Finding]) -> int:
    """How many characters the reasons would like."""
    return max(len(_one(causes[0])), _REASON_LEAST)


def _tails(report: Report, *steps: str) -> tuple[str, ...]:
    """What may follow the reason, the most helpful first."""
    details = f"; details: sigward explain {clean(report.named.image)}"
    return (*(f". Next: {step}{details}" for step in steps), *(f". Next: {step}" for step in steps))


def _one(finding: Finding) -> str:
    place = f"{clip(clean(finding.place), _PLACE)}: " if finding.place else ""
    return place + clean(finding.why)


def _fit(finding: Finding, room: int) -> str:
    """The reason in at most `room` characters; where two long phrases compete for it, two thirds are for what was found.

    A policy may expect an identity of two hundred characters: what was found instead must not vanish behind it.
    """
    whole, reason = _one(finding), finding.reason
    if len(whole) <= room or not reason.expected or not reason.found:
        return clip(whole, room)
    left = room - len(_one(replace(finding, reason=replace(reason, expected="-", found="-")))) + 2
    share = max(left // 3, left - len(reason.found))
    expected = _shortened(reason.expected, max(share, 1))
    found = _shortened(reason.found, max(left - len(expected), 1))
    return clip(_one(replace(finding, reason=replace(reason, expected=expected, found=found))), room)


def _shortened(text: str, limit: int) -> str:
    """The beginning, which says what is wrong, and some of the end, which says of what."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 4
    return clip(text, limit - tail) + text[len(text) - tail :]


def _reasons(causes: Sequence[Finding], room: int) -> str:
    """As many causes as fit, the first one in any case; the others counted."""
    text = _fit(causes[0], room)
    for number, cause in enumerate(causes[1:], start=1):
        more = f" (+{len(causes) - number} more)"
        longer = f"{text}; {_one(cause)}"
        left = len(causes) - number - 1
        if len(longer) + (len(f" (+{left} more)") if left else 0) > room:
            return clip(text, room - len(more)) + more
        text = longer
    return text


def _brief(reports: Sequence[Report], room: int) -> str:
    """Every image with its pointer; where even that is too long, the pointers, then only how many."""
    for limit in (_IMAGE, _IMAGE_BRIEF, _IMAGE_BRIEFEST):
        whole = ", ".join(f"{clip_middle(clean(r.named.image), limit)} ({_where(r.named)})" for r in reports)
        if len(whole) <= room:
            return whole
    pointers = ", ".join(clip(clean(report.named.pointer), _POINTER) for report in reports)
    return clip(pointers, room)


def _audit(reports: Sequence[Report]) -> dict[str, str]:
    """For the audit log: each image, the digest judged, its verdict and the policies that judged it, as JSON lists.

    What does not fit into one annotation goes on in the next (`images`, `images-2`, …).
    """
    chunks: list[list[str]] = []
    room = 0
    for report in reports:
        line = _ENCODER.encode(_audited(report)).decode()
        if len(line) + 1 > room:
            chunks.append([])
            room = MAX_AUDIT_VALUE - 2
        chunks[-1].append(line)
        room -= len(line) + 1
    return {f"images-{number}" if number > 1 else "images": f"[{','.join(c)}]" for number, c in enumerate(chunks, start=1)}


def _audited(report: Report) -> dict[str, object]:
    policies = [clip(clean(str(policy.policy)), _PLACE) for policy in report.policies[:_AUDITED_POLICIES]]
    return {
        "image": clip_middle(clean(report.named.image), 256),
        "pointer": clip(clean(report.named.pointer), 128),
        "digest": str(report.digest or ""),
        "verdict": report.verdict.value,
        "policies": policies,
    }
