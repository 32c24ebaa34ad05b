"""What was learned about one digest, as the decision sees it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from controller.compile.compiled import Authority
from controller.errors import Code, Refused, Undecided
from controller.evidence import Evidence, Verified
from controller.reference import Digest, Reference
from controller.registry.discovery import Gap

Answer = tuple[Verified, ...] | Refused | Undecided
"""What one judge said of one piece."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of evidence and every judge's answer, by the judge's fingerprint."""

    evidence: Evidence
    outcomes: Mapping[str, Answer]


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything about one digest.

    `reference` is the name the image is judged under, remapped: what signatures that promise a name are compared with; with
    none they count for nothing. `aliases` are digests of the same bytes by other algorithms: what is revoked under one is
    revoked under all. `children` are the manifests of an index. `gaps` are sources without a believable answer
    (`settled` ones were refused, the others did not answer), `unreadable` pieces that are no evidence. `stale` says that the
    registry is away and this is what it said before. `platforms` are those of an index, where a policy judges each.
    """

    digest: Digest
    children: tuple[Digest, ...] = ()
    pieces: tuple[Piece, ...] = ()
    gaps: tuple[Gap, ...] = ()
    unreadable: tuple[Gap, ...] = ()
    stale: bool = False
    reference: Reference | None = None
    platforms: tuple["Platform", ...] = ()
    aliases: tuple[Digest, ...] = ()

    @property
    def within(self) -> tuple[Digest, ...]:
        """The manifests of an index, those that were looked at under every name they have."""
        seen = (part.findings for part in self.platforms)
        return (*self.children, *(alias for one in seen if isinstance(one, Findings) for alias in one.aliases))

    @property
    def unanswered(self) -> tuple[Gap, ...]:
        """Sources that did not answer."""
        return tuple(gap for gap in self.gaps if not gap.settled)

    @property
    def refused(self) -> tuple[Gap, ...]:
        """Sources whose answer was refused (a limit, malformed, other bytes): what they hide is not simply missing."""
        return tuple(gap for gap in self.gaps if gap.settled)


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform of an index by name: what was learned about its manifest, or why nothing could be."""

    name: str
    findings: Findings | Refused | Undecided


@dataclass(frozen=True, slots=True)
class Opinion:
    """What one authority of a policy says of one piece, revocations applied."""

    authority: Authority
    evidence: Evidence
    answer: Answer

    @property
    def facts(self) -> tuple[Verified, ...]:
        """The facts, none where it was refused or undecided."""
        return self.answer if isinstance(self.answer, tuple) else ()


def opinions(findings: Findings, authority: Authority, revoked: frozenset[str]) -> list[Opinion]:
    """Every piece as `authority` sees it. A piece that was never shown to it might be anything: undecided."""
    seen = []
    for piece in findings.pieces:
        answer = piece.outcomes.get(authority.judge.fingerprint) or _not_judged(authority)
        seen.append(Opinion(authority, piece.evidence, _still_believed(answer, findings, revoked, authority)))
    return seen


def _not_judged(authority: Authority) -> Undecided:
    return Undecided(Code.INTERNAL, f"a piece of evidence was not judged by {authority.judge.name}")


def _still_believed(answer: Answer, findings: Findings, revoked: frozenset[str], authority: Authority) -> Answer:
    """Drop facts by revoked signers, facts about another image name and, whatever a judge did, another digest (rule 1)."""
    if not isinstance(answer, tuple):
        return answer
    about = tuple(fact for fact in answer if fact.digest == findings.digest)
    named = tuple(fact for fact in about if fact.identity is None or _is_named(fact.identity, findings))
    believed = tuple(fact for fact in named if revoked.isdisjoint({fact.signer.id, *fact.rests_on}))
    if believed:
        name = authority.judge.name  # a judge with the same trust may stand under another name in another policy
        return tuple(fact if fact.authority == name else replace(fact, authority=name) for fact in believed)
    if named:
        return Refused(Code.REVOKED, "the signer is revoked", found=named[0].signer.name)
    if about:
        expected = _wanted_name(findings.reference) if findings.reference else "the image's name"
        return Refused(
            Code.WRONG_IDENTITY, "the signature is for another image name", expected=expected, found=str(about[0].identity)
        )
    return Refused(Code.WRONG_DIGEST, "the fact is about another image", expected=str(findings.digest))


def _is_named(signed: Reference, findings: Findings) -> bool:
    """Whether a signed image name is the one judged (containers-policy.json, `matchRepoDigestOrExact`).

    Repository and tag must be equal where a tag is asked for (none written asks for `latest`); the repository is enough only
    where nothing but a digest is written. A name signed without a tag is no name of any tag.
    """
    asked = findings.reference
    if asked is None or signed.repository != asked.repository or signed.digest not in {None, findings.digest}:
        return False
    tag = asked.tag or asked.wanted_tag
    return tag is None or signed.tag == tag


def _wanted_name(asked: Reference) -> str:
    tag = asked.tag or asked.wanted_tag
    return f"{asked.repository}:{tag}" if tag else str(asked.repository)
