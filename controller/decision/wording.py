"""What was expected and what was found, in words: short phrases that a refusal is put together from."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from controller.compile.compiled import CompiledPolicy
from controller.decision.findings import Findings, Opinion
from controller.decision.report import Check
from controller.errors import Code, Reason, Refused, Undecided
from controller.evidence import COSIGN_SIGN_PREDICATE, Claim, Evidence, Format, Verified

SHOWN: Final = 3
"""Names in one enumeration; the rest is counted."""

_PREDICATE_HINTS: Final = ("dev.sigstore.bundle.predicateType", "predicateType")
_CONTENT_HINT: Final = "dev.sigstore.bundle.content"


def hinted_type(evidence: Evidence) -> str | None:
    """The predicate type a piece pretends to have: `COSIGN_SIGN_PREDICATE` for any signature, None where it says nothing.

    From unsigned annotations and the place it was stored in: good enough to tell a person what lies there, and nothing is
    decided by it.
    """
    if evidence.format not in {Format.BUNDLE, Format.COSIGN_ATTESTATION}:
        return COSIGN_SIGN_PREDICATE
    hint = next((evidence.annotations[name] for name in _PREDICATE_HINTS if evidence.annotations.get(name)), None)
    if hint is None and evidence.annotations.get(_CONTENT_HINT) == "message-signature":
        return COSIGN_SIGN_PREDICATE
    return hint


def names(policy: CompiledPolicy, of: Sequence[int]) -> str:
    """`release (key SHA256:ab12…) or ci (…)`."""
    judges = [policy.authorities[index].judge for index in of]
    shown = " or ".join(f"{judge.name} ({judge.description})" for judge in judges[:SHOWN])
    return shown + (f" or {len(judges) - SHOWN} others" if len(judges) > SHOWN else "")


def some(words: Sequence[str]) -> str:
    """The first few, and how many more."""
    return ", ".join(words[:SHOWN]) + (f" and {len(words) - SHOWN} more" if len(words) > SHOWN else "")


def found(refused: Iterable[Opinion], findings: Findings) -> str:
    """How many pieces there were that prove nothing, and why: `none`, `1, by key SHA256:9c41…`, `3, none believed: …`."""
    reasons: dict[str, Reason] = {}
    for opinion in refused:
        if isinstance(opinion.answer, Refused):
            known = reasons.get(opinion.evidence.id)
            if known is None or known.code is Code.WRONG_KEY:  # who signed matters less than that it says no
                reasons[opinion.evidence.id] = opinion.answer.reason
    words = list(dict.fromkeys(map(_why, reasons.values())))
    unreadable = f"{len(findings.unreadable)} unreadable: {findings.unreadable[0].reason}" if findings.unreadable else ""
    if not words:
        return unreadable or "none"
    text = f"{len(reasons)}, {words[0]}" if len(reasons) == 1 else f"{len(reasons)}, none of them believed: {some(words)}"
    return f"{text}; {unreadable}" if unreadable else text


def _why(reason: Reason) -> str:
    if reason.code is Code.WRONG_KEY and reason.found:
        return f"by {reason.found}" if reason.found.startswith("key ") else reason.found
    return f"{reason.message}: {reason.found}" if reason.found else reason.message


def first_code(refused: Iterable[Opinion]) -> Code:
    """The refusal that tells most: one that knew the signer before one by somebody else; NoEvidence where there is none."""
    codes = [opinion.answer.reason.code for opinion in refused if isinstance(opinion.answer, Refused)]
    return next((code for code in codes if code is not Code.WRONG_KEY), codes[0] if codes else Code.NO_EVIDENCE)


def undecided(findings: Findings, seen: Iterable[Opinion], expected: str) -> Reason | None:
    """Why the answer is not no but unknown; None where everybody answered."""
    gap = next(iter(findings.unanswered), None)
    if gap:
        return Reason(gap.reason.code, "could not be decided", expected, f"{gap.place}: {gap.reason}")
    reason = next((opinion.answer.reason for opinion in seen if isinstance(opinion.answer, Undecided)), None)
    return Reason(reason.code, "could not be decided", expected, str(reason)) if reason else None


def refused(findings: Findings, expected: str) -> Reason | None:
    """Why a no is more than an absence: a source whose answer may not be believed hides what it has."""
    gap = next(iter(findings.refused), None)
    return Reason(gap.reason.code, "not met", expected, f"{gap.place}: {gap.reason}") if gap else None


def checks(seen: Iterable[Opinion], wanted: Callable[[Verified], bool]) -> Iterator[Check]:
    """Each judgement behind a requirement."""
    for opinion in seen:
        evidence, judge = opinion.evidence, opinion.authority.judge
        facts = [fact for fact in opinion.facts if wanted(fact)]
        reason: Reason | None = next((fact.fails for fact in facts if fact.fails), None)
        if not facts:
            reason = _other(opinion.answer[0]) if isinstance(opinion.answer, tuple) else opinion.answer.reason
        signer = ", ".join(sorted({fact.signer.name for fact in facts}))
        yield Check(judge.name, judge.description, str(evidence.origin), evidence.format.value, signer, reason)


def _other(fact: Verified) -> Reason:
    """Verified, and something else than was asked for (design, rule 6: neither kind meets the other)."""
    what = "an image signature" if fact.claim is Claim.SIGNATURE else f"an attestation of type {fact.predicate_type}"
    return Reason(Code.WRONG_PREDICATE_TYPE, "verified, but not what is asked for", found=what)
