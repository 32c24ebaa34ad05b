"""HTTP to registries: the only place that opens connections to them.

Bounded in bytes, time, redirects and repetitions; bound to the addresses of `addresses.py`; credentials leave with the first
redirect to another origin. What comes back is an `Answer` with any status; what that status means is the client's business.
"""

import asyncio
import email.utils
import os
import random
import ssl
import time
from collections.abc import Callable
from typing import Final, Self

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from multidict import CIMultiDict
from yarl import URL

from controller import __version__
from controller.errors import Code, Refused, SigwardError, Undecided
from controller.registry import lookup
from controller.registry.addresses import (
    BlockedAddressError,
    PublicConnector,
    PublicResolver,
    SystemResolver,
    TimedResolver,
)
from controller.registry.auth import Authenticator
from controller.registry.calls import Answer, Call, read_url, unreachable
from controller.registry.endpoints import Endpoints, name_of
from controller.registry.lookup import Lookup
from controller.registry.manifests import over_limit
from controller.settings import Settings

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_KEPT_ALIVE: Final = 60.0
"""Seconds; a rollout admits its pods over minutes, and a new connection costs two more trips."""
_TRY_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_OK: Final = 200
_PLAIN_HTTP: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""What OpenSSL calls an answer that is no TLS, by version."""


class _BrokenError(Exception):
    """The connection broke; the same may succeed if asked again."""


class RegistryTransport:
    """Connections to all registries, made once per process.

    Two pools: one that reaches public addresses only, one for the hosts that settings or a cluster policy name literally.

    Args:
        settings: Registries and limits.
        private_allowed: Whether a cluster policy names the registry literally, so that it may have a private address.
        resolver: Resolves names; by default the system's. It is closed with the transport.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        private_allowed: Callable[[str], bool] = lambda _: False,
        resolver: AbstractResolver | None = None,
    ) -> None:
        self.limits = settings.limits
        self.endpoints = Endpoints(settings.registries)
        self._private_allowed = private_allowed
        self._given_resolver = resolver
        self.authenticator = Authenticator(self.fetch, settings.limits)
        self._resolver: AbstractResolver | None = None
        self._sessions: tuple[ClientSession, ClientSession] | None = None
        self._timeout = ClientTimeout(
            total=None, sock_connect=self.limits.connect_timeout, sock_read=self.limits.read_timeout
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self.authenticator.close()
        sessions, self._sessions = self._sessions, None
        for session in sessions or ():
            await session.close()
        if self._resolver:
            await self._resolver.close()

    async def fetch(self, call: Call) -> Answer:
        """Send the call, repeating it after 429, 5xx and broken connections while the lookup has time.

        Raises:
            Refused: `LimitExceeded` (body, redirects), `Malformed` (an encoding nobody asked for).
            Undecided: `Unreachable`, `AddressNotAllowed`, `RegistryError`, naming the host.
        """
        with lookup.current(self.limits.lookup_timeout) as now:
            number = 0
            while True:
                answer, broken = await self._try(call, now)
                pause = self._pause(number, answer)
                if pause is None or pause >= now.remaining:
                    break
                with now.waiting(name_of(call.url)):
                    await asyncio.sleep(pause)
                number += 1
            if answer is None:
                raise unreachable(call.what, name_of(call.url), f"the connection broke: {broken}")
            return answer

    async def _try(self, call: Call, now: Lookup) -> tuple[Answer | None, str]:
        try:
            return await self._follow(call, now), ""
        except _BrokenError as error:
            return None, str(error)

    def _pause(self, number: int, answer: Answer | None) -> float | None:
        """Seconds before the next try, or None where there is none.

        Doubled each time, with jitter so that many callers of one failing registry do not come back together, and never
        shorter than the registry asks for.
        """
        if number >= self.limits.retries or (answer is not None and answer.status not in _TRY_AGAIN):
            return None
        pause = self.limits.retry_base * 2**number * random.uniform(0.5, 1.5)
        asked = _retry_after(answer.headers.get("Retry-After", "")) if answer else 0.0
        return None if asked > self.limits.retry_after_longest else max(pause, asked)

    async def _follow(self, call: Call, now: Lookup) -> Answer:
        url, authorization = call.url, call.authorization
        for _ in range(self.limits.redirects + 1):
            answer = await self._exchange(call, url, authorization, now)
            if answer.status not in _REDIRECTS or call.form:
                return answer
            target = _redirected(call, url, answer.headers.get("Location", ""))
            if target.origin() != url.origin():
                # Once gone it stays gone: a foreign host must not choose what our credentials open.
                authorization = ""
            url = target
        raise over_limit(f"{call.what}: the way of redirects", "limits.redirects", self.limits.redirects, "more")

    async def _exchange(self, call: Call, url: URL, authorization: str, now: Lookup) -> Answer:
        host = name_of(url)
        try:
            with now.waiting(host):
                async with asyncio.timeout_at(now.deadline):
                    return await self._send(call, url, authorization)
        except (ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            raise _translated(call, host, error) from None

    async def _send(self, call: Call, url: URL, authorization: str) -> Answer:
        headers = CIMultiDict({"Accept": call.accept, "Accept-Encoding": "identity"})
        if authorization:
            headers["Authorization"] = authorization
        async with self._session(call, url).request(
            "POST" if call.form else "GET",
            url,
            headers=headers,
            data=call.form or None,
            ssl=self._tls(call, url) or True,
            timeout=self._timeout,
            allow_redirects=False,
        ) as response:
            body = await self._body(call, response)
            return Answer(response.status, response.headers, body, url)

    async def _body(self, call: Call, response: ClientResponse) -> bytes:
        good = response.status == _OK
        limit = call.limit if good else self.limits.error_body_bytes
        try:
            if good:
                _check_head(call, response)
            pieces, length = [], 0
            while length <= limit and (piece := await response.content.readany()):
                pieces.append(piece)
                length += len(piece)
            if length > limit:
                response.close()  # the rest is not worth reading
                if good:
                    raise over_limit(call.what, call.limit_name, limit, "more")
        except SigwardError:
            response.close()
            raise
        return b"".join(pieces)[:limit]

    def _session(self, call: Call, url: URL) -> ClientSession:
        if self._sessions is None:
            self._sessions = self._make_sessions()
        public, private = self._sessions
        return private if self._may_be_private(call, url) else public

    def _may_be_private(self, call: Call, url: URL) -> bool:
        """Whether this host may have a private address in this call.

        A host that was named literally, as the registry itself, on the way on from such a registry, or as its token service.
        A public registry cannot send us to an internal one, although that one may be called for its own images.
        """
        own, target = call.endpoint, name_of(url)
        if call.for_token and {target, url.raw_host} & {realm.lower() for realm in own.settings.token_realms}:
            return True
        if target == name_of(own.url):
            target = own.name
        return self._allowed(target) and (target == own.name or self._allowed(own.name))

    def _allowed(self, name: str) -> bool:
        return self.endpoints.allows_private(name) or self._private_allowed(name)

    def _tls(self, call: Call, url: URL) -> ssl.SSLContext | None:
        """The target's own authorities where settings give some, else the registry's."""
        return self.endpoints.tls(name_of(url)) or call.endpoint.tls

    def _make_sessions(self) -> tuple[ClientSession, ClientSession]:
        system = TimedResolver(
            self._given_resolver or SystemResolver(self.limits.names_resolved), self.limits.connect_timeout
        )
        self._resolver = system
        # No memory of names: each connection is to an address that was judged when it was made.
        public = PublicConnector(
            resolver=PublicResolver(system),
            use_dns_cache=False,
            limit=self.limits.lookups_in_flight,
            limit_per_host=self.limits.requests_per_registry,
            keepalive_timeout=_KEPT_ALIVE,
        )
        private = TCPConnector(
            resolver=system,
            use_dns_cache=False,
            limit=self.limits.lookups_in_flight,
            limit_per_host=self.limits.requests_per_registry,
            keepalive_timeout=_KEPT_ALIVE,
        )
        return self._make_session(public), self._make_session(private)

    def _make_session(self, connector: TCPConnector) -> ClientSession:
        return ClientSession(
            connector=connector,
            headers={"User-Agent": f"sigward/{__version__}"},
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            raise_for_status=False,
            max_line_size=self.limits.headers_bytes,
            max_field_size=self.limits.headers_bytes,
        )


def _check_head(call: Call, response: ClientResponse) -> None:
    """What the headers alone forbid: a body packed though `identity` was asked for, or announced as too long."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in {"", "identity"}:
        raise Refused(Code.MALFORMED, f"{call.what} came encoded", expected="no Content-Encoding", found=encoding[:40])
    if response.content_length is not None and response.content_length > call.limit:
        raise over_limit(call.what, call.limit_name, call.limit, f"{response.content_length} announced")


def _redirected(call: Call, url: URL, location: str) -> URL:
    """The next address. `https` must stay, except for registries that settings call insecure."""
    schemes = {"https", "http"} if call.endpoint.settings.insecure else {"https"}
    target = read_url(location, url)
    if target is None or target.scheme not in schemes:
        host, found = name_of(url), f"{target.scheme}://{target.raw_host}" if target else repr(location[:80])
        raise Undecided(
            Code.REGISTRY_ERROR, f"{call.what}: {host} redirects to where we do not go", source=host, found=found
        )
    return target


def _translated(call: Call, host: str, error: Exception) -> Undecided | _BrokenError:
    blocked = _blocked(error)
    if blocked:
        return Undecided(
            Code.ADDRESS_NOT_ALLOWED,
            f"{call.what}: {host} is not called",
            source=host,
            expected=f"a public address, or privateAddress for {host} in the settings",
            found=blocked.address,
        )
    if isinstance(error, TimeoutError):
        return unreachable(call.what, host, "no answer in time")
    if isinstance(error, ClientSSLError):
        return _without_tls(call, host, error)
    if isinstance(error, ClientConnectorDNSError):
        found = error.os_error.strerror or str(error.os_error)
        return unreachable(call.what, host, f"the name was not resolved: {found[:120]}")
    if isinstance(error, (ClientResponseError, ValueError)):  # no HTTP, headers without end, a URL aiohttp will not take
        message = error.message if isinstance(error, ClientResponseError) else str(error)
        return Undecided(Code.REGISTRY_ERROR, f"{call.what}: {host} cannot be asked", source=host, found=message[:120])
    return _BrokenError(_broken(error))


def _without_tls(call: Call, host: str, error: ClientSSLError) -> Undecided:
    """TLS did not come about: a certificate nobody vouches for, or a registry that speaks plain HTTP."""
    inner = error.certificate_error if isinstance(error, ClientConnectorCertificateError) else error.os_error
    expected, found = "", str(inner)
    if isinstance(inner, ssl.SSLCertVerificationError):
        expected, found = f"a certificate of a known authority, or caFile for {host} in the settings", inner.verify_message
    elif isinstance(inner, ssl.SSLError) and inner.reason in _PLAIN_HTTP:
        expected = f"TLS, or insecure: true for {host} in the settings (--insecure-registry)"
        found = "an answer without TLS"
    return Undecided(
        Code.UNREACHABLE, f"{call.what}: TLS with {host} failed", source=host, expected=expected, found=found[:160]
    )


def _broken(error: Exception) -> str:
    """How a connection broke, in the system's words: aiohttp's say the address once more."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number).lower() if number else str(error)[:120] or type(error).__name__


def _blocked(error: BaseException | None) -> BlockedAddressError | None:
    while error is not None:
        if isinstance(error, BlockedAddressError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _retry_after(value: str) -> float:
    """Seconds (RFC 9110, section 10.2.3); 0 where it says nothing intelligible."""
    if value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004 - 30 years
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
