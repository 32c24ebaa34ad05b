"""The roots of a running process: kept, refreshed once for all who ask, and given up only where somebody said so."""

import asyncio
from pathlib import Path

import pytest

from controller import roots
from controller.errors import Code, Undecided
from controller.roots import mirror
from controller.roots.keeper import RootKeeper
from controller.roots.mirror import Mirror
from controller.roots.trusted import TrustedRoot
from controller.settings import RootSettings
from tests.fakes.evidence import LIMITS
from tests.fakes.sigstore import PrivateSigstore

PLACE = Mirror("private", "file:///nowhere", b"{}")
ROOT = PrivateSigstore().root()
ENOUGH = 3
"""Refreshes after which a test has seen enough."""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def answer(monkeypatch: pytest.MonkeyPatch, *answers: bytes | Undecided, enough: asyncio.Event | None = None) -> list[str]:
    """Replaces the mirror: each refresh gets the next answer, the last one again and again."""
    asked: list[str] = []
    left = list(answers)
    loop = asyncio.get_running_loop()

    def fetch(place: Mirror, *_: object) -> bytes:
        asked.append(place.name)
        if enough is not None and len(asked) == ENOUGH:
            loop.call_soon_threadsafe(enough.set)
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, Undecided):
            raise given
        return given

    monkeypatch.setattr(mirror, "fetch", fetch)
    return asked


def shipped(name: str) -> bytes:
    return (Path(roots.__file__).parent / "data" / f"{name}.trusted_root.json").read_bytes()


def unavailable() -> Undecided:
    return Undecided(Code.ROOT_UNAVAILABLE, "trusted root private was not refreshed", source="file:///nowhere")


def keeper(
    *known: TrustedRoot, clock: Clock | None = None, changes: list[int] | None = None, **settings: object
) -> RootKeeper:
    counted = changes if changes is not None else []
    return RootKeeper(
        known,
        [PLACE],
        RootSettings.model_validate({"refresh": 1, **settings}),
        LIMITS,
        changed=lambda: counted.append(1),
        clock=clock or Clock(),
    )


async def test_a_root_that_nobody_refreshes_stays() -> None:
    clock = Clock()
    kept = keeper(roots.builtin("github"), clock=clock, max_stale=10.0)
    clock.now += 1e9
    assert kept.current("github").name == "github"
    with pytest.raises(Undecided) as caught:
        kept.current("another")
    assert caught.value.source == "trusted root another"


async def test_air_gapped_nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are cut in these tests; and not even the mirror's code is reached."""
    asked = answer(monkeypatch, unavailable())
    kept = keeper(ROOT, refresh=0)
    await kept.run()
    assert (asked, kept.current("private")) == ([], ROOT)
    without_mirrors = RootKeeper([ROOT], [], RootSettings(), LIMITS)
    await without_mirrors.run()
    assert without_mirrors.current("private") == ROOT


async def test_callers_at_once_share_one_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, changes = answer(monkeypatch, shipped("github")), list[int]()
    kept = keeper(changes=changes)
    answers = await asyncio.gather(*(kept.refresh() for _ in range(20)))
    assert asked == ["private"]
    assert len(set(answers)) == 1
    await kept.refresh()
    assert (asked, changes) == (["private", "private"], [1]), "the second brought nothing new"
    await kept.close()


async def test_a_failure_keeps_the_root_and_maxstale_takes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, shipped("github"), unavailable(), shipped("public-good"))
    clock, changes = Clock(), list[int]()
    kept = keeper(clock=clock, changes=changes, max_stale=100.0)
    await kept.refresh()
    clock.now += 100
    (failed,) = await kept.refresh()
    assert failed.failure is not None
    assert kept.current("private").logs == ()
    clock.now += 1
    with pytest.raises(Undecided) as caught:
        kept.current("private")
    assert (caught.value.reason.expected, caught.value.reason.found) == ("at most 100 s", "101 s")
    await kept.refresh()
    assert len(kept.current("private").logs) == 2
    assert (kept.failures(), len(changes)) == ({}, 2)
    await kept.close()


async def test_it_goes_on_by_itself_and_sooner_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = asyncio.Event()
    answer(monkeypatch, unavailable(), shipped("github"), enough=enough)
    kept = keeper(refresh=0.2)
    task = asyncio.create_task(kept.run())
    async with asyncio.timeout(5):
        await enough.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert kept.current("private").authorities
    await kept.close()


async def test_a_caller_that_gives_up_does_not_stop_the_refresh(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, shipped("github"))
    kept = keeper()
    caller = asyncio.create_task(kept.refresh())
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await kept.close()
    assert kept.current("private").authorities
