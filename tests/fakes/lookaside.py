"""Where OpenPGP signatures are kept: a lookaside web server, and a registry with the signature extension."""

import base64
from collections import defaultdict
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict

from controller.demo.authentication import Scope
from controller.demo.failures import failure
from controller.demo.images import Image
from controller.demo.recording import RecordedRequest
from controller.demo.registry import EmbeddedRegistry, Handler
from tests.fakes.servers import Recorder

_EXTENSION: Final = "/extensions/v2/"


class LookasideServer(Recorder):
    """Files at `<base>/<repository>@sha256=<hex>/signature-N`, 404 for everything else; records requests.

    `failing` maps the end of a path to the status it is answered with instead.
    """

    def __init__(self) -> None:
        super().__init__()
        self.files: dict[str, bytes] = {}
        self.failing: dict[str, int] = {}

    @property
    def base(self) -> str:
        """What settings name."""
        return f"{self.url}/sigstore"

    def add(self, image: Image, *messages: bytes) -> None:
        """Store signatures of an image, after those it has."""
        folder = f"/sigstore/{image.path}@{image.digest.algorithm}={image.digest.hex}"
        number = sum(path.startswith(f"{folder}/") for path in self.files)
        for message in messages:
            number += 1
            self.files[f"{folder}/signature-{number}"] = message

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        status = next((status for end, status in self.failing.items() if request.path.endswith(end)), 0)
        content = self.files.get(request.path)
        status = status or (404 if content is None else 200)
        headers = CIMultiDict(request.headers)
        self.requests.append(RecordedRequest(request.method, request.path, request.query_string, headers, status))
        return web.Response(status=status, body=content or b"")


class ExtensionRegistry(EmbeddedRegistry):
    """A registry as OpenShift's: it says `X-Registry-Supports-Signatures` and lists signatures by digest.

    `advertised` is that header's value; `listing` replaces the whole answer where it is set.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.advertised = "1"
        self.listing: bytes | None = None
        self.entries: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def add(self, image: Image, *messages: bytes, **changes: Any) -> None:
        """Store signatures of an image; `changes` replace members of their entries."""
        for message in messages:
            entry = {
                "schemaVersion": 2,
                "name": f"{image.digest}@{len(self.entries):032x}",
                "type": "atomic",
                "content": base64.b64encode(message).decode(),
            }
            self.entries[f"{image.path}/signatures/{image.digest}"].append({**entry, **changes})

    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(_EXTENSION):
            return self._list(request)
        try:
            response = await super().serve(request, handler)
        except web.HTTPException as error:
            error.headers["X-Registry-Supports-Signatures"] = self.advertised
            raise
        response.headers["X-Registry-Supports-Signatures"] = self.advertised
        return response

    def _list(self, request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix(_EXTENSION)
        if self.authentication is not None:
            scope = Scope(name.partition("/signatures/")[0], frozenset({"pull"}))
            challenge = self.authentication.challenge(request, scope)
            if challenge is not None:
                raise failure(401, "UNAUTHORIZED", "authentication required", {"WWW-Authenticate": challenge})
        if self.listing is not None:
            return web.Response(body=self.listing, content_type="application/json")
        return web.json_response({"signatures": self.entries.get(name, [])})
