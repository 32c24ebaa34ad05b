"""List, then watch: a copy of some objects that is always whole (Kubernetes API concepts, "Efficient detection of changes").

Each listing replaces the copy, so what is absent from it is gone. A failed listing, a lost watch, or a resource that the API
server does not know any more is a disconnection: the copy stays as it was last confirmed, and says how long ago that is.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from controller.cluster.client import Answer, ClusterClient, failed, read_object
from controller.cluster.resources import Resource
from controller.errors import Code, Reason, SigwardError, Undecided
from controller.settings import Limits

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
Key = tuple[str, str]
"""Namespace (empty where there is none) and name."""

_METADATA: Final = "application/json;as=PartialObjectMetadata{};g=meta.k8s.io;v=v1"
_GONE: Final = 410
_NOT_FOUND: Final = 404
_FORBIDDEN: Final = 403
_OK: Final = 200
_PAGES: Final = 10_000
_PAUSE: Final = 0.2
"""Seconds before the first try after something broke; doubled with each that fails."""
_SHORT: Final = 1.0
"""A watch that ends sooner did not work, however politely it ended."""
_POLL: Final = 1.0
_LOG: Final = logging.getLogger("sigward.watch")


class _GoneError(Exception):
    """What we go on from is too old for the API server: list anew (410)."""


class Read(Protocol[V_co]):
    """Makes of an object what is kept of it."""

    def __call__(self, resource: Resource, value: Mapping[str, Any], /) -> V_co:
        """What is kept; an event after which it is equal changes nothing."""


@dataclass(frozen=True, slots=True)
class Wanted(Generic[V]):
    """Which objects: all of a resource, or the one of a name. `metadata_only` leaves everything else out."""

    resource: Resource
    read: Read[V]
    namespace: str = ""
    name: str = ""
    metadata_only: bool = False

    def __str__(self) -> str:
        return f"{self.resource.plural} {self.namespace}/{self.name}" if self.name else self.resource.plural

    @property
    def path(self) -> str:
        """Of the collection: by name, too, so that it can be watched."""
        return self.resource.path(self.namespace)

    @property
    def query(self) -> dict[str, str]:
        """The selector by name, which RBAC's `resourceNames` are compared with; never a Secret without it."""
        return {"fieldSelector": f"metadata.name={self.name}"} if self.name else {}

    def accept(self, *, listing: bool) -> str:
        """The form of the answer."""
        return _METADATA.format("List" if listing else "") if self.metadata_only else "application/json"


class Reflector(Generic[V]):
    """A copy of the objects of one resource.

    Args:
        client: Asks the API server.
        wanted: Which objects.
        changed: Called after the copy changed, on the event loop.
        limits: Bounds and pauses.
        watches: False reads an object by name every so often instead; `poll` is how often, in seconds.
        poll: Seconds between readings, asked before each.
        failed: Told of every disconnection.

    Attributes:
        objects: The copy; None before the first listing. Replaced or changed only between two awaits.
        confirmed: When (monotonic seconds) the API server last said that it is current; None before the first listing.
        failure: Why it is not connected, None while it is.
        attempted: Set once the API server has answered, or failed to, for the first time.
    """

    def __init__(
        self,
        client: ClusterClient,
        wanted: Wanted[V],
        changed: Callable[[], None],
        limits: Limits,
        *,
        watches: bool = True,
        poll: Callable[[], float] = lambda: _POLL,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._limits = limits
        self._changed = changed
        self._watches = watches
        self._poll = poll
        self._tell = failed
        self._version = ""
        self._failures = 0
        self._copy: dict[Key, V] = {}
        self._task: asyncio.Task[None] | None = None
        self.wanted = wanted
        self.objects: Mapping[Key, V] | None = None
        self.confirmed: float | None = None
        self.failure: Reason | None = None
        self.attempted = asyncio.Event()

    @property
    def age(self) -> float:
        """Seconds since the copy was last confirmed; infinite before the first listing."""
        return float("inf") if self.confirmed is None else time.monotonic() - self.confirmed

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"watch {self.wanted}")

    async def stop(self) -> None:
        """End it."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            pause = await self._turn()
            self.attempted.set()
            await asyncio.sleep(pause)

    async def _turn(self) -> float:
        """List where needed and watch until it ends; the seconds to wait before the next turn."""
        try:
            if not self._watches:
                await self._get()
                return self._poll() * random.uniform(0.8, 1.2)
            if not self._version or self.age > self._limits.watch_resume:
                await self._list()
            if await self._watch() >= _SHORT:
                return 0.0
        except _GoneError:
            self._version = ""
        except SigwardError as error:
            if self._watches and self.wanted.name and error.reason.found.startswith(str(_FORBIDDEN)):
                self._watches = False  # who may not watch an object by name may still be allowed to read it by name
                return 0.0
            self._disconnected(error.reason)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the watching
            _LOG.exception("watching %s failed", self.wanted)
            self._disconnected(Reason(Code.INTERNAL, f"{type(error).__name__} while watching {self.wanted}"))
        return self._pause()

    def _pause(self) -> float:
        pause = min(_PAUSE * 2**self._failures, self._limits.watch_retry_longest)
        self._failures = min(self._failures + 1, 16)
        return float(pause * random.uniform(0.5, 1.0))

    def _disconnected(self, reason: Reason) -> None:
        self._tell(self.wanted.resource.plural)
        if self.failure is None or self.failure.code is not reason.code:
            kept = "nothing is known yet" if self.objects is None else "what was last confirmed stays in force"
            _LOG.warning("%s: not connected, %s: %s", self.wanted, kept, reason)
        self.failure = reason

    def _confirm(self) -> None:
        if self.failure is not None:
            _LOG.info("%s: connected again", self.wanted)
        self.failure = None
        self.confirmed = time.monotonic()

    async def _list(self) -> None:
        """Read every page; only the whole of them replaces the copy."""
        found: dict[Key, V] = {}
        token, version, length = "", "", 0
        for _ in range(_PAGES):
            query = {**self.wanted.query, "limit": str(self._limits.cluster_page)} | ({"continue": token} if token else {})
            left = max(self._limits.cluster_list_bytes - length, 1)
            accept = self.wanted.accept(listing=True)
            answer = await self._client.get(self.wanted.path, query, accept=accept, limit=left)
            if answer.status == _GONE:
                raise _GoneError
            length += len(answer.body)
            metadata, items = self._page(answer)
            found |= dict(map(self._item, items))
            token, version = str(metadata.get("continue") or ""), str(metadata.get("resourceVersion") or "")
            if not token:
                break
        if token or not version:
            raise _broken(f"list {self.wanted}", "a listing without end or version")
        self._version = version
        self._replace(found)

    def _page(self, answer: Answer) -> tuple[Mapping[str, Any], list[Any]]:
        if answer.status == _NOT_FOUND:  # of a collection: the API server does not know the resource
            raise Undecided(
                Code.NOT_FOUND,
                f"the API server does not know {self.wanted.resource.plural}",
                expected=f"the CustomResourceDefinition {self.wanted.resource.plural}.{self.wanted.resource.group}",
            )
        value = answer.value()
        metadata, items = value.get("metadata"), value.get("items", [])
        if not isinstance(metadata, dict) or not isinstance(items, list | None):
            raise _broken(answer.what, "no listing")
        return metadata, items or []

    async def _get(self) -> None:
        """Read the one object by its name."""
        answer = await self._client.get(self.wanted.resource.path(self.wanted.namespace, self.wanted.name))
        if answer.status == _NOT_FOUND:
            self._replace({})
        else:
            self._replace(dict([self._item(answer.value())]))
        self._failures = 0

    def _replace(self, found: dict[Key, V]) -> None:
        same = self.objects is not None and self._copy == found
        if not same:
            self._copy, self.objects = found, MappingProxyType(found)
        self._confirm()
        self.attempted.set()
        if not same:
            self._changed()

    async def _watch(self) -> float:
        """Follow what changes from where the copy stands; how long that went on, in seconds."""
        limits, started = self._limits, time.monotonic()
        query = {
            **self.wanted.query,
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(max(1, int(limits.watch_time * random.uniform(0.8, 1.2)))),
        }
        accept = self.wanted.accept(listing=False)
        stream = self._client.stream(self.wanted.path, query, accept=accept, silence=limits.watch_silence)
        async with stream as (status, lines):
            if status == _GONE:
                raise _GoneError
            if status != _OK:
                raise failed(f"watch {self.wanted}", status)
            self._confirm()
            async for line in lines:
                self._event(read_object(line, f"watch {self.wanted}"))
                self._failures = 0
        lasted = time.monotonic() - started
        if lasted >= _SHORT:
            self._failures = 0
        return lasted

    def _event(self, event: Mapping[str, Any]) -> None:
        kind, value = event.get("type"), event.get("object")
        if not isinstance(value, dict):
            raise _broken(f"watch {self.wanted}", "an event without an object")
        if kind == "ERROR":
            if value.get("code") == _GONE:
                raise _GoneError
            self._version = ""
            raise failed(f"watch {self.wanted}", int(value.get("code") or 0), str(value.get("message"))[:200])
        version = self._version_of(value)
        if kind in {"ADDED", "MODIFIED"}:
            key, kept = self._item(value)
            changed = key not in self._copy or self._copy[key] != kept
            self._copy[key] = kept
        elif kind == "DELETED":
            changed = self._copy.pop(self._key(value), None) is not None
        elif kind == "BOOKMARK":
            changed = False
        else:
            self._version = ""
            raise _broken(f"watch {self.wanted}", f"an event of type {str(kind)[:40]!r}")
        self._version = version
        self._confirm()
        if changed:
            self._changed()

    def _version_of(self, value: Mapping[str, Any]) -> str:
        metadata = value.get("metadata")
        version = metadata.get("resourceVersion") if isinstance(metadata, dict) else None
        if not isinstance(version, str) or not version:
            self._version = ""  # where to go on from is not known any more
            raise _broken(f"watch {self.wanted}", "an object without a version")
        return version

    def _item(self, value: Any) -> tuple[Key, V]:
        key = self._key(value)
        return key, self.wanted.read(self.wanted.resource, value)

    def _key(self, value: Any) -> Key:
        metadata = value.get("metadata") if isinstance(value, dict) else None
        name = metadata.get("name") if isinstance(metadata, dict) else None
        if not isinstance(metadata, dict) or not isinstance(name, str) or (self.wanted.name and name != self.wanted.name):
            self._version = ""
            raise _broken(str(self.wanted), "an object that was not asked for")
        return str(metadata.get("namespace") or ""), name


def _broken(what: str, found: str) -> Undecided:
    return Undecided(Code.CLUSTER_ERROR, f"{what}: the API server's answer makes no sense", found=found)
