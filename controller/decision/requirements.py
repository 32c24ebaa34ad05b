"""Each requirement over what was found: Pass on what was found, Fail only when every source answered, else Undecided."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from controller.compile.compiled import (
    AllowUnsigned,
    Attestation,
    CompiledPolicy,
    Digests,
    Effect,
    Requirement,
    Sbom,
    Signature,
)
from controller.decision.findings import Findings, Opinion, opinions
from controller.decision.quorum import matched_authorities, roles_met
from controller.decision.report import Check, Outcome, RequirementResult
from controller.errors import Code, Reason, Refused, Undecided
from controller.evidence import Claim, Format, Verified

_CHECKS_KEPT: Final = 64
_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class _Finding:
    """An outcome before its effect is known."""

    kind: str
    outcome: Outcome
    reason: Reason | None
    checks: tuple[Check, ...] = ()
    facts: tuple[Verified, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A requirement's result and the facts it rests on."""

    result: RequirementResult
    facts: tuple[Verified, ...] = ()


def judge_requirement(
    policy: CompiledPolicy, requirement: Requirement, findings: Findings, revoked: frozenset[str]
) -> Judged:
    """What became of one requirement, and what that does to the request."""
    match requirement.rule:
        case Signature() as rule:
            finding = _signature(policy, rule, findings, revoked)
        case Attestation() as rule:
            finding = _attestation(policy, rule, findings, revoked)
        case Digests(digests):
            finding = _digests(digests, findings)
        case AllowUnsigned(reason):
            note = Reason(Code.UNSIGNED_ALLOWED, f"admitted without a signature, as the policy says: {reason}")
            result = RequirementResult(
                requirement.name, "unsafeAllowUnsigned", Outcome.PASS, min(Effect.WARN, requirement.ceiling), note
            )
            return Judged(result)
        case _:
            assert_never(requirement.rule)
    effect = _effect(policy, requirement, finding.outcome)
    checks, note_text = finding.checks[:_CHECKS_KEPT], ""
    if len(finding.checks) > _CHECKS_KEPT:
        note_text = f"{len(finding.checks) - _CHECKS_KEPT} more checks are not shown"
    result = RequirementResult(requirement.name, finding.kind, finding.outcome, effect, finding.reason, checks, note_text)
    return Judged(result, finding.facts)


def _effect(policy: CompiledPolicy, requirement: Requirement, outcome: Outcome) -> Effect:
    match outcome:
        case Outcome.PASS:
            return Effect.IGNORE
        case Outcome.MISSING:
            return requirement.on_missing
        case Outcome.FAILED:
            return requirement.on_failure
        case Outcome.UNDECIDED:
            # It might have been a failure; a requirement that could never deny does not begin to.
            worst = max(requirement.on_missing, requirement.on_failure)
            return min(policy.on_unavailable, worst)


def _signature(policy: CompiledPolicy, rule: Signature, findings: Findings, revoked: frozenset[str]) -> _Finding:
    seen = [
        [_annotated(opinion, rule) for opinion in opinions(findings, policy.authorities[index], revoked)]
        for index in rule.of
    ]
    facts = [
        {fact.signer.id: fact for opinion in per for fact in opinion.facts if fact.claim is Claim.SIGNATURE} for per in seen
    ]
    signers = [frozenset(by_signer) for by_signer in facts]
    roles = [policy.authorities[index].role for index in rule.of]
    matched = matched_authorities(signers)
    flat = [opinion for per in seen for opinion in per]
    checks = tuple(_checks(flat, lambda fact: fact.claim is Claim.SIGNATURE, skip=Format.COSIGN_ATTESTATION))
    if len(matched) >= rule.threshold and roles_met(signers, roles, rule.per_role):
        used = tuple(facts[position][signer] for position, signer in matched.items())
        return _Finding("signature", Outcome.PASS, None, checks, used)
    expected = _expected_signatures(policy, rule)
    undecided = _undecided(findings, flat, expected)
    if undecided:
        return _Finding("signature", Outcome.UNDECIDED, undecided, checks)
    reason = _refused(findings) or _quorum_reason(policy, rule, matched, expected, flat)
    outcome = Outcome.FAILED if checks or _refused(findings) else Outcome.MISSING
    return _Finding("signature", outcome, reason, checks)


def _annotated(opinion: Opinion, rule: Signature) -> Opinion:
    """Believe only facts that carry every demanded annotation, signed."""
    if not rule.annotations or not opinion.facts:
        return opinion
    kept = tuple(
        fact for fact in opinion.facts if all(fact.annotations.get(key) == value for key, value in rule.annotations.items())
    )
    if kept:
        return replace(opinion, answer=kept)
    wanted = next(
        (key, value) for key, value in sorted(rule.annotations.items()) if opinion.facts[0].annotations.get(key) != value
    )
    found = opinion.facts[0].annotations.get(wanted[0])
    refusal = Refused(
        Code.WRONG_ANNOTATION,
        "the signature holds, its annotations do not",
        expected=f"{wanted[0]}={wanted[1]}",
        found="no such annotation" if found is None else f"{wanted[0]}={found}",
    )
    return replace(opinion, answer=refusal)


def _attestation(policy: CompiledPolicy, rule: Attestation, findings: Findings, revoked: frozenset[str]) -> _Finding:
    kind = "sbom" if isinstance(rule, Sbom) else "attestation"
    seen = [opinion for index in rule.of for opinion in opinions(findings, policy.authorities[index], revoked)]

    def wanted(fact: Verified) -> bool:
        return fact.claim is Claim.ATTESTATION and accepts(rule, fact.predicate_type)

    checks = tuple(_checks(seen, wanted, skip=Format.COSIGN_SIGNATURE))
    facts = tuple(fact for opinion in seen for fact in opinion.facts if wanted(fact))
    if facts:
        return _Finding(kind, Outcome.PASS, None, checks, facts[:1])
    names = _names(policy, rule.of)
    expected = f"{_article(kind)} of type {' or '.join(rule.predicate_types)} by {names}"
    undecided = _undecided(findings, seen, expected)
    if undecided:
        return _Finding(kind, Outcome.UNDECIDED, undecided, checks)
    contradicting = next((o.answer for o in seen if isinstance(o.answer, Refused) and _contradicts(rule, o.answer)), None)
    if contradicting:
        return _Finding(kind, Outcome.FAILED, contradicting.reason, checks)
    refused = _refused(findings)
    if refused:
        return _Finding(kind, Outcome.FAILED, refused, checks)
    reason = Reason(Code.NO_EVIDENCE, "missing", expected=expected, found=_found(seen, _other_types(seen, rule)))
    return _Finding(kind, Outcome.MISSING, reason, checks)


def accepts(rule: Attestation, predicate_type: str) -> bool:
    """Whether a statement of `predicate_type` is of the demanded type; SPDX writes its version behind the type."""
    if predicate_type in rule.predicate_types:
        return True
    return isinstance(rule, Sbom) and any(predicate_type.startswith(f"{known}/v") for known in rule.predicate_types)


def _contradicts(rule: Attestation, refusal: Refused) -> bool:
    """A statement of the type whose signature held but which says no: a failure, not an absence (design, section 3)."""
    return refusal.predicate_type is not None and accepts(rule, refusal.predicate_type)


def _digests(digests: Iterable[object], findings: Findings) -> _Finding:
    if findings.digest in set(digests):
        return _Finding("digests", Outcome.PASS, None)
    listed = sorted(str(digest) for digest in digests)
    expected = " or ".join(listed[:_SHOWN]) + (f" or {len(listed) - _SHOWN} others" if len(listed) > _SHOWN else "")
    reason = Reason(
        Code.DIGEST_NOT_LISTED, "the image is not one of those listed", expected=expected, found=str(findings.digest)
    )
    return _Finding("digests", Outcome.FAILED, reason)


def _undecided(findings: Findings, seen: Sequence[Opinion], expected: str) -> Reason | None:
    """Why the answer is not no but unknown."""
    gap = next(iter(findings.unanswered), None)
    reason = gap.reason if gap else next((o.answer.reason for o in seen if isinstance(o.answer, Undecided)), None)
    if reason is None:
        return None
    found = f"{reason.message}: {reason.found}" if reason.found else reason.message
    return Reason(reason.code, "could not be decided", expected=expected, found=found)


def _refused(findings: Findings) -> Reason | None:
    """A source whose answer was refused (a limit, malformed, other bytes): what it hides is not simply missing."""
    return next((gap.reason for gap in findings.gaps if gap.settled), None)


def _checks(seen: Iterable[Opinion], wanted: Callable[[Verified], bool], *, skip: Format) -> Iterable[Check]:
    for opinion in seen:
        evidence, judge = opinion.evidence, opinion.authority.judge
        facts = [fact for fact in opinion.facts if wanted(fact)]
        if not facts and evidence.format is skip:
            continue
        reason: Reason | None = None
        if not facts:
            reason = opinion.answer.reason if not isinstance(opinion.answer, tuple) else _other(opinion.answer[0])
        signer = ", ".join(sorted({fact.signer.name for fact in facts}))
        yield Check(judge.name, judge.description, str(evidence.origin), evidence.format.value, signer, reason)


def _other(fact: Verified) -> Reason:
    """Verified, and something else than was asked for (design, rule 6: neither kind meets the other)."""
    found = "an image signature" if fact.claim is Claim.SIGNATURE else f"an attestation of type {fact.predicate_type}"
    return Reason(Code.WRONG_PREDICATE_TYPE, "verified, but not what is asked for", found=found)


def _other_types(seen: Iterable[Opinion], rule: Attestation) -> list[str]:
    types = {fact.predicate_type for opinion in seen for fact in opinion.facts if fact.claim is Claim.ATTESTATION}
    return sorted(kind for kind in types if not accepts(rule, kind))


def _found(seen: Sequence[Opinion], others: Sequence[str] = ()) -> str:
    """What was there instead, in a few words."""
    if others:
        return "only " + ", ".join(others[:_SHOWN])
    refusals: dict[str, str] = {}
    for opinion in seen:
        if isinstance(opinion.answer, Refused):
            reason = opinion.answer.reason
            refusals.setdefault(opinion.evidence.id, f"{reason.message}{f': {reason.found}' if reason.found else ''}")
    if not refusals:
        return "none"
    words = list(dict.fromkeys(refusals.values()))
    more = f" (+{len(words) - 1} more)" if len(words) > 1 else ""
    return f"{len(refusals)}, {words[0]}{more}"


def _names(policy: CompiledPolicy, of: Sequence[int]) -> str:
    judges = [policy.authorities[index].judge for index in of]
    if len(judges) == 1:
        return f"{judges[0].name} ({judges[0].description})"
    return " or ".join(f"{judge.name} ({judge.description})" for judge in judges[:_SHOWN]) + (
        f" or {len(judges) - _SHOWN} others" if len(judges) > _SHOWN else ""
    )


def _article(kind: str) -> str:
    return "an SBOM" if kind == "sbom" else "an attestation"


def _expected_signatures(policy: CompiledPolicy, rule: Signature) -> str:
    if rule.threshold == 1 and not rule.per_role:
        return f"a signature by {_names(policy, rule.of)}"
    names = ", ".join(policy.authorities[index].judge.name for index in rule.of)
    roles = "".join(f", {number} as {role}" for role, number in sorted(rule.per_role.items()))
    return f"signatures by {rule.threshold} of {names}{roles}, each by another signer"


def _quorum_reason(
    policy: CompiledPolicy, rule: Signature, matched: dict[int, str], expected: str, seen: Sequence[Opinion]
) -> Reason:
    """Who signed and who is missing."""
    names = [policy.authorities[index].judge.name for index in rule.of]
    if not matched:
        signatures = [o for o in seen if o.facts or o.evidence.format is not Format.COSIGN_ATTESTATION]
        attested = sorted({f.predicate_type for o in seen for f in o.facts if f.claim is Claim.ATTESTATION})
        code = Code.NO_EVIDENCE if not signatures else _first_code(signatures)
        found = _found([o for o in signatures if not o.facts])
        if found == "none" and attested:
            found = f"no signature, only attestations of type {', '.join(attested[:_SHOWN])}"
        return Reason(code, "missing" if code is Code.NO_EVIDENCE else "not met", expected=expected, found=found)
    present = [names[position] for position in sorted(matched)]
    absent = [name for position, name in enumerate(names) if position not in matched]
    short = rule.threshold - len(matched)
    if short > 0:
        missing = f"missing {short} of {', '.join(absent)}"
        return Reason(
            Code.THRESHOLD_NOT_MET, "not enough signers", expected=expected, found=f"{', '.join(present)}; {missing}"
        )
    roles = [policy.authorities[index].role for index in rule.of]
    held = ", ".join(f"{names[position]} ({roles[position] or 'no role'})" for position in sorted(matched))
    return Reason(Code.ROLE_NOT_MET, "a role has not signed", expected=expected, found=held)


def _first_code(seen: Sequence[Opinion]) -> Code:
    """The refusal that tells most: one whose signature held before one by somebody else."""
    codes = [o.answer.reason.code for o in seen if isinstance(o.answer, Refused)]
    return next((code for code in codes if code is not Code.WRONG_KEY), codes[0] if codes else Code.NO_EVIDENCE)
