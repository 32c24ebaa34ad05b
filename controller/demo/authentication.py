"""The two ways in which a registry asks who is there: HTTP Basic (RFC 7617) and distribution tokens (RFC 6750).

Both know the same accounts. An account without a name is everybody: what it may pull needs no credential.
"""

import base64
import hmac
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final, Protocol

from aiohttp import web

_MAX_TOKENS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Account:
    """Who may do what. Patterns are shell globs over repository paths, in which `*` also crosses `/`."""

    name: str
    password: str
    pull: tuple[str, ...] = ("*",)
    push: tuple[str, ...] = ("*",)

    def allowed(self, scope: "Scope") -> frozenset[str]:
        """The actions of `scope` that this account may do."""
        patterns = {"pull": self.pull, "push": self.push, "delete": self.push}
        return frozenset(
            action
            for action in scope.actions
            if any(fnmatchcase(scope.repository, pattern) for pattern in patterns.get(action, ()))
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What a request needs: actions (`pull`, `push`, `delete`) on a repository; the ping needs neither, only an identity."""

    repository: str = ""
    actions: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, value: str) -> "Scope":
        """Read `repository:<path>:<action>,<action>`; anything else is a scope without rights."""
        kind, _, rest = value.partition(":")
        path, _, actions = rest.rpartition(":")
        return cls(path, frozenset(actions.split(","))) if kind == "repository" and path else cls()

    def __str__(self) -> str:
        order = [action for action in ("pull", "push", "delete") if action in self.actions]
        return f"repository:{self.repository}:{','.join(order)}" if self.repository else ""


class Authentication(Protocol):
    """Decides whether a request may go on, and answers for the token endpoint."""

    def challenge(self, request: web.Request, scope: Scope) -> str | None:
        """The `WWW-Authenticate` value of the 401 to send, or None where the request may go on."""

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Answer a request for a token."""


class BasicAuthentication:
    """HTTP Basic: a name and a password with every request."""

    def __init__(self, *accounts: Account, realm: str = "Registry") -> None:
        self._accounts = _Accounts(accounts)
        self.realm = realm

    def challenge(self, request: web.Request, scope: Scope) -> str | None:
        """As `Authentication.challenge`."""
        account = self._accounts.of(request.headers.get("Authorization", ""))
        known = account is not None and bool(account.name or scope.actions)
        return None if known and account and account.allowed(scope) == scope.actions else f'Basic realm="{self.realm}"'

    async def token(self, request: web.Request) -> web.StreamResponse:
        """There is none to be had."""
        raise web.HTTPNotFound(text=f"{request.path}: this registry uses Basic authentication")


class TokenAuthentication:
    """The distribution token scheme: a challenge names a realm, the realm gives a token for a scope, the token opens it.

    Two registries may share one object: then a token from either is good at both.

    Args:
        accounts: Who may do what.
        service: The service named in the challenge.
        lifetime: Seconds a token lives.
        realm: The address of the token endpoint; by default the registry's own `/token`.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        *accounts: Account,
        service: str = "registry",
        lifetime: float = 300,
        realm: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._accounts = _Accounts(accounts)
        self._clock = clock
        self._tokens: dict[str, _Token] = {}
        self.service = service
        self.lifetime = lifetime
        self.realm = realm

    def challenge(self, request: web.Request, scope: Scope) -> str | None:
        """As `Authentication.challenge`; the parameters are those of the distribution token specification."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.get(value) if scheme.lower() == "bearer" else None
        live = token is not None and token.expires > self._clock()
        if token and live and token.covers(scope):
            return None
        realm = self.realm or f"{request.scheme}://{request.host}/token"
        challenge = f'Bearer realm="{realm}",service="{self.service}"'
        challenge += f',scope="{scope}"' if scope.repository else ""
        if token:
            challenge += f',error="{"insufficient_scope" if live else "invalid_token"}"'
        return challenge

    async def token(self, request: web.Request) -> web.StreamResponse:
        """Give a token: GET with Basic credentials or none, or POST with `grant_type=password` (OAuth 2)."""
        form = await request.post() if request.method == "POST" else request.query
        header = request.headers.get("Authorization", "")
        if form.get("grant_type") == "password":
            header = _basic(str(form.get("username", "")), str(form.get("password", "")))
        account = self._accounts.of(header)
        if account is None:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED", "message": "no such account"}]}, status=401)
        asked = [Scope.parse(part) for value in form.getall("scope", []) for part in str(value).split()]
        granted = tuple(Scope(scope.repository, account.allowed(scope)) for scope in asked)
        value = self.issue(*granted)
        return web.json_response({"token": value, "access_token": value, "expires_in": int(self.lifetime)})

    def issue(self, *scopes: Scope) -> str:
        """Make a token for these scopes, without asking who wants it."""
        now = self._clock()
        self._tokens = {value: token for value, token in self._tokens.items() if token.expires > now}
        while len(self._tokens) >= _MAX_TOKENS:
            self._tokens.pop(next(iter(self._tokens)))
        value = secrets.token_urlsafe(24)
        self._tokens[value] = _Token(scopes, now + self.lifetime)
        return value

    def revoke_all(self) -> None:
        """Forget every token: what clients hold is worth nothing from now on."""
        self._tokens.clear()


@dataclass(frozen=True, slots=True)
class _Token:
    scopes: tuple[Scope, ...]
    expires: float

    def covers(self, scope: Scope) -> bool:
        held = frozenset[str]().union(*(own.actions for own in self.scopes if own.repository == scope.repository))
        return scope.actions <= held


class _Accounts:
    def __init__(self, accounts: Iterable[Account]) -> None:
        self._by_name = {account.name: account for account in accounts}

    def of(self, header: str) -> Account | None:
        """The account a Basic header proves; without a header the nameless one."""
        if not header:
            return self._by_name.get("")
        scheme, _, value = header.partition(" ")
        name, _, password = _decode(value).partition(":")
        account = self._by_name.get(name) if scheme.lower() == "basic" and name else None
        same = hmac.compare_digest(password.encode(), account.password.encode() if account else b"")
        return account if same else None


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def _decode(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).decode()
    except ValueError:
        return ""
