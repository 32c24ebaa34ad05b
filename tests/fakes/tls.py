"""A private certificate authority, and what it issues, for servers on this machine."""

import datetime as dt
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """A certificate and its key as PEM files."""

    certificate: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """What a server speaks TLS with."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """A certificate authority that nobody knows but who is given `certificate` (a PEM file)."""

    def __init__(self, folder: Path, key: ec.EllipticCurvePrivateKey, own: x509.Certificate) -> None:
        self._folder = folder
        self._key = key
        self._own = own
        self.certificate = folder / "ca.pem"
        self.certificate.write_bytes(own.public_bytes(Encoding.PEM))

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Make one that writes its files into `folder`."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("Test authority")
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        own = (
            _builder(name, name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(folder, key, own)

    def issue(self, *hosts: str, file: str = "server", days: int = 1) -> ServerCertificate:
        """Issue a certificate for host names and addresses; a negative number of `days` makes one that has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        issued = (
            _builder(_name(hosts[0]), self._own.subject, key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        paths = ServerCertificate(self._folder / f"{file}.pem", self._folder / f"{file}.key")
        paths.certificate.write_bytes(issued.public_bytes(Encoding.PEM))
        paths.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paths

    def client(self) -> ssl.SSLContext:
        """What a client that trusts this authority, and no other, speaks TLS with."""
        return ssl.create_default_context(cafile=str(self.certificate))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int = 1
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    return builder.not_valid_before(now - _DAY * (abs(days) + 1)).not_valid_after(now + _DAY * days)


def _name(value: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
