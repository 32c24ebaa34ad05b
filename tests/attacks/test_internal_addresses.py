"""Attacks 40 and 30: an image reference, a redirect or a token realm that leads inside."""

import json

import pytest

from controller.demo.images import ImageBuilder
from controller.demo.recording import Kind
from controller.errors import Code, Undecided
from controller.reference import Digest, Reference
from controller.registry import mediatypes
from controller.registry.client import RegistryClient
from controller.registry.source import Descriptor
from tests.fakes import faults
from tests.fakes.clients import QUICK, transport
from tests.fakes.names import Names
from tests.fakes.registry import FaultyRegistry
from tests.fakes.servers import Recorder

_NAMES = Names(
    internal_test=[["127.0.0.1"]],
    mixed_test=[["1.1.1.1", "127.0.0.1"]],
    mapped_test=[["::ffff:127.0.0.1"]],
    nat64_test=[["64:ff9b::7f00:1"]],
    metadata_test=[["169.254.169.254"]],
    zero_test=[["0.0.0.0"]],  # noqa: S104 - not bound to
    ula_test=[["fd00::1"]],
    localhost=[["127.0.0.1"]],
)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - the same
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "10.96.0.1",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "localhost",
        "internal.test",
        "mixed.test",
        "mapped.test",
        "nat64.test",
        "metadata.test",
        "zero.test",
        "ula.test",
    ],
)
async def test_a_reference_to_an_internal_host_is_not_contacted(host: str) -> None:
    async with Recorder() as inside:
        reference = Reference.parse(f"{host}:{inside.host.rpartition(':')[2]}/shop/web:1.4")
        own = {reference.repository.registry: {"insecure": True}}
        async with transport(own=own, resolver=_NAMES) as connections:
            with pytest.raises(Undecided, match="is not called") as caught:
                await RegistryClient(connections).resolve(reference)
        assert caught.value.reason.code is Code.ADDRESS_NOT_ALLOWED
        assert caught.value.source == reference.repository.registry
        assert len(inside.requests) == 0


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "127.1", "0x7f.1", "127.0.0.1.", "localhost."])
async def test_other_spellings_of_an_internal_address_are_not_contacted(host: str) -> None:
    """Some are no host by the grammar of references, some no address to aiohttp, some names that nobody has."""
    async with Recorder() as inside:
        own = {f"{host}:1": {"insecure": True}} if not host.endswith(".") else {}
        async with transport(own=own, resolver=_NAMES) as connections:
            client = RegistryClient(connections)
            with pytest.raises(Exception, match=r"is not called|cannot be asked|did not answer|not a host name") as caught:
                await client.resolve(Reference.parse(f"{host}:{inside.host.rpartition(':')[2]}/shop/web:1.4"))
        assert caught.typename in {"Undecided", "Invalid"}
        assert len(inside.requests) == 0


async def test_a_host_that_settings_or_a_cluster_policy_name_is_contacted() -> None:
    async with FaultyRegistry() as registry:
        ImageBuilder(registry).image("shop/web", "1.4")
        port = registry.host.rpartition(":")[2]
        for host in ("127.0.0.1", "internal.test"):
            name = f"{host}:{port}"
            reference = Reference.parse(f"{name}/shop/web:1.4")
            for private, allowed in ((True, lambda _: False), (False, lambda asked, name=name: asked == name)):
                own = {name: {"insecure": True, "private_address": private}}
                async with transport(own=own, resolver=_NAMES, private_allowed=allowed) as connections:
                    assert (await RegistryClient(connections).resolve(reference)).raw


async def test_another_port_of_a_named_host_is_not_contacted() -> None:
    async with FaultyRegistry() as registry, Recorder() as inside:
        reference = Reference.parse(f"{inside.host}/shop/web:1.4")
        async with transport(registry, own={inside.host: {"insecure": True}}) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(reference)
        assert caught.value.reason.code is Code.ADDRESS_NOT_ALLOWED
        assert len(inside.requests) == 0


async def test_a_name_that_is_public_when_asked_and_internal_when_called_is_not_contacted() -> None:
    """DNS rebinding: a check that asks for itself sees the first answer, the connection the second."""
    async with Recorder() as inside:
        name = f"rebind.test:{inside.host.rpartition(':')[2]}"
        names = Names(rebind_test=[["1.1.1.1"], ["127.0.0.1"]])
        async with transport(own={name: {"insecure": True}}, resolver=names) as connections:
            client = RegistryClient(connections)
            # The answer that was judged is the one connected to: the tests' network guard says which address was tried.
            with pytest.raises(UserWarning, match=r'host "1\.1\.1\.1"'):
                await client.resolve(Reference.parse(f"{name}/shop/web:1.4"))
            assert names.asked["rebind.test"] == 1
            with pytest.raises(Undecided) as caught:
                await client.resolve(Reference.parse(f"{name}/shop/web:1.4"))
        assert caught.value.reason.code is Code.ADDRESS_NOT_ALLOWED
        assert caught.value.reason.found == "127.0.0.1"
        assert len(inside.requests) == 0


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_inside_is_not_followed(code: int) -> None:
    async with FaultyRegistry() as registry, Recorder() as inside:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        registry.inject(faults.redirect(inside.url, code), Kind.MANIFEST)
        async with transport(registry) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(image.reference)
        assert (caught.value.reason.code, caught.value.source) == (Code.ADDRESS_NOT_ALLOWED, inside.host)
        assert len(inside.requests) == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "internal.test"])
async def test_a_token_realm_inside_is_not_asked(host: str) -> None:
    async with FaultyRegistry() as registry, Recorder(body=b'{"token":"t"}') as inside:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        realm = f"http://{host}:{inside.host.rpartition(':')[2]}/token"
        registry.inject(faults.challenge(realm), Kind.MANIFEST)
        async with transport(registry, resolver=_NAMES) as connections:
            with pytest.raises(Undecided) as caught:
                await RegistryClient(connections).resolve(image.reference)
        assert caught.value.reason.code is Code.ADDRESS_NOT_ALLOWED
        assert len(inside.requests) == 0


async def test_a_public_registry_cannot_send_us_to_an_internal_one_that_is_named() -> None:
    """The internal registry may be called for its own images, and by nobody else's word."""
    async with Recorder() as inside:
        connections = transport(inside)
        (public,) = connections.endpoints.of("registry.example.com")
        (internal,) = connections.endpoints.of(inside.host)
        target = internal.url / "v2" / "x"
        from controller.registry.calls import Call  # noqa: PLC0415 - used here only

        for endpoint, for_token, may in ((public, False, False), (public, True, False), (internal, False, True)):
            call = Call(endpoint, endpoint.url, "x", 1, "limits.x", for_token=for_token)
            assert connections._may_be_private(call, target) is may


async def test_urls_inside_manifests_are_never_fetched() -> None:
    """A descriptor may name further addresses of its blob (image specification, "urls")."""
    async with FaultyRegistry() as registry, Recorder(body=b"content") as inside:
        layer = {"mediaType": mediatypes.SIMPLE_SIGNING, "digest": str(Digest.of(b"content")), "size": 7}
        image = ImageBuilder(registry).image("shop/web", "1.4")
        manifest = {
            "schemaVersion": 2,
            "config": {**layer, "urls": [f"{inside.url}/config"]},
            "layers": [{**layer, "urls": [f"{inside.url}/blob"]}],
        }
        registry.put_manifest("shop/web", json.dumps(manifest).encode(), tag="foreign")
        async with transport(registry, inside) as connections:
            client = RegistryClient(connections)
            found = await client.manifest(image.repository, "foreign")
            assert found
            with pytest.raises(Exception, match="is not in") as caught:
                await client.blob(image.repository, found.layers[0], limit=QUICK.signature_bytes)
            assert isinstance(found.layers[0], Descriptor)
        assert caught.typename == "Refused"
        assert len(inside.requests) == 0
