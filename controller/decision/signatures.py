"""`signature`: enough of the named authorities, each by a signer of its own."""

from collections.abc import Sequence
from dataclasses import replace

from controller.compile.compiled import CompiledPolicy, Signature
from controller.decision import wording
from controller.decision.findings import Findings, Opinion, opinions
from controller.decision.outcome import Found
from controller.decision.quorum import matched_authorities, maximum_matching, one_signer, roles_met
from controller.decision.report import Outcome
from controller.errors import Code, Reason, Refused
from controller.evidence import COSIGN_SIGN_PREDICATE, Claim, Verified


def judge_signature(policy: CompiledPolicy, rule: Signature, findings: Findings, revoked: frozenset[str]) -> Found:
    """Pass on what was found; else undecided while a source is missing, else no."""
    seen = [
        [_annotated(opinion, rule) for opinion in opinions(findings, policy.authorities[index], revoked)]
        for index in rule.of
    ]
    counted = [[fact for opinion in own for fact in opinion.facts if _counts(fact)] for own in seen]
    one = one_signer(fact.signer for own in counted for fact in own)
    facts = [{one[fact.signer.id]: fact for fact in own} for own in counted]
    signers = [frozenset(by_signer) for by_signer in facts]
    roles = [policy.authorities[index].role for index in rule.of]
    flat = [opinion for own in seen for opinion in own if _is_about_signatures(opinion)]
    checks = tuple(wording.checks(flat, _counts))
    matched = matched_authorities(signers)
    if len(matched) >= rule.threshold and roles_met(signers, roles, rule.per_role):
        used = tuple(facts[position][signer] for position, signer in matched.items())
        return Found("signature", Outcome.PASS, None, checks, used)
    expected = _expected(policy, rule)
    everything = [opinion for own in seen for opinion in own]
    unknown = wording.undecided(findings, everything, expected)
    if unknown:
        return Found("signature", Outcome.UNDECIDED, unknown, checks)
    hidden = wording.refused(findings, expected)
    reason = hidden or _no(policy, rule, signers, expected, everything, findings)
    return Found("signature", Outcome.FAILED if flat or hidden else Outcome.MISSING, reason, checks)


def _counts(fact: Verified) -> bool:
    return fact.claim is Claim.SIGNATURE


def _is_about_signatures(opinion: Opinion) -> bool:
    """Whether it belongs into the explanation: everything but what calls itself another kind of statement."""
    if any(map(_counts, opinion.facts)):
        return True
    return not opinion.facts and wording.hinted_type(opinion.evidence) in {None, COSIGN_SIGN_PREDICATE}


def _annotated(opinion: Opinion, rule: Signature) -> Opinion:
    """Believe only signatures that carry every demanded annotation, signed."""
    if not rule.annotations or not any(map(_counts, opinion.facts)):
        return opinion
    kept = tuple(fact for fact in opinion.facts if rule.annotations.items() <= fact.annotations.items())
    if kept:
        return replace(opinion, answer=kept)
    signed = next(filter(_counts, opinion.facts)).annotations
    name, value = next((name, value) for name, value in rule.annotations.items() if signed.get(name) != value)
    refusal = Refused(
        Code.WRONG_ANNOTATION,
        "the signature holds, its annotations do not",
        expected=f"{name}={value}",
        found=f"{name}={signed[name]}" if name in signed else f"no annotation {name}",
    )
    return replace(opinion, answer=refusal)


def _expected(policy: CompiledPolicy, rule: Signature) -> str:
    annotations = ", ".join(f"{name}={value}" for name, value in rule.annotations.items())
    annotated = f" with {annotations}" if annotations else ""
    if rule.threshold == 1 and not rule.per_role:
        return f"a signature by {wording.names(policy, rule.of)}{annotated}"
    authorities = ", ".join(policy.authorities[index].judge.name for index in rule.of)
    roles = "".join(f", {number} as {role}" for role, number in rule.per_role.items())
    return f"signatures by {rule.threshold} of {authorities}{roles}, each by another signer{annotated}"


def _no(
    policy: CompiledPolicy,
    rule: Signature,
    signers: Sequence[frozenset[str]],
    expected: str,
    seen: Sequence[Opinion],
    findings: Findings,
) -> Reason:
    """Who signed and who is missing."""
    if not any(signers):
        return _nobody(seen, expected, findings)
    matched = matched_authorities(signers)
    authorities = [policy.authorities[index].judge.name for index in rule.of]
    present = ", ".join(authorities[position] for position in sorted(matched))
    short = rule.threshold - len(matched)
    if short > 0:
        absent = [
            f"{name} (by a signer that counts already)" if signers[position] else name
            for position, name in enumerate(authorities)
            if position not in matched
        ]
        missing = _missing(short, absent)
        return Reason(Code.THRESHOLD_NOT_MET, "not enough signers", expected, f"{present}; {missing}")
    return Reason(Code.ROLE_NOT_MET, "a role has not signed", expected, f"{present}; {_roles(policy, rule, signers)}")


def _missing(short: int, absent: Sequence[str]) -> str:
    if short >= len(absent):
        return f"missing {wording.some(absent)}"
    return f"missing {'one' if short == 1 else short} of {wording.some(absent)}"


def _roles(policy: CompiledPolicy, rule: Signature, signers: Sequence[frozenset[str]]) -> str:
    """Which roles are short."""
    short = []
    for role, number in rule.per_role.items():
        own = [signers[place] for place, index in enumerate(rule.of) if policy.authorities[index].role == role]
        if (held := maximum_matching(own)) < number:
            short.append(f"{number - held} as {role}")
    return f"missing {', '.join(short)}" if short else "one signer cannot stand for two roles"


def _nobody(seen: Sequence[Opinion], expected: str, findings: Findings) -> Reason:
    refused = [opinion for opinion in seen if not opinion.facts and _is_about_signatures(opinion)]
    code = wording.first_code(refused)
    found = wording.found(refused, findings)
    others = sorted({fact.predicate_type for opinion in seen for fact in opinion.facts})
    if code is Code.NO_EVIDENCE and others:  # design, rule 6
        return Reason(
            Code.WRONG_PREDICATE_TYPE, "not met", expected, f"no signature, only attestations of type {wording.some(others)}"
        )
    return Reason(code, "missing" if code is Code.NO_EVIDENCE else "not met", expected, found)
