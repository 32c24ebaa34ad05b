"""Blob uploads: monolithic, in chunks, and by mount (distribution specification, "Pushing blobs")."""

import re
import uuid
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from controller.demo.failures import failure, too_large
from controller.demo.store import Store
from controller.errors import Invalid
from controller.reference import Digest

_MAX_SESSIONS: Final = 1_000
_RANGE: Final = re.compile(r"(?:bytes )?(\d{1,15})-(\d{1,15})(?:/.*)?", re.ASCII)


@dataclass(slots=True)
class _Session:
    path: str
    content: bytearray = field(default_factory=bytearray)


class Uploads:
    """The uploads under way.

    Args:
        store: Where finished blobs go.
        limit: Most bytes of one blob.
    """

    def __init__(self, store: Store, limit: int) -> None:
        self._store = store
        self._limit = limit
        self._sessions: dict[str, _Session] = {}

    async def start(self, request: web.Request) -> web.StreamResponse:
        """POST: take the whole blob (`digest`), mount it (`mount`, `from`), or open a session."""
        path = request.match_info["name"]
        if "digest" in request.query:
            return self._finish(path, await self._body(request, bytearray()), request.query["digest"])
        if "mount" in request.query:
            digest = parse_digest(request.query["mount"])
            content = self._store.blob(request.query.get("from", ""), digest)
            if content is not None:
                return self._finish(path, content, str(digest))
        if len(self._sessions) >= _MAX_SESSIONS:
            raise failure(429, "TOOMANYREQUESTS", f"{_MAX_SESSIONS} uploads are open", {"Retry-After": "1"})
        name = str(uuid.uuid4())
        self._sessions[name] = _Session(path)
        return self._progress(name, 202)

    async def chunk(self, request: web.Request) -> web.StreamResponse:
        """PATCH: append a chunk, which must continue where the last one ended."""
        name, session = self._session(request)
        self._check_range(request, session)
        await self._body(request, session.content)
        return self._progress(name, 202)

    async def finish(self, request: web.Request) -> web.StreamResponse:
        """PUT: append the last chunk, if any, and close under `digest`."""
        name, session = self._session(request)
        self._check_range(request, session)
        content = await self._body(request, session.content)
        response = self._finish(session.path, content, request.query.get("digest", ""))
        del self._sessions[name]
        return response

    async def status(self, request: web.Request) -> web.StreamResponse:
        """GET: how far the upload has come."""
        return self._progress(self._session(request)[0], 204)

    async def cancel(self, request: web.Request) -> web.StreamResponse:
        """DELETE: give the upload up."""
        del self._sessions[self._session(request)[0]]
        return web.Response(status=204)

    def _session(self, request: web.Request) -> tuple[str, _Session]:
        name = request.match_info["session"]
        session = self._sessions.get(name)
        if session is None or session.path != request.match_info["name"]:
            raise failure(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        return name, session

    def _check_range(self, request: web.Request, session: _Session) -> None:
        value = request.headers.get("Content-Range")
        if value is None:
            return
        match = _RANGE.fullmatch(value)
        if not match or int(match[1]) != len(session.content):
            raise failure(416, "BLOB_UPLOAD_INVALID", "the chunk does not continue the upload", self._place(session))

    async def _body(self, request: web.Request, into: bytearray) -> bytes | bytearray:
        async for part in request.content.iter_any():
            if len(into) + len(part) > self._limit:
                raise too_large("BLOB_UPLOAD_INVALID", self._limit, len(into) + len(part))
            into += part
        return into

    def _finish(self, path: str, content: bytes | bytearray, name: str) -> web.StreamResponse:
        digest = parse_digest(name)
        blob = bytes(content)
        if Digest.of(blob, digest.algorithm) != digest:
            raise failure(400, "DIGEST_INVALID", f"the content is not {digest}")
        self._store.put_blob(path, blob, algorithm=digest.algorithm)
        headers = {"Location": f"/v2/{path}/blobs/{digest}", "Docker-Content-Digest": str(digest)}
        return web.Response(status=201, headers=headers)

    def _progress(self, name: str, status: int) -> web.StreamResponse:
        session = self._sessions[name]
        headers = {
            "Location": f"/v2/{session.path}/blobs/uploads/{name}",
            "Docker-Upload-UUID": name,
            **self._place(session),
        }
        return web.Response(status=status, headers=headers)

    @staticmethod
    def _place(session: _Session) -> dict[str, str]:
        """The specification asks for the last byte's position; of an empty upload `0-0` is what registries say."""
        return {"Range": f"0-{max(len(session.content) - 1, 0)}"}


def parse_digest(value: str) -> Digest:
    """Read a digest out of a request.

    Raises:
        web.HTTPException: 400 `DIGEST_INVALID`.
    """
    try:
        return Digest.parse(value)
    except Invalid as error:
        raise failure(400, "DIGEST_INVALID", str(error)) from None
