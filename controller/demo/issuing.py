"""Certificates of the demonstration's authorities."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.demo.signingkeys import SigningKey

HOUR: Final = timedelta(hours=1)
_ATTRIBUTES: Final = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "CN": NameOID.COMMON_NAME,
}

Extension = tuple[x509.ExtensionType, bool]
"""An extension, and whether it is critical."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Who issues: a self-signed certificate and its key."""

    certificate: x509.Certificate
    key: SigningKey

    @classmethod
    def create(cls, subject: str, now: datetime) -> "Authority":
        """A new one, valid from an hour ago for a day; `subject` is written `C=DE, O=Acme`."""
        key = SigningKey.generate()
        own = [(x509.BasicConstraints(ca=True, path_length=0), True), (usage(certificates=True), True)]
        named = name(subject)
        return cls(_issue(_builder(named, named, key, now - HOUR, now + 24 * HOUR), own, key), key)

    def issue(
        self, subject: x509.Name, key: SigningKey, start: datetime, end: datetime, extensions: Sequence[Extension]
    ) -> x509.Certificate:
        """A certificate of `key` for `subject`."""
        builder = _builder(subject, self.certificate.subject, key, start, end)
        return _issue(builder, [(usage(certificates=False), True), *extensions], self.key)


def name(text: str) -> x509.Name:
    """`C=DE, ST=Berlin` as a name."""
    pairs = (part.split("=") for part in text.split(", "))
    return x509.Name([x509.NameAttribute(_ATTRIBUTES[kind], value) for kind, value in pairs])


def usage(*, certificates: bool) -> x509.KeyUsage:
    """The key usage of who issues certificates, or of who signs anything else."""
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: SigningKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _issue(builder: x509.CertificateBuilder, extensions: Sequence[Extension], by: SigningKey) -> x509.Certificate:
    private = by.private
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise TypeError("the demo's authorities sign with ECDSA")
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(private, hashes.SHA256())
