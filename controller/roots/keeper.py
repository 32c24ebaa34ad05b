"""The trusted roots of a running process: the last good one of each, refreshed in the background.

No request ever waits for a refresh. One that fails keeps what was believed, says so, and is tried again; only `maxStale`,
which is unset by default, takes a root away: an air-gapped cluster must not stop one day.
"""

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

from controller.errors import Code, Invalid, Reason, Undecided
from controller.roots import mirror
from controller.roots.mirror import Mirror
from controller.roots.reading import parse
from controller.roots.stored import folder_of
from controller.roots.trusted import TrustedRoot
from controller.settings import Limits, RootSettings

_CLOSING: Final = 1.0
"""Seconds that closing waits for a refresh under way."""
_JITTER: Final = 0.1
_SOON: Final = 0.05
"""After a failure: this share of the ordinary pause."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What became of refreshing one root: `failure` is None where it worked, `changed` where it believes something new."""

    name: str
    changed: bool
    failure: Reason | None


@dataclass(slots=True)
class _Kept:
    root: TrustedRoot
    confirmed: float
    failure: Reason | None = None


class RootKeeper:
    """Holds roots by name and refreshes those that have a mirror.

    Args:
        roots: What is believed at the start: built-in roots, inline ones, files.
        mirrors: Where some of them are refreshed; a mirror's root need not be there at the start.
        settings: How often, how long, how old.
        limits: Bounds for what is read.
        confirmed: When (POSIX seconds) some of `roots` were confirmed; the others are as good as confirmed now.
        observe: Told of every refresh, for metrics and alerts.
        changed: Called after a refresh in which any root changed, so that policies are compiled anew.
        clock: POSIX seconds.
    """

    def __init__(
        self,
        roots: Sequence[TrustedRoot],
        mirrors: Sequence[Mirror],
        settings: RootSettings,
        limits: Limits,
        *,
        confirmed: Mapping[str, float] = MappingProxyType({}),
        observe: Callable[[Refreshed], None] = lambda _: None,
        changed: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._kept = {root.name: _Kept(root, confirmed.get(root.name, clock())) for root in roots}
        self._mirrors = tuple(mirrors)
        self._mirrored = frozenset(one.name for one in mirrors)
        self._settings = settings
        self._limits = limits
        self._observe = observe
        self._changed = changed
        self._under_way: asyncio.Task[tuple[Refreshed, ...]] | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def current(self, name: str) -> TrustedRoot:
        """The root to judge by now.

        Raises:
            Undecided: `TrustedRootUnavailable` where there never was one, or it was not confirmed for `maxStale`.
        """
        kept = self._kept.get(name)
        if kept is None:
            raise Undecided(
                Code.ROOT_UNAVAILABLE, f"there is no trusted root {name[:80]}", source=f"trusted root {name[:80]}"
            )
        longest = self._settings.max_stale
        age = self._clock() - kept.confirmed
        if longest is not None and name in self._mirrored and age > longest:
            raise Undecided(
                Code.ROOT_UNAVAILABLE,
                f"trusted root {name} was not refreshed for too long",
                source=f"trusted root {name}",
                expected=f"at most {longest:.0f} s",
                found=f"{age:.0f} s",
            )
        return kept.root

    def age(self, name: str) -> float:
        """Seconds since the root was confirmed, by a mirror or by being there at the start; infinite where there is none."""
        kept = self._kept.get(name)
        return float("inf") if kept is None else self._clock() - kept.confirmed

    def failures(self) -> Mapping[str, Reason]:
        """Why the last refresh of each root failed, for those of which it did."""
        return {name: kept.failure for name, kept in self._kept.items() if kept.failure}

    async def refresh(self) -> tuple[Refreshed, ...]:
        """Refresh every root that has a mirror; callers that come meanwhile get the same answer."""
        if self._under_way is None:
            self._under_way = asyncio.create_task(self._refresh())
            self._under_way.add_done_callback(self._landed)
        return await asyncio.shield(self._under_way)

    async def run(self) -> None:
        """Refresh again and again until cancelled; return at once where nothing is to be refreshed, without any call."""
        pause = self._settings.refresh
        if not pause or not self._mirrors:
            return
        while True:
            failed = any(one.failure for one in await self.refresh())
            await asyncio.sleep(pause * (_SOON if failed else 1.0) * random.uniform(1 - _JITTER, 1 + _JITTER))

    async def close(self) -> None:
        """Wait a moment for what is under way, leave it, and remove what was kept on disk for this process alone."""
        if self._under_way is not None:
            await asyncio.wait({self._under_way}, timeout=_CLOSING)
        if self._under_way is not None:
            self._under_way.cancel()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _landed(self, _: "asyncio.Task[tuple[Refreshed, ...]]") -> None:
        self._under_way = None

    async def _refresh(self) -> tuple[Refreshed, ...]:
        found = tuple([await self._one(one) for one in self._mirrors])
        for refreshed in found:
            self._observe(refreshed)
        if any(refreshed.changed for refreshed in found):
            self._changed()
        return found

    async def _one(self, place: Mirror) -> Refreshed:
        try:
            folder = self._folder(place)
            raw = await _apart(lambda: mirror.fetch(place, folder, self._settings.timeout, self._limits))
            root = parse(raw, place.name, self._limits)
        except (Undecided, Invalid) as error:
            return self._failed(place.name, error.reason)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is believed stays and the next refresh comes
            said = "the trusted root could not be refreshed"
            return self._failed(place.name, Reason(Code.INTERNAL, said, found=f"{type(error).__name__}: {error}"[:200]))
        before = self._kept.get(place.name)
        self._kept[place.name] = _Kept(root, self._clock())
        return Refreshed(place.name, changed=before is None or before.root.fingerprint != root.fingerprint, failure=None)

    def _failed(self, name: str, reason: Reason) -> Refreshed:
        kept = self._kept.get(name)
        if kept is not None:
            kept.failure = reason
        return Refreshed(name, changed=False, failure=reason)

    def _folder(self, place: Mirror) -> Path:
        """A folder for each mirror; without a configured one it lasts as long as the process."""
        if self._settings.folder is not None:
            base = self._settings.folder
        else:
            self._scratch = self._scratch or tempfile.TemporaryDirectory(prefix="sigward-roots-", ignore_cleanup_errors=True)
            base = Path(self._scratch.name)
        return folder_of(base, place.folder or place.name)


async def _apart(call: Callable[[], bytes]) -> bytes:
    """The answer of `call`, made in a thread that ends with the process: no mirror keeps a replica from stopping."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()

    def settle(raw: bytes | None, error: Exception | None) -> None:
        if answer.done():  # nobody waits any more
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(raw or b"")

    def work() -> None:
        try:
            done = partial(settle, call(), None)
        except Exception as error:  # noqa: BLE001 - handed to who waits
            done = partial(settle, None, error)
        try:
            loop.call_soon_threadsafe(done)
        except RuntimeError:  # the loop is closed
            return
        finally:
            del done  # an error holds this frame: no circle, so that what it holds is freed at once

    threading.Thread(target=work, name="roots", daemon=True).start()
    return await answer
