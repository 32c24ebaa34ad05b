"""Whose credentials pull for a workload: its pull secrets and its ServiceAccount's, from its own namespace only, by name.

What was read is kept for seconds, so that a rotated secret counts at once, and answers are shared among equal contents only.
"""

import asyncio
import base64
import binascii
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.admission.subject import Workload
from controller.cache import Flights, Memory
from controller.cluster import resources
from controller.cluster.client import ClusterClient
from controller.cluster.resources import Resource
from controller.errors import Invalid, Reason, SigwardError
from controller.registry.credentials import Credentials, DockerConfig, PullSecret, PullSecrets
from controller.registry.source import Source
from controller.settings import Limits

Known = PullSecret | tuple[str, ...]
"""A Secret as it was read, or the names that a ServiceAccount lists."""
_Key = tuple[str, str, str]
"""Kind, namespace and name."""

_NOT_FOUND: Final = 404
_FORBIDDEN: Final = 403
_ENTRIES: Final = 8192
_VIEWS: Final = 1024
_PARSED: Final = 4
"""What a parsed docker config weighs, in lengths of its text."""
_LOG: Final = logging.getLogger("sigward.pullsecrets")


class PullSecretSources:
    """A registry view for each set of credentials.

    Args:
        client: Reads Secrets and ServiceAccounts.
        own: The controller's own credentials, asked last.
        source: The view with only those.
        view: Makes a view of other credentials.
        limits: `pull_secrets`, `pull_secret_age`, `pull_secret_stale`, `pull_secret_bytes`.
    """

    def __init__(
        self,
        client: ClusterClient,
        own: Credentials,
        source: Source,
        view: Callable[[Credentials], Source],
        limits: Limits,
    ) -> None:
        self._client = client
        self._own = own
        self._source = source
        self._view = view
        self._limits = limits
        self._salt = secrets.token_bytes(16)
        self._known: Memory[_Key, Known] = Memory(_ENTRIES, limits.pull_secret_bytes)
        self._flights: Flights[_Key, Known] = Flights(limits.lookups_in_flight, limits.cluster_timeout)
        self._views: Memory[tuple[tuple[str, str], ...], Source] = Memory(_VIEWS, limits.pull_secret_bytes)

    async def of(self, workload: Workload, deadline: float) -> Source:
        """The view of whoever pulls for `workload`. Never fails: what could not be read makes that view undecided."""
        latest = asyncio.get_running_loop().time() + self._limits.object_timeout
        found = await self._secrets(workload, min(deadline, latest))
        if not found:
            return self._source
        key = tuple((secret.mark, secret.note) for secret in found)
        known = self._views.get(key)
        if known is None:
            view = self._view(PullSecrets(found, self._own))
            known = self._views.put(key, view, 0.0, sum(map(_weight, found)))
        return known.value

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _secrets(self, workload: Workload, deadline: float) -> tuple[PullSecret, ...]:
        """The pod's own first, then those of its ServiceAccount."""
        space, found = workload.namespace, []
        names = list(workload.pull_secrets)
        if not resources.is_name(space):
            return ()
        if workload.service_account:
            listed = await self._read(resources.SERVICE_ACCOUNTS, space, workload.service_account, self._account, deadline)
            if isinstance(listed, PullSecret):
                found.append(listed)
            else:
                names += [name for name in listed if name not in names]
        reads = (self._read(resources.SECRETS, space, name, self._secret, deadline) for name in self._bounded(space, names))
        read = [each for each in await asyncio.gather(*reads) if isinstance(each, PullSecret)]
        return (*read, *found)

    def _bounded(self, namespace: str, names: list[str]) -> list[str]:
        if len(names) > self._limits.pull_secrets:
            _LOG.warning(
                "of %d pull secrets in namespace %s only %d are read", len(names), namespace, self._limits.pull_secrets
            )
        return names[: self._limits.pull_secrets]

    async def _read(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        parse: Callable[[Mapping[str, Any], str], Known],
        deadline: float,
    ) -> Known:
        """What is known of an object, read again where that is older than `pull_secret_age`."""
        where = f"{resource.kind} {namespace}/{name[:253]}"
        if not resources.is_name(name):
            return PullSecret("", note=f"{where}: no object can have this name")
        key, limits = (resource.kind, namespace, name), self._limits
        entry, now = self._known.get(key), time.monotonic()
        if entry is not None and entry.fresh(now, limits.pull_secret_age):
            return entry.value

        async def fetch() -> Known:
            since = time.monotonic()
            value = await self._fetch(resource, namespace, name, parse, where)
            self._known.put(key, value, since, _weight(value))
            return value

        try:
            return await self._flights.join(key, fetch, deadline, where)
        except SigwardError as error:
            if entry is not None and entry.fresh(now, limits.pull_secret_stale):
                return entry.value
            reason = Reason(error.reason.code, f"{where} could not be read", found=error.reason.found)
            return PullSecret(f"away {where}", away=reason)

    async def _fetch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        parse: Callable[[Mapping[str, Any], str], Known],
        where: str,
    ) -> Known:
        answer = await self._client.get(resource.path(namespace, name))
        if answer.status == _NOT_FOUND:
            return PullSecret("", note=f"{where} is not there")
        if answer.status == _FORBIDDEN:  # rbac.secrets says which namespaces may be read; ours still count
            return PullSecret("", note=f"{where} may not be read by Sigward (rbac.secrets)")
        return parse(answer.value(), where)

    def _account(self, value: Mapping[str, Any], _: str) -> Known:
        items = value.get("imagePullSecrets")
        names = (item.get("name") for item in items if isinstance(item, dict)) if isinstance(items, list) else ()
        return tuple(name for name in names if isinstance(name, str) and name)

    def _secret(self, value: Mapping[str, Any], where: str) -> PullSecret:
        raw = docker_config(value)
        if raw is None:
            return PullSecret("", note=f"{where} is no pull secret")
        mark = hashlib.blake2b(raw, key=self._salt, digest_size=16).hexdigest()
        try:
            return PullSecret(mark, DockerConfig.parse(raw, where), size=len(raw))
        except Invalid as error:  # its reason names entries and quotes no password
            _LOG.warning("a pull secret is passed over: %s", error.reason.message)
            return PullSecret("", note=f"{where} cannot be parsed")


def docker_config(secret: Mapping[str, Any]) -> bytes | None:
    """The docker config in a Secret of either type for pull secrets; None where it is another, or holds none."""
    data = secret.get("data")
    if not isinstance(data, Mapping):
        return None
    kind = secret.get("type")
    if kind == "kubernetes.io/dockerconfigjson":
        return _decoded(data.get(".dockerconfigjson"))
    raw = _decoded(data.get(".dockercfg")) if kind == "kubernetes.io/dockercfg" else None
    return None if raw is None else b'{"auths":' + raw + b"}"  # the old form: the entries alone


def _decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except (binascii.Error, ValueError):
        return None


def _weight(value: Known) -> int:
    return sum(map(len, value)) if isinstance(value, tuple) else value.size * _PARSED
