"""The story of one request, in order.

    images -> policies -> digest -> evidence -> verification -> decision

Every door (a review, a command, a manifest file, a background scan) asks `Gate.judge`.
"""

import asyncio
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace

from cachetools import LRUCache

from controller.admission.subject import Subject
from controller.compile.compiled import CompiledPolicy, Snapshot
from controller.decision import decide as decision
from controller.decision.applicable import Applicable, about, placed
from controller.decision.findings import Findings, Piece
from controller.decision.report import Named, Report
from controller.errors import Code, Invalid, Refused, Undecided
from controller.evidence import Judge
from controller.pipeline.judging import Judging, NeedsPayload
from controller.pipeline.lookups import Collected, LookedUp, Lookups, Resolved
from controller.reference import Digest, Reference
from controller.registry.discovery import Want
from controller.registry.source import Source
from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class _Plan:
    """One image and what it will be judged by, before anything is asked of anybody.

    `origin` is the reference remapped: where evidence is looked for, and the name it must be for where it names one.
    """

    named: Named
    reference: Reference
    origin: Reference
    policies: Applicable
    memo: Hashable

    @property
    def wants(self) -> frozenset[Want]:
        """The evidence that any of the policies can use."""
        return frozenset(want for policy in self.policies.judged for want in policy.wants)

    @property
    def judges(self) -> tuple[Judge, ...]:
        """Every authority of every policy."""
        return tuple(authority.judge for policy in self.policies.judged for authority in policy.authorities)


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

    async def judge(
        self, subjects: Sequence[Subject], snapshot: Snapshot, source: Source, deadline: float
    ) -> tuple[Report, ...]:
        """One report per subject, in order, each with a verdict by `deadline` (event loop time).

        An image that no policy is about is never fetched. A tag that several containers name is resolved once, so that all
        of them are judged as the same digest.
        """
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

    async def pin(self, subjects: Sequence[Subject], source: Source, deadline: float) -> tuple[Digest | None, ...]:
        """What each subject's tag names now, None where that could not be learned. Judges nothing."""
        return tuple(await asyncio.gather(*(self._pin(subject, source, deadline) for subject in subjects)))

    async def close(self) -> None:
        """End what is under way."""
        await self._lookups.close()
        await self._judging.close()

    async def _pin(self, subject: Subject, source: Source, deadline: float) -> Digest | None:
        try:
            return (await self._lookups.resolve(source, Reference.parse(subject.image), deadline)).digest
        except (Invalid, Refused, Undecided):
            return None

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
        if not policies.judged:
            return decision.without_evidence(named, reference, policies, self._settings.unmatched_images)
        memo = (subject.image, source.scope, snapshot.number, snapshot.fingerprint, policies.key)
        return _Plan(named, reference, self._settings.origin(reference), policies, memo)

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
            resolved = await self._lookups.resolve(source, reference, deadline)
        except (Refused, Undecided) as error:
            resolved = error
        for index, plan in group:
            reports[index] = await self._judge_one(plan, resolved, source, deadline)

    async def _judge_one(
        self, plan: _Plan, resolved: Resolved | Refused | Undecided, source: Source, deadline: float
    ) -> Report:
        if isinstance(resolved, Resolved) and any(policy.revoked.digests for policy in plan.policies.judged):
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
        repository, digest, wants = plan.origin.repository, resolved.digest, plan.wants
        entry = self._lookups.remembered(source, repository, digest, wants) if wants else None
        if entry and self._clock() < self._lookups.evidence_until(entry):
            try:
                report = await self._decide(plan, resolved, entry.value, deadline)
            except NeedsPayload:
                self._lookups.forget(source, repository, digest, wants)
            else:
                self._looked_up("evidence", "hit")
                return self._settle(plan, resolved, report, source)
        self._looked_up("evidence", "miss")
        collected = await self._lookups.collect(source, repository, digest, wants, deadline) if wants else Collected()
        report = await self._decide(plan, resolved, collected, deadline)
        if collected.settled:
            return self._settle(plan, resolved, report, source)
        return await self._from_stale(plan, resolved, collected, report, source, deadline)

    async def _decide(self, plan: _Plan, resolved: Resolved, collected: Collected, deadline: float) -> Report:
        pieces = []
        for piece in collected.pieces:
            stripped = piece.id in collected.stripped
            outcomes = await self._judging.outcomes(piece, resolved.digest, plan.judges, deadline, stripped=stripped)
            pieces.append(Piece(piece, outcomes))
        findings = Findings(
            digest=resolved.digest,
            children=resolved.children,
            pieces=tuple(pieces),
            gaps=collected.gaps,
            unreadable=collected.unreadable,
            stale=resolved.stale,
            reference=plan.origin,
        )
        return decision.decide(plan.named, plan.reference, plan.policies, findings, self._settings.unmatched_images)

    async def _from_stale(
        self, plan: _Plan, resolved: Resolved, collected: Collected, report: Report, source: Source, deadline: float
    ) -> Report:
        """The registry is away: a digest verified before stays verified, under the present authorities.

        A registry that refuses our credentials is not away: it said no.
        """
        report = replace(report, cached_until=0.0)
        denied = any(gap.reason.code is Code.UNAUTHORIZED for gap in collected.gaps)
        if report.passed or denied:
            return report
        entry = self._lookups.remembered(source, plan.origin.repository, resolved.digest, plan.wants)
        if entry is None or not self._lookups.usable_stale(entry):
            return report
        try:
            stale = await self._decide(plan, replace(resolved, stale=True), entry.value, deadline)
        except NeedsPayload:
            return report
        if not stale.passed:
            return report
        self._looked_up("evidence", "stale")
        return replace(stale, cached_until=0.0)

    def _settle(self, plan: _Plan, resolved: Resolved, report: Report, source: Source) -> Report:
        """Remember how it went, and how long the same answer may be given without looking again."""
        repository, digest = plan.origin.repository, resolved.digest
        self._lookups.judged(source, repository, digest, plan.wants, passing=report.passed)
        if resolved.stale or report.undecided:
            return replace(report, cached_until=0.0)
        until = self._lookups.tag_until(source, plan.reference)
        entry = self._lookups.remembered(source, repository, digest, plan.wants)
        if plan.wants:
            until = min(until, self._lookups.evidence_until(entry) if entry else 0.0)
        return replace(report, cached_until=min(until, report.cached_until))
