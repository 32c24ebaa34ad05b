"""The faults are what they say: seen by a plain client, so that a test of the product may rely on them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from controller.demo.authentication import Account, TokenAuthentication
from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.reference import Digest
from tests.fakes import faults
from tests.fakes.registry import FaultyRegistry
from tests.fakes.servers import HangingListener, Recorder

PATH = "/v2/shop/web/manifests/1.4"


@pytest.fixture
def image(faulty_registry: FaultyRegistry) -> Image:
    return ImageBuilder(faulty_registry).image("shop/web", "1.4")


@pytest.fixture
async def client(faulty_registry: FaultyRegistry, image: Image) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(faulty_registry.url, timeout=aiohttp.ClientTimeout(5)) as session:
        yield session


async def _status(client: aiohttp.ClientSession, path: str = PATH) -> int:
    async with client.get(path, allow_redirects=False) as response:
        return response.status


async def test_a_fault_lasts_as_often_as_asked_and_only_where_asked(
    faulty_registry: FaultyRegistry, client: aiohttp.ClientSession, image: Image
) -> None:
    fault = faulty_registry.inject(faults.status(503), Kind.MANIFEST, times=2, skip=1)
    assert [await _status(client) for _ in range(5)] == [200, 503, 503, 200, 200]
    assert fault.hits == 2
    faulty_registry.inject(faults.status(500), path=r"/referrers/")
    assert await _status(client) == 200
    assert await _status(client, f"/v2/shop/web/referrers/{image.digest}") == 500
    faulty_registry.heal()
    assert await _status(client, f"/v2/shop/web/referrers/{image.digest}") == 200


async def test_fixed_answers(faulty_registry: FaultyRegistry, client: aiohttp.ClientSession) -> None:
    faulty_registry.inject(faults.too_many_requests("7"), times=1)
    async with client.get(PATH) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
    faulty_registry.inject(faults.challenge("http://evil.example/token"), times=1)
    async with client.get(PATH) as response:
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="http://evil.example/token",service="registry"'


async def test_headers_and_bodies_lie_apart(
    faulty_registry: FaultyRegistry, client: aiohttp.ClientSession, image: Image
) -> None:
    other = str(Digest.of(b"other"))
    faulty_registry.inject(faults.header("Docker-Content-Digest", other), times=1)
    async with client.get(PATH) as response:
        assert response.headers.getall("Docker-Content-Digest") == [other]
        assert Digest.of(await response.read()) == image.digest
    faulty_registry.inject(faults.header("Docker-Content-Digest", None), times=1)
    async with client.get(PATH) as response:
        assert "Docker-Content-Digest" not in response.headers
    faulty_registry.inject(faults.content(b"other"), times=1)
    async with client.get(PATH) as response:
        assert response.headers["Docker-Content-Digest"] == str(image.digest)
        assert response.content_type == image.media_type
        assert await response.read() == b"other"


@pytest.mark.parametrize("blob", [b"some", b"x" * 500_000], ids=["small", "large"])
async def test_a_truncated_body_ends_before_its_length(
    faulty_registry: FaultyRegistry, client: aiohttp.ClientSession, blob: bytes
) -> None:
    digest = faulty_registry.put_blob("shop/web", blob)
    faulty_registry.inject(faults.truncated(keep=2))
    async with client.get(f"/v2/shop/web/blobs/{digest}") as response:
        assert response.headers["Content-Length"] == str(len(blob))
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
    assert faulty_registry.requests[-1].status == 0


async def test_a_length_lies_in_both_directions(
    faulty_registry: FaultyRegistry, client: aiohttp.ClientSession, image: Image
) -> None:
    # What is left over stands where the next answer should begin, and aiohttp gives up the whole connection.
    faulty_registry.inject(faults.lying_length(10), times=1)
    with pytest.raises(aiohttp.ClientResponseError):
        await _status(client)
    faulty_registry.inject(faults.lying_length(image.size + 1), times=1)
    async with client.get(PATH) as response:
        assert response.headers["Content-Length"] == str(image.size + 1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_an_endless_body_stops_only_when_the_client_leaves(
    faulty_registry: FaultyRegistry, client: aiohttp.ClientSession
) -> None:
    faulty_registry.inject(faults.endless(b"x" * 1000))
    async with client.get(PATH) as response:
        assert "Content-Length" not in response.headers
        assert len(await response.content.readexactly(100_000)) == 100_000
        response.close()


async def test_a_gzip_bomb_is_small_on_the_way(faulty_registry: FaultyRegistry, client: aiohttp.ClientSession) -> None:
    faulty_registry.inject(faults.gzip_bomb(4 * faults.MIB))
    async with aiohttp.ClientSession(faulty_registry.url, auto_decompress=False) as raw, raw.get(PATH) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        body = await response.read()
        assert len(body) < 8192
        assert len(gzip.decompress(body)) == 4 * faults.MIB
    async with client.get(PATH) as response:
        assert len(await response.read()) == 4 * faults.MIB


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("kind", [Kind.REFERRERS, Kind.TAGS])
async def test_pages_never_end(
    faulty_registry: FaultyRegistry,
    client: aiohttp.ClientSession,
    image: Image,
    kind: Kind,
    same: bool,  # noqa: FBT001
) -> None:
    faulty_registry.inject(faults.pages(same=same, entries=3), kind)
    address = f"/v2/shop/web/referrers/{image.digest}" if kind is Kind.REFERRERS else "/v2/shop/web/tags/list"
    seen = []
    for _ in range(3):
        seen.append(address)
        async with client.get(address) as response:
            page = json.loads(await response.read())
            address = str(response.links["next"]["url"]).removeprefix(faulty_registry.url)
        assert len(page.get("manifests") or page.get("tags")) == 3
    assert len(set(seen)) == (1 if same else 3)


async def test_a_redirect_leads_to_the_same_path_elsewhere(
    faulty_registry: FaultyRegistry, client: aiohttp.ClientSession
) -> None:
    digest = faulty_registry.put_blob("shop/web", b"blob")
    async with Recorder(body=b"elsewhere") as recorder:
        faulty_registry.inject(faults.redirect(recorder.url), Kind.BLOB)
        async with client.get(f"/v2/shop/web/blobs/{digest}?a=b", headers={"X-Own": "1"}) as response:
            assert await response.read() == b"elsewhere"
        (seen,) = recorder.requests
        assert (seen.path, seen.query, seen.headers["x-own"]) == (f"/v2/shop/web/blobs/{digest}", "a=b", "1")
        assert not seen.authorized


async def test_a_reset_connection_and_a_silent_one(faulty_registry: FaultyRegistry, client: aiohttp.ClientSession) -> None:
    # aiohttp asks again by itself once, on a fresh connection.
    faulty_registry.inject(faults.reset(), times=2)
    with pytest.raises(aiohttp.ClientOSError):
        await _status(client)
    faulty_registry.inject(faults.hang(), times=1)
    faulty_registry.inject(faults.slow(60), times=1)
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await _status(client)
    faulty_registry.inject(faults.slow(0.01), times=1)
    assert await _status(client) == 200
    with HangingListener() as silent, pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await _status(client, f"http://{silent.host}/v2/")


async def test_faults_come_after_authentication_unless_asked() -> None:
    tokens = TokenAuthentication(Account("alice", "secret"))
    async with FaultyRegistry(authentication=tokens) as registry, aiohttp.ClientSession(registry.url) as session:
        fault = registry.inject(faults.status(503))
        assert await _status(session) == 401
        assert fault.hits == 0
        registry.heal()
        registry.inject(faults.status(503), before_authentication=True)
        assert await _status(session) == 503


def test_a_huge_manifest_is_exactly_as_large_as_asked() -> None:
    content = faults.huge_manifest(1_000_000)
    assert len(content) == 1_000_000
    assert json.loads(content)["schemaVersion"] == 2
