"""Files that change while the process runs: noticed by looking, swapped only whole.

Looking once a second costs less than it seems and works where notifications do not: ConfigMap and Secret mounts replace a
symbolic link, network file systems tell nobody.
"""

import asyncio
import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Generic, TypeVar

from controller.errors import Code, Invalid
from controller.telemetry import Telemetry

T = TypeVar("T")

_SETTLED: Final = 3.0
"""Seconds after which a file's times are believed: within the clock's tick a second write leaves no trace in them."""

_LOG: Final = logging.getLogger("sigward.reload")

Stamp = tuple[tuple[str, str], ...]
"""Names and content hashes."""


class Files:
    """What is in some files and folders, by content; a file is read again only when its status changed, or is new."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._known: dict[str, tuple[tuple[int, ...], str]] = {}

    def stamp(self) -> Stamp:
        """A value that differs when any file's content, or the set of files, does."""
        found: dict[str, tuple[tuple[int, ...], str]] = {}
        for path in self._paths:
            for name in _files(path):
                found[name] = self._look(name)
        self._known = found
        return tuple(sorted((name, content) for name, (_, content) in found.items()))

    def _look(self, name: str) -> tuple[tuple[int, ...], str]:
        try:
            status = os.stat(name)  # noqa: PTH116 - as plain text, which is several times cheaper than Path
            if not stat.S_ISREG(status.st_mode):  # a pipe would never end
                return (), "no regular file"
            key = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size)
            known = self._known.get(name)
            if known and known[0] == key and time.time() - max(status.st_mtime, status.st_ctime) > _SETTLED:
                return known
            with open(name, "rb") as file:  # noqa: PTH123 - as above
                return key, hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            return (), f"unreadable: {error.errno}"


def _files(path: Path) -> Iterable[str]:
    """The file, or the files of the folder; as for policies, folders below and hidden entries do not count."""
    try:
        with os.scandir(path) as entries:
            return [entry.path for entry in entries if not entry.name.startswith(".") and entry.is_file()]
    except OSError:  # a file, or not there: the stamp says which
        return [str(path)]


class Watched(Generic[T]):
    """Something made from files, made again when they change; what cannot be made leaves the last good one in force.

    Args:
        what: Names it in logs and metrics.
        stamp: Looks at the files.
        load: Makes the value; called in a thread.
        telemetry: Told of every attempt.
        use: Called with each new value, on the event loop.
    """

    def __init__(
        self,
        what: str,
        stamp: Callable[[], Stamp],
        load: Callable[[], T],
        telemetry: Telemetry,
        use: Callable[[T], None] = lambda _: None,
    ) -> None:
        self._what = what
        self._stamp = stamp
        self._load = load
        self._use = use
        self._telemetry = telemetry
        self._seen: Stamp | None = None
        self.current: T | None = None
        self.error: Invalid | None = None

    async def refresh(self) -> bool:
        """Look, and load what changed. Whether a new value is in force; `error` says why not, where it is broken."""
        stamp = await asyncio.to_thread(self._stamp)
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            value = await asyncio.to_thread(self._load)
        except Invalid as error:
            self._failed(error)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is, what is in force stays and the next look comes
            self._failed(Invalid(Code.INTERNAL, f"{type(error).__name__} while loading {self._what}"), error)
            return False
        self.current, self.error = value, None
        self._telemetry.reloaded(self._what, failed=False)
        self._use(value)
        return True

    def put(self, value: T) -> None:
        """Let `value`, made from what was loaded last, be in force."""
        self.current = value

    async def close(self) -> None:
        """Nothing to end: it only ever looked."""

    def _failed(self, error: Invalid, cause: Exception | None = None) -> None:
        self.error = error
        self._telemetry.reloaded(self._what, failed=True)
        goes_on = "nothing is loaded" if self.current is None else "what was loaded before stays in force"
        _LOG.error("%s cannot be used, %s: %s", self._what, goes_on, error, exc_info=cause)
