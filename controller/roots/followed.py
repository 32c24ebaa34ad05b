"""Trusted roots that policies name and a mirror publishes: refreshed while they are named; nobody is called otherwise.

The only user of the keeper, which it loads with the first root that is named: who names none needs no TUF library.
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from controller.errors import Code, Invalid, Reason, Undecided
from controller.roots.builtin import BUILT_IN, builtin
from controller.roots.stored import Stored, folder_of, newest, read_stored
from controller.roots.trusted import TrustedRoot
from controller.settings import Limits, RootSettings
from controller.telemetry import Telemetry

if TYPE_CHECKING:
    from controller.roots.keeper import Refreshed, RootKeeper

_SCHEMES: Final = ("https", "http", "file")
_LOG: Final = logging.getLogger("sigward.roots")


@dataclass(frozen=True, slots=True)
class Place:
    """Which root: a built-in one by its name, or one's own by where it is published and the TUF root that proves it.

    Written anew with another address or another root it is another one, and nothing is taken over.
    """

    name: str
    url: str = ""
    root: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.folder_name or self.name

    @property
    def folder_name(self) -> str:
        """Where its metadata is kept below the folder of the settings; empty for a built-in one, which has its own name."""
        if not self.url:
            return ""
        return f"{self.name}-{hashlib.sha256(json.dumps([self.url, self.root]).encode()).hexdigest()[:16]}"

    def folder(self, base: Path) -> Path:
        """The folder itself."""
        return folder_of(base, self.folder_name or self.name)


class FollowedRoots:
    """What to believe now of the roots that are refreshed.

    Args:
        settings: How often they are refreshed (0: never), from where, how old they may get.
        limits: Bounds for what is read.
        telemetry: Told of every refresh, and how old each root is.
        clock: POSIX seconds.

    Raises:
        Invalid: `InvalidSettings` for a mirror of a root that is not built in, or of an unknown scheme.
    """

    def __init__(
        self, settings: RootSettings, limits: Limits, telemetry: Telemetry, clock: Callable[[], float] = time.time
    ) -> None:
        for name, url in settings.mirrors.items():
            if name not in BUILT_IN or urlsplit(url).scheme not in _SCHEMES:
                expected = f"{' or '.join(BUILT_IN)}, to an {', '.join(_SCHEMES)} URL"
                raise Invalid(
                    Code.INVALID_SETTINGS,
                    "no such mirror",
                    field=f"roots.mirrors.{name[:80]}",
                    expected=expected,
                    found=url[:120],
                )
        self._settings = settings
        self._limits = limits
        self._telemetry = telemetry
        self._clock = clock
        self._shipped: dict[str, TrustedRoot] = {}
        self._read: dict[Place, Stored | None] = {}
        self._keepers: dict[Place, RootKeeper] = {}
        self._running: dict[Place, asyncio.Task[None]] = {}

    def find(self, name: str) -> TrustedRoot | Reason:
        """The built-in root `name` as last refreshed, else as shipped, or why it must not be believed. From any thread."""
        return self._find(Place(name))

    def mirrored(self, name: str, url: str, root: str) -> TrustedRoot | Reason:
        """The same for a root of somebody's own that the TUF repository at `url` publishes, trusted by its `root`."""
        return self._find(Place(name, url, root))

    def stamp(self) -> tuple[tuple[str, str], ...]:
        """Differs when any of the roots that are followed is another; empty while all are as shipped."""
        found = ((place, self._find(place)) for place in tuple(self._running))
        marks = ((place, root.fingerprint if isinstance(root, TrustedRoot) else "") for place, root in found)
        return tuple(sorted((str(place), mark) for place, mark in marks if mark != self._at_first(place)))

    def follow(self, built_in: Iterable[str], own: Iterable["Place"] = ()) -> None:
        """Refresh these from now on, in the background, and no others."""
        wanted = frozenset((*map(Place, built_in), *own)) if self._settings.refresh else frozenset()
        for place in self._running.keys() - wanted:
            self._running.pop(place).cancel()
            self._telemetry.root_left(place.name)
        for place in sorted(wanted - self._running.keys(), key=str):
            self._begin(place)

    def _begin(self, place: "Place") -> None:
        try:
            keeper = self._keepers.get(place) or self._keeper(place)
        except ImportError:
            _LOG.error("trusted root %s is not refreshed: the extra `roots` (tuf) is not installed", place.name)
            self._telemetry.root_refreshed(place.name, "failed")
            return
        except Invalid as error:
            _LOG.error("trusted root %s is not refreshed: %s", place.name, error)
            return
        self._keepers[place] = keeper
        self._telemetry.root_followed(place.name, partial(keeper.age, place.name))
        self._running[place] = asyncio.create_task(keeper.run())

    def _find(self, place: "Place") -> TrustedRoot | Reason:
        keeper = self._keepers.get(place)
        try:
            if keeper is not None:
                return keeper.current(place.name)
            return self._stored(place) or self._first(place)
        except (Undecided, Invalid) as error:
            return error.reason

    def _at_first(self, place: "Place") -> str:
        """The mark of what is believed before any refresh."""
        first = self._first(place)
        return first.fingerprint if isinstance(first, TrustedRoot) else ""

    async def close(self) -> None:
        """End what is under way, without waiting for a mirror that does not answer."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))

    def _first(self, place: "Place") -> TrustedRoot | Reason:
        """What ships; nothing ships of what is somebody's own."""
        if place.url:
            said = f"trusted root {place.name} was not fetched yet"
            return Reason(Code.ROOT_UNAVAILABLE, said, found=f"nothing from {place.url[:120]}")
        found = self._shipped.get(place.name)
        if found is None:
            found = self._shipped[place.name] = builtin(place.name, self._limits)
        return found

    def _stored(self, place: "Place") -> TrustedRoot | None:
        """What a process before this one fetched and proved, where settings name a folder and nothing newer ships."""
        if self._settings.folder is None:
            return None
        if place not in self._read:
            self._read[place] = read_stored(place.folder(self._settings.folder), place.name, self._limits)
        stored, first = self._read[place], self._first(place)
        if stored is None or (isinstance(first, TrustedRoot) and newest(first) > newest(stored.root)):
            return None
        return stored.root

    def _keeper(self, place: "Place") -> "RootKeeper":
        from controller.roots.keeper import RootKeeper  # noqa: PLC0415 - an extra, wanted once a policy names a root
        from controller.roots.mirror import Mirror  # noqa: PLC0415 - as above

        if place.url:
            mirror = Mirror(place.name, place.url, place.root.encode(), place.folder_name)
        else:
            mirror = Mirror.builtin(place.name, self._settings.mirrors.get(place.name, ""))
        _LOG.info("trusted root %s is refreshed", place.name, extra={"fields": {"root": place.name, "mirror": mirror.url}})
        known = self._stored(place)
        since = self._read[place] if known is not None else None
        root = known or self._first(place)
        believed = [root] if isinstance(root, TrustedRoot) else []
        confirmed = {place.name: since.confirmed} if since is not None else {}
        settings = (self._settings, self._limits)
        return RootKeeper(believed, [mirror], *settings, confirmed=confirmed, observe=self._observe, clock=self._clock)

    def _observe(self, refreshed: "Refreshed") -> None:
        failed = refreshed.failure is not None
        outcome = "failed" if failed else "changed" if refreshed.changed else "unchanged"
        self._telemetry.root_refreshed(refreshed.name, outcome)
        fields = {"fields": {"root": refreshed.name, "outcome": outcome}}
        if failed:
            _LOG.error("the last good trusted root stays: %s", refreshed.failure, extra=fields)
        elif refreshed.changed:
            _LOG.warning("trusted root %s changed", refreshed.name, extra=fields)
        else:
            _LOG.info("trusted root %s is confirmed", refreshed.name, extra=fields)
