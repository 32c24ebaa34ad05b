"""What a replica judges by, from the cluster's objects: policies, roots, exceptions, and what they name (design, section 8).

The set is a function of the objects alone. Objects -> documents -> one compilation for a burst of changes -> a snapshot,
swapped whole. Namespaces come in beside it: their labels choose among policies and change none, so that a cluster in which
namespaces come and go compiles nothing.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from controller.cluster import resources
from controller.cluster.client import ClusterClient
from controller.cluster.reflector import Reflector, Wanted
from controller.cluster.resources import Resource
from controller.compile.compiled import Snapshot
from controller.compile.references import ObjectRef, referenced
from controller.errors import SigwardError
from controller.policy.store import CONFIG_MAP, SECRET, Document
from controller.settings import Limits
from controller.telemetry import Telemetry

OWN: Final = (
    resources.CLUSTER_TRUST_POLICIES,
    resources.TRUST_POLICIES,
    resources.TRUST_ROOTS,
    resources.TRUST_EXCEPTIONS,
)
"""What is listed and watched whole, beside namespaces."""

_NAMED: Final[Mapping[str, Resource]] = {SECRET: resources.SECRETS, CONFIG_MAP: resources.CONFIG_MAPS}
_SETTLE: Final = 0.02
"""Seconds in which further changes join the one that woke us: `kubectl apply -f folder/` is one compilation."""
_REFERENCES: Final = 0.5
"""Seconds that what policies name may take to arrive, before they are compiled without it."""
_SLOWEST_POLL: Final = 32
"""Objects read by name in a second; with more, each is read less often."""

_LOG: Final = logging.getLogger("sigward.watch")

Compile = Callable[[Sequence[Document]], Snapshot]


class ClusterPolicies:
    """The policies in force, kept so by watching.

    Args:
        client: Asks the API server.
        limits: Bounds.
        telemetry: Shows how old the set is, and every disconnection.
        compile: Documents to a snapshot; called in a thread.
        use: Called with each new snapshot, on the event loop.

    Attributes:
        current: The snapshot in force; None before the first. It knows the namespaces of the moment.
    """

    def __init__(
        self,
        client: ClusterClient,
        limits: Limits,
        telemetry: Telemetry,
        compile: Compile,  # noqa: A002 - what it does
        use: Callable[[Snapshot], None],
    ) -> None:
        self._client = client
        self._limits = limits
        self._telemetry = telemetry
        self._compile = compile
        self._use = use
        self._touched = asyncio.Event()
        self._stale = True
        self._named: dict[ObjectRef, Reflector[Mapping[str, Any]]] = {}
        self._own = tuple(self._reflector(Wanted(resource, resources.trimmed)) for resource in OWN)
        namespaces = Wanted(resources.NAMESPACES, resources.labels, metadata_only=True)
        self._namespaces: Reflector[Mapping[str, str]] = Reflector(
            client, namespaces, self._touched.set, limits, failed=telemetry.disconnected
        )
        self._task: asyncio.Task[None] | None = None
        self.current: Snapshot | None = None

    def _reflector(self, wanted: Wanted[Mapping[str, Any]], *, watches: bool = True) -> Reflector[Mapping[str, Any]]:
        return Reflector(
            self._client,
            wanted,
            self._touch,
            self._limits,
            watches=watches,
            poll=lambda: max(1.0, len(self._named) / _SLOWEST_POLL),
            failed=self._telemetry.disconnected,
        )

    def start(self) -> None:
        """Begin, in the background; `current` is there once everything was listed."""
        self._telemetry.policy_age.set_function(self.age)
        for reflector in (*self._own, self._namespaces):
            reflector.start()
        self._task = asyncio.create_task(self._run(), name="policies")

    async def close(self) -> None:
        """End every watch."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.gather(*(each.stop() for each in (*self._own, self._namespaces, *self._named.values())))

    def age(self) -> float:
        """Seconds since the API server last confirmed the whole set; infinite before the first listing."""
        return max(each.age for each in (*self._own, self._namespaces))

    @property
    def error(self) -> str:
        """What keeps the first snapshot from being made."""
        missing = [each for each in (*self._own, self._namespaces) if each.objects is None]
        return "; ".join(f"{each.wanted}: {each.failure or 'not listed yet'}" for each in missing) or "not compiled yet"

    async def refresh(self) -> bool:
        """Nothing to be looked at: the watches tell."""
        return False

    def put(self, snapshot: Snapshot) -> None:
        """Let `snapshot` be in force, with the namespaces of the moment."""
        self.current = replace(snapshot, namespaces=self._labels())

    def _touch(self) -> None:
        self._stale = True
        self._touched.set()

    async def _run(self) -> None:
        while True:
            await self._touched.wait()
            await asyncio.sleep(_SETTLE)
            self._touched.clear()
            try:
                await self._renew()
            except Exception:  # noqa: BLE001 - a fault of ours must not end the following
                self._stale = True
                _LOG.exception("policies could not be compiled; what was in force stays")
                self._telemetry.reloaded("policies", failed=True)

    async def _renew(self) -> None:
        if any(each.objects is None for each in (*self._own, self._namespaces)):
            return
        if not self._stale:
            if self.current is not None:
                self.put(self.current)
            return
        self._stale = False
        started = time.monotonic()
        documents = [Document(value) for each in self._own for value in (each.objects or {}).values()]
        wanted = await asyncio.to_thread(referenced, documents, self._limits)
        await self._follow(wanted)
        named = [Document(value) for each in self._named.values() for value in (each.objects or {}).values()]
        snapshot = await asyncio.to_thread(self._compile, [*documents, *named])
        self.put(snapshot)
        self._telemetry.reloaded("policies", failed=False)
        self._use(snapshot)
        _LOG.debug("compiled in %.3f s", time.monotonic() - started)

    async def _follow(self, wanted: frozenset[ObjectRef]) -> None:
        """Watch exactly these by name. What is new has a moment to arrive: the policies before it stay in force so long."""
        gone = [self._named.pop(ref) for ref in self._named.keys() - wanted]
        new = sorted(wanted - self._named.keys(), key=str)
        for ref in new:
            reflector = self._by_name(ref)
            if reflector is not None:
                self._named[ref] = reflector
                reflector.start()
        await asyncio.gather(*(each.stop() for each in gone))
        waiting = [self._named[ref].attempted.wait() for ref in new if ref in self._named]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REFERENCES):
                await asyncio.gather(*waiting)

    def _by_name(self, ref: ObjectRef) -> Reflector[Mapping[str, Any]] | None:
        try:
            wanted = Wanted(_NAMED[ref.kind], resources.content, ref.namespace, resources.checked_name(ref.name))
            resources.checked_name(ref.namespace)
        except SigwardError:
            return None  # no object has such a name: it is absent, and who names it undecided
        return self._reflector(wanted, watches=len(self._named) < self._limits.watched_objects)

    def _labels(self) -> Mapping[str, Mapping[str, str]]:
        return MappingProxyType({name: labels for (_, name), labels in (self._namespaces.objects or {}).items()})
