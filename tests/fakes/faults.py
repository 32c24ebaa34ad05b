"""What can be wrong with a registry's answer. Each function makes a behaviour for `FaultyRegistry.inject`."""

import asyncio
import gzip
import json
import secrets
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from aiohttp.payload import Payload

from controller.demo.mediatypes import OCI_INDEX, OCI_MANIFEST
from controller.demo.recording import Kind, kind_of
from controller.reference import Digest

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Call:
    """One request that meets a fault.

    `proceed` gives the true answer; `stopping` is set when the registry stops, and ends what would otherwise wait.
    """

    request: web.Request
    proceed: Callable[[], Awaitable[web.StreamResponse]]
    stopping: asyncio.Event


Behaviour = Callable[[Call], Awaitable[web.StreamResponse]]


class NoAnswer(web.StreamResponse):
    """Stands for an answer that was never sent, or was written past aiohttp. Recorded as status 0."""

    def __init__(self) -> None:
        super().__init__(status=0, reason="")
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> None:
        """Write nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Write nothing."""


def slow(seconds: float) -> Behaviour:
    """The true answer, late."""

    async def behave(call: Call) -> web.StreamResponse:
        await _wait(call, seconds)
        return await call.proceed()

    return behave


def hang() -> Behaviour:
    """The request is read and never answered."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.stopping.wait()
        return NoAnswer()

    return behave


def reset() -> Behaviour:
    """The connection is reset (TCP RST) instead of an answer."""

    async def behave(call: Call) -> web.StreamResponse:
        transport = _transport(call)
        own = transport.get_extra_info("socket")
        if own is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        return NoAnswer()

    return behave


def status(code: int, headers: dict[str, str] | None = None, body: bytes = b"") -> Behaviour:
    """A fixed answer: any status, any headers, any body."""

    async def behave(_: Call) -> web.StreamResponse:
        return web.Response(status=code, headers=headers, body=body)

    return behave


def too_many_requests(retry_after: str = "1") -> Behaviour:
    """429 with `Retry-After`: seconds, or an HTTP date."""
    return status(429, {"Retry-After": retry_after}, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}')


def challenge(realm: str, service: str = "registry", scheme: str = "Bearer") -> Behaviour:
    """401 that sends the client to any realm."""
    return status(401, {"WWW-Authenticate": f'{scheme} realm="{realm}",service="{service}"'})


def redirect(base: str, code: int = 307) -> Behaviour:
    """Sends the client to the same path on another server."""

    async def behave(call: Call) -> web.StreamResponse:
        return web.Response(status=code, headers={"Location": f"{base}{call.request.rel_url}"})

    return behave


def header(name: str, value: str | None) -> Behaviour:
    """The true answer with one header changed or added; None removes it."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.proceed()
        response.headers.popall(name, None)
        if value is not None:
            response.headers[name] = value
        return response

    return behave


def content(body: bytes) -> Behaviour:
    """The true headers, the true digest among them, over another body."""

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.proceed()
        headers = {name: value for name, value in response.headers.items() if name.lower() != "content-length"}
        return web.Response(status=response.status, headers=headers, body=body)

    return behave


def truncated(keep: int = 1) -> Behaviour:
    """The true headers and length, `keep` bytes of the body, then the connection closes."""

    async def behave(call: Call) -> web.StreamResponse:
        body, headers = await _true(call)
        response = web.StreamResponse(headers=headers)
        response.content_length = len(body)
        await response.prepare(call.request)
        await response.write(body[:keep])
        _transport(call).close()
        return NoAnswer()

    return behave


def lying_length(length: int) -> Behaviour:
    """The true body under another Content-Length, shorter or longer; the connection closes after it."""

    async def behave(call: Call) -> web.StreamResponse:
        body, headers = await _true(call)
        lines = [f"{name}: {value}" for name, value in headers.items() if name.lower() != "content-length"]
        head = "\r\n".join(["HTTP/1.1 200 OK", *lines, f"Content-Length: {length}", "", ""])
        transport = _transport(call)
        transport.write(head.encode() + body)
        transport.close()
        return NoAnswer()

    return behave


def endless(chunk: bytes = b" " * 65536, *, pause: float = 0) -> Behaviour:
    """A chunked body that goes on until the client leaves, `pause` seconds between its chunks."""

    async def behave(call: Call) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": OCI_MANIFEST})
        response.enable_chunked_encoding()
        await response.prepare(call.request)
        try:
            while not call.stopping.is_set():
                await response.write(chunk)
                await _wait(call, pause)
        except ConnectionError:
            return NoAnswer()
        return response

    return behave


def gzip_bomb(size: int = 256 * MIB) -> Behaviour:
    """A body of `size` bytes that travels as a thousandth of them (`Content-Encoding: gzip`)."""
    one = gzip.compress(bytes(MIB))
    body = one * (size // MIB)  # RFC 1952, section 2.2: members follow one another

    async def behave(call: Call) -> web.StreamResponse:
        response = await call.proceed()
        headers = {"Content-Type": response.headers.get("Content-Type", OCI_MANIFEST), "Content-Encoding": "gzip"}
        response = web.StreamResponse(headers=headers)
        response.content_length = len(body)
        await response.prepare(call.request)
        try:
            for start in range(0, len(body), 65536):
                await response.write(body[start : start + 65536])
        except ConnectionError:
            return NoAnswer()
        return response

    return behave


def pages(*, same: bool = False, entries: int = 1) -> Behaviour:
    """Pages of referrers and tags without end: each links to a new one, or (`same`) to itself; `entries` are invented."""

    async def behave(call: Call) -> web.StreamResponse:
        url = call.request.rel_url
        following = url if same else url.update_query(page=secrets.token_hex(4))
        headers = {"Link": f'<{following}>; rel="next"'}
        if kind_of(call.request.path) is Kind.TAGS:
            tags = [f"t{secrets.token_hex(4)}" for _ in range(entries)]
            return web.json_response({"name": call.request.match_info["name"], "tags": tags}, headers=headers)
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [_invented() for _ in range(entries)]}
        return web.Response(body=json.dumps(index).encode(), headers={"Content-Type": OCI_INDEX, **headers})

    return behave


def huge_manifest(size: int) -> bytes:
    """A well-formed image manifest of exactly `size` bytes, most of them one annotation."""
    head = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": _invented(), "layers": [], "annotations": {"pad": ""}}
    return json.dumps({**head, "annotations": {"pad": "x" * (size - len(json.dumps(head)))}}).encode()


def _invented() -> dict[str, object]:
    digest = Digest.of(secrets.token_bytes(8))
    return {"mediaType": OCI_MANIFEST, "size": 2, "digest": str(digest), "artifactType": "application/x-invented"}


async def _true(call: Call) -> tuple[bytes, dict[str, str]]:
    response = await call.proceed()
    assert isinstance(response, web.Response)
    body = response.body
    raw = await body.as_bytes() if isinstance(body, Payload) else bytes(body or b"")
    return raw, dict(response.headers)


def _transport(call: Call) -> asyncio.WriteTransport:
    transport = call.request.transport
    assert isinstance(transport, asyncio.WriteTransport)
    return transport


async def _wait(call: Call, seconds: float) -> None:
    if seconds:
        waiting = asyncio.ensure_future(call.stopping.wait())
        await asyncio.wait([waiting], timeout=seconds)
        waiting.cancel()
    else:
        await asyncio.sleep(0)
