"""An in-memory registry that speaks the OCI Distribution Specification 1.1 over HTTP, for demonstrations and tests.

    async with EmbeddedRegistry() as registry:
        registry.put_manifest("shop/web", content, tag="1.4")
        registry.host  # "127.0.0.1:43121"

Real clients push to it and pull from it. What is put in by method call is not checked; what is pushed is.
"""

import io
import json
import ssl
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from multidict import CIMultiDict

from controller.demo.authentication import Authentication, Scope
from controller.demo.failures import failure, too_large
from controller.demo.mediatypes import OCI_INDEX
from controller.demo.recording import Kind, RecordedRequest, RequestLog, kind_of
from controller.demo.store import Store, StoredManifest
from controller.demo.uploads import Uploads, parse_digest
from controller.reference import Digest, Repository

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_NAME: Final = r"{name:[a-z0-9]+(?:[._/-]+[a-z0-9]+)*}"
_MANIFEST_LIMIT: Final = 4 * 1024 * 1024
"""Bytes; the specification asks registries to take at least 4 MiB."""
_BLOB_LIMIT: Final = 256 * 1024 * 1024
_ONE_PIECE: Final = 64 * 1024
_STOP_AFTER: Final = 0.5
"""Seconds that requests under way get when the registry stops."""


class EmbeddedRegistry(Store):
    """The registry; also its `Store`.

    Args:
        referrers_api: Whether it has the referrers API. Without it, clients keep a tag with an index of the referrers.
        authentication: How it asks who is there; None lets everybody do everything.
        tls: Makes it speak HTTPS.
        page_size: Most referrers, and most tags, on one page.
        address: The address to listen on.
        port: The port; 0 takes any free one, which is kept over a stop and a new start.

    Attributes:
        requests: Every request it answered.
        referrers_api: As given; may be switched while it runs.
    """

    def __init__(
        self,
        *,
        referrers_api: bool = True,
        authentication: Authentication | None = None,
        tls: ssl.SSLContext | None = None,
        page_size: int = 1_000,
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__()
        self.referrers_api = referrers_api
        self.authentication = authentication
        self.page_size = page_size
        self.requests = RequestLog()
        self._tls = tls
        self._address = address
        self._port = port
        self._uploads = Uploads(self, _BLOB_LIMIT)
        self._runner: web.AppRunner | None = None

    @property
    def host(self) -> str:
        """`127.0.0.1:43121`: what stands before the path in a reference. Known from the first start on."""
        return f"[{self._address}]:{self._port}" if ":" in self._address else f"{self._address}:{self._port}"

    @property
    def url(self) -> str:
        """Scheme and host."""
        return f"{'https' if self._tls else 'http'}://{self.host}"

    def repository(self, path: str) -> Repository:
        """The canonical name of a repository here."""
        return Repository(self.host, path)

    async def start(self) -> None:
        """Listen. After a `stop`, listens on the same port again, with everything it held."""
        runner = web.AppRunner(self._application(), access_log=None, handle_signals=False, shutdown_timeout=_STOP_AFTER)
        await runner.setup()
        site = web.TCPSite(runner, self._address, self._port, ssl_context=self._tls, reuse_address=True)
        try:
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port and every connection; what it holds stays."""
        runner, self._runner = self._runner, None
        if runner:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer one request: authentication, then `handler`. Faulty registries put their faults around it."""
        self.authenticate(request)
        return await handler(request)

    def authenticate(self, request: web.Request) -> None:
        """Let the request pass, or raise the 401 that asks for a credential."""
        if self.authentication is None or kind_of(request.path) in {Kind.TOKEN, Kind.OTHER}:
            return
        challenge = self.authentication.challenge(request, _scope(request))
        if challenge is not None:
            raise failure(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._record], client_max_size=_MANIFEST_LIMIT)
        uploads = self._uploads
        session = f"/v2/{_NAME}/blobs/uploads/{{session}}"
        manifest = f"/v2/{_NAME}/manifests/{{reference}}"
        blob = f"/v2/{_NAME}/blobs/{{digest}}"
        application.add_routes(
            [
                web.get("/v2/", self._ping),
                web.get("/token", self._token),
                web.post("/token", self._token),
                web.post(f"/v2/{_NAME}/blobs/uploads/", uploads.start),
                web.patch(session, uploads.chunk),
                web.put(session, uploads.finish),
                web.get(session, uploads.status),
                web.delete(session, uploads.cancel),
                web.get(blob, self._get_blob),
                web.delete(blob, self._delete_blob),
                web.get(manifest, self._get_manifest),
                web.put(manifest, self._put_manifest),
                web.delete(manifest, self._delete_manifest),
                web.get(f"/v2/{_NAME}/referrers/{{digest}}", self._list_referrers),
                web.get(f"/v2/{_NAME}/tags/list", self._list_tags),
            ]
        )
        return application

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        status = 0
        try:
            response = await self.serve(request, handler)
        except web.HTTPException as error:
            status = error.status
            raise
        except Exception:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            raise
        else:
            status = response.status
            return response
        finally:
            headers = CIMultiDict(request.headers)
            self.requests.append(RecordedRequest(request.method, request.path, request.query_string, headers, status))

    async def _ping(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({}, headers={"Docker-Distribution-API-Version": "registry/2.0"})

    async def _token(self, request: web.Request) -> web.StreamResponse:
        if self.authentication is None:
            raise failure(404, "UNSUPPORTED", "this registry asks for no token")
        return await self.authentication.token(request)

    async def _get_blob(self, request: web.Request) -> web.StreamResponse:
        digest = parse_digest(request.match_info["digest"])
        content = self.blob(request.match_info["name"], digest)
        if content is None:
            raise failure(404, "BLOB_UNKNOWN", f"no blob {digest}")
        return _content(content, "application/octet-stream", digest)

    async def _delete_blob(self, request: web.Request) -> web.StreamResponse:
        if not self.delete_blob(request.match_info["name"], parse_digest(request.match_info["digest"])):
            raise failure(404, "BLOB_UNKNOWN", "no such blob")
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _get_manifest(self, request: web.Request) -> web.StreamResponse:
        manifest = self.manifest(request.match_info["name"], _wanted(request))
        if manifest is None:
            raise failure(404, "MANIFEST_UNKNOWN", f"no manifest {request.match_info['reference']}")
        return _content(manifest.content, manifest.media_type, manifest.digest)

    async def _put_manifest(self, request: web.Request) -> web.StreamResponse:
        path, wanted = request.match_info["name"], _wanted(request)
        content = await _manifest_body(request)
        self._check_pushed(path, content, request.content_type)
        digest = wanted if isinstance(wanted, Digest) else Digest.of(content)
        if Digest.of(content, digest.algorithm) != digest:
            raise failure(400, "DIGEST_INVALID", f"the manifest is not {digest}")
        tag = wanted if isinstance(wanted, str) else ""
        manifest = self.put_manifest(path, content, media_type=request.content_type, tag=tag, digest=digest)
        headers = {"Location": f"/v2/{path}/manifests/{digest}", "Docker-Content-Digest": str(digest)}
        if manifest.subject and self.referrers_api:
            headers["OCI-Subject"] = str(manifest.subject)
        return web.Response(status=HTTPStatus.CREATED, headers=headers)

    def _check_pushed(self, path: str, content: bytes, media_type: str) -> None:
        """What the specification lets a registry ask of a manifest: JSON, one media type, and its parts pushed before it."""
        try:
            document = json.loads(content)
            parts = [*document.get("layers", []), *([document["config"]] if "config" in document else [])]
            blobs = [Digest.parse(part["digest"]) for part in parts if not part.get("urls")]
            manifests = [Digest.parse(part["digest"]) for part in document.get("manifests", [])]
            declared = document.get("mediaType", media_type)
        except (ValueError, RecursionError, AttributeError, KeyError, TypeError) as error:
            raise failure(400, "MANIFEST_INVALID", f"not an image manifest or index: {error!r}") from None
        if declared != media_type:
            raise failure(400, "MANIFEST_INVALID", f"sent as {media_type}, but says {declared}")
        missing = [digest for digest in blobs if self.blob(path, digest) is None]
        missing += [digest for digest in manifests if self.manifest(path, digest) is None]
        if missing:
            raise failure(400, "MANIFEST_BLOB_UNKNOWN", f"not here: {missing[0]}")

    async def _delete_manifest(self, request: web.Request) -> web.StreamResponse:
        path, wanted = request.match_info["name"], _wanted(request)
        known = self.delete_manifest(path, wanted) if isinstance(wanted, Digest) else self.delete_tag(path, wanted)
        if not known:
            raise failure(404, "MANIFEST_UNKNOWN", f"no manifest {wanted}")
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _list_referrers(self, request: web.Request) -> web.StreamResponse:
        if not self.referrers_api:
            # Registries of before 1.1 know no such route and say so in plain text.
            raise web.HTTPNotFound(text="404 page not found\n")
        path, subject = request.match_info["name"], parse_digest(request.match_info["digest"])
        found = self.referrers(path, subject)
        headers = {}
        wanted = request.query.get("artifactType")
        if wanted:
            found = tuple(manifest for manifest in found if manifest.artifact_type == wanted)
            headers["OCI-Filters-Applied"] = "artifactType"
        start = _number(request, "offset", 0)
        end = start + min(_number(request, "n", self.page_size), self.page_size)
        if end < len(found):
            more = request.url.relative().update_query(offset=end)
            headers["Link"] = f'<{more}>; rel="next"'
        return _index(found[start:end], headers)

    async def _list_tags(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["name"]
        tags = self.tags(path, after=request.query.get("last", ""))
        if tags is None:
            raise failure(404, "NAME_UNKNOWN", f"no repository {path}")
        size = min(_number(request, "n", self.page_size), self.page_size)
        headers = {}
        if size and size < len(tags):
            more = request.url.relative().update_query(n=size, last=tags[size - 1])
            headers["Link"] = f'<{more}>; rel="next"'
        return web.json_response({"name": path, "tags": tags[:size]}, headers=headers)


def _scope(request: web.Request) -> Scope:
    """What the request needs; writing needs reading too, because clients ask for both."""
    actions = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}.get(request.method, {"pull", "push"})
    path = request.match_info.get("name", "")
    return Scope(path, frozenset(actions)) if path else Scope()


def _wanted(request: web.Request) -> str | Digest:
    reference = request.match_info["reference"]
    return parse_digest(reference) if ":" in reference else reference


async def _manifest_body(request: web.Request) -> bytes:
    try:
        return await request.read()
    except web.HTTPRequestEntityTooLarge as error:
        raise too_large("MANIFEST_INVALID", _MANIFEST_LIMIT, request.content_length or 0) from error


def _number(request: web.Request, name: str, default: int) -> int:
    value = request.query.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else default


def _content(content: bytes, media_type: str, digest: Digest) -> web.StreamResponse:
    # HEAD answers the same: aiohttp keeps the length and drops the body. A stream is sent in pieces, bytes in one.
    headers = {"Docker-Content-Digest": str(digest), "Content-Type": media_type, "ETag": f'"{digest}"'}
    return web.Response(body=content if len(content) <= _ONE_PIECE else io.BytesIO(content), headers=headers)


def _index(manifests: tuple[StoredManifest, ...], headers: dict[str, str]) -> web.StreamResponse:
    index = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [manifest.descriptor() for manifest in manifests],
    }
    return web.Response(body=io.BytesIO(json.dumps(index).encode()), headers={"Content-Type": OCI_INDEX, **headers})
