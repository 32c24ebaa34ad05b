"""The serving certificate: TLS 1.2 and later, exchanged without closing a connection."""

import ssl
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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            # An encrypted key is refused: without a password given, OpenSSL would ask the terminal for one.
            context.load_cert_chain(files.certificate, files.key, password="")
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise _invalid(f"certificate {files.certificate} with key {files.key}", error) from None
        if files.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(files.client_ca)
            except (OSError, ValueError) as error:
                raise _invalid(f"client CA {files.client_ca}", error) from None
        try:
            return cls(context, expiry(files.certificate.read_bytes()))
        except OSError as error:
            raise _invalid(f"certificate {files.certificate}", error) from None


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
