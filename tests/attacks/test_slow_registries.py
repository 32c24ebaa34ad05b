"""Attack 34: a slow host. The lookup ends in its time and names the host that was slow, not the one that was asked for."""

import asyncio
from collections.abc import Awaitable

import pytest

from controller.demo.authentication import Account, TokenAuthentication
from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.signer import Signer
from controller.errors import Code, Undecided
from controller.registry import lookup
from controller.registry.client import RegistryClient
from controller.registry.discovery import Want, discover
from tests.fakes import faults
from tests.fakes.clients import QUICK, transport
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry

_TIME = 0.2
_FAR_TOO_LATE = 3.0
_PATIENT = QUICK.model_copy(update={"read_timeout": 30.0, "connect_timeout": 30.0, "lookup_timeout": 30.0})


async def _undecided(question: Awaitable[object]) -> Undecided:
    """The error of a question that may take `_TIME`; the test fails if it takes much longer."""
    with pytest.raises(Undecided) as caught, lookup.begin(_TIME):
        async with asyncio.timeout(_FAR_TOO_LATE):
            await question
    assert caught.value.reason.code is Code.UNREACHABLE
    return caught.value


def _image(registry: FaultyRegistry) -> Image:
    return ImageBuilder(registry).image("shop/web", "1.4")


@pytest.mark.parametrize("behaviour", ["slow", "hang", "drip"])
async def test_a_slow_registry_is_named_in_time(behaviour: str) -> None:
    fault = {"slow": faults.slow(30), "hang": faults.hang(), "drip": faults.endless(b" ", pause=0.02)}[behaviour]
    async with FaultyRegistry() as registry:
        image = _image(registry)
        registry.inject(fault, Kind.MANIFEST)
        async with transport(registry, limits=_PATIENT) as connections:
            error = await _undecided(RegistryClient(connections).resolve(image.reference))
        assert error.source == registry.host


async def test_a_slow_token_service_is_named_in_time() -> None:
    async with FaultyRegistry() as slow:
        realm = TokenAuthentication(Account("", ""), realm=f"{slow.url}/token")
        async with FaultyRegistry(authentication=realm) as registry:
            image = _image(registry)
            slow.inject(faults.hang())
            async with transport(registry, slow, limits=_PATIENT) as connections:
                client = RegistryClient(connections)
                error = await _undecided(client.resolve(image.reference))
                assert error.source == slow.host
                # Whoever joins the wait for the same token is answered in its own time, too.
                both = asyncio.gather(client.resolve(image.reference), client.resolve(image.reference))
                assert (await _undecided(both)).source == slow.host


async def test_a_slow_storage_behind_a_redirect_is_named_in_time() -> None:
    async with FaultyRegistry() as registry, FaultyRegistry() as slow:
        image = _image(registry)
        registry.inject(faults.redirect(slow.url), Kind.MANIFEST)
        slow.inject(faults.hang())
        async with transport(registry, slow, limits=_PATIENT) as connections:
            assert (await _undecided(RegistryClient(connections).resolve(image.reference))).source == slow.host


async def test_one_slow_place_leaves_what_the_others_hold() -> None:
    async with FaultyRegistry() as registry:
        image = _image(registry)
        Signer(registry).sign(image, signing_key())
        registry.inject(faults.hang(), Kind.REFERRERS)
        async with transport(registry, limits=_PATIENT) as connections:
            with lookup.begin(_TIME):
                found = await discover(
                    RegistryClient(connections), [image.repository], image.digest, frozenset({Want.SIGNATURES}), _PATIENT
                )
        assert len(found.attachments) == 1
        assert [(gap.reason.code, gap.settled) for gap in found.gaps] == [(Code.UNREACHABLE, False)]
        assert registry.host in found.gaps[0].reason.message


async def test_a_registry_that_says_come_back_later_does_not_hold_the_lookup() -> None:
    async with FaultyRegistry() as registry:
        image = _image(registry)
        registry.inject(faults.too_many_requests("3"), Kind.MANIFEST)
        async with transport(registry, limits=_PATIENT) as connections:
            with pytest.raises(Undecided) as caught, lookup.begin(_TIME):
                async with asyncio.timeout(_FAR_TOO_LATE):
                    await RegistryClient(connections).resolve(image.reference)
        assert (caught.value.reason.code, caught.value.source) == (Code.RATE_LIMITED, registry.host)
