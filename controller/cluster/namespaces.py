"""The labels of a namespace that the watch has not shown yet (design, section 8: "fetched live")."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from controller.cache import Flights
from controller.cluster import resources
from controller.cluster.client import ClusterClient, failed
from controller.compile.compiled import Snapshot
from controller.decision.applicable import needs_namespace
from controller.errors import Code, SigwardError, Undecided
from controller.settings import Limits

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_NOT_FOUND = 404


class LiveNamespaces:
    """Asks the API server for one namespace, once however many wait, within `object_timeout`.

    Args:
        client: Asks.
        limits: `object_timeout` and `lookups_in_flight`.
    """

    def __init__(self, client: ClusterClient, limits: Limits) -> None:
        self._client = client
        self._limits = limits
        self._flights: Flights[str, Mapping[str, str]] = Flights(limits.lookups_in_flight, limits.object_timeout)

    async def placed(self, snapshot: Snapshot, namespace: str, deadline: float) -> Snapshot:
        """`snapshot` with the labels of `namespace`, where a policy asks for them and they are not known.

        Where they cannot be had it stays as it is: each policy that asks for them is undecided then, and denies
        (CVE-2025-46342). Nothing is remembered: the watch will show the namespace in a moment.
        """
        if not needs_namespace(snapshot, namespace):
            return snapshot
        latest = asyncio.get_running_loop().time() + self._limits.object_timeout
        try:
            labels = await self._flights.join(
                namespace, lambda: self._fetch(namespace), min(deadline, latest), f"namespace {namespace}"
            )
        except SigwardError:
            return snapshot
        return replace(snapshot, namespaces=MappingProxyType({**snapshot.namespaces, namespace: labels}))

    async def close(self) -> None:
        """End what is under way."""
        await self._flights.close()

    async def _fetch(self, namespace: str) -> Mapping[str, str]:
        path = resources.NAMESPACES.path(name=resources.checked_name(namespace))
        answer = await self._client.get(path, accept=_METADATA)
        if answer.status == _NOT_FOUND:
            raise failed(answer.what, answer.status)
        value = answer.value()
        metadata = value.get("metadata")
        if not isinstance(metadata, dict) or metadata.get("name") != namespace:
            raise Undecided(Code.CLUSTER_ERROR, f"{answer.what}: another object than was asked for")
        return resources.labels(resources.NAMESPACES, value)
