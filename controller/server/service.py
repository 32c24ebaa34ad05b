"""The two listeners: admission over TLS, and health with metrics beside it."""

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from aiohttp import web

from controller.server.connections import Connections
from controller.server.door import AdmissionDoor
from controller.settings import Limits
from controller.telemetry import METRICS_TYPE, Telemetry

_HANDSHAKE: Final = 10.0
"""Seconds a TLS handshake may take."""
_BACKLOG: Final = 1024
"""Connections waiting to be accepted; a burst of pods must not meet a refused connection."""
_GOODBYE: Final = 1.0
"""Seconds for closing connections after the last answer."""


class AdmissionServer:
    """HTTPS for the API server.

    Args:
        door: Answers requests.
        context: TLS.
        limits: `connection_age`, `lame_duck`, `drain` and the sizes.
    """

    def __init__(self, door: AdmissionDoor, context: ssl.SSLContext, limits: Limits) -> None:
        self._door = door
        self._context = context
        self._limits = limits
        self._connections: Connections | None = None
        self._listener: asyncio.Server | None = None
        self._draining = False

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which is a free one where 0 is asked for.

        Raises:
            OSError: The address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        self._connections = Connections(self._handle, self._limits)
        self._listener = await loop.create_server(
            self._connections, host, port, ssl=self._context, ssl_handshake_timeout=_HANDSHAKE, backlog=_BACKLOG
        )
        return int(self._listener.sockets[0].getsockname()[1])

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        response = await self._door(request)
        if self._connections is None or self._connections.expired(request.protocol) or self._draining:
            response.force_close()
        return response

    def close_silent(self) -> None:
        """Close connections that never asked anything."""
        if self._connections is not None:
            self._connections.close_silent()

    async def drain(self, *, wait: bool = True) -> None:
        """Stop without failing anybody; the process must have said before that it is not ready.

        For `lame_duck` seconds everything is still answered, each answer closing its connection, because the news of a
        replica's end reaches API servers later than the replica. Then nothing new is accepted, and what is under way has
        `drain` seconds.

        Args:
            wait: False leaves the first part out: nobody else sends requests here.
        """
        self._draining = True
        if wait:
            await asyncio.sleep(self._limits.lame_duck)
        if self._listener is None or self._connections is None:
            return
        self._listener.close()
        self._connections.pre_shutdown()  # idle connections now, the others after their answer
        await self._connections.shutdown(self._limits.drain)


class HealthServer:
    """Plain HTTP for the kubelet and Prometheus: `/healthz`, `/readyz`, `/metrics`.

    Args:
        ready: Why the process is not ready; empty when it is.
        telemetry: The metrics.
    """

    def __init__(self, ready: Callable[[], str], telemetry: Telemetry) -> None:
        self._ready = ready
        self._telemetry = telemetry
        self._pages: dict[str, Callable[[], web.Response]] = {
            "/healthz": lambda: _text(HTTPStatus.OK, "ok"),
            "/readyz": self._readyz,
            "/metrics": self._metrics,
        }
        self._connections: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port.

        Raises:
            OSError: The address is taken or not ours.
        """
        self._connections = web.Server(self._handle, access_log=None)
        self._listener = await asyncio.get_running_loop().create_server(self._connections, host, port)
        return int(self._listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop at once."""
        if self._listener is not None and self._connections is not None:
            self._listener.close()
            await self._connections.shutdown(_GOODBYE)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        page = self._pages.get(request.path)
        if page is None:
            return _text(HTTPStatus.NOT_FOUND, "no such path")
        if request.method not in {"GET", "HEAD"}:
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "read only")
        return page()

    def _readyz(self) -> web.Response:
        why = self._ready()
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, why) if why else _text(HTTPStatus.OK, "ok")

    def _metrics(self) -> web.Response:
        return web.Response(body=self._telemetry.render(), headers={"Content-Type": METRICS_TYPE})


def _text(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
