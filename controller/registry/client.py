"""A registry as a `Source`: the OCI distribution specification, read side."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, TypeVar

from yarl import URL

from controller.errors import Code, Invalid, Refused, Undecided
from controller.reference import Digest, Reference, Repository
from controller.registry import lookup, mediatypes
from controller.registry.calls import Answer, Call
from controller.registry.credentials import Anonymous, Credentials
from controller.registry.endpoints import Endpoint
from controller.registry.listing import fallback_tag, next_page
from controller.registry.lookaside import Lookaside, SignatureExtension
from controller.registry.manifests import over_limit, read_listing, read_manifest
from controller.registry.source import Descriptor, Manifest, SignatureStore
from controller.registry.statuses import undecided
from controller.registry.transport import RegistryTransport

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_NO_REFERRERS_API: Final = frozenset({400, 404, 405, 406, 501})
"""How registries without the referrers API answer: 404 by the specification ("Unavailable Referrers API"), the others as
seen in the wild (google/go-containerregistry issue 1962). Each sends the question to the fallback tag, never to "none"."""

T = TypeVar("T")


class RegistryClient:
    """One view of all registries, with one set of credentials.

    As cheap as an object: connections, tokens and limits belong to the transport, which many views share.
    """

    def __init__(self, transport: RegistryTransport, credentials: Credentials | None = None) -> None:
        """Ask through `transport`, as whom `credentials` say; by default as nobody in particular."""
        self._transport = transport
        self._credentials = credentials or Anonymous()
        self._limits = transport.limits

    @property
    def scope(self) -> str:
        """As `Source.scope`."""
        return self._credentials.scope

    async def resolve(self, reference: Reference) -> Manifest:
        """As `Source.resolve`."""
        name = reference.digest or reference.wanted_tag or ""
        manifest = await self.manifest(reference.repository, name)
        if manifest is None:
            raise Refused(Code.NOT_FOUND, f"{reference} is not in its registry", found="404")
        return manifest

    async def manifest(self, repository: Repository, name: Digest | str) -> Manifest | None:
        """As `Source.manifest`."""
        return await self._first(repository, lambda endpoint: self._manifest(endpoint, repository, name))

    async def blob(self, repository: Repository, descriptor: Descriptor, *, limit: int) -> bytes:
        """As `Source.blob`."""
        found = await self._first(repository, lambda endpoint: self._blob(endpoint, repository, descriptor, limit))
        if found is None:
            raise Refused(Code.NOT_FOUND, f"blob {descriptor.digest.short} is not in {repository}", found="404")
        return found

    async def referrers(self, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        """As `Source.referrers`."""
        return await self._first(repository, lambda endpoint: self._referrers(endpoint, repository, digest)) or ()

    def signature_stores(self, repository: Repository) -> tuple[SignatureStore, ...]:
        """As `Source.signature_stores`: the lookaside servers that settings name, else the registry's own extension.

        Mirrors are not asked: they mirror images, not signatures.
        """
        transport, limits = self._transport, self._limits
        servers = transport.endpoints.lookasides(repository.registry)
        if servers:
            return tuple(Lookaside(transport.fetch, server, repository, limits) for server in servers)
        own = transport.endpoints.of(repository.registry)[-1]

        async def ask(url: URL, what: str, limit: tuple[str, int]) -> Answer:
            return await self._ask(own, repository, url, what, limit)

        return (SignatureExtension(transport.fetch, ask, own, repository, limits),)

    async def _first(self, repository: Repository, ask: Callable[[Endpoint], Awaitable[T]]) -> T:
        """What the first mirror that has something says, else what the registry itself says.

        A mirror's failure, refusal or "nothing here" is no answer: it may hold a part only.
        """
        *mirrors, own = self._transport.endpoints.of(repository.registry)
        with lookup.current(self._limits.lookup_timeout) as now:
            for mirror in mirrors:
                try:
                    found = await ask(mirror)
                except (Refused, Undecided):
                    if now.remaining <= 0:
                        raise  # it was the mirror that took all the time
                    continue
                if found:
                    return found
            return await ask(own)

    async def _manifest(self, endpoint: Endpoint, repository: Repository, name: Digest | str) -> Manifest | None:
        what = f"manifest {name.short if isinstance(name, Digest) else name} of {repository}"
        limit = ("limits.manifestBytes", self._limits.manifest_bytes)
        answer = await self._ask(endpoint, repository, f"manifests/{name}", what, limit, accept=mediatypes.ACCEPT_MANIFEST)
        if answer.status == _NOT_FOUND:
            return None
        await self._check(answer, endpoint, repository, what)
        expected = name if isinstance(name, Digest) else None
        manifest = read_manifest(
            answer.body, self._limits, content_type=answer.headers.get("Content-Type", ""), expected=expected
        )
        _check_announced(answer, what)
        return manifest

    async def _blob(self, endpoint: Endpoint, repository: Repository, descriptor: Descriptor, limit: int) -> bytes | None:
        what = f"blob {descriptor.digest.short} of {repository}"
        if descriptor.size > limit:
            raise over_limit(what, "the limit for its kind", limit, descriptor.size)
        bound = ("the size in its descriptor", descriptor.size)
        answer = await self._ask(endpoint, repository, f"blobs/{descriptor.digest}", what, bound)
        if answer.status == _NOT_FOUND:
            return None
        await self._check(answer, endpoint, repository, what)
        descriptor.digest.check(answer.body, what)
        return answer.body

    async def _referrers(self, endpoint: Endpoint, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        what = f"referrers of {digest.short} in {repository}"
        found: dict[Digest, Descriptor] = {}
        path, length = f"referrers/{digest}", 0
        for page in range(self._limits.referrer_pages):
            # All pages together are one listing, so they share its limits.
            limit = ("limits.manifestBytes", self._limits.manifest_bytes - length)
            answer = await self._ask(endpoint, repository, path, what, limit, accept=mediatypes.OCI_INDEX)
            if page == 0 and answer.status in _NO_REFERRERS_API:
                return await self._fallback(endpoint, repository, digest)
            await self._check(answer, endpoint, repository, what)
            if page == 0 and not answer.is_json:
                return await self._instead(endpoint, repository, digest, answer)
            length += len(answer.body)
            found |= {entry.digest: entry for entry in read_listing(answer.body, self._limits)}
            if len(found) > self._limits.referrer_entries:
                raise over_limit(what, "limits.referrerEntries", self._limits.referrer_entries, "more")
            path = next_page(", ".join(answer.headers.getall("Link", [])), _url(endpoint, repository, path), repository)
            if not path:
                return tuple(found.values())
        raise over_limit(what, "limits.referrerPages", self._limits.referrer_pages, "more")

    async def _instead(
        self, endpoint: Endpoint, repository: Repository, digest: Digest, answer: Answer
    ) -> tuple[Descriptor, ...]:
        """What the fallback tag lists where the API answered 200 with a web page.

        Registries behind a portal do (sigstore/sigstore-js pull 1187). Where there is no tag either nobody has said that
        there are no referrers, so that is refused and not taken for an empty list.
        """
        found = await self._fallback(endpoint, repository, digest)
        if found:
            return found
        raise Refused(
            Code.MALFORMED,
            f"referrers of {digest.short} in {repository} are not a listing",
            expected=mediatypes.OCI_INDEX,
            found=answer.headers.get("Content-Type", "")[:80],
        )

    async def _fallback(self, endpoint: Endpoint, repository: Repository, digest: Digest) -> tuple[Descriptor, ...]:
        tag = fallback_tag(digest)
        what = f"fallback tag {tag[:19]}… of {repository}"
        limit = ("limits.manifestBytes", self._limits.manifest_bytes)
        answer = await self._ask(endpoint, repository, f"manifests/{tag}", what, limit, accept=mediatypes.OCI_INDEX)
        if answer.status == _NOT_FOUND:
            return ()
        await self._check(answer, endpoint, repository, what)
        if Digest.of(answer.body, digest.algorithm) == digest:
            # GitLab reads `sha256-<hex>` as the digest and answers with the image itself: it has no such tag.
            return ()
        return read_listing(answer.body, self._limits)

    async def _ask(
        self,
        endpoint: Endpoint,
        repository: Repository,
        path: str | URL,
        what: str,
        limit: tuple[str, int],
        *,
        accept: str = "*/*",
    ) -> Answer:
        url = _url(endpoint, repository, path) if isinstance(path, str) else path
        authenticator = self._transport.authenticator
        credential = await self._credentials.find(Repository(endpoint.name, repository.path))
        sent = await authenticator.prepare(endpoint, repository, credential)
        call = Call(endpoint, url, what, limit[1], limit[0], accept, sent)
        answer = await self._transport.fetch(call)
        if answer.status == _UNAUTHORIZED and answer.url.origin() == url.origin():
            better = await authenticator.answer(endpoint, repository, credential, answer, sent)
            answer = await self._transport.fetch(replace(call, authorization=better)) if better else answer
        if answer.status == _NOT_FOUND and answer.url.origin() != url.origin():
            # The registry knew of it and sent us there, so this is not its word that there is nothing.
            raise undecided(answer, what)
        return answer

    async def _check(self, answer: Answer, endpoint: Endpoint, repository: Repository, what: str) -> None:
        """Every status but success and "not found" is Undecided, with what a person needs to find out why."""
        if answer.good:
            return
        asked = Repository(endpoint.name, repository.path)
        hint = ""
        if answer.status in {_UNAUTHORIZED, _FORBIDDEN}:
            known = await self._credentials.find(asked)
            hint = f"asked {'with' if known else 'without'} credentials"
            note = self._credentials.note(asked)
            hint += f"; {note}" if note and not known else ""
        raise undecided(answer, what, hint=hint)


def _url(endpoint: Endpoint, repository: Repository, path: str) -> URL:
    # The parts are of the grammar of references, or of our own making: nothing to encode.
    return endpoint.url.join(URL(f"/v2/{repository.path}/{path}", encoded=True))


def _check_announced(answer: Answer, what: str) -> None:
    """Compare with what the registry says the bytes are: a registry that contradicts itself is not believed.

    The runtime that pulls by tag may take the header's word (CVE-2022-47633 and kin).
    """
    try:
        announced = Digest.parse(answer.headers.get("Docker-Content-Digest", ""))
    except Invalid:
        return  # absent, or of an algorithm we cannot compute: only a hint
    announced.check(answer.body, f"{what} (Docker-Content-Digest)")
