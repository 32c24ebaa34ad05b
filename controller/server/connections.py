"""Connections of the API server: kept alive, but not for ever; bounded before anything of them is believed."""

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from controller.settings import Limits

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

_KEEP_ALIVE: Final = 150.0
"""Seconds an idle connection stays: longer than the 90 s after which Go's client closes it, so that we never close first."""
_FIRST_REQUEST: Final = 30.0
"""Seconds within which a new connection has sent its first request."""
_LINGER: Final = 1.0
"""Seconds during which the rest of a refused body is read and thrown away, so that the answer is not lost."""
_SPREAD: Final = 0.2
"""By how much, up or down, ages differ: connections opened together do not close together."""


class Connections(web.Server):  # type: ignore[misc, unused-ignore]
    """An HTTP/1.1 server that knows how old each of its connections is.

    Args:
        handler: Answers one request.
        limits: `review_bytes`, `headers_bytes` and `connection_age`.
    """

    def __init__(self, handler: Handler, limits: Limits) -> None:
        self._limits = limits
        self._until: dict[RequestHandler, float] = {}
        self._silent: dict[RequestHandler, float] = {}
        self._clock = asyncio.get_running_loop().time
        super().__init__(
            handler,
            request_factory=functools.partial(
                web.BaseRequest, loop=asyncio.get_running_loop(), client_max_size=limits.review_bytes
            ),
            keepalive_timeout=_KEEP_ALIVE,
            lingering_time=_LINGER,
            max_line_size=limits.headers_bytes,
            max_field_size=limits.headers_bytes,
            auto_decompress=False,  # the API server does not compress; who does means to surprise
            access_log=None,
        )

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        """Note when the connection opened and until when it is kept."""
        super().connection_made(handler, transport)
        now = self._clock()
        age = self._limits.connection_age
        self._until[handler] = now + age * random.uniform(1 - _SPREAD, 1 + _SPREAD)
        self._silent[handler] = now + _FIRST_REQUEST

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        """Forget it."""
        super().connection_lost(handler, exc)
        self._until.pop(handler, None)
        self._silent.pop(handler, None)

    def expired(self, handler: RequestHandler) -> bool:
        """Whether the connection, on which a request has come, is to be closed with its answer."""
        self._silent.pop(handler, None)
        return self._clock() >= self._until.get(handler, 0.0)

    def close_silent(self) -> None:
        """Close connections on which no request has come in time."""
        now = self._clock()
        for handler, until in list(self._silent.items()):
            if now >= until:
                handler.force_close()
