"""Servers that are no registry: one that writes down what reaches it, one that never says a word."""

import socket
from types import TracebackType
from typing import Self

from aiohttp import web
from multidict import CIMultiDict

from controller.demo.recording import RecordedRequest, RequestLog


class Recorder:
    """Answers every request alike and records it with its headers: the proof of what a foreign host gets to see.

    Args:
        status: Of every answer.
        body: Of every answer.
        headers: Of every answer.
    """

    def __init__(self, status: int = 200, body: bytes = b"{}", headers: dict[str, str] | None = None) -> None:
        self.requests = RequestLog()
        self.status = status
        self.body = body
        self.headers = headers or {}
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """Scheme and host."""
        return f"http://{self.host}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runner = runner
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        headers = CIMultiDict(request.headers)
        query = request.query_string
        self.requests.append(RecordedRequest(request.method, request.path, query, headers, self.status))
        return web.Response(status=self.status, body=self.body, headers=self.headers)


class HangingListener:
    """A port on which connections open (the kernel sees to that) and nobody ever reads or answers."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(64)

    @property
    def host(self) -> str:
        """Address and port."""
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
