"""The serving certificate: TLS 1.2 and later, exchanged without closing a connection."""

import contextlib
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from controller.certificates import expiry
from controller.errors import Code, Invalid


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """Where the certificate chain and its key stand, and the CA that callers must show a certificate of, if any."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file."""
        return (self.certificate, self.key, *((self.client_ca,) if self.client_ca else ()))


@dataclass(frozen=True, slots=True)
class ServingCertificate:
    """A certificate ready to serve. `expires` is POSIX seconds."""

    context: ssl.SSLContext
    expires: float

    @classmethod
    def load(cls, files: CertificateFiles) -> "ServingCertificate":
        """Read the files.

        Raises:
            Invalid: `InvalidFile` naming the file.
        """
        context = server_context(files.client_ca)
        try:
            # An encrypted key is refused: without a password given, OpenSSL would ask the terminal for one.
            context.load_cert_chain(files.certificate, files.key, password="")
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise _invalid(f"certificate {files.certificate} with key {files.key}", error) from None
        try:
            return cls(context, expiry(files.certificate.read_bytes()))
        except OSError as error:
            raise _invalid(f"certificate {files.certificate}", error) from None

    @classmethod
    def of(cls, certificate: bytes, key: bytes, client_ca: Path | None, what: str) -> "ServingCertificate":
        """The same from PEM in memory; `what` names where it is from. The key is never written to a disk.

        Raises:
            Invalid: `InvalidFile`.
        """
        context = server_context(client_ca)
        try:
            with _in_memory(certificate) as chain, _in_memory(key) as private:
                context.load_cert_chain(chain, private, password="")
            return cls(context, expiry(certificate))
        except (OSError, ValueError) as error:
            raise _invalid(what, error) from None


def server_context(client_ca: Path | None) -> ssl.SSLContext:
    """A context without a certificate: every handshake with it fails.

    Raises:
        Invalid: `InvalidFile`: the client CA cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ValueError) as error:
            raise _invalid(f"client CA {client_ca}", error) from None
    return context


@contextlib.contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A name under which OpenSSL, which reads files only, finds `content` while it is in memory alone (Linux)."""
    with os.fdopen(os.memfd_create("pem"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


class ExchangeableContext(ssl.SSLContext):
    """The context a listener is started with: each new connection is made by the `current` one behind it.

    Loading a new certificate into a live context could fail half-way and leave a certificate with another's key; here new
    connections see the old context or the new one, whole, client CA included.
    """

    current: ssl.SSLContext

    def __new__(cls, current: ssl.SSLContext) -> Self:
        """Begin with `current`."""
        self = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        self.current = current
        return self

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """Make a connection's TLS object; the only method asyncio calls."""
        return self.current.wrap_bio(*args, **kwargs)


def _invalid(what: str, error: Exception) -> Invalid:
    return Invalid(Code.INVALID_FILE, f"{what} cannot be used: {error}")
