"""What is remembered, and lookups that are made once however many ask (design, section 7).

Nothing here knows what it keeps. Only settled answers are put in by the pipeline; an undecided one is passed to those who
waited for it and forgotten.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from controller.errors import Code, Undecided

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_ENTRY_BYTES: Final = 512
"""What an entry weighs beside its payload: keys, dataclasses, the dictionary's slot."""


@dataclass(slots=True)
class Entry(Generic[V]):
    """A remembered value. Times are POSIX seconds on the gate's clock; `passing` is what its last judgement said."""

    value: V
    since: float
    weight: int
    passing: bool = True

    def fresh(self, now: float, ttl: float) -> bool:
        """Whether it is younger than `ttl`; a clock that went backwards makes nothing fresh."""
        return 0 <= now - self.since < ttl


class Memory(Generic[K, V]):
    """A least-recently-used map, bounded by entries and by weight in bytes. How long an entry counts is the reader's say."""

    def __init__(self, entries: int, weight: int) -> None:
        """Bound the memory: at most `entries` values and `weight` bytes."""
        self._least = max(weight // max(entries, 1), 1)
        self._entries: LRUCache[K, Entry[V]] = LRUCache(max(weight, 1), getsizeof=self._weigh)

    def _weigh(self, entry: Entry[V]) -> int:
        """Every entry weighs at least its share, which is what bounds the count."""
        return max(entry.weight + _ENTRY_BYTES, self._least)

    def get(self, key: K) -> Entry[V] | None:
        """The entry, however old, or None."""
        return self._entries.get(key)

    def put(self, key: K, value: V, since: float, weight: int = 0) -> Entry[V]:
        """Remember `value`; one heavier than the whole memory is handed back and not kept."""
        entry = Entry(value, since, weight)
        with suppress(ValueError):  # cachetools: value too large
            self._entries[key] = entry
        return entry

    def forget(self, key: K) -> None:
        """Drop the entry, if there is one."""
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def weight(self) -> float:
        """Bytes accounted for."""
        return self._entries.currsize


class Flights(Generic[K, V]):
    """Lookups under way, one per key. A lookup belongs to the process, not to who asked first.

    When a caller's deadline passes the lookup goes on, at most `longest` seconds, so that the API server's next try finds
    the answer. A lookup that fails fails for everyone who waited and is then forgotten.
    """

    def __init__(self, limit: int, longest: float) -> None:
        """Allow `limit` lookups at once, each for `longest` seconds."""
        self._limit = limit
        self._longest = longest
        self._tasks: dict[K, asyncio.Task[V]] = {}

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: object) -> bool:
        return key in self._tasks

    async def join(self, key: K, lookup: Callable[[], Awaitable[V]], deadline: float, what: str) -> V:
        """Start `lookup`, or wait for the one under way, until `deadline` (event loop time).

        Args:
            key: What is asked; equal keys share one lookup.
            lookup: Makes the answer; called only where none is under way.
            deadline: When this caller must have an answer.
            what: Names the question in the reason.

        Raises:
            Undecided: `Deadline` when time ran out here, `Busy` when too many lookups are under way; or the lookup's own.
        """
        task = self._tasks.get(key)
        if task is None:
            if len(self._tasks) >= self._limit:
                raise Undecided(Code.BUSY, f"too many lookups under way to ask for {what}", source=what)
            task = asyncio.create_task(self._run(lookup, what))
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        remaining = deadline - asyncio.get_running_loop().time()
        if not task.done():
            await asyncio.wait((task,), timeout=max(remaining, 0))
        if not task.done():
            raise Undecided(Code.DEADLINE, f"no answer in time from {what}", source=what)
        return task.result()

    async def _run(self, lookup: Callable[[], Awaitable[V]], what: str) -> V:
        try:
            async with asyncio.timeout(self._longest):
                return await lookup()
        except TimeoutError:
            raise Undecided(Code.UNREACHABLE, f"no answer within {self._longest:g} s from {what}", source=what) from None

    def _landed(self, key: K, task: asyncio.Task[V]) -> None:
        self._tasks.pop(key, None)
        if not task.cancelled():
            task.exception()  # seen, so that a failed lookup nobody waits for any more leaves no complaint

    async def close(self) -> None:
        """End every lookup under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class ByteBudget:
    """Payload bytes that lookups may hold at once, first come first served.

    A single reservation larger than the whole is cut to it, so that it waits for everything else instead of for ever.
    """

    def __init__(self, total: int) -> None:
        """Share `total` bytes."""
        self._total = total
        self._free = total
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def held(self) -> int:
        """Bytes reserved now."""
        return self._total - self._free

    async def reserve(self, count: int) -> int:
        """Wait for `count` bytes; returns what was reserved, to be given back with `release`."""
        count = min(count, self._total)
        if not self._waiting and count <= self._free:
            self._free -= count
            return count
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, future))
        try:
            await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.release(count)  # granted in the same turn in which the waiter was cancelled
            else:
                self._waiting = [entry for entry in self._waiting if entry[1] is not future]
                self._grant()
            raise
        return count

    def release(self, count: int) -> None:
        """Give back what `reserve` returned."""
        self._free += count
        self._grant()

    def _grant(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            count, future = self._waiting.pop(0)
            if not future.done():
                self._free -= count
                future.set_result(None)
