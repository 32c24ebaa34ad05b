"""A company's certificates: root, intermediate, signers; and what its responders say about them, rightly or wrongly."""

import asyncio
import datetime as dt
import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from controller import certificates
from controller.certificates import Certificate

NOW: Final = 1_795_000_000.0
"""When tests judge: 2026-11-18."""
DAY: Final = 86400.0
_TYPES: Final = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
}
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


@functools.cache
def private_key(name: str, kind: str = "P-256") -> PrivateKey:
    """The key of that name and kind (`P-256`, `RSA 2048`, `Ed25519`)."""
    del name  # the name is what the cache tells keys apart by
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("RSA ")))
    return ec.generate_private_key(_CURVES[kind])


def moment(time: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(time), dt.UTC)


def name(text: str) -> x509.Name:
    """`C=DE, ST=Berlin` as a name; `+` puts two attributes into one place."""
    parts = [
        [x509.NameAttribute(_TYPES[kind.strip()], value) for kind, value in (pair.split("=") for pair in rdn.split("+"))]
        for rdn in text.split(", ")
    ]
    return x509.Name([x509.RelativeDistinguishedName(attributes) for attributes in parts])


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate shall say. `usage` are the key usages, None leaves the extension out; so does `basic`."""

    subject: str
    key: str = ""
    kind: str = "P-256"
    start: float = NOW - 100 * DAY
    end: float = NOW + 3650 * DAY
    usage: tuple[str, ...] | None = ("digital_signature",)
    usage_critical: bool = True
    basic: bool | None = None
    basic_critical: bool = True
    path_length: int | None = None
    purposes: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CODE_SIGNING,)
    purposes_critical: bool = False
    ocsp: tuple[str, ...] = ()
    lists: tuple[str, ...] = ()
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()


def authority(subject: str, **changes: object) -> Wanted:
    """A certificate authority's certificate."""
    usual = {"usage": ("key_cert_sign", "crl_sign"), "basic": True, "purposes": ()}
    return Wanted(subject, **{**usual, **changes})  # type: ignore[arg-type] # the test names the fields


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate, its private key, and who issued it (None: itself)."""

    parsed: x509.Certificate
    key: PrivateKey
    issuer: "Issued | None" = None

    @property
    def der(self) -> bytes:
        return self.parsed.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.parsed.public_bytes(Encoding.PEM)

    @property
    def chain(self) -> tuple["Issued", ...]:
        """Itself first, the root last."""
        return (self,) if self.issuer is None else (self, *self.issuer.chain)

    @property
    def read(self) -> Certificate:
        return certificates.parse(self.der, "certificate", limit=1 << 16)


@functools.cache
def issue(wanted: Wanted, issuer: Issued | None = None) -> Issued:
    """Issue a certificate; without an issuer it is its own. The same wish is the same certificate."""
    key = private_key(wanted.key or wanted.subject, wanted.kind)
    signer = issuer.key if issuer else key
    subject = name(wanted.subject)
    serial = int.from_bytes(hashlib.sha256(f"{wanted}{issuer}".encode()).digest()[:12], "big")
    builder = (
        x509.CertificateBuilder(issuer.parsed.subject if issuer else subject, subject, key.public_key(), serial)
        .not_valid_before(moment(wanted.start))
        .not_valid_after(moment(wanted.end))
    )
    for extension, critical in _extensions(wanted):
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Issued(builder.sign(signer, algorithm), key, issuer)


def _extensions(wanted: Wanted) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if wanted.usage is not None:
        found.append((key_usage(*wanted.usage), wanted.usage_critical))
    if wanted.basic is not None:
        found.append((x509.BasicConstraints(ca=wanted.basic, path_length=wanted.path_length), wanted.basic_critical))
    if wanted.purposes:
        found.append((x509.ExtendedKeyUsage(wanted.purposes), wanted.purposes_critical))
    if wanted.ocsp:
        places = [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
            for url in wanted.ocsp
        ]
        found.append((x509.AuthorityInformationAccess(places), False))
    if wanted.lists:
        points = [x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None) for url in wanted.lists]
        found.append((x509.CRLDistributionPoints(points), False))
    return [*found, *wanted.extensions]


def key_usage(*set_bits: str) -> x509.KeyUsage:
    bits = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bit in set_bits for bit in bits})


def root(company: str = "Acme") -> Issued:
    return _root(company)


def intermediate(company: str = "Acme") -> Issued:
    return _intermediate(company)


@functools.cache
def _root(company: str) -> Issued:
    return issue(authority(f"C=DE, ST=Berlin, O={company}, CN=Root"))


@functools.cache
def _intermediate(company: str) -> Issued:
    return issue(authority(f"C=DE, ST=Berlin, O={company}, CN=Intermediate", path_length=0), _root(company))


def signer(who: str = "release", *, issuer: Issued | None = None, **changes: object) -> Issued:
    """A signer's certificate under Acme's intermediate; `changes` go to `Wanted`."""
    by = issuer or intermediate()
    wanted = Wanted(f"C=DE, ST=Berlin, O=Acme, CN={who}")
    return issue(replace(wanted, **changes), by)  # type: ignore[arg-type] # the test names the fields


@dataclass(frozen=True, slots=True)
class Says:
    """What an OCSP answer or a list says; the defaults are an honest one of this hour."""

    status: str = "good"
    reason: x509.ReasonFlags | None = None
    this: float = NOW - 600
    next: float | None = NOW + 3600
    by: Issued | None = None
    about: Issued | None = None
    embedded: Sequence[Issued] = ()
    number: int = 7
    base: int | None = None
    freshest: str = ""
    scope: x509.IssuingDistributionPoint | None = None
    invalid_since: float | None = None
    entry: bool | None = None
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()


def ocsp_answer(certificate: Issued, says: Says | None = None) -> bytes:
    """An OCSP response about `certificate`."""
    what = says or Says()
    about = what.about or certificate
    issuer = certificate.issuer or certificate
    by = what.by or issuer
    revoked = what.status == "revoked"
    status = {
        "good": ocsp.OCSPCertStatus.GOOD,
        "revoked": ocsp.OCSPCertStatus.REVOKED,
        "unknown": ocsp.OCSPCertStatus.UNKNOWN,
    }
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about.parsed,
            issuer.parsed,
            hashes.SHA1(),  # noqa: S303 - what responders use to name an issuer
            status[what.status],
            moment(what.this),
            moment(what.next) if what.next is not None else None,
            moment(what.this) if revoked else None,
            what.reason if revoked else None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, by.parsed)
    )
    if what.embedded:
        builder = builder.certificates([one.parsed for one in what.embedded])
    for extension, critical in what.extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


def revocation_list(certificate: Issued, says: Says | None = None) -> bytes:
    """A list by the issuer of `certificate`, in which it stands unless it is good."""
    what = says or Says()
    issuer = certificate.issuer or certificate
    by = what.by or issuer
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.parsed.subject)
        .last_update(moment(what.this))
        .next_update(moment(what.next or NOW))
        .add_extension(x509.CRLNumber(what.number), critical=False)
    )
    if what.base is not None:
        builder = builder.add_extension(x509.DeltaCRLIndicator(what.base), critical=True)
    if what.freshest:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(what.freshest)], None, None, None)
        builder = builder.add_extension(x509.FreshestCRL([point]), critical=False)
    if what.scope is not None:
        builder = builder.add_extension(what.scope, critical=True)
    for extension, critical in what.extensions:
        builder = builder.add_extension(extension, critical)
    listed = what.status != "good" if what.entry is None else what.entry
    if listed:
        builder = builder.add_revoked_certificate(_entry(what.about or certificate, what))
    return builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)


def _entry(certificate: Issued, what: Says) -> x509.RevokedCertificate:
    builder = (
        x509.RevokedCertificateBuilder().serial_number(certificate.parsed.serial_number).revocation_date(moment(what.this))
    )
    if what.reason is not None:
        builder = builder.add_extension(x509.CRLReason(what.reason), critical=False)
    if what.invalid_since is not None:
        builder = builder.add_extension(x509.InvalidityDate(moment(what.invalid_since)), critical=False)
    return builder.build()


class Responder:
    """OCSP and lists on this machine. `answers` maps a path to bytes, a status code or seconds to wait.

    `asked` are the paths asked for, in order.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes | int | float] = {}
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._runner = runner
        self._port = runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.asked.append(request.path)
        answer = self.answers.get(request.path, 404)
        if isinstance(answer, float):
            await asyncio.sleep(answer)
            return web.Response(status=504)
        if isinstance(answer, int):
            return web.Response(status=answer, headers={"Location": "http://127.0.0.1:1/elsewhere"})
        return web.Response(body=answer)
