"""Asking whether certificates were revoked: OCSP requests and lists, over plain HTTP, of hosts that settings name.

The URLs stand in certificates, which others wrote (attack 30): nothing is called that settings do not list, no redirect is
followed, and every answer is bounded in bytes and time. Answers are signed; here they are only fetched.
"""

import asyncio
from typing import Final

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from yarl import URL

from controller import __version__
from controller.errors import Code, Undecided
from controller.evidence import Question
from controller.registry.addresses import SystemResolver, TimedResolver
from controller.settings import Settings

_OK: Final = 200
_HTTP: Final = 80
_WHAT: Final = "the status of a certificate"


class StatusClient:
    """One per process. Listed hosts may have private addresses: a company's responder usually has."""

    def __init__(self, settings: Settings) -> None:
        """Ask as `settings` say."""
        self._limits = settings.limits
        self._allowed = frozenset(host.lower() for host in settings.revocation_hosts)
        self._resolver = TimedResolver(SystemResolver(self._limits.names_resolved), self._limits.connect_timeout)
        self._session: ClientSession | None = None

    async def fetch(self, question: Question) -> bytes:
        """Ask one question.

        Raises:
            Undecided: `AddressNotAllowed`, `Unreachable`, `RevocationUnknown`; names the host.
        """
        url = _parsed(question)
        host = _host(url)
        if host not in self._allowed:
            raise Undecided(
                Code.ADDRESS_NOT_ALLOWED,
                f"{_WHAT} is kept at a host that may not be asked",
                source=host,
                expected="a host listed in settings.revocationHosts",
                found=host,
            )
        limits = self._limits
        seconds = limits.ocsp_timeout if question.request else limits.crl_timeout
        try:
            async with asyncio.timeout(seconds):
                return await self._exchange(question, url, host)
        except TimeoutError:
            message = f"{_WHAT}: no answer within {seconds:g} s from {host}"
            raise Undecided(Code.UNREACHABLE, message, source=host) from None
        except (ClientError, OSError, ValueError) as error:
            raise Undecided(Code.UNREACHABLE, f"{_WHAT}: {host} failed", source=host, found=str(error)[:120]) from None

    async def close(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()
        await self._resolver.close()

    async def _exchange(self, question: Question, url: URL, host: str) -> bytes:
        headers = {"Accept-Encoding": "identity"}
        if question.request:  # RFC 6960 appendix A.1
            headers |= {"Content-Type": "application/ocsp-request", "Accept": "application/ocsp-response"}
        method = "POST" if question.request else "GET"
        session = self._session = self._session or self._make_session()
        async with session.request(
            method, url, data=question.request or None, headers=headers, allow_redirects=False
        ) as response:
            if response.status != _OK or response.headers.get("Content-Encoding", "identity") != "identity":
                found = f"HTTP {response.status}"
                raise Undecided(Code.REVOCATION_UNKNOWN, f"{_WHAT}: {host} gave no answer", source=host, found=found)
            return await self._body(question, response, host)

    async def _body(self, question: Question, response: ClientResponse, host: str) -> bytes:
        name, limit = "limits.crlBytes", self._limits.crl_bytes
        if question.request:
            name, limit = "limits.ocspBytes", self._limits.ocsp_bytes
        pieces, length = [], 0
        while length <= limit and (piece := await response.content.readany()):
            pieces.append(piece)
            length += len(piece)
        if length > limit:
            response.close()  # the rest is not worth reading
            message = f"{_WHAT}: {host} answers with more than {name}"
            raise Undecided(Code.REVOCATION_UNKNOWN, message, source=host, expected=f"at most {limit} bytes")
        return b"".join(pieces)

    def _make_session(self) -> ClientSession:
        limits = self._limits
        connector = TCPConnector(
            resolver=self._resolver,
            use_dns_cache=False,
            limit=limits.lookups_in_flight,
            limit_per_host=limits.requests_per_registry,
        )
        return ClientSession(
            connector=connector,
            headers={"User-Agent": f"sigward/{__version__}"},
            cookie_jar=DummyCookieJar(),
            auto_decompress=False,
            timeout=ClientTimeout(total=None, sock_connect=limits.connect_timeout, sock_read=limits.read_timeout),
            trust_env=False,
            max_line_size=limits.headers_bytes,
            max_field_size=limits.headers_bytes,
        )


def _parsed(question: Question) -> URL:
    try:
        url = URL(question.url)
        if url.scheme == "http" and url.host and not url.user and not url.password:
            return url
    except ValueError:
        pass
    raise Undecided(
        Code.ADDRESS_NOT_ALLOWED,
        f"{_WHAT} is kept at a place that cannot be asked",
        expected="http",
        found=question.url[:120],
    )


def _host(url: URL) -> str:
    """As settings write it: the port only where it is not HTTP's own."""
    host = (url.raw_host or "").lower()
    shown = f"[{host}]" if ":" in host else host
    return shown if url.port in {None, _HTTP} else f"{shown}:{url.port}"
