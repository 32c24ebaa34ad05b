"""Answers about certificates: asked once however many wait, remembered once a judge believed them."""

import asyncio
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from controller.cache import Flights, Memory
from controller.errors import Undecided
from controller.evidence import Answers, Question
from controller.registry.revocation import StatusClient
from controller.settings import Settings


class Statuses:
    """Fetches what `Needs` asks for. An answer nobody has believed yet is never remembered: it may be anybody's."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        """Ask as `settings` say; remember by `clock` (POSIX seconds)."""
        self._clock = clock
        self._client = StatusClient(settings)
        limits, cache = settings.limits, settings.cache
        self._longest = limits.lookup_timeout
        self._known: Memory[Question, tuple[bytes, float]] = Memory(cache.entries, cache.status_bytes)
        self._flights: Flights[Question, bytes] = Flights(limits.lookups_in_flight, limits.lookup_timeout)

    async def answers(self, questions: Iterable[Question]) -> Answers:
        """Ask all at once; each question has its answer, or why there is none."""
        asked = tuple(questions)
        return dict(zip(asked, await asyncio.gather(*map(self._answer, asked)), strict=True))

    def believed(self, answers: Answers, until: float) -> None:
        """Remember what a judge came to a fact by, until (POSIX seconds) the first of it is out of date."""
        for question, answer in answers.items():
            if isinstance(answer, bytes):
                self._known.put(question, (answer, until), self._clock(), len(answer))

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()
        await self._client.close()

    async def _answer(self, question: Question) -> bytes | Undecided:
        entry = self._known.get(question)
        if entry and entry.since <= self._clock() < entry.value[1]:
            return entry.value[0]
        deadline = asyncio.get_running_loop().time() + self._longest
        try:
            return await self._flights.join(question, lambda: self._client.fetch(question), deadline, hosts((question,)))
        except Undecided as error:
            return error


def hosts(questions: Iterable[Question]) -> str:
    """Whom the questions go to, for reasons."""
    return ", ".join(dict.fromkeys(urlsplit(question.url).netloc for question in questions))
