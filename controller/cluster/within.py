"""Which cluster. Apart from the rest, so that saying it loads no client."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Within:
    """Which cluster, and which of its objects are this replica's own.

    `kubeconfig` is None for the cluster that the pod runs in, `namespace` empty for the pod's own. `tls_secret` is empty
    where the certificate comes from files.
    """

    kubeconfig: Path | None = None
    namespace: str = ""
    tls_secret: str = ""
