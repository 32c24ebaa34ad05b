"""Transports that may reach the registries of a test, as settings would let them."""

from typing import Any, Protocol

from controller.registry.transport import RegistryTransport
from controller.settings import Limits, RegistrySettings, Settings

QUICK = Limits(retry_base=0.001, connect_timeout=2, read_timeout=2, lookup_timeout=5)
"""Limits with short pauses, so that a test of repetitions takes no time."""


class Hosted(Protocol):
    """A registry or another server."""

    @property
    def host(self) -> str:
        """Address and port."""


def transport(
    *servers: Hosted, limits: Limits = QUICK, own: dict[str, dict[str, Any]] | None = None, **more: Any
) -> RegistryTransport:
    """A transport whose settings name `servers` as plain HTTP at private addresses; `own` adds to a host's settings."""
    registries = {server.host: {"insecure": True, "private_address": True} for server in servers}
    for host, entry in (own or {}).items():
        registries[host] = {**registries.get(host, {}), **entry}
    settings = Settings(limits=limits, registries={host: RegistrySettings(**entry) for host, entry in registries.items()})
    return RegistryTransport(settings, **more)
