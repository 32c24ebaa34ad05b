"""Where OpenPGP signatures are kept: beside registries, on web servers, or in a registry's signature extension.

Both are containers/image's: the servers as containers-registries.d(5), "lookaside", has them; the extension as its
`docker/docker_client.go` asks OpenShift's registry for it.
"""

import base64
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from yarl import URL

from controller.documents import items, read_object, text
from controller.errors import Code, Refused
from controller.reference import Digest, Repository
from controller.registry.calls import Answer, Call
from controller.registry.endpoints import Endpoint
from controller.registry.manifests import over_limit
from controller.registry.source import StoredSignature
from controller.registry.statuses import undecided
from controller.settings import Limits

_NOT_FOUND: Final = 404
_UNAUTHORIZED: Final = 401
_SUPPORTS: Final = "X-Registry-Supports-Signatures"
_SCHEMA: Final = 2
_TYPE: Final = "atomic"
_BOUND: Final = "limits.openpgpSignaturesPerImage"

Fetch = Callable[[Call], Awaitable[Answer]]
Ask = Callable[[URL, str, tuple[str, int]], Awaitable[Answer]]
"""Asks a registry with its credentials: the address, what it is for people, and the named limit of the answer."""


class Lookaside:
    """One web server that settings name for a registry: `<base>/<repository>@sha256=<hex>/signature-1` and on.

    No credential ever goes there.
    """

    def __init__(self, fetch: Fetch, endpoint: Endpoint, repository: Repository, limits: Limits) -> None:
        """Look on the server `endpoint` for signatures of images of `repository`."""
        self._fetch = fetch
        self._endpoint = endpoint
        self._repository = repository
        self._limits = limits
        self.name = f"lookaside server {endpoint.name}"

    async def signatures(self, digest: Digest) -> tuple[StoredSignature, ...]:
        """As `SignatureStore.signatures`."""
        found: list[StoredSignature] = []
        while (stored := await self._signature(digest, f"signature-{len(found) + 1}")) is not None:
            found.append(stored)
            if len(found) > self._limits.openpgp_signatures_per_image:
                raise over_limit(self.name, _BOUND, self._limits.openpgp_signatures_per_image, "more")
        return tuple(found)

    async def _signature(self, digest: Digest, name: str) -> StoredSignature | None:
        what = f"{name} of {digest.short} on {self._endpoint.name}"
        folder = f"{self._repository.path}@{digest.algorithm}={digest.hex}"
        url = URL(f"{self._endpoint.url}/{folder}/{name}", encoded=True)
        answer = await self._fetch(Call(self._endpoint, url, what, self._limits.signature_bytes, "limits.signatureBytes"))
        if answer.status == _NOT_FOUND:
            return None
        if not answer.good:
            raise undecided(answer, what)
        return StoredSignature(name, answer.body)


@dataclass(frozen=True, slots=True)
class SignatureExtension:
    """`/extensions/v2/<repository>/signatures/<digest>` of a registry that says it has it."""

    fetch: Fetch
    ask: Ask
    endpoint: Endpoint
    repository: Repository
    limits: Limits

    @property
    def name(self) -> str:
        """As `SignatureStore.name`."""
        return f"signature extension of {self.endpoint.name}"

    async def signatures(self, digest: Digest) -> tuple[StoredSignature, ...]:
        """As `SignatureStore.signatures`; none where the registry does not advertise the extension."""
        if not await self._supported():
            return ()
        what = f"signatures of {digest.short} in {self.repository}"
        url = self.endpoint.url.join(URL(f"/extensions/v2/{self.repository.path}/signatures/{digest}", encoded=True))
        answer = await self.ask(url, what, ("limits.manifestBytes", self.limits.manifest_bytes))
        if answer.status == _NOT_FOUND:
            return ()
        if not answer.good:
            raise undecided(answer, what)
        return _read(answer.body, what, self.limits)

    async def _supported(self) -> bool:
        """What the registry's root says of itself; it says so before it asks who we are."""
        what = f"what {self.endpoint.name} supports"
        root = self.endpoint.url.join(URL("/v2/"))
        answer = await self.fetch(Call(self.endpoint, root, what, self.limits.error_body_bytes, "limits.errorBodyBytes"))
        if not answer.good and answer.status != _UNAUTHORIZED:
            raise undecided(answer, what)
        return answer.headers.get(_SUPPORTS, "") == "1"


def _read(body: bytes, what: str, limits: Limits) -> tuple[StoredSignature, ...]:
    """The list as the extension gives it; entries of another version or type are none of ours (containers/image skips them).

    Raises:
        Refused: `Malformed`, `Ambiguous`, `LimitExceeded`.
    """
    document = read_object(body, what, limit=limits.manifest_bytes)
    listed = items(document, "signatures", what, limit=limits.openpgp_signatures_per_image)
    found = []
    for number, entry in enumerate(listed, 1):
        if not isinstance(entry, dict):
            raise Refused(Code.MALFORMED, f"{what}: entry {number} is not a JSON object", found=type(entry).__name__)
        if entry.get("schemaVersion") == _SCHEMA and entry.get("type") == _TYPE:
            found.append(StoredSignature(f"signature {number}", _content(entry, f"{what}, entry {number}", limits)))
    return tuple(found)


def _content(entry: dict[str, Any], what: str, limits: Limits) -> bytes:
    try:
        content = base64.b64decode(text(entry, "content", what), validate=True)
    except ValueError:  # binascii.Error is one
        raise Refused(Code.MALFORMED, f"{what}: content is not base64") from None
    if len(content) > limits.signature_bytes:
        raise over_limit(what, "limits.signatureBytes", limits.signature_bytes, len(content))
    return content
