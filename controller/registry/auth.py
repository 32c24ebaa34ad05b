"""Who we are to a registry: Basic and Bearer (distribution specification, "Token Authentication"; RFC 6750).

A challenge is remembered, so that later requests carry their credential at once and cost no refused trip. Tokens are kept by
realm, service, scope and credential, until shortly before they expire, and fetched once however many wait for them.
"""

import asyncio
import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from cachetools import LRUCache
from yarl import URL

from controller import documents
from controller.errors import Code, Refused, Undecided
from controller.reference import Repository
from controller.registry import lookup, realms
from controller.registry.calls import Answer, Call, read_url, unreachable
from controller.registry.challenges import Challenge, parse_challenges
from controller.registry.credentials import Credential
from controller.registry.endpoints import Endpoint, name_of
from controller.registry.statuses import undecided
from controller.settings import Limits

_CLIENT_ID: Final = "sigward"
_DEFAULT_LIFETIME: Final = 60.0
"""Seconds; the specification's, for a token that does not say."""
_LONGEST_LIFETIME: Final = 3600.0
_MARGIN: Final = 5.0
"""Seconds before its end in which a token is no longer used, or a tenth of its life if that is more."""
_PRINTABLE: Final = re.compile(r"[\x21-\x7e]{1,16384}")
_LONGEST_PARAMETER: Final = 1024


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a token is for; equal ones share it.

    The registry is part of it: a registry that names another one's realm, service and scope gets none of its tokens.
    """

    registry: str
    realm: URL
    service: str
    scope: str
    credential: Credential | None


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    good_until: float


class Authenticator:
    """Knows how each registry wants to be asked, and holds the tokens. One per transport; safe for many views.

    Args:
        fetch: Sends a call.
        limits: `token_bytes` bounds a token service's answer, `tokens` how much is remembered.
    """

    def __init__(self, fetch: Callable[[Call], Awaitable[Answer]], limits: Limits) -> None:
        self._fetch = fetch
        self._limits = limits
        self._tokens: LRUCache[_Wanted, _Token] = LRUCache(limits.tokens)
        # How a registry challenged this credential, and where it asked for another scope than the usual one.
        self._ways: LRUCache[tuple[str, Credential | None], Challenge] = LRUCache(limits.tokens)
        self._scopes: LRUCache[tuple[str, str], str] = LRUCache(limits.tokens)
        self._flights: dict[_Wanted, asyncio.Task[_Token]] = {}

    async def close(self) -> None:
        """End token requests under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    async def prepare(self, endpoint: Endpoint, repository: Repository, credential: Credential | None) -> str:
        """The `Authorization` that the registry will ask for, as far as it is known already; else empty.

        Raises:
            Undecided: A token was needed and not to be had.
        """
        if credential and credential.registry_token:
            return f"Bearer {credential.registry_token}"
        way = self._ways.get((endpoint.name, credential))
        return await self._follow(way, endpoint, repository, credential) if way else ""

    async def answer(
        self, endpoint: Endpoint, repository: Repository, credential: Credential | None, refusal: Answer, sent: str
    ) -> str:
        """The `Authorization` for another try after a 401, or empty where we have none better than `sent`.

        Raises:
            Undecided: A token was needed and not to be had, or the credential may not be shown to the service named.
        """
        if credential and credential.registry_token:
            return ""
        way = _choose(parse_challenges(refusal.headers.getall("WWW-Authenticate", [])), credential)
        if way is None:
            return ""
        scope = way.parameters.get("scope", "")
        if scope and len(scope) <= _LONGEST_PARAMETER and scope.isprintable():
            self._scopes[endpoint.name, repository.path] = scope
        self._ways[endpoint.name, credential] = way
        self._forget(sent)
        header = await self._follow(way, endpoint, repository, credential)
        return "" if header == sent else header

    async def _follow(
        self, way: Challenge, endpoint: Endpoint, repository: Repository, credential: Credential | None
    ) -> str:
        if way.scheme == "basic":
            return _basic(credential)
        realm = _realm(way, endpoint)
        service = way.parameters.get("service", "")[:_LONGEST_PARAMETER]
        scope = self._scopes.get((endpoint.name, repository.path), f"repository:{repository.path}:pull")
        token = await self._token(endpoint, _Wanted(endpoint.name, realm, service, scope, credential))
        return f"Bearer {token.value}"

    def _forget(self, sent: str) -> None:
        """Drop the token that was just refused."""
        for wanted, token in list(self._tokens.items()):
            if sent == f"Bearer {token.value}":
                del self._tokens[wanted]

    async def _token(self, endpoint: Endpoint, wanted: _Wanted) -> _Token:
        known = self._tokens.get(wanted)
        if known and known.good_until > asyncio.get_running_loop().time():
            return known
        flight = self._flights.get(wanted)
        if flight is None:
            flight = asyncio.create_task(self._fetch_token(_call(endpoint, wanted, self._limits), wanted.credential))
            self._flights[wanted] = flight
            flight.add_done_callback(lambda done: self._landed(wanted, done))
        host = name_of(wanted.realm)
        with lookup.current(self._limits.lookup_timeout) as now, now.waiting(host):
            try:
                async with asyncio.timeout_at(now.deadline):
                    # Shielded, because others may wait for the same token.
                    return await asyncio.shield(flight)
            except TimeoutError:
                raise unreachable(f"token for {endpoint.name}", host, "no answer in time") from None

    def _landed(self, wanted: _Wanted, flight: asyncio.Task[_Token]) -> None:
        del self._flights[wanted]
        if not flight.cancelled() and not flight.exception():
            self._tokens[wanted] = flight.result()

    async def _fetch_token(self, call: Call, credential: Credential | None) -> _Token:
        host, registry = name_of(call.url), call.endpoint.name
        if credential and not await asyncio.to_thread(realms.is_trusted, call.url, call.endpoint):
            raise Undecided(
                Code.UNAUTHORIZED,
                f"{call.what}: the credentials for {registry} are not shown to {host}",
                source=host,
                expected=f"a token service of {registry}'s domain, or one that its tokenRealms list",
            )
        try:
            answer = await self._fetch(call)
            if answer.good:
                return _read_token(answer, call.what)
        except Refused as error:
            # What a token service sends says nothing about the image: not to be remembered as a refusal of it.
            raise Undecided(
                Code.REGISTRY_ERROR, f"{call.what}: {host} gave no token", source=host, found=str(error.reason)[:160]
            ) from None
        raise undecided(answer, call.what, hint="with its credentials" if credential else "without credentials")


def _choose(challenges: tuple[Challenge, ...], credential: Credential | None) -> Challenge | None:
    """Bearer before Basic: a token is worth less to whoever steals it. Basic only with something to say."""
    for challenge in challenges:
        if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
            return challenge
    basic = next((challenge for challenge in challenges if challenge.scheme == "basic"), None)
    return basic if credential and credential.username else None


def _realm(way: Challenge, endpoint: Endpoint) -> URL:
    """The address of the token service.

    Raises:
        Undecided: `RegistryError` for what is no address we would send a credential to (plain HTTP, except for registries
            that settings call insecure).
    """
    text = way.parameters["realm"]
    realm = read_url(text)
    schemes = {"https", "http"} if endpoint.settings.insecure else {"https"}
    if realm is None or realm.scheme not in schemes:
        raise Undecided(
            Code.REGISTRY_ERROR,
            f"{endpoint.name} names a token service that we do not ask",
            source=endpoint.name,
            expected="an https address",
            found=repr(text[:120]),
        )
    return realm


def _call(endpoint: Endpoint, wanted: _Wanted, limits: Limits) -> Call:
    credential = wanted.credential
    parameters = [("service", wanted.service)] if wanted.service else []
    parameters += [("scope", scope) for scope in wanted.scope.split()]
    form: dict[str, str] = {}
    if credential and credential.identity_token:
        form = {**dict(parameters), "scope": wanted.scope, "client_id": _CLIENT_ID}
        form |= {"grant_type": "refresh_token", "refresh_token": credential.identity_token}
    return Call(
        endpoint=endpoint,
        url=wanted.realm if form else wanted.realm.extend_query(parameters),
        what=f"token for {endpoint.name}",
        limit=limits.token_bytes,
        limit_name="limits.tokenBytes",
        accept="application/json",
        authorization="" if form else _basic(credential),
        form=form,
        for_token=True,
    )


def _basic(credential: Credential | None) -> str:
    if credential is None or not credential.username:
        return ""
    pair = f"{credential.username}:{credential.password}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def _read_token(answer: Answer, what: str) -> _Token:
    document: dict[str, Any] = documents.read_object(answer.body, what, limit=len(answer.body), fold_names=False)
    value = document.get("token") or document.get("access_token")
    if not isinstance(value, str) or not _PRINTABLE.fullmatch(value):
        raise Refused(Code.MALFORMED, f"{what} is no token", found=type(value).__name__)
    lifetime = document.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
        lifetime = _DEFAULT_LIFETIME
    lifetime = min(float(lifetime), _LONGEST_LIFETIME)
    # Counted from here, not from `issued_at`: clocks differ.
    good_until = asyncio.get_running_loop().time() + lifetime - max(_MARGIN, lifetime / 10)
    return _Token(value, good_until)
