"""Which credential belongs to which repository: docker `config.json`, read and matched as the kubelet does."""

import base64
import binascii
import fnmatch
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from controller import documents
from controller.errors import Code, Invalid, Reason, Refused, Undecided
from controller.reference import Repository
from controller.registry.endpoints import registry_name

_LONGEST_FILE: Final = 1024 * 1024
"""Bytes; a Kubernetes Secret holds no more."""
_IGNORED_PATHS: Final = frozenset({"v1", "v2"})
_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Credential:
    """What proves who we are. `registry_token` is a ready bearer token, `identity_token` is exchanged for tokens."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)


class Credentials(Protocol):
    """One view's credentials. `scope` identifies them: answers are shared only among equal scopes."""

    @property
    def scope(self) -> str:
        """Whose credentials these are."""

    async def find(self, repository: Repository) -> Credential | None:
        """The credential for a repository, None where there is none.

        Raises:
            Undecided: It could not be looked up now.
        """

    def note(self, repository: Repository) -> str:
        """Why there may be none, for people; empty where there is nothing to say."""


class Anonymous:
    """No credentials at all."""

    scope: Final = "anonymous"

    async def find(self, repository: Repository) -> Credential | None:  # noqa: ARG002 - the protocol's
        """None."""
        return None

    def note(self, repository: Repository) -> str:  # noqa: ARG002 - the protocol's
        """Nothing to say."""
        return ""


@dataclass(frozen=True, slots=True)
class _Entry:
    """One key of `auths`: a host (labels may be globs), a path prefix, and what is found under them."""

    host: str
    path: str
    credential: Credential

    def matches(self, repository: Repository) -> bool:
        within = not self.path or repository.path == self.path or repository.path.startswith(f"{self.path}/")
        return within and _host_matches(self.host, repository.registry)

    @property
    def rank(self) -> tuple[int, bool]:
        """Longer paths first, then written hosts before globs."""
        return (-len(self.path), "*" in self.host)


@dataclass(frozen=True, slots=True)
class DockerConfig:
    """A parsed docker `config.json`.

    Credential helpers are other programs and are never run: `helpers` names the hosts that would need one (`*` for all), so
    that a refusal can say so.
    """

    entries: tuple[_Entry, ...]
    helpers: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, raw: bytes, name: str = "docker config") -> "DockerConfig":
        """Read the file's bytes.

        Raises:
            Invalid: `InvalidSettings`, naming the entry.
        """
        try:
            document = documents.read_object(raw, name, limit=_LONGEST_FILE, fold_names=False)
            auths = documents.members(document, "auths", name)
            helpers = documents.members(document, "credHelpers", name)
        except Refused as error:
            raise Invalid(Code.INVALID_SETTINGS, str(error.reason)) from None
        entries = [_entry(key, value, f"{name}: auths[{key[:80]!r}]") for key, value in auths.items()]
        found = sorted((entry for entry in entries if entry), key=lambda entry: entry.rank)
        everywhere = {"*"} if document.get("credsStore") else set()
        return cls(tuple(found), frozenset({*helpers, *everywhere}))

    def find(self, repository: Repository) -> Credential | None:
        """The credential of the most specific entry that matches."""
        return next((entry.credential for entry in self.entries if entry.matches(repository)), None)

    def note(self, repository: Repository) -> str:
        """Says where a credential helper would have been asked."""
        if self.helpers & {repository.registry, "*"}:
            return "a credential helper is configured for it and is never run"
        return ""


class DockerConfigFile:
    """The controller's own `config.json`, read again when it changes, as a mounted Secret does.

    A file that becomes unreadable keeps its last good content and says so in the log: credentials are rotated by writing the
    file, and half a file must not lock the gate.
    """

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            Invalid: `InvalidSettings`.
        """
        self._path = path
        self._state = _state(path)
        self._config = _load(path)

    @property
    def scope(self) -> str:
        """As `Credentials.scope`; the same after a rotation, which changes the password and not who we are."""
        return f"file:{self._path}"

    async def find(self, repository: Repository) -> Credential | None:
        """As `Credentials.find`."""
        return self._current().find(repository)

    def note(self, repository: Repository) -> str:
        """As `Credentials.note`."""
        return self._config.note(repository)

    def _current(self) -> DockerConfig:
        state = _state(self._path)
        if state != self._state:
            self._state = state
            try:
                self._config = _load(self._path)
            except Invalid as error:
                _log.warning("registry credentials are kept as they were: %s", error.reason)
        return self._config


@dataclass(frozen=True, slots=True)
class PullSecret:
    """What became of reading one pull secret.

    `mark` is equal for equal contents, and empty where there is none. Without a `config`, `note` says to people why there is
    none, and `away` is set where it could not be read now, so that nobody knows which registries it is for. `size` is what
    was read, in bytes.
    """

    mark: str
    config: DockerConfig | None = field(default=None, repr=False)
    note: str = ""
    away: Reason | None = None
    size: int = 0


class PullSecrets:
    """The pull secrets of a pod and its ServiceAccount, in order, then the controller's own credentials.

    A secret that is missing, forbidden or cannot be parsed is passed over, as the kubelet does; one that could not be read
    now is not.

    Args:
        secrets: As they were read, in order.
        others: Asked last.
    """

    def __init__(self, secrets: Sequence[PullSecret], others: Credentials) -> None:
        self._secrets = tuple(secrets)
        self._others = others
        marks = [secret.mark for secret in secrets if secret.mark]
        self._own = f"secrets:{hashlib.sha256(' '.join(marks).encode()).hexdigest()[:32]};" if marks else ""

    @property
    def scope(self) -> str:
        """As `Credentials.scope`: who has the same contents sees the same, and a rotated secret is another view."""
        return f"{self._own}{self._others.scope}"

    async def find(self, repository: Repository) -> Credential | None:
        """As `Credentials.find`."""
        for secret in self._secrets:
            if secret.away:
                reason = secret.away
                raise Undecided(reason.code, reason.message, source="the API server", found=reason.found)
            credential = secret.config.find(repository) if secret.config else None
            if credential:
                return credential
        return await self._others.find(repository)

    def note(self, repository: Repository) -> str:
        """As `Credentials.note`."""
        notes = [secret.config.note(repository) if secret.config else secret.note for secret in self._secrets]
        return "; ".join(dict.fromkeys(note for note in (*notes, self._others.note(repository)) if note))


def _entry(key: str, value: Any, what: str) -> _Entry | None:
    """One entry, None for an empty one (`docker login` with a credential store leaves such)."""
    if not isinstance(value, Mapping):
        raise Invalid(Code.INVALID_SETTINGS, f"{what} must be an object", found=type(value).__name__)
    try:
        texts = {name: documents.optional_text(value, name, what) for name in ("username", "password", "auth")}
        tokens = {name: documents.optional_text(value, name, what) for name in ("identitytoken", "registrytoken")}
    except Refused as error:
        raise Invalid(Code.INVALID_SETTINGS, str(error.reason)) from None
    username, password = texts["username"], texts["password"]
    if texts["auth"]:
        username, password = _decode(texts["auth"], what)
    if "\n" in tokens["registrytoken"] or "\r" in tokens["registrytoken"] or not tokens["registrytoken"].isascii():
        raise Invalid(Code.INVALID_SETTINGS, f"{what}.registrytoken is no token")
    credential = Credential(username, password, tokens["identitytoken"], tokens["registrytoken"])
    if credential == Credential():
        return None
    host, path = _split(key, what)
    return _Entry(host, path, credential)


def _decode(auth: str, what: str) -> tuple[str, str]:
    try:
        text = base64.b64decode(auth, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        text = ""
    username, colon, password = text.partition(":")
    if not colon:
        raise Invalid(Code.INVALID_SETTINGS, f"{what}.auth must be the base64 of user:password")
    # Docker pads passwords with zero bytes (docker/cli, cli/config/configfile).
    return username, password.strip("\x00")


def _split(key: str, what: str) -> tuple[str, str]:
    """Host and path of a key: `registry.example.com/team`, `https://index.docker.io/v1/`, `*.example.com`."""
    text = key.removeprefix("https://").removeprefix("http://").rstrip("/")
    host, _, path = text.partition("/")
    path = "" if path in _IGNORED_PATHS else path
    if "*" in host:
        return host.lower(), path
    # Docker Hub's own key is its index's address; a host without a dot is a host here, although not in a reference.
    host = host if "." in host or ":" in host or host == "localhost" else f"{host}:443"
    return registry_name(host, what), path


def _host_matches(pattern: str, registry: str) -> bool:
    """A `*` stands for one label or a part of it, so that `*.example.com` is no `example.com` and no `a.b.example.com`."""
    if "*" not in pattern:
        return pattern == registry
    wanted, found = pattern.split("."), registry.split(".")
    return len(wanted) == len(found) and all(
        fnmatch.fnmatchcase(label, glob) for glob, label in zip(wanted, found, strict=True)
    )


def _load(path: Path) -> DockerConfig:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise Invalid(Code.INVALID_SETTINGS, f"{path.name} cannot be read: {error.strerror}", field="dockerConfig") from None
    return DockerConfig.parse(raw, path.name)


def _state(path: Path) -> tuple[int, int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
