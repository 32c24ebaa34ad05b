"""What is remembered, single flight, and the budget for payload bytes."""

import asyncio

import pytest

from controller.cache import ByteBudget, Entry, Flights, Memory
from controller.errors import Code, Refused, Undecided


def _deadline(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


class TestMemory:
    def test_keeps_at_most_its_entries(self) -> None:
        memory: Memory[int, str] = Memory(entries=4, weight=4 * 1024)
        for number in range(50):
            memory.put(number, "x", since=0)
        assert len(memory) == 4
        assert memory.get(49) is not None
        assert memory.get(45) is None

    def test_keeps_at_most_its_weight(self) -> None:
        memory: Memory[int, bytes] = Memory(entries=1000, weight=10_000)
        for number in range(50):
            memory.put(number, b"", since=0, weight=4000)
        assert len(memory) == 2
        assert memory.weight <= 10_000

    def test_hands_back_what_is_too_heavy_and_keeps_the_rest(self) -> None:
        memory: Memory[str, str] = Memory(entries=10, weight=10_000)
        memory.put("small", "kept", since=0)
        entry = memory.put("huge", "answer", since=0, weight=20_000)
        assert entry.value == "answer"
        assert memory.get("huge") is None
        assert memory.get("small") is not None

    def test_forgets(self) -> None:
        memory: Memory[str, str] = Memory(entries=10, weight=10_000)
        memory.put("key", "value", since=0)
        memory.forget("key")
        memory.forget("key")
        assert memory.get("key") is None

    @pytest.mark.parametrize(
        ("now", "ttl", "fresh"), [(100, 60, True), (159.9, 60, True), (160, 60, False), (100, 0, False), (99, 60, False)]
    )
    def test_freshness(self, now: float, ttl: float, *, fresh: bool) -> None:
        assert Entry("value", since=100, weight=0).fresh(now, ttl) is fresh


class TestFlights:
    async def test_asks_once_for_all(self) -> None:
        flights: Flights[str, int] = Flights(limit=10, longest=5)
        asked = 0

        async def lookup() -> int:
            nonlocal asked
            asked += 1
            await asyncio.sleep(0.01)
            return 42

        answers = await asyncio.gather(*(flights.join("key", lookup, _deadline(), "a host") for _ in range(1000)))
        assert set(answers) == {42}
        assert asked == 1
        assert len(flights) == 0

    async def test_goes_on_after_its_callers_deadline(self) -> None:
        flights: Flights[str, int] = Flights(limit=10, longest=5)
        release = asyncio.Event()

        async def lookup() -> int:
            await release.wait()
            return 42

        with pytest.raises(Undecided) as late:
            await flights.join("key", lookup, _deadline(0.01), "registry.example.com")
        assert late.value.reason.code is Code.DEADLINE
        assert late.value.source == "registry.example.com"
        release.set()
        assert await flights.join("key", _never, _deadline(), "registry.example.com") == 42

    async def test_goes_on_when_its_caller_is_cancelled(self) -> None:
        flights: Flights[str, int] = Flights(limit=10, longest=5)
        release = asyncio.Event()

        async def lookup() -> int:
            await release.wait()
            return 42

        first = asyncio.create_task(flights.join("key", lookup, _deadline(), "a host"))
        await asyncio.sleep(0)
        second = asyncio.create_task(flights.join("key", _never, _deadline(), "a host"))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        release.set()
        assert await second == 42

    async def test_failure_reaches_all_who_wait_and_is_forgotten(self) -> None:
        flights: Flights[str, int] = Flights(limit=10, longest=5)

        async def failing() -> int:
            await asyncio.sleep(0)
            raise Refused(Code.NOT_FOUND, "there is no such image")

        async def working() -> int:
            return 42

        answers = await asyncio.gather(
            *(flights.join("key", failing, _deadline(), "a host") for _ in range(3)), return_exceptions=True
        )
        assert [type(answer) for answer in answers] == [Refused] * 3
        assert await flights.join("key", working, _deadline(), "a host") == 42

    async def test_ends_a_lookup_that_takes_too_long(self) -> None:
        flights: Flights[str, int] = Flights(limit=10, longest=0.01)
        with pytest.raises(Undecided) as slow:
            await flights.join("key", _never, _deadline(), "slow.example.com")
        assert slow.value.reason.code is Code.UNREACHABLE
        assert "slow.example.com" in str(slow.value)

    async def test_refuses_further_ones_when_full(self) -> None:
        flights: Flights[str, int] = Flights(limit=1, longest=5)
        under_way = asyncio.create_task(flights.join("one", _never, _deadline(), "a host"))
        await asyncio.sleep(0)
        with pytest.raises(Undecided) as full:
            await flights.join("two", _never, _deadline(), "a host")
        assert full.value.reason.code is Code.BUSY
        await flights.close()
        with pytest.raises(asyncio.CancelledError):
            await under_way


class TestByteBudget:
    async def test_makes_the_late_wait_in_order(self) -> None:
        budget = ByteBudget(100)
        order: list[str] = []

        async def take(name: str, count: int) -> None:
            held = await budget.reserve(count)
            order.append(name)
            await asyncio.sleep(0)
            budget.release(held)

        await asyncio.gather(take("a", 80), take("b", 80), take("c", 10))
        assert order == ["a", "b", "c"]
        assert budget.held == 0

    async def test_cuts_a_reservation_larger_than_the_whole(self) -> None:
        budget = ByteBudget(100)
        assert await budget.reserve(1000) == 100

    async def test_a_cancelled_waiter_leaves_no_trace(self) -> None:
        budget = ByteBudget(100)
        held = await budget.reserve(100)
        waiter = asyncio.create_task(budget.reserve(100))
        behind = asyncio.create_task(budget.reserve(10))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.sleep(0)
        budget.release(held)
        assert await behind == 10
        assert budget.held == 10

    async def test_a_waiter_cancelled_as_it_is_granted_gives_back(self) -> None:
        budget = ByteBudget(100)
        held = await budget.reserve(100)
        waiter = asyncio.create_task(budget.reserve(100))
        await asyncio.sleep(0)
        budget.release(held)  # grants in this turn
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        assert budget.held == 0


async def _never() -> int:
    await asyncio.Event().wait()
    raise AssertionError
