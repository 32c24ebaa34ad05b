"""Evidence judged once per authority, and remembered under what it was judged by.

A verdict's key holds the evidence's content, the subject and the authority's fingerprint: an edited policy keeps its
verdicts, a changed key never meets an old one (design, section 7).
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Final

from controller.cache import Flights, Memory
from controller.decision.findings import Answer
from controller.errors import Code, Refused, Undecided
from controller.evidence import Answers, Evidence, Judge, Needs, Verified
from controller.pipeline.statuses import Statuses, hosts
from controller.reference import Digest
from controller.settings import Settings

Key = tuple[str, str, Digest]

_log = logging.getLogger(__name__)
_THREADS: Final = 2


class NeedsPayload(Exception):  # noqa: N818 - a request, not an error
    """A verdict is wanted on evidence whose payload was dropped: collect it again."""


class Judging:
    """The judges' memory for every door of one process."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """Remember as `settings` say; judge at the time of `clock` (POSIX seconds)."""
        self._clock = clock
        self._limits = settings.limits
        self._kept = settings.cache.payload_kept_bytes
        verdicts = settings.cache.verdicts
        self._verdicts: Memory[Key, tuple[Verified, ...] | Refused] = Memory(verdicts, verdicts * 1024)
        self._flights: Flights[Key, Answer] = Flights(self._limits.lookups_in_flight, self._limits.lookup_timeout)
        self._statuses = Statuses(settings, clock)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="judge")

    async def outcomes(
        self, evidence: Evidence, subject: Digest, judges: Iterable[Judge], deadline: float, *, stripped: bool
    ) -> Mapping[str, Answer]:
        """What each judge says of one piece, by the judge's fingerprint.

        Raises:
            NeedsPayload: Where `stripped` and a verdict is not remembered.
        """
        answers: dict[str, Answer] = {}
        for judge in judges:
            if judge.fingerprint in answers:
                continue
            key = (evidence.id, judge.fingerprint, subject)
            known = self._recall(key)
            if known is None and stripped:
                raise NeedsPayload
            answers[judge.fingerprint] = known or await self._judge(key, evidence, judge, deadline)
        return answers

    def _recall(self, key: Key) -> tuple[Verified, ...] | Refused | None:
        entry = self._verdicts.get(key)
        if entry is None:
            return None
        return None if self._clock() >= _until(entry.value) else entry.value

    async def _judge(self, key: Key, evidence: Evidence, judge: Judge, deadline: float) -> Answer:
        """On the event loop where the payload is small, else in the pool; what must wait, once for all who ask."""
        asked: Needs | None = None
        if evidence.size <= self._limits.large_payload_bytes and key not in self._flights:
            answer = _ask(lambda: judge.judge(evidence, key[2], self._clock()), judge.name, key)
            if not isinstance(answer, Needs):
                return self._keep(key, evidence, answer)
            asked = answer

        async def judged() -> Answer:
            first = asked or await self._in_pool(lambda: judge.judge(evidence, key[2], self._clock()), judge, key)
            return self._keep(key, evidence, await self._settled(first, judge, key))

        what = hosts(asked.questions) if asked else f"the judgement of {evidence.origin}"
        try:
            return await self._flights.join(key, judged, deadline, what)
        except Undecided as error:
            # Nobody was asked: the time went by in judging, and evidence that takes long is for anybody to push.
            return error if asked else Undecided(Code.BUSY, error.reason.message, source=error.source)

    async def _settled(self, answer: Answer | Needs, judge: Judge, key: Key) -> Answer:
        """Fetch what the judge needs and ask again, as often as one answer leads to the next question."""
        fetched: Answers = {}
        for _ in range(self._limits.revocation_rounds):
            if not isinstance(answer, Needs):
                break
            more = await self._statuses.answers(answer.questions)
            fetched = {**fetched, **more}
            answer = await self._in_pool(partial(answer.resume, more), judge, key)
        if isinstance(answer, Needs):
            limit = self._limits.revocation_rounds
            found = hosts(answer.questions)
            message = "the status of certificates leads from question to question"
            return Undecided(Code.REVOCATION_UNKNOWN, message, source=found, expected=f"at most {limit} rounds")
        if isinstance(answer, tuple) and fetched:
            self._statuses.believed(fetched, _until(answer))
        return answer

    async def _in_pool(self, judgement: Callable[[], tuple[Verified, ...]], judge: Judge, key: Key) -> Answer | Needs:
        return await asyncio.get_running_loop().run_in_executor(self._pool, _ask, judgement, judge.name, key)

    def _keep(self, key: Key, evidence: Evidence, answer: Answer) -> Answer:
        if isinstance(answer, tuple) and evidence.size > self._kept:
            answer = tuple(replace(fact, predicate=None) for fact in answer)
        if not isinstance(answer, Undecided) and not _is_fault(answer):
            self._verdicts.put(key, answer, self._clock())
        return answer

    async def close(self) -> None:
        """End the judgements under way."""
        await self._flights.close()
        await self._statuses.close()
        self._pool.shutdown(wait=False, cancel_futures=True)


def _ask(judgement: Callable[[], tuple[Verified, ...]], name: str, key: Key) -> Answer | Needs:
    """One judgement. A judge that fails in any unforeseen way has not proved anything (design, rule 2)."""
    evidence, _, subject = key
    try:
        facts = judgement()
    except Needs as needs:
        return needs
    except (Refused, Undecided) as error:
        error.__traceback__ = None  # remembered for minutes: keep the reason, not the frames
        return error
    except Exception:  # noqa: BLE001 - whatever a verifier does, it must read as a no
        _log.exception("judge %s failed on evidence %s", name, evidence)
        return Refused(Code.INTERNAL, "the verification failed in an unforeseen way; see the controller's log")
    if not facts or any(fact.digest != subject for fact in facts):
        return Refused(Code.INTERNAL, "the verification answered with facts about another image")
    return facts


def _until(answer: tuple[Verified, ...] | Refused) -> float:
    """When the answer must be sought anew (POSIX seconds)."""
    return answer.until if isinstance(answer, Refused) else min(fact.valid_until for fact in answer)


def _is_fault(answer: Answer) -> bool:
    """A fault of ours is not the evidence's: it is never remembered."""
    return isinstance(answer, Refused) and answer.reason.code is Code.INTERNAL
