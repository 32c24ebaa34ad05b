"""What the client makes of registries that fail: repeated, fallen back from, or undecided by name; never "nothing there"."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.errors import Code, Refused, Undecided
from controller.reference import Digest, Reference
from controller.registry import lookup, mediatypes
from controller.registry.client import RegistryClient
from controller.registry.discovery import Discovery, Want, discover
from controller.registry.source import Descriptor
from controller.settings import Limits
from tests.fakes import faults
from tests.fakes.clients import QUICK, transport
from tests.fakes.faults import Behaviour, Call
from tests.fakes.keys import signing_key
from tests.fakes.names import Names
from tests.fakes.registry import FaultyRegistry
from tests.fakes.servers import HangingListener, Recorder
from tests.fakes.tls import Authority

_SIGNATURES = frozenset({Want.SIGNATURES})


@pytest.fixture
async def registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry() as running:
        yield running


@pytest.fixture
def image(registry: FaultyRegistry) -> Image:
    return ImageBuilder(registry).image("shop/web", "1.4")


async def _resolve(registry: EmbeddedRegistry, reference: Reference, limits: Limits = QUICK) -> Digest:
    async with transport(registry, limits=limits) as connections:
        return (await RegistryClient(connections).resolve(reference)).digest


async def _undecided(registry: EmbeddedRegistry, reference: Reference, limits: Limits = QUICK) -> Undecided:
    with pytest.raises(Undecided) as caught:
        await _resolve(registry, reference, limits)
    assert caught.value.source == registry.host
    return caught.value


async def _discover(registry: EmbeddedRegistry, image: Image, limits: Limits = QUICK) -> Discovery:
    async with transport(registry, limits=limits) as connections:
        return await discover(RegistryClient(connections), [image.repository], image.digest, _SIGNATURES, limits)


@pytest.mark.parametrize(
    ("status", "code", "requests"),
    [
        (400, Code.REGISTRY_ERROR, 1),
        (401, Code.UNAUTHORIZED, 1),
        (403, Code.UNAUTHORIZED, 1),
        (418, Code.REGISTRY_ERROR, 1),
        (429, Code.RATE_LIMITED, 4),
        (500, Code.REGISTRY_ERROR, 4),
        (501, Code.REGISTRY_ERROR, 1),
        (503, Code.REGISTRY_ERROR, 4),
        (204, Code.REGISTRY_ERROR, 1),
        (304, Code.REGISTRY_ERROR, 1),
    ],
)
async def test_no_status_but_404_says_that_there_is_nothing(
    registry: FaultyRegistry, image: Image, status: int, code: Code, requests: int
) -> None:
    registry.inject(faults.status(status, {}, b""), Kind.MANIFEST)
    error = await _undecided(registry, image.reference)
    assert (error.reason.code, error.reason.found) == (code, f"HTTP {status}")
    assert len(registry.requests) == requests


async def test_a_registry_that_recovers_is_asked_again(registry: FaultyRegistry, image: Image) -> None:
    for behaviour in (faults.status(503), faults.too_many_requests("0"), faults.truncated(), faults.reset()):
        registry.inject(behaviour, Kind.MANIFEST, times=1)
        assert await _resolve(registry, image.reference) == image.digest
        registry.heal()


async def test_retry_after_is_waited_for_as_long_as_settings_allow(registry: FaultyRegistry, image: Image) -> None:
    registry.inject(faults.too_many_requests("6"), Kind.MANIFEST, times=1)
    error = await _undecided(registry, image.reference)
    assert error.reason.code is Code.RATE_LIMITED
    assert error.reason.found == "HTTP 429 TOOMANYREQUESTS: slow down"
    assert len(registry.requests) == 1
    registry.heal()
    registry.inject(faults.too_many_requests("Fri, 31 Dec 2100 23:59:59 GMT"), Kind.MANIFEST, times=1)
    assert (await _undecided(registry, image.reference)).reason.code is Code.RATE_LIMITED
    assert len(registry.requests) == 2


async def test_a_pause_that_would_outlast_the_lookup_is_not_begun(registry: FaultyRegistry, image: Image) -> None:
    registry.inject(faults.too_many_requests("4"), Kind.MANIFEST, times=1)
    with lookup.begin(2):
        assert (await _undecided(registry, image.reference)).reason.code is Code.RATE_LIMITED
    assert len(registry.requests) == 1


async def test_connections_that_keep_breaking_are_undecided(registry: FaultyRegistry, image: Image) -> None:
    for behaviour in (faults.truncated(), faults.reset(), faults.lying_length(100_000)):
        registry.inject(behaviour, Kind.MANIFEST)
        error = await _undecided(registry, image.reference)
        assert (error.reason.code, "the connection broke" in error.reason.found) == (Code.UNREACHABLE, True)
        registry.heal()


async def test_a_registry_that_is_away_is_undecided(registry: FaultyRegistry, image: Image) -> None:
    await registry.stop()
    error = await _undecided(registry, image.reference)
    assert error.reason.code is Code.UNREACHABLE
    assert registry.host in error.reason.message


async def test_a_registry_that_is_silent_is_undecided(registry: FaultyRegistry, image: Image) -> None:
    registry.inject(faults.hang(), Kind.MANIFEST)
    error = await _undecided(registry, image.reference, QUICK.model_copy(update={"read_timeout": 0.1}))
    assert (error.reason.code, error.reason.found) == (Code.UNREACHABLE, "no answer in time")
    assert len([request for request in registry.requests if request.kind is Kind.MANIFEST]) <= 1
    with HangingListener() as listener:
        reference = Reference.parse(f"{listener.host}/shop/web:1.4")
        async with transport(listener, limits=QUICK.model_copy(update={"read_timeout": 0.1})) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(reference)
        assert (caught.value.reason.code, caught.value.source) == (Code.UNREACHABLE, listener.host)


async def test_the_lookup_ends_in_time_and_tells_whom_it_waits_for(registry: FaultyRegistry, image: Image) -> None:
    registry.inject(faults.slow(30), Kind.MANIFEST)
    async with transport(registry) as connections:
        with lookup.begin(0.3) as under_way:
            asked = asyncio.ensure_future(RegistryClient(connections).resolve(image.reference))
            await asyncio.sleep(0.1)
            assert list(under_way.waiting_for) == [registry.host]
            with pytest.raises(Undecided) as caught:
                await asked
        assert (caught.value.reason.code, caught.value.source) == (Code.UNREACHABLE, registry.host)
        assert not under_way.waiting_for


@pytest.mark.parametrize("status", [400, 404, 405, 406, 501])
async def test_a_registry_without_the_referrers_api_is_asked_for_the_fallback_tag(
    registry: FaultyRegistry, image: Image, status: int
) -> None:
    registry.referrers_api = False
    Signer(registry).sign(image, signing_key(), style=Style.BUNDLE)
    registry.inject(faults.status(status, {}, b"404 page not found\n"), Kind.REFERRERS)
    found = await _discover(registry, image)
    assert (len(found.attachments), found.gaps) == (1, ())


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, Code.UNAUTHORIZED), (403, Code.UNAUTHORIZED), (429, Code.RATE_LIMITED), (500, Code.REGISTRY_ERROR)],
)
async def test_a_referrers_api_that_fails_is_not_a_missing_one(
    registry: FaultyRegistry, image: Image, status: int, code: Code
) -> None:
    registry.referrers_api = False
    Signer(registry).sign(image, signing_key(), style=Style.BUNDLE)
    registry.inject(faults.status(status), Kind.REFERRERS)
    found = await _discover(registry, image)
    assert found.attachments == ()
    assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(code, False)]


async def test_a_web_page_in_place_of_the_listing_is_no_empty_list(registry: FaultyRegistry, image: Image) -> None:
    registry.inject(faults.status(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"), Kind.REFERRERS)
    found = await _discover(registry, image)
    assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(Code.MALFORMED, True)]
    registry.referrers_api = False
    Signer(registry).sign(image, signing_key(), style=Style.BUNDLE)
    found = await _discover(registry, image)
    assert (len(found.attachments), found.gaps) == (1, ())


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"schemaVersion":2}', b""])
async def test_a_listing_that_is_none_is_refused(registry: FaultyRegistry, image: Image, body: bytes) -> None:
    registry.inject(faults.status(200, {"Content-Type": mediatypes.OCI_INDEX}, body), Kind.REFERRERS)
    found = await _discover(registry, image)
    assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(Code.MALFORMED, True)]


async def test_a_registry_that_takes_the_fallback_tag_for_the_digest_has_none(
    registry: FaultyRegistry, image: Image
) -> None:
    """GitLab's does (oras-project/oras-go issue 1396): the index's own images would become its referrers."""
    registry.referrers_api = False
    index = ImageBuilder(registry).index("shop/web", "all")
    stored = registry.manifest("shop/web", index.digest)
    assert stored
    as_digest = faults.status(200, {"Content-Type": stored.media_type}, stored.content)
    registry.inject(as_digest, Kind.MANIFEST, path=f"manifests/sha256-{index.digest.hex}$")
    found = await _discover(registry, index)
    assert (found.attachments, found.gaps) == ((), ())


async def test_a_gap_in_one_place_leaves_the_others(registry: FaultyRegistry, image: Image) -> None:
    Signer(registry).sign(image, signing_key())
    Signer(registry).sign(image, signing_key("two"), style=Style.BUNDLE)
    registry.inject(faults.status(500), Kind.REFERRERS)
    found = await _discover(registry, image)
    assert [attachment.media_type for attachment in found.attachments] == [mediatypes.SIMPLE_SIGNING]
    assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(Code.REGISTRY_ERROR, False)]
    assert found.gaps[0].place == f"{image.repository} referrers of {image.digest.short}"
    registry.heal()
    registry.inject(faults.status(403), Kind.MANIFEST, path=r"\.sig$")
    found = await _discover(registry, image)
    assert [attachment.media_type.startswith(mediatypes.BUNDLE_PREFIX) for attachment in found.attachments] == [True]
    assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(Code.UNAUTHORIZED, False)]


async def test_a_missing_blob_is_a_settled_gap(registry: FaultyRegistry, image: Image) -> None:
    (stored,) = Signer(registry).sign(image, signing_key())
    registry.delete_blob("shop/web", Digest.parse(json.loads(stored.content)["layers"][0]["digest"]))
    found = await _discover(registry, image)
    assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(Code.NOT_FOUND, True)]


async def test_an_image_known_by_sha512_is_found_and_verified_as_such(registry: FaultyRegistry, image: Image) -> None:
    stored = registry.manifest("shop/web", image.digest)
    assert stored
    digest = Digest.of(stored.content, "sha512")
    registry.put_manifest("shop/web", stored.content, digest=digest)
    reference = Reference(image.repository, None, digest)
    assert await _resolve(registry, reference) == digest
    async with transport(registry) as connections:
        found = await discover(RegistryClient(connections), [image.repository], digest, _SIGNATURES, QUICK)
    assert (found.attachments, found.gaps) == ((), ())


async def test_independent_questions_are_asked_at_once(registry: FaultyRegistry, image: Image) -> None:
    """Each of the two first questions is answered only once the other has come."""
    Signer(registry).sign(image, signing_key())
    tag, listing = asyncio.Event(), asyncio.Event()

    def _meet(own: asyncio.Event, other: asyncio.Event) -> Behaviour:
        async def behave(call: Call) -> web.StreamResponse:
            own.set()
            async with asyncio.timeout(3):
                await other.wait()
            return await call.proceed()

        return behave

    registry.inject(_meet(tag, listing), Kind.MANIFEST, path=r"\.sig$")
    registry.inject(_meet(listing, tag), Kind.REFERRERS)
    found = await _discover(registry, image)
    assert (len(found.attachments), found.gaps) == (1, ())


async def test_a_registry_sees_no_more_requests_at_once_than_settings_allow(registry: FaultyRegistry, image: Image) -> None:
    under_way, most = 0, 0

    async def behave(call: Call) -> web.StreamResponse:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await call.proceed()

    registry.inject(behave, Kind.MANIFEST)
    async with transport(registry, limits=QUICK.model_copy(update={"requests_per_registry": 3})) as connections:
        client = RegistryClient(connections)
        await asyncio.gather(*(client.resolve(image.reference) for _ in range(12)))
    assert most == 3


async def test_mirrors_are_asked_first_and_the_registry_where_they_fail(registry: FaultyRegistry, image: Image) -> None:
    Signer(registry).sign(image, signing_key(), style=Style.BUNDLE)
    async with FaultyRegistry() as mirror, Recorder(status=500) as broken:
        own = {registry.host: {"mirrors": (broken.host, mirror.host)}}
        async with transport(
            registry, mirror, broken, limits=QUICK.model_copy(update={"retries": 0}), own=own
        ) as connections:
            client = RegistryClient(connections)
            assert (await client.resolve(image.reference)).digest == image.digest
            assert (len(broken.requests), len(mirror.requests), len(registry.requests)) == (1, 1, 1)
            ImageBuilder(mirror).image("shop/web", "1.4", content=b"shop/web:1.4")
            registry.requests.clear()
            assert (await client.resolve(image.reference)).digest == image.digest
            assert len(registry.requests) == 0
            found = await discover(client, [image.repository], image.digest, _SIGNATURES, QUICK)
            assert (len(found.attachments), found.gaps) == (1, ())


async def test_a_private_authority_is_trusted_for_its_registry_only(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path)
    server = authority.issue("127.0.0.1")
    async with EmbeddedRegistry(tls=server.context()) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        own = {registry.host: {"insecure": False, "ca_file": authority.certificate}}
        async with transport(registry, own=own) as connections:
            assert (await RegistryClient(connections).resolve(image.reference)).digest == image.digest
        async with transport(registry, own={registry.host: {"insecure": False}}) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(image.reference)
        assert caught.value.reason.code is Code.UNREACHABLE
        assert (
            caught.value.reason.expected
            == f"a certificate of a known authority, or caFile for {registry.host} in the settings"
        )
        assert "unable to get local issuer certificate" in caught.value.reason.found


async def test_a_registry_without_tls_is_known_for_one(registry: FaultyRegistry, image: Image) -> None:
    async with transport(registry, own={registry.host: {"insecure": False}}) as connections:
        with pytest.raises(Undecided) as caught:
            await RegistryClient(connections).resolve(image.reference)
    assert caught.value.reason.code is Code.UNREACHABLE
    assert (
        caught.value.reason.expected == f"TLS, or insecure: true for {registry.host} in the settings (--insecure-registry)"
    )
    assert caught.value.reason.found == "an answer without TLS"


async def test_a_blob_of_another_size_is_refused(registry: FaultyRegistry, image: Image) -> None:
    digest = registry.put_blob("shop/web", b"content")
    async with transport(registry) as connections:
        client = RegistryClient(connections)
        whole = Descriptor("application/x", digest, len(b"content"))
        assert await client.blob(image.repository, whole, limit=7) == b"content"
        for size, limit, code in ((3, 7, Code.LIMIT_EXCEEDED), (7, 3, Code.LIMIT_EXCEEDED)):
            with pytest.raises(Refused) as caught:
                await client.blob(image.repository, Descriptor("application/x", digest, size), limit=limit)
            assert caught.value.reason.code is code


async def test_a_storage_that_lost_a_blob_is_not_the_registrys_word(registry: FaultyRegistry, image: Image) -> None:
    async with Recorder(status=404) as storage:
        registry.inject(faults.redirect(storage.url), Kind.MANIFEST)
        async with transport(registry, storage) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(image.reference)
    assert (caught.value.reason.code, caught.value.source) == (Code.REGISTRY_ERROR, storage.host)


async def test_a_mirror_that_takes_all_the_time_is_named(registry: FaultyRegistry, image: Image) -> None:
    async with FaultyRegistry() as mirror:
        mirror.inject(faults.hang())
        own = {registry.host: {"mirrors": (mirror.host,)}}
        async with transport(registry, mirror, own=own) as connections:
            with pytest.raises(Undecided) as caught, lookup.begin(0.2):
                await RegistryClient(connections).resolve(image.reference)
    assert (caught.value.reason.code, caught.value.source) == (Code.UNREACHABLE, mirror.host)


class _Rounds:
    """Holds every request back until no further one comes, and lets them through together: one round is one trip."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[asyncio.Event] = []

    async def behave(self, call: Call) -> web.StreamResponse:
        own = asyncio.Event()
        self._waiting.append(own)
        if len(self._waiting) == 1:
            self._task = asyncio.create_task(self._release())
        await own.wait()
        return await call.proceed()

    async def _release(self) -> None:
        held = 0
        while held != len(self._waiting):
            held = len(self._waiting)
            await asyncio.sleep(0.05)
        self.count += 1
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()


@pytest.mark.parametrize(
    ("style", "referrers_api", "by_tag", "trips"),
    [
        (Style.TAG, True, False, 2),
        (Style.BUNDLE, True, False, 3),
        (Style.TAG, True, True, 3),
        (Style.BUNDLE, True, True, 4),
        (Style.BUNDLE, False, False, 4),
    ],
)
async def test_the_critical_path_is_as_short_as_promised(
    style: Style, *, referrers_api: bool, by_tag: bool, trips: int
) -> None:
    async with FaultyRegistry(referrers_api=referrers_api) as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        for number in range(3):
            Signer(registry).sign(image, signing_key(), style=style, annotations={"build": str(number)})
        rounds = _Rounds()
        registry.inject(rounds.behave)
        async with transport(registry) as connections:
            client = RegistryClient(connections)
            digest = (await client.resolve(image.reference)).digest if by_tag else image.digest
            found = await discover(client, [image.repository], digest, _SIGNATURES, QUICK)
        assert (len(found.attachments), found.gaps) == (3, ())
        assert rounds.count == trips


async def test_a_name_that_nobody_has_is_undecided() -> None:
    async with transport(resolver=Names()) as connections:
        with pytest.raises(Undecided) as caught:
            await RegistryClient(connections).resolve(Reference.parse("no.such.test/shop/web:1.4"))
    assert (caught.value.reason.code, caught.value.source) == (Code.UNREACHABLE, "no.such.test")
    assert "was not resolved" in caught.value.reason.found
