"""Which addresses may be called (design, rule 11; attack 40).

An image reference, a token realm and a redirect are all written by somebody else, so each could name a service inside the
cluster or the cloud's metadata server. The address a name resolves to is judged here, and it is that very answer which is
connected to: a name is resolved once per connection, with no second look-up in between to give another answer.
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

_IPv4: Final = ipaddress.IPv4Address
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class BlockedAddressError(OSError):
    """A host resolved to an address that may not be called; `host` and `address` say which."""

    def __init__(self, host: str, address: str) -> None:
        self.host = host
        self.address = address
        super().__init__(f"{host} is {address}, a loopback, link-local or private address")


def is_public(text: str) -> bool:
    """Whether `text` is an address of the public internet; False for anything that is no IP address.

    An address that carries an IPv4 address inside (mapped, NAT64, 6to4, Teredo) is as public as that one is. Of IPv6 only
    2000::/3 is global unicast (RFC 4291, section 2.4): ULA, link-local, site-local and IPv4-compatible ones are outside.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, _IPv4):
        return address.is_global and not address.is_multicast and not address.is_reserved
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
    if address in _NAT64:
        inner = _IPv4(int(address) & 0xFFFFFFFF)
    if inner:
        return is_public(str(inner))
    return address in _GLOBAL_V6 and address.is_global and address.scope_id is None


class PublicResolver(AbstractResolver):
    """Resolves names and fails for those with any address that is not public.

    One such address among public ones fails the name too: which of them would be used is the name owner's choice.
    """

    def __init__(self, resolver: AbstractResolver) -> None:
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """As `AbstractResolver.resolve`.

        Raises:
            BlockedAddressError: The name has an address that may not be called.
        """
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if not is_public(result["host"]):
                raise BlockedAddressError(host, result["host"])
        return found

    async def close(self) -> None:
        """The resolver inside belongs to whoever gave it."""


class SystemResolver(AbstractResolver):
    """The system's resolver, in threads of its own and once for all who ask for one name at the same time.

    A name whose servers are silent holds a thread for as long as the system waits, which may be half a minute. In asyncio's
    own threads a few such names, all of somebody else's choosing, would stop everything else that needs a thread.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolver")
        self._under_way: dict[tuple[str, int, int], asyncio.Future[list[ResolveResult]]] = {}

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """As `AbstractResolver.resolve`."""
        key = (host, port, family)
        asked = self._under_way.get(key)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _addresses, host, port, family)
            self._under_way[key] = asked
            asked.add_done_callback(lambda done: self._answered(key, done))
        return list(await asyncio.shield(asked))

    def _answered(self, key: tuple[str, int, int], done: asyncio.Future[list[ResolveResult]]) -> None:
        del self._under_way[key]
        if not done.cancelled():
            done.exception()  # seen, also where everybody has given up waiting

    async def close(self) -> None:
        """Let go of the threads; those that wait for silent servers end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class TimedResolver(AbstractResolver):
    """Another resolver that is given up after some seconds."""

    def __init__(self, resolver: AbstractResolver, seconds: float) -> None:
        self._resolver = resolver
        self._seconds = seconds

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """As `AbstractResolver.resolve`; OSError after the time."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._resolver.resolve(host, port, family)
        except TimeoutError:
            raise OSError(f"{host} was not resolved within {self._seconds:g} s") from None

    async def close(self) -> None:
        """Close the resolver inside."""
        await self._resolver.close()


class PublicConnector(TCPConnector):
    """Opens connections to public addresses only. Literal addresses never reach a resolver, so they are judged here."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:  # noqa: ASYNC109 - aiohttp's signature
        """As `TCPConnector.connect`.

        Raises:
            BlockedAddressError: The URL holds an address that may not be called.
        """
        host = req.url.raw_host or ""
        if (":" in host or host.replace(".", "").isdigit()) and not is_public(host):
            raise BlockedAddressError(host, host)
        return await super().connect(req, traces, timeout)


def _addresses(host: str, port: int, family: int) -> list[ResolveResult]:
    """Ask the system. Scoped (link-local) IPv6 addresses are left out: their scope has no place in what is returned."""
    flags = socket.AI_ADDRCONFIG
    found = socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM, flags=flags)
    return [
        ResolveResult(
            hostname=host,
            host=str(address[0]),
            port=int(address[1]),
            family=kind,
            proto=protocol,
            flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        )
        for kind, _, protocol, _, address in found
        if kind != socket.AF_INET6 or (len(address) == 4 and not address[3])  # noqa: PLR2004 - address, port, flow, scope
    ]
