"""A lookaside web server, where OpenPGP signatures are kept."""

from aiohttp import web
from multidict import CIMultiDict

from controller.demo.images import Image
from controller.demo.recording import RecordedRequest
from tests.fakes.servers import Recorder


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
