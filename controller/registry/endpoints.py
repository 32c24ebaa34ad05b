"""Where a registry's name leads: its address on the wire, its mirrors, its trust settings."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from yarl import URL

from controller.errors import Code, Invalid
from controller.reference import DEFAULT_REGISTRY, Repository
from controller.settings import RegistrySettings

# Docker Hub is called docker.io in references and answers there with a web page; its API has another host.
_WIRE_HOSTS: Final = {DEFAULT_REGISTRY: "registry-1.docker.io"}
_PLAIN: Final = RegistrySettings()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One host that is asked.

    `name` is the registry's canonical name, under which its settings and credentials are found; `url` its root on the wire;
    `tls` what its certificate is checked with, None for the system's authorities.
    """

    name: str
    url: URL
    settings: RegistrySettings
    tls: ssl.SSLContext | None


class Endpoints:
    """All registries that settings speak of, and any other by its name."""

    def __init__(self, settings: Mapping[str, RegistrySettings]) -> None:
        """Read the settings' names and CA files.

        Raises:
            Invalid: `InvalidSettings`: a name that is no registry host, two spellings of one host, a CA file that cannot be
                loaded.
        """
        self._settings: dict[str, RegistrySettings] = {}
        self._contexts: dict[Path, ssl.SSLContext] = {}
        for key, own in settings.items():
            name = registry_name(key, f"registries.{key}")
            if name in self._settings:
                raise Invalid(Code.INVALID_SETTINGS, f"stands for {name}, as another key does", field=f"registries.{key}")
            self._settings[name] = own
            if own.ca_file:
                self._contexts[own.ca_file] = _context(own.ca_file, f"registries.{key}.caFile")
        self._mirrors = {
            name: tuple(registry_name(mirror, f"registries.{name}.mirrors") for mirror in own.mirrors)
            for name, own in self._settings.items()
        }
        self._lookasides = {name: tuple(map(self._lookaside, own.lookaside)) for name, own in self._settings.items()}
        self._lookaside_hosts = frozenset(server.name for servers in self._lookasides.values() for server in servers)

    def of(self, name: str) -> tuple[Endpoint, ...]:
        """The hosts to ask for the registry `name`, in order: its mirrors, then itself."""
        return tuple(self._endpoint(host) for host in (*self._mirrors.get(name, ()), name))

    def lookasides(self, name: str) -> tuple[Endpoint, ...]:
        """The web servers that hold OpenPGP signatures of the registry `name`; each `url` is the server's base."""
        return self._lookasides.get(name, ())

    def allows_private(self, name: str) -> bool:
        """Whether settings let the host `name` have a private address: they say so, or name it as a lookaside server."""
        return self._settings.get(name, _PLAIN).private_address or name in self._lookaside_hosts

    def settings(self, name: str) -> RegistrySettings:
        """What settings say of the host `name`."""
        return self._settings.get(name, _PLAIN)

    def tls(self, name: str) -> ssl.SSLContext | None:
        """What the certificate of the host `name` is checked with, None for the system's authorities."""
        path = self.settings(name).ca_file
        return self._contexts[path] if path else None

    def _endpoint(self, name: str) -> Endpoint:
        own = self.settings(name)
        scheme = "http" if own.insecure else "https"
        url = URL(f"{scheme}://{_WIRE_HOSTS.get(name, name)}/")
        return Endpoint(name, url, own, self.tls(name))

    def _lookaside(self, base: str) -> Endpoint:
        url = URL(base)
        name = name_of(url)
        own = self.settings(name)
        insecure = url.scheme == "http" or own.insecure  # written as http: said as plainly as `insecure` says it
        return Endpoint(name, url, own.model_copy(update={"insecure": insecure}), self.tls(name))


def registry_name(text: str, field: str) -> str:
    """The canonical name of a registry that settings write as `text`.

    Raises:
        Invalid: `InvalidSettings` where it is no host with an optional port.
    """
    try:
        repository = Repository.parse(f"{text}/x/x")
    except Invalid:
        repository = None
    if repository is None or repository.path != "x/x":
        raise Invalid(
            Code.INVALID_SETTINGS, "not a registry host", field=field, expected="host or host:port", found=repr(text[:80])
        )
    return repository.registry


def name_of(url: URL) -> str:
    """The registry name of a URL's host and port, written as settings write it."""
    host = url.raw_host or ""
    host = f"[{host}]" if ":" in host else host
    return host.lower() if url.port in {443, None} else f"{host}:{url.port}".lower()


def _context(path: Path, field: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise Invalid(Code.INVALID_SETTINGS, f"CA file {path.name} cannot be loaded: {error}", field=field) from None
    return context
