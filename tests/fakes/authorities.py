"""A private Sigstore's certificates: an authority that certifies identities, and the log that takes them in."""

import base64
import datetime as dt
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller import der
from controller.certificates import FULCIO_CLAIMS
from controller.demo.signingkeys import SigningKey
from tests.fakes.keys import signing_key

T0: Final = 1_760_000_000
"""When the private Sigstore signs: 2025-10-09."""
YEAR: Final = 365 * 86400
SUBJECT: Final = "https://github.com/acme/shop/.github/workflows/release.yml@refs/heads/main"
ISSUER: Final = "https://token.actions.githubusercontent.com"
FULCIO: Final = "1.3.6.1.4.1.57264.1"
_SCTS: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")

CODE_SIGNING: Final = ExtendedKeyUsageOID.CODE_SIGNING
TIME_STAMPING: Final = ExtendedKeyUsageOID.TIME_STAMPING


def moment(time: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(time, dt.UTC)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: SigningKey

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate shall say; the defaults are a certificate authority's."""

    name: str
    start: float = T0 - YEAR
    end: float = T0 + 10 * YEAR
    authority: bool = True
    path_length: int | None = None
    usages: tuple[x509.ObjectIdentifier, ...] = ()
    usages_critical: bool = False
    alternatives: tuple[x509.GeneralName, ...] = ()
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    signs_certificates: bool = True


def certify(wanted: Wanted, key: SigningKey, issuer: Holder | None) -> Holder:
    """Issue a certificate; without an issuer it is its own."""
    signer = issuer.key if issuer else key
    assert isinstance(signer.private, ec.EllipticCurvePrivateKey)
    return Holder(_builder(wanted, key, issuer).sign(signer.private, hashes.SHA256()), key)


def _builder(wanted: Wanted, key: SigningKey, issuer: Holder | None) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, wanted.name)] if wanted.name else [])
    serial = int.from_bytes(hashlib.sha256(f"{wanted}{key.fingerprint}".encode()).digest()[:16], "big") >> 1
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.private.public_key())
        .serial_number(serial)
        .not_valid_before(moment(wanted.start))
        .not_valid_after(moment(wanted.end))
        .add_extension(_key_usage(certificates=wanted.authority and wanted.signs_certificates), critical=True)
    )
    if wanted.authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=wanted.path_length), critical=True)
    if wanted.usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(wanted.usages), critical=wanted.usages_critical)
    if wanted.alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(wanted.alternatives), critical=not wanted.name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.private.public_key())
    builder = builder.add_extension(identifier, critical=False)
    if issuer:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.private.public_key()), critical=False
        )
    for extension, critical in wanted.extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
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


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token said, and what Fulcio writes of it; `issuer_old` and `issuer` are two extensions, None leaves one out."""

    subject: str | x509.GeneralName | tuple[x509.GeneralName, ...] = SUBJECT
    issuer: str | None = ISSUER
    issuer_old: str | None = ISSUER
    claims: Mapping[str, str] = field(default_factory=dict)

    def extensions(self) -> tuple[tuple[x509.ExtensionType, bool], ...]:
        found = [] if self.issuer_old is None else [_extension("1", self.issuer_old.encode())]
        if self.issuer is not None:
            found.append(_extension("8", der.encode(der.UTF8_STRING, self.issuer.encode())))
        for name, value in self.claims.items():
            arc = FULCIO_CLAIMS[name]
            raw = value.encode()
            found.append(_extension(arc, raw if int(arc) < 7 else der.encode(der.UTF8_STRING, raw)))
        return tuple(found)

    def alternatives(self) -> tuple[x509.GeneralName, ...]:
        match self.subject:
            case str() as text if "://" in text:
                return (x509.UniformResourceIdentifier(text),)
            case str() as text:
                return (x509.RFC822Name(text),)
            case tuple() as names:
                return names
            case name:
                return (name,)


def _extension(arc: str, value: bytes) -> tuple[x509.ExtensionType, bool]:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(f"{FULCIO}.{arc}"), value), False


class CertificateLog:
    """A certificate transparency log, which signs timestamps for precertificates (RFC 6962 section 3.2)."""

    def __init__(self, name: str = "ct") -> None:
        self.key = signing_key(f"sigstore {name}")

    @property
    def id(self) -> bytes:
        return hashlib.sha256(self.key.public_der).digest()

    def stamp(self, precertificate: x509.Certificate, issuer: Holder, time: float) -> bytes:
        """One serialized SCT."""
        issuer_key = hashlib.sha256(issuer.key.public_der).digest()
        tbs = precertificate.tbs_certificate_bytes
        milliseconds = struct.pack("!Q", int(time * 1000))
        signed = b"\0\0" + milliseconds + b"\0\1" + issuer_key + len(tbs).to_bytes(3, "big") + tbs + b"\0\0"
        signature = self.key.sign(signed)
        return b"\0" + self.id + milliseconds + b"\0\0" + b"\4\3" + len(signature).to_bytes(2, "big") + signature


def with_timestamps(builder: x509.CertificateBuilder, issuer: Holder, *stamps: bytes) -> x509.Certificate:
    """Sign a certificate that carries SCTs (RFC 6962 section 3.3)."""
    listed = b"".join(len(stamp).to_bytes(2, "big") + stamp for stamp in stamps)
    value = der.encode(der.OCTET_STRING, len(listed).to_bytes(2, "big") + listed)
    assert isinstance(issuer.key.private, ec.EllipticCurvePrivateKey)
    extended = builder.add_extension(x509.UnrecognizedExtension(_SCTS, value), critical=False)
    return extended.sign(issuer.key.private, hashes.SHA256())


class CertificateAuthority:
    """Fulcio: a root, an intermediate, and short certificates for identities."""

    def __init__(self, name: str = "ca", *, log: CertificateLog | None = None, intermediate: Wanted | None = None) -> None:
        self.root = certify(Wanted(f"{name} root"), signing_key(f"sigstore {name} root"), None)
        wanted = intermediate or Wanted(f"{name} intermediate", path_length=0, usages=(CODE_SIGNING,))
        self.intermediate = certify(wanted, signing_key(f"sigstore {name} intermediate"), self.root)
        self.log = log or CertificateLog()

    def certify(
        self,
        key: SigningKey,
        identity: Identity | None = None,
        *,
        time: float = T0,
        issuer: Holder | None = None,
        logs: tuple[CertificateLog, ...] | None = None,
        log_time: float | None = None,
        **changes: object,
    ) -> Holder:
        """A certificate for ten minutes from `time`, taken in by `logs`; `changes` go to `Wanted`."""
        who = identity or Identity()
        by = issuer or self.intermediate
        wanted = {
            "name": "",
            "start": time,
            "end": time + 600,
            "authority": False,
            "usages": (CODE_SIGNING,),
            "alternatives": who.alternatives(),
            "extensions": who.extensions(),
        }
        builder = _builder(Wanted(**{**wanted, **changes}), key, by)  # type: ignore[arg-type] # the test names the fields
        assert isinstance(by.key.private, ec.EllipticCurvePrivateKey)
        precertificate = builder.sign(by.key.private, hashes.SHA256())
        taking = (self.log,) if logs is None else logs
        if not taking:
            return Holder(precertificate, key)
        stamps = (log.stamp(precertificate, by, time if log_time is None else log_time) for log in taking)
        return Holder(with_timestamps(builder, by, *stamps), key)
