"""Who the client is to a registry, and how many trips that costs."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable

import pytest

from controller.demo.authentication import Account, Authentication, BasicAuthentication, TokenAuthentication
from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.signer import Signer
from controller.errors import Code, Undecided
from controller.reference import Repository
from controller.registry.client import RegistryClient
from controller.registry.credentials import Anonymous, Credential, Credentials, DockerConfig
from controller.registry.discovery import Want, discover
from tests.fakes import faults
from tests.fakes.clients import QUICK, transport
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry
from tests.fakes.servers import Recorder

ALICE = Account("alice", "wonderland")
EVERYBODY = Account("", "", pull=("public/*",), push=())
GuardedRegistry = Callable[[Authentication], FaultyRegistry]


class Known:
    """The same credential for every repository of some hosts."""

    scope = "test"

    def __init__(self, *hosts: str, credential: Credential) -> None:
        self._hosts = hosts
        self._credential = credential

    async def find(self, repository: Repository) -> Credential | None:
        return self._credential if repository.registry in self._hosts else None

    def note(self, repository: Repository) -> str:  # noqa: ARG002 - the protocol's
        return ""


def _alice(registry: FaultyRegistry) -> Credentials:
    return Known(registry.host, credential=Credential("alice", "wonderland"))


@pytest.fixture
async def token_registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry(authentication=TokenAuthentication(ALICE, EVERYBODY)) as running:
        yield running


@pytest.fixture
def image(token_registry: FaultyRegistry) -> Image:
    image = ImageBuilder(token_registry).image("shop/web", "1.4")
    Signer(token_registry).sign(image, signing_key())
    return image


def _tokens(registry: FaultyRegistry) -> int:
    return len(registry.requests.of(Kind.TOKEN))


def _refused(registry: FaultyRegistry) -> int:
    return len([request for request in registry.requests if request.status == 401])


async def test_one_challenge_and_one_token_serve_a_whole_lookup(token_registry: FaultyRegistry, image: Image) -> None:
    async with transport(token_registry) as connections:
        client = RegistryClient(connections, _alice(token_registry))
        manifest = await client.resolve(image.reference)
        found = await discover(client, [image.repository], manifest.digest, frozenset({Want.SIGNATURES}), QUICK)
        assert (len(found.attachments), found.gaps) == (1, ())
        assert (_tokens(token_registry), _refused(token_registry)) == (1, 1)
        assert len(token_registry.requests.counted) == 4
        (asked,) = token_registry.requests.of(Kind.TOKEN)
        assert asked.headers["Authorization"] == "Basic " + base64.b64encode(b"alice:wonderland").decode()
        assert "scope=repository:shop/web:pull" in asked.query.replace("%3A", ":").replace("%2F", "/")


async def test_another_repository_of_a_known_registry_costs_no_refused_trip(
    token_registry: FaultyRegistry, image: Image
) -> None:
    other = ImageBuilder(token_registry).image("shop/db", "1")
    async with transport(token_registry) as connections:
        client = RegistryClient(connections, _alice(token_registry))
        await client.resolve(image.reference)
        await client.resolve(other.reference)
        assert (_tokens(token_registry), _refused(token_registry)) == (2, 1)


async def test_many_who_wait_for_a_token_cost_one(token_registry: FaultyRegistry, image: Image) -> None:
    token_registry.inject(faults.slow(0.05), Kind.TOKEN)
    async with transport(token_registry) as connections:
        client = RegistryClient(connections, _alice(token_registry))
        found = await asyncio.gather(*(client.resolve(image.reference) for _ in range(20)))
        assert {manifest.digest for manifest in found} == {image.digest}
        assert _tokens(token_registry) == 1


async def test_one_who_gives_up_does_not_take_the_token_from_the_others(
    token_registry: FaultyRegistry, image: Image
) -> None:
    token_registry.inject(faults.slow(0.1), Kind.TOKEN)
    async with transport(token_registry) as connections:
        client = RegistryClient(connections, _alice(token_registry))
        first = asyncio.ensure_future(client.resolve(image.reference))
        async with asyncio.timeout(2):
            while not connections.authenticator._flights:  # noqa: ASYNC110 - nothing tells when a request has begun
                await asyncio.sleep(0.001)
        second = asyncio.ensure_future(client.resolve(image.reference))
        await asyncio.sleep(0.02)
        first.cancel()
        assert (await second).digest == image.digest
        assert _tokens(token_registry) == 1


async def test_a_token_that_is_no_longer_good_is_replaced(token_registry: FaultyRegistry, image: Image) -> None:
    assert isinstance(token_registry.authentication, TokenAuthentication)
    async with transport(token_registry) as connections:
        client = RegistryClient(connections, _alice(token_registry))
        await client.resolve(image.reference)
        token_registry.authentication.revoke_all()
        assert (await client.resolve(image.reference)).digest == image.digest
        assert (_tokens(token_registry), _refused(token_registry)) == (2, 2)


async def test_a_token_about_to_expire_is_not_used(token_registry: FaultyRegistry, image: Image) -> None:
    assert isinstance(token_registry.authentication, TokenAuthentication)
    token_registry.authentication.lifetime = 4
    async with transport(token_registry) as connections:
        client = RegistryClient(connections, _alice(token_registry))
        await client.resolve(image.reference)
        await client.resolve(image.reference)
        assert (_tokens(token_registry), _refused(token_registry)) == (2, 1)


async def test_tokens_are_not_shared_between_credentials(token_registry: FaultyRegistry) -> None:
    image = ImageBuilder(token_registry).image("shop/web", "1.4")
    async with transport(token_registry) as connections:
        await RegistryClient(connections, _alice(token_registry)).resolve(image.reference)
        with pytest.raises(Undecided) as caught:
            await RegistryClient(connections, Anonymous()).resolve(image.reference)
        assert caught.value.reason.code is Code.UNAUTHORIZED
        assert "without credentials" in caught.value.reason.message
        assert caught.value.source == token_registry.host


async def test_what_is_public_needs_no_credential_but_a_token(token_registry: FaultyRegistry) -> None:
    image = ImageBuilder(token_registry).image("public/web", "1.4")
    async with transport(token_registry) as connections:
        assert (await RegistryClient(connections).resolve(image.reference)).digest == image.digest
        assert not [request for request in token_registry.requests.of(Kind.TOKEN) if request.authorized]


@pytest.mark.parametrize("password", ["wonderland", "wrong"])
async def test_basic_credentials_are_sent_after_the_challenge_and_then_at_once(password: str) -> None:
    async with FaultyRegistry(authentication=BasicAuthentication(ALICE)) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        credentials = Known(registry.host, credential=Credential("alice", password))
        async with transport(registry) as connections:
            client = RegistryClient(connections, credentials)
            if password == "wonderland":
                await client.resolve(image.reference)
                await client.resolve(image.reference)
                assert [request.status for request in registry.requests] == [401, 200, 200]
                return
            with pytest.raises(Undecided, match="asked with credentials") as caught:
                await client.resolve(image.reference)
            assert caught.value.reason.code is Code.UNAUTHORIZED
            assert "HTTP 401" in caught.value.reason.found


async def test_a_refused_password_at_the_token_service_is_undecided(token_registry: FaultyRegistry, image: Image) -> None:
    credentials = Known(token_registry.host, credential=Credential("alice", "wrong"))
    async with transport(token_registry) as connections:
        with pytest.raises(Undecided, match="with its credentials") as caught:
            await RegistryClient(connections, credentials).resolve(image.reference)
        assert caught.value.reason.code is Code.UNAUTHORIZED


async def test_a_ready_token_is_sent_as_it_is(token_registry: FaultyRegistry, image: Image) -> None:
    assert isinstance(token_registry.authentication, TokenAuthentication)
    from controller.demo.authentication import Scope  # noqa: PLC0415 - used here only

    value = token_registry.authentication.issue(Scope("shop/web", frozenset({"pull"})))
    for token, code in ((value, None), ("stale", Code.UNAUTHORIZED)):
        credentials = Known(token_registry.host, credential=Credential(registry_token=token))
        async with transport(token_registry) as connections:
            client = RegistryClient(connections, credentials)
            if code is None:
                assert (await client.resolve(image.reference)).digest == image.digest
                continue
            with pytest.raises(Undecided) as caught:
                await client.resolve(image.reference)
            assert caught.value.reason.code is code
    assert _tokens(token_registry) == 0


async def test_an_identity_token_is_exchanged(token_registry: FaultyRegistry, image: Image) -> None:
    answer = {"access_token": "exchanged", "expires_in": 300}
    token_registry.inject(
        faults.status(200, {"Content-Type": "application/json"}, json.dumps(answer).encode()), Kind.TOKEN, methods=("POST",)
    )
    credentials = Known(token_registry.host, credential=Credential("<token>", "", identity_token="refresh"))
    async with transport(token_registry) as connections:
        with pytest.raises(Undecided):  # the registry knows no such token, so it refuses it
            await RegistryClient(connections, credentials).resolve(image.reference)
    (posted,) = token_registry.requests.of(Kind.TOKEN)
    assert (posted.method, posted.authorized) == ("POST", False)
    assert token_registry.requests[-1].headers["Authorization"] == "Bearer exchanged"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b"<html>", "not JSON"),
        (b"{}", "is no token"),
        (b'{"token":7}', "is no token"),
        (b'{"token":"a\\r\\nX-Evil: b"}', "is no token"),
        (b'{"token":"' + b"a" * 100_000 + b'"}', "limits.tokenBytes"),
    ],
)
async def test_what_is_no_token_is_undecided(token_registry: FaultyRegistry, image: Image, body: bytes, found: str) -> None:
    token_registry.inject(faults.status(200, {}, body), Kind.TOKEN)
    async with transport(token_registry) as connections:
        with pytest.raises(Undecided, match="gave no token") as caught:
            await RegistryClient(connections, _alice(token_registry)).resolve(image.reference)
        assert caught.value.reason.code is Code.REGISTRY_ERROR
        assert found in caught.value.reason.found


async def test_forbidden_says_what_the_registry_said(token_registry: FaultyRegistry, image: Image) -> None:
    body = b'{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}'
    token_registry.inject(faults.status(403, {}, body), Kind.MANIFEST, before_authentication=True)
    note = DockerConfig.parse(b'{"auths":{},"credsStore":"desktop"}')

    class Helped(Anonymous):
        def note(self, repository: Repository) -> str:
            return note.note(repository)

    async with transport(token_registry) as connections:
        with pytest.raises(Undecided, match="without credentials; a credential helper is configured") as caught:
            await RegistryClient(connections, Helped()).resolve(image.reference)
        assert caught.value.reason.code is Code.UNAUTHORIZED
        assert caught.value.reason.found == "HTTP 403 DENIED: requested access to the resource is denied"


async def test_mirrors_get_their_own_credentials(token_registry: FaultyRegistry, image: Image) -> None:
    async with Recorder(status=404) as mirror:
        own = {token_registry.host: {"mirrors": (mirror.host,)}}
        async with transport(token_registry, mirror, own=own) as connections:
            client = RegistryClient(connections, _alice(token_registry))
            assert (await client.resolve(image.reference)).digest == image.digest
        assert len(mirror.requests) == 1
        assert mirror.requests.authorized == []
