"""The built-in trusted roots that policies name: refreshed while they are named, and nobody is called otherwise.

The only user of the keeper, which it loads with the first root that is named: who names none needs no TUF library.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from controller.errors import Code, Invalid, Reason, Undecided
from controller.roots.builtin import BUILT_IN, builtin
from controller.roots.trusted import TrustedRoot
from controller.settings import Limits, RootSettings
from controller.telemetry import Telemetry

if TYPE_CHECKING:
    from controller.roots.keeper import Refreshed, RootKeeper

_SCHEMES: Final = ("https", "http", "file")
_LOG: Final = logging.getLogger("sigward.roots")


class BuiltInRoots:
    """What to believe of the built-in roots now.

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
        self._keepers: dict[str, RootKeeper] = {}
        self._running: dict[str, asyncio.Task[None]] = {}

    def find(self, name: str) -> TrustedRoot | Reason:
        """The root `name` as last refreshed, else as shipped, or why it must not be believed now. From any thread."""
        keeper = self._keepers.get(name)
        try:
            return self._as_shipped(name) if keeper is None else keeper.current(name)
        except (Undecided, Invalid) as error:
            return error.reason

    def stamp(self) -> tuple[tuple[str, str], ...]:
        """Differs when any of the roots that are followed is another; empty while all are as shipped."""
        found = ((name, self.find(name)) for name in tuple(self._running))
        marks = ((name, root.fingerprint if isinstance(root, TrustedRoot) else "") for name, root in found)
        return tuple(sorted((name, mark) for name, mark in marks if mark != self._as_shipped(name).fingerprint))

    def follow(self, names: Iterable[str]) -> None:
        """Refresh these from now on, in the background, and no others."""
        wanted = frozenset(names) if self._settings.refresh else frozenset()
        for name in self._running.keys() - wanted:
            self._running.pop(name).cancel()
            self._telemetry.root_left(name)
        for name in sorted(wanted - self._running.keys()):
            try:
                keeper = self._keepers.get(name) or self._keeper(name)
            except ImportError:
                _LOG.error("trusted root %s is not refreshed: the extra `roots` (tuf) is not installed", name)
                self._telemetry.root_refreshed(name, "failed")
                continue
            except Invalid as error:
                _LOG.error("trusted root %s is not refreshed: %s", name, error)
                continue
            self._keepers[name] = keeper
            self._telemetry.root_followed(name, partial(keeper.age, name))
            self._running[name] = asyncio.create_task(keeper.run())

    async def close(self) -> None:
        """End what is under way, without waiting for a mirror that does not answer."""
        running = tuple(self._running.values())
        for task in running:
            task.cancel()
        for task in running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.gather(*(keeper.close() for keeper in self._keepers.values()))

    def _as_shipped(self, name: str) -> TrustedRoot:
        found = self._shipped.get(name)
        if found is None:
            found = self._shipped[name] = builtin(name, self._limits)
        return found

    def _keeper(self, name: str) -> "RootKeeper":
        from controller.roots.keeper import RootKeeper  # noqa: PLC0415 - an extra, wanted once a policy names a root
        from controller.roots.mirror import Mirror  # noqa: PLC0415 - as above

        place = Mirror.builtin(name, self._settings.mirrors.get(name, ""))
        _LOG.info("trusted root %s is refreshed", name, extra={"fields": {"root": name, "mirror": place.url}})
        return RootKeeper(
            [self._as_shipped(name)], [place], self._settings, self._limits, observe=self._observe, clock=self._clock
        )

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
