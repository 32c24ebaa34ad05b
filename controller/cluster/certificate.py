"""The serving certificate in a Secret, read by name through the API: a mount would lag behind it up to 90 seconds."""

import base64
import binascii
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.cluster import resources
from controller.cluster.client import ClusterClient
from controller.cluster.reflector import Reflector, Wanted
from controller.errors import Invalid
from controller.settings import Limits
from controller.telemetry import Telemetry

_LOG: Final = logging.getLogger("sigward.reload")


class CertificateSecret:
    """Follows a Secret of type kubernetes.io/tls; what it takes away or breaks leaves the last good certificate serving.

    Args:
        client: Asks the API server.
        namespace: Where the Secret is.
        name: What it is called.
        limits: Bounds.
        telemetry: Told of every attempt.
        use: Called with chain and key as PEM.

    Raises:
        Invalid: By `use`: they do not fit.
    """

    def __init__(
        self,
        client: ClusterClient,
        namespace: str,
        name: str,
        limits: Limits,
        telemetry: Telemetry,
        use: Callable[[bytes, bytes, str], None],
    ) -> None:
        self._where = f"Secret {namespace}/{name}"
        self._telemetry = telemetry
        self._use = use
        self._wrong = ""
        self._loaded = False
        wanted = Wanted(resources.SECRETS, resources.content, namespace, name)
        resources.SECRETS.path(namespace, name)
        self._reflector: Reflector[Mapping[str, Any]] = Reflector(
            client, wanted, self._changed, limits, failed=telemetry.disconnected
        )

    def start(self) -> None:
        """Begin, in the background."""
        self._reflector.start()

    async def close(self) -> None:
        """End it."""
        await self._reflector.stop()

    def not_ready(self) -> str:
        """Why there is no certificate yet; empty once there was one."""
        if self._loaded:
            return ""
        if self._reflector.objects is None:
            return f"certificate: {self._where}: {self._reflector.failure or 'not read yet'}"
        return f"certificate: {self._wrong or f'{self._where} is not there yet'}"

    def _changed(self) -> None:
        value = next(iter((self._reflector.objects or {}).values()), None)
        if value is None:
            _LOG.warning("%s is gone; the last certificate stays", self._where)
            return
        try:
            data = value.get("data")
            chain, key = (_decoded(data, name) for name in ("tls.crt", "tls.key"))
            if not chain or not key:
                self._failed(f"{self._where} holds no tls.crt with its tls.key")
                return
            self._use(chain, key, self._where)
        except Invalid as error:
            self._failed(str(error))
            return
        self._loaded, self._wrong = True, ""
        self._telemetry.reloaded("certificate", failed=False)

    def _failed(self, why: str) -> None:
        self._wrong = why
        self._telemetry.reloaded("certificate", failed=True)
        _LOG.error("the certificate cannot be used, what was loaded before goes on: %s", why)


def _decoded(data: object, name: str) -> bytes:
    text = data.get(name) if isinstance(data, Mapping) else None
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except (binascii.Error, ValueError):
        return b""
