"""Which addresses count as public, and what the resolver does with the others."""

import asyncio
import socket
import threading

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from controller.registry.addresses import BlockedAddressError, PublicResolver, SystemResolver, TimedResolver, is_public


class Answers(AbstractResolver):
    """Resolves every name to the same addresses."""

    def __init__(self, *addresses: str, delay: float = 0) -> None:
        self._addresses = addresses
        self._delay = delay

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        await asyncio.sleep(self._delay)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0)
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing to close."""


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - not bound to
        "0.1.2.3",
        "10.96.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "2001:0:7f00:1::1",
        "2001:0:101:101:0:0:80ff:fffe",
        "2001:db8::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "fec0::1",
        "ff02::1",
        "4000::1",
        "localhost",
        "2130706433",
        "127.1",
        "0x7f.1",
        "",
    ],
)
def test_everything_else_is_not_public(address: str) -> None:
    assert not is_public(address)


async def test_a_name_with_one_internal_address_among_public_ones_is_blocked() -> None:
    public = PublicResolver(Answers("93.184.216.34", "1.1.1.1"))
    assert [result["host"] for result in await public.resolve("a.example", 443)] == ["93.184.216.34", "1.1.1.1"]
    with pytest.raises(BlockedAddressError) as caught:
        await PublicResolver(Answers("93.184.216.34", "10.0.0.1")).resolve("a.example", 443)
    assert (caught.value.host, caught.value.address) == ("a.example", "10.0.0.1")


async def test_resolving_ends_after_its_time() -> None:
    resolver = TimedResolver(Answers("1.1.1.1", delay=30), 0.01)
    with pytest.raises(OSError, match="was not resolved within"):
        await resolver.resolve("a.example", 443)
    await resolver.close()


async def test_a_silent_name_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty who ask for one name hold one thread, and none of those that asyncio gives to everybody."""
    begun, released, asked = threading.Event(), threading.Event(), []

    def getaddrinfo(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        if host == "silent.test":
            begun.set()
            released.wait(10)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port)),
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", port, 0, 2)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    resolver = SystemResolver(2)
    silent = [asyncio.ensure_future(resolver.resolve("silent.test", 443)) for _ in range(20)]
    try:
        async with asyncio.timeout(5):
            assert await asyncio.to_thread(begun.wait, 5)
            found = await resolver.resolve("quick.test", 443)
            assert [(result["host"], result["port"]) for result in found] == [("93.184.216.34", 443)]
            assert sorted(asked) == ["quick.test", "silent.test"]
    finally:
        released.set()
    assert len(await asyncio.gather(*silent)) == 20
    await resolver.close()
