"""Everything a serving replica has of the cluster it is in: it only ever reads (design, section 8)."""

import asyncio
from collections.abc import Callable

from controller.admission.subject import Workload
from controller.cluster.certificate import CertificateSecret
from controller.cluster.client import ClusterClient
from controller.cluster.namespaces import LiveNamespaces
from controller.cluster.pullsecrets import PullSecretSources
from controller.cluster.watch import ClusterPolicies, Compile
from controller.cluster.within import Within
from controller.compile.compiled import Snapshot
from controller.errors import Code, Invalid
from controller.registry.credentials import Credentials
from controller.registry.source import Source
from controller.settings import Limits
from controller.telemetry import Telemetry


class ClusterReplica:
    """The cluster around a replica: policies, certificate, namespaces, pull secrets.

    Args:
        client: Asks the API server.
        within: Which objects.
        limits: Bounds.
        telemetry: Metrics.
        compile: Documents to a snapshot, in a thread.
        use: Called with each new snapshot.
        certificate: Called with each certificate chain and its key.
        own: The controller's own registry credentials.
        view: Makes a view of the registries with other credentials.

    Raises:
        Invalid: `InvalidUsage`: nothing says in which namespace the Secret is.
    """

    def __init__(
        self,
        client: ClusterClient,
        within: Within,
        limits: Limits,
        telemetry: Telemetry,
        *,
        compile: Compile,  # noqa: A002 - what it does
        use: Callable[[Snapshot], None],
        certificate: Callable[[bytes, bytes, str], None],
        own: Credentials,
        view: Callable[[Credentials], Source],
    ) -> None:
        self._client = client
        self.policies = ClusterPolicies(client, limits, telemetry, compile, use)
        self._namespaces = LiveNamespaces(client, limits)
        self._pull_secrets = PullSecretSources(client, own, view(own), view, limits)
        self._certificate: CertificateSecret | None = None
        if within.tls_secret:
            namespace = within.namespace or client.namespace
            if not namespace:
                raise Invalid(Code.INVALID_USAGE, "nothing says where the Secret is", field="--namespace")
            self._certificate = CertificateSecret(client, namespace, within.tls_secret, limits, telemetry, certificate)

    def start(self) -> None:
        """Begin to watch."""
        self.policies.start()
        if self._certificate is not None:
            self._certificate.start()

    def not_ready(self) -> str:
        """What beside the policies is missing; empty for nothing."""
        return "" if self._certificate is None else self._certificate.not_ready()

    async def placed(self, snapshot: Snapshot, workload: Workload, deadline: float) -> Snapshot:
        """As `server.door.Surroundings.placed`."""
        return await self._namespaces.placed(snapshot, workload.namespace, deadline)

    async def source(self, workload: Workload, deadline: float) -> Source:
        """As `server.door.Surroundings.source`."""
        return await self._pull_secrets.of(workload, deadline)

    async def close(self) -> None:
        """End everything and close every connection."""
        await self.policies.close()
        if self._certificate is not None:
            await self._certificate.close()
        await asyncio.gather(self._namespaces.close(), self._pull_secrets.close())
        await self._client.close()
