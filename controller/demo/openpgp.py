"""A vendor that signs as podman and skopeo do: OpenPGP simple signing, kept in a registry's signature extension.

containers/image, docs/containers-signature.5.md and docker/docker_client.go.
"""

import base64
import importlib.util
from collections import defaultdict
from typing import Any, Final

from aiohttp import web

from controller.demo.authentication import Scope
from controller.demo.failures import failure
from controller.demo.images import Image
from controller.demo.payloads import encode
from controller.demo.registry import EmbeddedRegistry, Handler

_EXTENSION: Final = "/extensions/v2/"
_SUPPORTS: Final = "X-Registry-Supports-Signatures"


def installed() -> bool:
    """Whether the library of the extra `openpgp` is there."""
    return importlib.util.find_spec("pysequoia") is not None


class Vendor:
    """One OpenPGP key and its owner."""

    def __init__(self, name: str) -> None:
        """Make a key for `name`; needs the extra `openpgp`."""
        from pysequoia import Tsk  # noqa: PLC0415 - an extra: the other scenarios do without

        self._key = Tsk.generate(f"{name} <{name}@vendor.example>")

    @property
    def keyring(self) -> str:
        """The public key, armored."""
        from pysequoia import ArmorKind, armor  # noqa: PLC0415 - as above

        return str(armor(bytes(self._key.extract_certificate()), ArmorKind.PublicKey))

    def signature(self, image: Image, name: str = "") -> bytes:
        """The signed message about an image under `name`, by default its own."""
        from pysequoia import SignatureMode, sign  # noqa: PLC0415 - as above

        claim = {
            "critical": {
                "identity": {"docker-reference": name or str(image.reference)},
                "image": {"docker-manifest-digest": str(image.digest)},
                "type": "atomic container signature",
            },
            "optional": {"creator": "sigward demo"},
        }
        return bytes(sign(self._key.signer(), encode(claim), mode=SignatureMode.INLINE, armor=False))


class ExtensionRegistry(EmbeddedRegistry):
    """A registry as OpenShift's: it says `X-Registry-Supports-Signatures` and lists signatures by digest.

    `advertised` is that header's value; `listing` replaces the whole answer where it is set.
    """

    def __init__(self, **options: Any) -> None:
        """Take the options of `EmbeddedRegistry`."""
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
        """Answer as the embedded registry does, and list signatures."""
        if request.path.startswith(_EXTENSION):
            return self._list(request)
        try:
            response = await super().serve(request, handler)
        except web.HTTPException as error:
            error.headers[_SUPPORTS] = self.advertised
            raise
        response.headers[_SUPPORTS] = self.advertised
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
