"""A Kubernetes API server that runs: list with pages, watch with bookmarks, versions, 410s, and what goes wrong.

It speaks what the API concepts say of lists and watches, for any resource; what it lacks (schemas, RBAC, webhooks) is shown
on the real one in `tests/e2e`. Every request is recorded.
"""

import asyncio
import contextlib
import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml
from aiohttp import web
from multidict import CIMultiDict

from controller.demo.recording import RecordedRequest, RequestLog

Fault = int | str
"""A status to answer with, `hang`, or `break` (the connection is closed without an answer)."""


@dataclass(frozen=True)
class Where:
    """What a path is about."""

    plural: str
    namespace: str = ""
    name: str = ""


@dataclass
class _Event:
    version: int
    kind: str
    plural: str
    value: dict[str, Any]


@dataclass
class ApiServer:
    """`async with ApiServer() as api: api.put("clustertrustpolicies", document)`.

    Attributes:
        requests: Every request so far.
        token: The bearer token that is asked for; empty asks for none.
        faults: What happens instead of an answer, by plural; `*` for all. A callable decides by what is asked.
        unknown: Plurals that are not served (404), as without their CustomResourceDefinition.
        bookmarks: Seconds between bookmarks.
        largest_page: Objects of one page at most, whatever is asked.
    """

    requests: RequestLog = field(default_factory=RequestLog)
    token: str = ""
    faults: dict[str, Fault | Callable[[web.Request, Where], Fault | None]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    bookmarks: float = 60.0
    largest_page: int = 500
    version: int = 100
    port: int = 0

    def __post_init__(self) -> None:
        self._objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self._log: list[_Event] = []
        self._oldest = 0
        self._news = asyncio.Condition()
        self._watches: list[web.Request] = []
        self._runner: web.AppRunner | None = None
        self.watching = 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; on the same port as before where it was stopped."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Go away, and break every watch."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self.cut()
            await runner.cleanup()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def kubeconfig(self, folder: Path, namespace: str = "sigward", token_file: Path | None = None) -> Path:
        """Write a kubeconfig for it."""
        user: dict[str, Any] = {"token": self.token} if self.token else {}
        if token_file is not None:
            user = {"tokenFile": str(token_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me", "namespace": namespace}}],
            "clusters": [{"name": "here", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": user}],
        }
        path = folder / "kubeconfig"
        path.write_text(yaml.safe_dump(document), encoding="utf-8")
        return path

    def put(self, plural: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace an object; watchers hear of it."""
        value = copy.deepcopy(dict(document))
        metadata = value.setdefault("metadata", {})
        key = (plural, metadata.get("namespace", ""), metadata["name"])
        before = self._objects.get(key)
        self.version += 1
        metadata["resourceVersion"] = str(self.version)
        metadata.setdefault("uid", f"uid-{self.version}" if before is None else before["metadata"]["uid"])
        metadata.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
        metadata.setdefault("managedFields", [{"manager": "kubectl", "operation": "Update"}])
        self._objects[key] = value
        self._happened("ADDED" if before is None else "MODIFIED", plural, value)
        return value

    def delete(self, plural: str, name: str, namespace: str = "") -> None:
        """Delete an object; watchers hear of it."""
        value = copy.deepcopy(self._objects.pop((plural, namespace, name)))
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        self._happened("DELETED", plural, value)

    def compact(self) -> None:
        """Forget what happened: whoever goes on from an earlier version is told 410."""
        self._oldest = self.version
        self._log.clear()

    def cut(self) -> None:
        """Break the connection of every watch under way, in the middle."""
        for request in list(self._watches):
            if request.transport is not None:
                request.transport.abort()

    def asked(self, plural: str, *, watch: bool | None = None) -> list[RecordedRequest]:
        """The requests about a resource."""
        return [
            each
            for each in self.requests
            if _where(each.path).plural == plural and (watch is None or ("watch=1" in each.query) is watch)
        ]

    def _happened(self, kind: str, plural: str, value: dict[str, Any]) -> None:
        self._log.append(_Event(self.version, kind, plural, copy.deepcopy(value)))

        async def tell() -> None:
            async with self._news:
                self._news.notify_all()

        with contextlib.suppress(RuntimeError):  # nobody runs yet: nobody watches yet
            self._telling = asyncio.get_running_loop().create_task(tell())

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        where = _where(request.path)
        fault = self.faults.get(where.plural, self.faults.get("*"))
        fault = fault(request, where) if callable(fault) else fault
        response = await self._refusal(request, where, fault)
        status = 200 if response is None else response.status
        headers = CIMultiDict(request.headers)
        self.requests.append(RecordedRequest(request.method, request.path, request.query_string, headers, status))
        if response is not None:
            return response
        if request.query.get("watch") in {"1", "true"}:
            return await self._watch(request, where)
        return self._get(request, where) if where.name else self._list(request, where)

    async def _refusal(self, request: web.Request, where: Where, fault: Fault | None) -> web.Response | None:
        if fault == "hang":
            await asyncio.sleep(3600)
        if fault == "break":
            assert request.transport is not None
            request.transport.abort()
            return _status(500, "broken")
        if isinstance(fault, int):
            return _status(fault, "because the test says so")
        if self.token and request.headers.get("Authorization", "").lower() != f"bearer {self.token}".lower():
            return _status(401, "Unauthorized")
        return _status(404, "the server could not find the requested resource") if where.plural in self.unknown else None

    def _selected(self, request: web.Request, where: Where) -> list[dict[str, Any]]:
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        return [
            value
            for (plural, namespace, own), value in sorted(self._objects.items())
            if plural == where.plural and where.namespace in {"", namespace} and name in {"", own}
        ]

    def _get(self, request: web.Request, where: Where) -> web.Response:
        value = self._objects.get((where.plural, where.namespace, where.name))
        return _status(404, f'"{where.name}" not found') if value is None else web.json_response(_form(request, value))

    def _list(self, request: web.Request, where: Where) -> web.Response:
        token = request.query.get("continue", "")
        version, start = (int(part) for part in token.split(":")) if token else (self.version, 0)
        if version < self._oldest:
            return _status(410, "the continue token is too old")
        items = self._selected(request, where)
        size = min(int(request.query.get("limit", "0")) or self.largest_page, self.largest_page)
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if start + size < len(items):
            metadata["continue"] = f"{version}:{start + size}"
        listed = [_form(request, value, listed=True) for value in items[start : start + size]]
        return web.json_response({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": listed})

    async def _watch(self, request: web.Request, where: Where) -> web.StreamResponse:
        text = request.query.get("resourceVersion", "")
        since = int(text) if text not in {"", "0"} else self.version
        if since < self._oldest:
            return _status(410, "too old resource version")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._watches.append(request)
        self.watching += 1
        try:
            async with asyncio.timeout(float(request.query.get("timeoutSeconds", "300"))):
                await self._follow(request, response, where, since)
        except (TimeoutError, ConnectionError):
            pass
        finally:
            self._watches = [each for each in self._watches if each is not request]
            self.watching -= 1
        return response

    async def _follow(self, request: web.Request, response: web.StreamResponse, where: Where, since: int) -> None:
        name = request.query.get("fieldSelector", "").removeprefix("metadata.name=")
        while True:
            if since < self._oldest:
                error = {"kind": "Status", "code": 410, "message": "too old resource version"}
                await response.write(json.dumps({"type": "ERROR", "object": error}).encode() + b"\n")
                return
            for event in [event for event in self._log if event.version > since]:
                since = event.version
                metadata = event.value["metadata"]
                here = where.namespace in {"", metadata.get("namespace", "")} and name in {"", metadata["name"]}
                if event.plural == where.plural and here:
                    line = {"type": event.kind, "object": _form(request, event.value)}
                    await response.write(json.dumps(line).encode() + b"\n")
            if not await self._news_since(since):
                since = self.version
                bookmark = {"kind": "Any", "apiVersion": "v1", "metadata": {"resourceVersion": str(since)}}
                await response.write(json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n")

    async def _news_since(self, since: int) -> bool:
        """Whether something happened before the next bookmark is due."""
        try:
            async with asyncio.timeout(self.bookmarks), self._news:
                await self._news.wait_for(lambda: self.version > since or self._oldest > since)
        except TimeoutError:
            return False
        return True


def _where(path: str) -> Where:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = ""
    if len(parts) > 2 and parts[0] == "namespaces":
        namespace, parts = parts[1], parts[2:]
    return Where(parts[0] if parts else "", namespace, parts[1] if len(parts) > 1 else "")


def _form(request: web.Request, value: Mapping[str, Any], *, listed: bool = False) -> dict[str, Any]:
    """The object as it was asked for: whole, or its metadata. Items of a list do not say what they are."""
    if "as=PartialObjectMetadata" in request.headers.get("Accept", ""):
        return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]}
    return {key: part for key, part in value.items() if not listed or key not in {"kind", "apiVersion"}}


def _status(code: int, message: str) -> web.Response:
    document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code}
    return web.json_response(document, status=code)


@contextlib.asynccontextmanager
async def cut_off(api: ApiServer) -> AsyncIterator[None]:
    """For a while the API server cannot be reached; it goes on living, and forgets nothing."""
    await api.stop()
    try:
        yield
    finally:
        await api.start()
