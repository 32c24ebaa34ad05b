"""The embedded registry with faults that a test switches on and off, request by request."""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from controller.demo.authentication import Authentication
from controller.demo.recording import Kind, kind_of
from controller.demo.registry import EmbeddedRegistry, Handler
from tests.fakes.faults import Behaviour, Call


@dataclass(slots=True)
class Fault:
    """A behaviour, which requests meet it, and how often. `hits` counts those that did."""

    behaviour: Behaviour
    kinds: frozenset[Kind]
    methods: frozenset[str]
    path: re.Pattern[str]
    times: int | None
    skip: int
    before_authentication: bool
    hits: int = 0

    def concerns(self, request: web.Request) -> bool:
        """Whether the request is of those that meet it, while it lasts."""
        lasts = self.times is None or self.hits < self.times
        fits = not self.kinds or kind_of(request.path) in self.kinds
        return lasts and fits and request.method in self.methods and self.path.search(request.path) is not None


class FaultyRegistry(EmbeddedRegistry):
    """`EmbeddedRegistry`, and what is wrong with it."""

    def __init__(
        self,
        *,
        referrers_api: bool = True,
        authentication: Authentication | None = None,
        page_size: int = 1_000,
    ) -> None:
        super().__init__(referrers_api=referrers_api, authentication=authentication, page_size=page_size)
        self._faults: list[Fault] = []
        self._stopping = asyncio.Event()

    def inject(
        self,
        behaviour: Behaviour,
        *kinds: Kind,
        methods: Collection[str] = ("GET", "HEAD"),
        path: str = "",
        times: int | None = None,
        skip: int = 0,
        before_authentication: bool = False,
    ) -> Fault:
        """Let requests meet a fault. Of several that fit, the one injected first is met.

        Args:
            behaviour: What happens (`faults`).
            kinds: To which kinds of request; to all, where none is named.
            methods: To which methods.
            path: To which paths: a regular expression that is searched for.
            times: How often; None for ever.
            skip: How many such requests are answered truly before.
            before_authentication: Whether the fault comes before the question who is there.
        """
        fault = Fault(behaviour, frozenset(kinds), frozenset(methods), re.compile(path), times, skip, before_authentication)
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Take all faults away."""
        self._faults.clear()

    async def start(self) -> None:
        """As the base class."""
        self._stopping.clear()
        await super().start()

    async def stop(self) -> None:
        """As the base class, without waiting for what hangs."""
        self._stopping.set()
        await super().stop()

    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """As the base class, unless a fault comes between."""
        fault = next((fault for fault in self._faults if fault.concerns(request)), None)
        proceed = partial(super().serve, request, handler)
        if fault is None:
            return await proceed()
        if not fault.before_authentication:
            self.authenticate(request)
        if fault.skip:
            fault.skip -= 1
            return await proceed()
        fault.hits += 1
        return await fault.behaviour(Call(request, proceed, self._stopping))
