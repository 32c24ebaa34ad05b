"""Connections to the API server: the only place that makes them.

`kubernetes.aio` says who we are and whom we trust (in-cluster files, a kubeconfig with all its ways to log in); requests
are our own, because a watch must be read line by line within bounds, and objects as plain JSON weigh a fraction of the
generated models. No token enters a log line or a reason.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import msgspec
from aiohttp import (
    ClientConnectorCertificateError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from kubernetes.aio.client import Configuration
from kubernetes.aio.client.rest import RESTClientObject
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config
from kubernetes.aio.config.kube_config import list_kube_config_contexts
from yarl import URL

from controller import __version__
from controller.errors import Code, Invalid, Undecided
from controller.settings import Limits

_SERVICE_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_JSON: Final = "application/json"
_RENEWAL: Final = 10.0
"""Seconds between two readings of our identity: a 401 that lasts must not read files, or run a login, without pause."""
_READ: Final = 64 * 1024
_SOURCE: Final = "the API server"
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429

Load = Callable[[], Awaitable[Configuration]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server said to one request, whatever its status."""

    what: str
    status: int
    body: bytes

    @property
    def good(self) -> bool:
        """Whether it did what was asked."""
        return 200 <= self.status < 300  # noqa: PLR2004 - success in HTTP

    def value(self) -> dict[str, Any]:
        """The object in it.

        Raises:
            Undecided: It is none, or the request failed: `Unauthorized`, `RateLimited` or `ClusterError`.
        """
        if not self.good:
            raise failed(self.what, self.status, self.message())
        return read_object(self.body, self.what)

    def message(self) -> str:
        """What a Status object says, for people; empty where it says nothing."""
        try:
            value = msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return ""
        text = value.get("message") if isinstance(value, dict) else None
        return text[:200] if isinstance(text, str) else ""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    within: ClientTimeout
    data: bytes | None = None

    @property
    def what(self) -> str:
        """For people; queries may name objects, and are left out."""
        return f"{self.method} {self.path}"


class ClusterClient:
    """One identity towards one API server.

    Args:
        load: Reads who we are and whom we trust; called again when we are not believed any more.
        configuration: As first read.
        namespace: The pod's own namespace, or the kubeconfig's.
        limits: `cluster_timeout`, `cluster_list_bytes`, `cluster_object_bytes`.
    """

    def __init__(self, load: Load, configuration: Configuration, namespace: str, limits: Limits) -> None:
        self._load = load
        self._limits = limits
        self._configuration = configuration
        self._session: ClientSession | None = None
        self._renewing = asyncio.Lock()
        self._renewed = asyncio.get_running_loop().time()
        self.namespace = namespace

    @classmethod
    async def connect(cls, limits: Limits, kubeconfig: Path | None = None) -> Self:
        """Be who the pod's ServiceAccount is, or whom `kubeconfig` names. Nothing is asked of the API server yet.

        Raises:
            Invalid: `InvalidSettings`: not inside a cluster, or the kubeconfig cannot be used.
        """

        async def load() -> Configuration:
            return await _from_kubeconfig(kubeconfig) if kubeconfig else _in_cluster()

        namespace = _kubeconfig_namespace(kubeconfig) if kubeconfig else _own_namespace()
        return cls(load, await load(), namespace, limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(
        self, path: str, query: Mapping[str, str] | None = None, *, accept: str = _JSON, limit: int = 0, seconds: float = 0
    ) -> Answer:
        """Read `path`; `limit` bounds the answer in bytes (by default one object's), `seconds` the whole exchange.

        Raises:
            Undecided: No answer: `Unreachable`, or `LimitExceeded`.
        """
        return await self.request("GET", path, query=query, accept=accept, limit=limit, seconds=seconds)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
        limit: int = 0,
        seconds: float = 0,
    ) -> Answer:
        """Send one request, with `body` as JSON where there is one. A status other than success is an answer, too.

        Raises:
            Undecided: As `get`. A request that writes may have been done all the same.
        """
        within = ClientTimeout(total=seconds or self._limits.cluster_timeout, sock_connect=self._limits.connect_timeout)
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        call = _Call(method, path, query or {}, headers, within, data)
        async with self._answer(call) as response:
            raw = await _body(response, limit or self._limits.cluster_object_bytes, call.what)
            return Answer(call.what, response.status, raw)

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], *, accept: str = _JSON, silence: float
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """Watch `path`: the status, and the lines as they come, each at most `cluster_object_bytes` long.

        Args:
            path: Of the collection.
            query: Everything but `watch`.
            accept: Which form of objects.
            silence: Seconds without a byte after which the connection is given up.

        Raises:
            Undecided: `Unreachable`: the connection did not come about, broke, or said nothing for too long.
        """
        within = ClientTimeout(total=None, sock_connect=self._limits.connect_timeout, sock_read=silence)
        call = _Call("GET", path, {**query, "watch": "1"}, {"Accept": accept}, within)
        async with self._answer(call) as response:
            yield response.status, _lines(response, self._limits.cluster_object_bytes, f"watch {path}")

    @asynccontextmanager
    async def _answer(self, call: "_Call") -> AsyncIterator[ClientResponse]:
        try:
            response = await self._sent(call)
            try:
                yield response
            finally:
                response.close()  # one read to its end has given its connection back already
        except TimeoutError:
            raise _unreachable(call.what, "no answer in time") from None
        except (ClientError, OSError) as error:  # a TLS failure is an OSError
            raise _unreachable(call.what, _short(error)) from None

    async def _sent(self, call: "_Call") -> ClientResponse:
        """The answer's head; asked once more as who we are now, where the API server does not know us any more."""
        since = self._renewed
        try:
            response = await self._send(call)
        except ClientConnectorCertificateError:  # the cluster's CA may have been exchanged
            if not await self._renew(since):
                raise
            return await self._send(call)
        if response.status == _UNAUTHORIZED and await self._renew(since):
            response.close()
            return await self._send(call)
        return response

    async def _send(self, call: "_Call") -> ClientResponse:
        configuration = self._configuration
        text = f"{configuration.host.rstrip('/')}{call.path}" + (f"?{urlencode(call.query)}" if call.query else "")
        return await self._connections().request(
            call.method,
            URL(text, encoded=True),
            headers={**call.headers, **await _authorization(configuration)},
            data=call.data,
            timeout=call.within,
            proxy=configuration.proxy or None,
            server_hostname=configuration.tls_server_name or None,
            allow_redirects=False,
        )

    def _connections(self) -> ClientSession:
        if self._session is None:
            self._session = _session(self._configuration)
        return self._session

    async def _renew(self, since: float) -> bool:
        """Read again who we are and whom we trust; whether that was done since `since`. Watches go on where they were."""
        async with self._renewing:
            now = asyncio.get_running_loop().time()
            if self._renewed != since:
                return True
            if now - self._renewed < _RENEWAL:
                return False
            try:
                configuration = await self._load()
            except Invalid:
                return False
            self._renewed = now
            self._configuration = configuration
            await self.close()
            return True


def read_object(raw: bytes, what: str) -> dict[str, Any]:
    """Decode what the API server sent.

    Raises:
        Undecided: `ClusterError`: no JSON object.
    """
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        value = None
    if not isinstance(value, dict):
        raise Undecided(Code.CLUSTER_ERROR, f"{what}: {_SOURCE} sent no JSON object", source=_SOURCE)
    return value


def failed(what: str, status: int, message: str = "") -> Undecided:
    """A request that the API server did not do."""
    code = Code.CLUSTER_ERROR
    if status in {_UNAUTHORIZED, _FORBIDDEN}:
        code = Code.UNAUTHORIZED
    elif status == _TOO_MANY:
        code = Code.RATE_LIMITED
    return Undecided(code, f"{what} failed", source=_SOURCE, found=f"{status} {message}".rstrip())


def _in_cluster() -> Configuration:
    configuration = Configuration()
    try:
        load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        expected = "a pod with its ServiceAccount's token, --kubeconfig FILE, or --policies DIR without any cluster"
        raise Invalid(Code.INVALID_SETTINGS, "not inside a cluster", expected=expected, found=str(error)[:120]) from None
    return configuration


async def _from_kubeconfig(path: Path) -> Configuration:
    configuration = Configuration()
    try:
        await load_kube_config(str(path), client_configuration=configuration, persist_config=False)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - whatever a kubeconfig's many ways raise; some quote what they read
        found = str(error)[:120] if isinstance(error, ConfigException) else type(error).__name__
        raise Invalid(Code.INVALID_SETTINGS, f"kubeconfig {path} cannot be used", found=found) from None
    return configuration


def _kubeconfig_namespace(path: Path) -> str:
    try:
        _, current = list_kube_config_contexts(str(path))  # type: ignore[no-untyped-call]
        return str(current["context"].get("namespace") or "default")
    except Exception as error:  # noqa: BLE001 - as above
        raise Invalid(Code.INVALID_SETTINGS, f"kubeconfig {path} cannot be used", found=type(error).__name__) from None


def _own_namespace() -> str:
    try:
        return _SERVICE_ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


async def _authorization(configuration: Configuration) -> dict[str, str]:
    """The header that says who we are. In a cluster the token's file is read again every minute: it rotates."""
    try:
        key = await configuration.get_api_key_with_prefix("BearerToken")
    except (ConfigException, OSError) as error:
        raise Undecided(Code.UNAUTHORIZED, "the ServiceAccount's token cannot be read", found=type(error).__name__) from None
    return {"Authorization": key.strip()} if key else {}


def _session(configuration: Configuration) -> ClientSession:
    # Strict checks of RFC 5280 (Python 3.13) refuse CAs that clusters in use have; the chain is verified all the same.
    configuration.disable_strict_ssl_verification = True
    try:
        context = RESTClientObject(configuration).ssl_context
    except OSError as error:  # SSLError is one
        raise _unreachable("TLS", f"the cluster's CA or our certificate cannot be read: {_short(error)}") from None
    return ClientSession(
        connector=TCPConnector(ssl=context, limit=0),  # each watch holds a connection; their number is bounded elsewhere
        headers={"User-Agent": f"sigward/{__version__}"},
        cookie_jar=DummyCookieJar(),
        read_bufsize=_READ,
        trust_env=True,  # HTTPS_PROXY and NO_PROXY, as client-go reads them
    )


async def _body(response: ClientResponse, limit: int, what: str) -> bytes:
    pieces, length = [], 0
    async for piece in response.content.iter_any():
        length += len(piece)
        if length > limit:
            raise Undecided(
                Code.LIMIT_EXCEEDED, f"{what}: the answer is too long", source=_SOURCE, expected=f"at most {limit} bytes"
            )
        pieces.append(piece)
    return b"".join(pieces)


async def _lines(response: ClientResponse, limit: int, what: str) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in response.content.iter_any():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            _check_length(line, limit, what)
            if line.strip():
                yield line
        _check_length(rest, limit, what)


def _check_length(line: bytes, limit: int, what: str) -> None:
    if len(line) > limit:
        raise Undecided(
            Code.LIMIT_EXCEEDED, f"{what}: an event is too long", source=_SOURCE, expected=f"at most {limit} bytes"
        )


def _unreachable(what: str, found: str) -> Undecided:
    return Undecided(Code.UNREACHABLE, f"{what}: {_SOURCE} did not answer", source=_SOURCE, found=found)


def _short(error: Exception) -> str:
    return str(error)[:160] or type(error).__name__
