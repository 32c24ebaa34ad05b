"""The story of one request, in order.

    images -> policies -> digest -> evidence -> verification -> decision

Every door (a review, a command, a manifest file, a background scan) asks `Gate.judge`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from cachetools import LRUCache

from controller.admission.subject import Subject
from controller.cache import Entry
from controller.compile.compiled import CompiledPolicy, Snapshot
from controller.decision import decide as decision
from controller.decision.applicable import Applicable, about, excepted, placed
from controller.decision.findings import Findings, Piece, Platform
from controller.decision.report import Named, Report
from controller.errors import Code, Invalid, Refused, Undecided
from controller.evidence import Judge
from controller.pipeline import platforms
from controller.pipeline.judging import Judging, NeedsPayload
from controller.pipeline.lookups import Collected, LookedUp, Lookups, Resolved
from controller.pipeline.platforms import Part
from controller.reference import Digest, Reference
from controller.registry.discovery import Want
from controller.registry.source import Source
from controller.settings import Settings

_POD: Final = "Pod"


@dataclass(frozen=True, slots=True)
class _Plan:
    """One image and what it will be judged by, before anything is asked of anybody.

    `origin` is the reference remapped: where evidence is looked for, and the name it must be for where it names one.
    `is_pinned_later` says that this is not yet what a node pulls: a Pod that is not pinned by now stays so.
    """

    named: Named
    reference: Reference
    origin: Reference
    policies: Applicable
    memo: Hashable
    is_pinned_later: bool

    @property
    def wants(self) -> frozenset[Want]:
        """The evidence that any of the policies can use."""
        return frozenset(want for policy in self.policies.judged for want in policy.wants)

    @property
    def needs_children(self) -> bool:
        """Whether the digest alone does not say enough: what is in an index counts, too."""
        return self.policies.revokes_digests or any(policy.each_platform for policy in self.policies.judged)

    @property
    def judges(self) -> tuple[Judge, ...]:
        """Every authority of every policy."""
        return tuple(judge for policy in self.policies.judged for judge in policy.judges)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What of an image is judged: with `whole` its own digest, and each of its platforms where a policy wants that."""

    resolved: Resolved
    whole: bool
    parts: tuple[Part, ...]

    @property
    def digests(self) -> tuple[Digest, ...]:
        """Every digest whose evidence is needed."""
        own = (self.resolved.digest,) if self.whole else ()
        return (*own, *(part.digest for _, part in self.parts if isinstance(part, Resolved)))


class Gate:
    """Judges images by a snapshot of policies and a source of evidence. One per process; its memory serves every door."""

    def __init__(
        self, settings: Settings, clock: Callable[[], float] = time.time, looked_up: LookedUp = lambda _cache, _result: None
    ) -> None:
        """Judge as `settings` say; `clock` gives POSIX seconds, `looked_up` is told of every look into memory."""
        self._settings = settings
        self._clock = clock
        self._looked_up = looked_up
        self._lookups = Lookups(settings, clock, looked_up)
        self._judging = Judging(settings, clock)
        self._known: LRUCache[Hashable, tuple[Reference, tuple[CompiledPolicy, ...]]] = LRUCache(settings.cache.entries)
        self._reports: LRUCache[Hashable, Report] = LRUCache(settings.cache.entries)
        self._current: tuple[int, str] = (0, "")

    async def judge(
        self, subjects: Sequence[Subject], snapshot: Snapshot, source: Source, deadline: float
    ) -> tuple[Report, ...]:
        """One report per subject, in order, each with a verdict by `deadline` (event loop time).

        An image that no policy is about is never fetched. A tag that several containers name is resolved once, so that all
        of them are judged as the same digest.
        """
        self._begin(snapshot)
        reports: list[Report | None] = []
        pending: dict[Reference, list[tuple[int, _Plan]]] = {}
        for index, subject in enumerate(subjects):
            plan = self._plan(subject, snapshot, source)
            report = plan if isinstance(plan, Report) else self._recall(plan)
            reports.append(report)
            if report is None and isinstance(plan, _Plan):
                pending.setdefault(plan.reference, []).append((index, plan))
        if pending:
            await asyncio.gather(*(self._judge_group(group, reports, source, deadline) for group in pending.values()))
        return tuple(report for report in reports if report is not None)

    def concerns(self, subjects: Sequence[Subject], snapshot: Snapshot) -> bool:
        """Whether a policy is about any of the images, wherever they are to run; without one nobody is asked anything."""
        self._begin(snapshot)
        for subject in subjects:
            with contextlib.suppress(Invalid):  # no reference: judged without asking
                if self._about(subject.image, snapshot)[1]:
                    return True
        return False

    async def pin(self, subjects: Sequence[Subject], source: Source, deadline: float) -> tuple[Digest | None, ...]:
        """What each subject's tag names now, None where that could not be learned. Judges nothing."""
        return tuple(await asyncio.gather(*(self._pin(subject, source, deadline) for subject in subjects)))

    async def close(self) -> None:
        """End what is under way."""
        await self._lookups.close()
        await self._judging.close()

    async def _pin(self, subject: Subject, source: Source, deadline: float) -> Digest | None:
        try:
            return (await self._lookups.resolve(source, Reference.parse(subject.image), deadline, pinned=True)).digest
        except (Invalid, Refused, Undecided):
            return None

    def _begin(self, snapshot: Snapshot) -> None:
        """Let go of what belongs to another snapshot, so that no edited policy is kept alive by a memory of it."""
        if self._current != (current := (snapshot.number, snapshot.fingerprint)):
            self._current = current
            self._known.clear()
            self._reports.clear()

    def _about(self, image: str, snapshot: Snapshot) -> tuple[Reference, tuple[CompiledPolicy, ...]]:
        """The image's reference and the policies about it, wherever it is to run; worked out once for a snapshot."""
        key = (snapshot.number, snapshot.fingerprint, image)
        known = self._known.get(key)
        if known is None:
            reference = Reference.parse(image)
            known = self._known[key] = (reference, about(snapshot, reference.repository))
        return known

    def _plan(self, subject: Subject, snapshot: Snapshot, source: Source) -> _Plan | Report:
        """Images and policies: what is judged by what, or the report where nothing needs to be asked."""
        named = Named(subject.image, subject.pointer, subject.container)
        try:
            reference, candidates = self._about(subject.image, snapshot)
        except Invalid as error:
            return decision.invalid(named, error.reason)
        policies = placed(candidates, snapshot, subject.workload)
        if snapshot.exceptions:
            policies = excepted(policies, snapshot, subject.workload, reference.repository, self._clock())
        if not policies.judged and not policies.revokes_digests:
            return decision.without_evidence(named, reference, policies, self._settings.unmatched_images)
        memo = (subject.image, source.scope, snapshot.number, snapshot.fingerprint, policies.key)
        return _Plan(named, reference, self._settings.origin(reference), policies, memo, subject.workload.kind != _POD)

    def _recall(self, plan: _Plan) -> Report | None:
        report = self._reports.get(plan.memo)
        if report is None or self._clock() >= report.cached_until:
            self._looked_up("report", "miss")
            return None
        self._looked_up("report", "hit")
        return report if report.named == plan.named else replace(report, named=plan.named)

    async def _judge_group(
        self, group: list[tuple[int, _Plan]], reports: list[Report | None], source: Source, deadline: float
    ) -> None:
        """All subjects of one reference: the digest once, then each by its own policies."""
        resolved: Resolved | Refused | Undecided
        reference = group[0][1].reference
        try:
            pinned = all(plan.is_pinned_later for _, plan in group)
            resolved = await self._lookups.resolve(source, reference, deadline, pinned=pinned)
        except (Refused, Undecided) as error:
            resolved = error
        for index, plan in group:
            reports[index] = await self._judge_one(plan, resolved, source, deadline)

    async def _judge_one(
        self, plan: _Plan, resolved: Resolved | Refused | Undecided, source: Source, deadline: float
    ) -> Report:
        if isinstance(resolved, Resolved) and plan.needs_children:
            try:
                resolved = await self._lookups.children(source, plan.reference, resolved, deadline)
            except (Refused, Undecided) as error:
                resolved = error
        if isinstance(resolved, Resolved):
            report = await self._judge_digest(plan, resolved, source, deadline)
        else:
            report = decision.unresolved(
                plan.named, plan.reference, plan.policies, resolved, self._settings.unmatched_images
            )
        if report.cached_until:
            self._reports[plan.memo] = report
        return report

    async def _judge_digest(self, plan: _Plan, resolved: Resolved, source: Source, deadline: float) -> Report:
        """Evidence, verification, decision; with what passed before where the registry is away."""
        asked = await self._asked(plan, resolved, source, deadline)
        found = {digest: entry.value for digest in asked.digests if (entry := self._fresh(plan, digest, source))}
        try:
            found |= await self._collect(plan, [digest for digest in asked.digests if digest not in found], source, deadline)
            report = await self._decide(plan, asked, found, deadline)
        except NeedsPayload:
            for digest in asked.digests:
                self._lookups.forget(source, plan.origin.repository, digest, plan.wants)
            found = await self._collect(plan, asked.digests, source, deadline)
            report = await self._decide(plan, asked, found, deadline)
        if all(collected.settled for collected in found.values()):
            return self._settle(plan, asked, report, source)
        return await self._from_stale(plan, asked, found, report, source, deadline)

    async def _asked(self, plan: _Plan, resolved: Resolved, source: Source, deadline: float) -> _Asked:
        """Which digests are judged: the one that was named, or each platform of it, as the policies say."""
        each = resolved.children and any(policy.each_platform for policy in plan.policies.judged)
        whole = not each or not all(policy.each_platform for policy in plan.policies.judged)
        parts: tuple[Part, ...] = ()
        if each:
            parts = await platforms.parts(self._lookups, source, plan.reference, resolved, self._settings.limits, deadline)
        return _Asked(resolved, whole, parts)

    def _fresh(self, plan: _Plan, digest: Digest, source: Source) -> Entry[Collected] | None:
        entry = self._lookups.remembered(source, plan.origin.repository, digest, plan.wants) if plan.wants else None
        fresh = entry is not None and self._clock() < self._lookups.evidence_until(entry)
        self._looked_up("evidence", "hit" if fresh else "miss")
        return entry if fresh else None

    async def _collect(
        self, plan: _Plan, digests: Sequence[Digest], source: Source, deadline: float
    ) -> dict[Digest, Collected]:
        if not plan.wants:
            return dict.fromkeys(digests, Collected())
        repository, wants = plan.origin.repository, plan.wants
        found = await asyncio.gather(
            *(self._lookups.collect(source, repository, digest, wants, deadline) for digest in digests)
        )
        return dict(zip(digests, found, strict=True))

    async def _decide(self, plan: _Plan, asked: _Asked, found: Mapping[Digest, Collected], deadline: float) -> Report:
        resolved = asked.resolved
        parts = [
            Platform(name, await self._findings(plan, part, found[part.digest], deadline))
            if isinstance(part, Resolved)
            else Platform(name, part)
            for name, part in asked.parts
        ]
        whole = await self._findings(plan, resolved, found.get(resolved.digest, Collected()), deadline)
        findings = replace(whole, platforms=tuple(parts))
        return decision.decide(plan.named, plan.reference, plan.policies, findings, self._settings.unmatched_images)

    async def _findings(self, plan: _Plan, resolved: Resolved, collected: Collected, deadline: float) -> Findings:
        pieces = []
        for piece in collected.pieces:
            stripped = piece.id in collected.stripped
            outcomes = await self._judging.outcomes(piece, resolved.digest, plan.judges, deadline, stripped=stripped)
            pieces.append(Piece(piece, outcomes))
        return Findings(
            digest=resolved.digest,
            aliases=resolved.aliases,
            children=resolved.children,
            pieces=tuple(pieces),
            gaps=collected.gaps,
            unreadable=collected.unreadable,
            stale=resolved.stale,
            reference=plan.origin,
        )

    async def _from_stale(
        self,
        plan: _Plan,
        asked: _Asked,
        found: Mapping[Digest, Collected],
        report: Report,
        source: Source,
        deadline: float,
    ) -> Report:
        """The registry is away: a digest verified before stays verified, under the present authorities.

        A registry that refuses our credentials is not away: it said no.
        """
        report = replace(report, cached_until=0.0)
        denied = any(gap.reason.code is Code.UNAUTHORIZED for collected in found.values() for gap in collected.gaps)
        if report.passed or denied:
            return report
        before = dict(found)
        for digest in (digest for digest, collected in found.items() if not collected.settled):
            entry = self._lookups.remembered(source, plan.origin.repository, digest, plan.wants)
            if entry is None or not self._lookups.usable_stale(entry):
                return report
            before[digest] = entry.value
        try:
            stale = await self._decide(plan, replace(asked, resolved=replace(asked.resolved, stale=True)), before, deadline)
        except NeedsPayload:
            return report
        if not stale.passed:
            return report
        self._looked_up("evidence", "stale")
        return replace(stale, cached_until=0.0)

    def _settle(self, plan: _Plan, asked: _Asked, report: Report, source: Source) -> Report:
        """Remember how it went, and how long the same answer may be given without looking again."""
        repository, wants = plan.origin.repository, plan.wants
        for digest in asked.digests:
            self._lookups.judged(source, repository, digest, wants, passing=report.passed)
        if asked.resolved.stale or report.undecided:
            return replace(report, cached_until=0.0)
        until = min(self._lookups.tag_until(source, plan.reference, asked.resolved.digest), report.cached_until)
        for digest in asked.digests if wants else ():
            entry = self._lookups.remembered(source, repository, digest, wants)
            until = min(until, self._lookups.evidence_until(entry) if entry else 0.0)
        return replace(report, cached_until=until)
