"""Attacks 20 and 30: a credential that reaches another registry, realm or redirect. The recorder is the proof."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from controller.demo.authentication import Account, BasicAuthentication, TokenAuthentication
from controller.demo.images import ImageBuilder
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry, Handler
from controller.errors import Code, Refused, Undecided
from controller.reference import Digest, Reference, Repository
from controller.registry.client import RegistryClient
from controller.registry.credentials import Anonymous, Credential
from controller.registry.source import Descriptor
from tests.fakes import faults
from tests.fakes.clients import transport
from tests.fakes.faults import Call
from tests.fakes.names import Names
from tests.fakes.registry import FaultyRegistry
from tests.fakes.servers import Recorder
from tests.fakes.tls import Authority

ALICE = Account("alice", "wonderland")
_LOCAL = [["127.0.0.1"]]
_NAMES = Names(registry_corp_example=_LOCAL, login_corp_example=_LOCAL, corp_evil_example=_LOCAL, evil_test=_LOCAL)


class Everywhere(Anonymous):
    """One credential, for the registry of the test only."""

    def __init__(self, *hosts: str, **credential: str) -> None:
        self._hosts = hosts
        self._credential = Credential(**credential) if credential else Credential("alice", "wonderland")

    async def find(self, repository: Repository) -> Credential | None:
        return self._credential if repository.registry in self._hosts else None


def _port(host: str) -> str:
    return host.rpartition(":")[2]


@pytest.mark.parametrize("kind", [Kind.MANIFEST, Kind.BLOB, Kind.REFERRERS])
@pytest.mark.parametrize("scheme", ["basic", "token"])
async def test_a_redirect_to_another_host_carries_no_credential(kind: Kind, scheme: str) -> None:
    authentication = BasicAuthentication(ALICE) if scheme == "basic" else TokenAuthentication(ALICE)
    async with FaultyRegistry(authentication=authentication) as registry, Recorder() as foreign:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        stored = registry.manifest("shop/web", image.digest)
        assert stored
        foreign.body = stored.content
        registry.inject(faults.redirect(foreign.url), kind)
        async with transport(registry, foreign) as connections:
            client = RegistryClient(connections, Everywhere(registry.host))
            if kind is Kind.MANIFEST:
                assert (await client.resolve(image.reference)).digest == image.digest
            elif kind is Kind.BLOB:
                descriptor = Descriptor("application/x", image.digest, len(stored.content))
                assert await client.blob(image.repository, descriptor, limit=10_000) == stored.content
            else:
                with pytest.raises(Refused):
                    await client.referrers(image.repository, image.digest)
        assert len(foreign.requests) == 1
        assert foreign.requests.authorized == []
        assert registry.requests.authorized


async def test_a_redirect_back_home_carries_no_credential_either() -> None:
    """A foreign host must not choose what our credentials open."""
    async with FaultyRegistry(authentication=BasicAuthentication(ALICE)) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        async with Recorder(status=307) as foreign:
            foreign.headers["Location"] = f"{registry.url}/v2/shop/secret/manifests/latest"
            registry.inject(faults.redirect(foreign.url), Kind.MANIFEST, path="/web/")
            async with transport(registry, foreign) as connections:
                client = RegistryClient(connections, Everywhere(registry.host))
                with pytest.raises(Undecided) as caught:
                    await client.resolve(image.reference)
        assert caught.value.reason.code is Code.UNAUTHORIZED
        last = registry.requests[-1]
        assert ("/secret/" in last.path, last.authorized) == (True, False)


@pytest.mark.parametrize(
    "location",
    [
        "http://alice:wonderland@127.0.0.1:{port}/x",
        "http://@127.0.0.1:{port}/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:{port}/x",
        "",
        "http://127.0.0.1:{port}/a b",
        "http://127.0.0.1:99999/x",
        "http://127.0.0.1:0/x",
    ],
)
async def test_odd_redirects_are_not_followed(location: str) -> None:
    async with FaultyRegistry() as registry, Recorder() as foreign:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        target = location.format(port=_port(foreign.host))
        registry.inject(faults.status(307, {"Location": target}), Kind.MANIFEST)
        async with transport(registry, foreign) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(image.reference)
        assert (caught.value.reason.code, "redirects" in caught.value.reason.message) == (Code.REGISTRY_ERROR, True)
        assert len(foreign.requests) == 0


@pytest.mark.parametrize("location", ["", "//", "http://", "?again"])
async def test_redirects_without_end_are_refused(location: str) -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        registry.inject(faults.status(307, {"Location": location or "#"}), Kind.MANIFEST)
        async with transport(registry) as connections:
            with pytest.raises(Refused, match=r"limits\.redirects") as caught:
                await RegistryClient(connections).resolve(image.reference)
        assert caught.value.reason.code is Code.LIMIT_EXCEEDED
        assert len(registry.requests) == 6


async def test_https_does_not_become_http(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    async with Recorder() as foreign:
        for status, headers in (
            (307, {"Location": foreign.url + "/v2/x"}),
            (401, {"WWW-Authenticate": f'Bearer realm="{foreign.url}/token"'}),
        ):
            registry = _TlsRegistry(authority, status, headers)
            async with registry:
                own = {registry.host: {"insecure": False, "ca_file": authority.certificate}}
                async with transport(registry, foreign, own=own) as connections:
                    client = RegistryClient(connections, Everywhere(registry.host))
                    with pytest.raises(Undecided) as caught:
                        await client.resolve(Reference.parse(f"{registry.host}/shop/web:1.4"))
            assert caught.value.reason.code is Code.REGISTRY_ERROR
        assert len(foreign.requests) == 0


class _TlsRegistry(EmbeddedRegistry):
    """Answers everything alike, over HTTPS."""

    def __init__(self, authority: Authority, status: int, headers: dict[str, str]) -> None:
        super().__init__(tls=authority.issue("127.0.0.1").context())
        self._answer = faults.status(status, headers)

    async def serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self._answer(Call(request, lambda: handler(request), asyncio.Event()))


@pytest.mark.parametrize(
    ("realm_host", "shown"),
    [("login.corp.example", True), ("registry.corp.example", True), ("corp.evil.example", False), ("evil.test", False)],
)
async def test_a_realm_of_another_domain_sees_no_credential(realm_host: str, *, shown: bool) -> None:
    async with FaultyRegistry() as registry, Recorder(body=b'{"token":"t"}') as realm:
        ImageBuilder(registry).image("shop/web", "1.4")
        name = f"registry.corp.example:{_port(registry.host)}"
        registry.inject(faults.challenge(f"http://{realm_host}:{_port(realm.host)}/token"), times=1)
        own = {
            host: {"insecure": True, "private_address": True}
            for host in (name, *(f"{entry}:{_port(realm.host)}" for entry in (realm_host,)))
        }
        async with transport(own=own, resolver=_NAMES) as connections:
            client = RegistryClient(connections, Everywhere(name))
            reference = Reference.parse(f"{name}/shop/web:1.4")
            if shown:
                assert (await client.resolve(reference)).raw
                assert len(realm.requests.authorized) == 1
                return
            with pytest.raises(Undecided, match="are not shown to") as caught:
                await client.resolve(reference)
        assert caught.value.reason.code is Code.UNAUTHORIZED
        assert caught.value.source == f"{realm_host}:{_port(realm.host)}"
        assert "tokenRealms" in caught.value.reason.expected
        assert len(realm.requests) == 0


async def test_a_realm_of_another_domain_that_settings_list_sees_the_credential() -> None:
    async with FaultyRegistry() as registry, Recorder(body=b'{"token":"t"}') as realm:
        ImageBuilder(registry).image("shop/web", "1.4")
        name = f"registry.corp.example:{_port(registry.host)}"
        registry.inject(faults.challenge(f"http://evil.test:{_port(realm.host)}/token"), times=1)
        own = {name: {"insecure": True, "private_address": True, "token_realms": ("evil.test",)}}
        async with transport(own=own, resolver=_NAMES) as connections:
            assert (await RegistryClient(connections, Everywhere(name)).resolve(Reference.parse(f"{name}/shop/web:1.4"))).raw
        assert len(realm.requests.authorized) == 1


@pytest.mark.parametrize("credential", [{"username": "alice", "password": "x"}, {"identity_token": "refresh"}])
async def test_a_realm_that_redirects_elsewhere_takes_no_credential_along(credential: dict[str, str]) -> None:
    async with (
        FaultyRegistry(authentication=TokenAuthentication(ALICE)) as registry,
        Recorder(body=b'{"token":"t"}') as foreign,
    ):
        image = ImageBuilder(registry).image("shop/web", "1.4")
        registry.inject(faults.redirect(foreign.url, 307), Kind.TOKEN, methods=("GET", "POST"))
        async with transport(registry, foreign) as connections:
            client = RegistryClient(connections, Everywhere(registry.host, **credential))
            with pytest.raises(Undecided) as caught:
                await client.resolve(image.reference)
        assert caught.value.reason.code in {Code.UNAUTHORIZED, Code.REGISTRY_ERROR}
        assert foreign.requests.authorized == []
        assert not [request for request in foreign.requests if request.method == "POST"]


async def test_a_registry_gets_only_its_own_credential() -> None:
    async with FaultyRegistry() as registry, Recorder(status=401, headers={"WWW-Authenticate": "Basic realm=x"}) as foreign:
        async with transport(registry, foreign) as connections:
            client = RegistryClient(connections, Everywhere(registry.host))
            with pytest.raises(Undecided) as caught:
                await client.resolve(Reference.parse(f"{foreign.host}/shop/web:1.4"))
        assert caught.value.reason.code is Code.UNAUTHORIZED
        assert foreign.requests.authorized == []


@pytest.mark.parametrize("known", [True, False])
async def test_a_registry_that_names_anothers_realm_gets_no_token_of_that_one(*, known: bool) -> None:
    """Equal realm, service and scope, another registry: it must not be handed the token that the first one's users hold."""
    shared = TokenAuthentication(ALICE, Account("", "", pull=("*",)))
    async with FaultyRegistry(authentication=shared) as registry, Recorder() as foreign:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        challenge = f'Bearer realm="{registry.url}/token",service="registry",scope="repository:shop/web:pull"'
        foreign.status, foreign.headers = 401, {"WWW-Authenticate": challenge}
        async with transport(registry, foreign) as connections:
            client = RegistryClient(connections, Everywhere(registry.host) if known else Anonymous())
            await client.resolve(image.reference)
            held = {request.headers["Authorization"] for request in registry.requests.authorized}
            with pytest.raises(Undecided):
                await client.resolve(Reference.parse(f"{foreign.host}/shop/web:1.4"))
        assert held
        assert not held & {request.headers["Authorization"] for request in foreign.requests.authorized}


@pytest.mark.parametrize(
    "link",
    [
        '<{foreign}/v2/shop/web/referrers/x?page=2>; rel="next"',
        "<//{host}/v2/shop/web/referrers/x>; rel=next",
        '</v2/other/web/referrers/x?page=2>; rel="next"',
        '</v2/shop/web/referrers/../../../token>; rel="next"',
        '</v2/shop/web/referrers/%2E./%2e%2e/x>; rel="next"',
        '</token?service=registry>; rel="next"',
    ],
)
async def test_the_next_page_is_not_fetched_from_elsewhere(link: str) -> None:
    async with FaultyRegistry(authentication=BasicAuthentication(ALICE)) as registry, Recorder() as foreign:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        registry.inject(faults.header("Link", link.format(foreign=foreign.url, host=foreign.host)), Kind.REFERRERS)
        async with transport(registry, foreign) as connections:
            client = RegistryClient(connections, Everywhere(registry.host))
            with pytest.raises(Refused, match="next page is elsewhere") as caught:
                await client.referrers(image.repository, image.digest)
        assert caught.value.reason.code is Code.MALFORMED
        assert len(foreign.requests) == 0
        assert len(registry.requests) == 2


async def test_no_cookie_is_kept() -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        registry.inject(faults.header("Set-Cookie", "session=1; Path=/"))
        async with transport(registry) as connections:
            client = RegistryClient(connections)
            await client.resolve(image.reference)
            await client.manifest(image.repository, Digest.of(b"other"))
        assert not [request for request in registry.requests if "Cookie" in request.headers]
