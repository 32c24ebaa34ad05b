"""X.509 certificates (RFC 5280), read once, strictly, into a value that judging can rely on.

Parsing is the library's; what is allowed to pass is decided here: one certificate, nothing around it, a key and a signature
algorithm of today, no extension twice, every critical extension known. Nothing here trusts anybody.
"""

import base64
import binascii
import hashlib
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from controller import der, keys
from controller.errors import Code, Invalid, Refused
from controller.keys import PublicKey
from controller.validity import Window

CODE_SIGNING: Final = ExtendedKeyUsageOID.CODE_SIGNING.dotted_string
TIME_STAMPING: Final = ExtendedKeyUsageOID.TIME_STAMPING.dotted_string
ANY_USAGE: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string

FULCIO: Final = "1.3.6.1.4.1.57264.1"
_FULCIO_NAME: Final = f"{FULCIO}.7"
FULCIO_CLAIMS: Final[Mapping[str, str]] = {
    "githubWorkflowTrigger": "2",
    "githubWorkflowSHA": "3",
    "githubWorkflowName": "4",
    "githubWorkflowRepository": "5",
    "githubWorkflowRef": "6",
    "buildSignerURI": "9",
    "buildSignerDigest": "10",
    "runnerEnvironment": "11",
    "sourceRepositoryURI": "12",
    "sourceRepositoryDigest": "13",
    "sourceRepositoryRef": "14",
    "sourceRepositoryIdentifier": "15",
    "sourceRepositoryOwnerURI": "16",
    "sourceRepositoryOwnerIdentifier": "17",
    "buildConfigURI": "18",
    "buildConfigDigest": "19",
    "buildTrigger": "20",
    "runInvocationURI": "21",
    "sourceRepositoryVisibilityAtSigning": "22",
    "deploymentEnvironment": "23",
}
"""Claim names as Fulcio documents them (fulcio, docs/oid-info.md), and the last arc of their extension's identifier."""

_RAW_STRINGS: Final = frozenset("123456")  # written without DER around them, as that document says
_ISSUERS: Final = ("8", "1")
_KNOWN_CRITICAL: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    }
)
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512, type(None))  # None: EdDSA and ML-DSA bring their own
_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", re.ASCII)
_ERRORS: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,  # no ValueError
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


_T = TypeVar("_T", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class AlternativeName:
    """One subject alternative name: `kind` is `URI`, `email`, `DNS`, `otherName`, or another word for the rest."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """A certificate, taken apart. Two are equal if their bytes are.

    `issuers` are the token issuers of both Fulcio extensions (.1.8, .1.1), those that are there; `claims` the other Fulcio
    extensions by their documented names; `unknown_critical` the critical extensions nobody here understands (section 4.2).
    `subject` and `issuer` are for people (RFC 4514); `self_issued` says that subject and issuer have one name, as in a root.
    """

    der: bytes
    parsed: x509.Certificate
    key: PublicKey
    window: Window
    names: tuple[AlternativeName, ...]
    issuers: tuple[str, ...]
    claims: Mapping[str, str]
    subject: str
    issuer: str
    self_issued: bool
    is_authority: bool
    path_length: int | None
    may_sign_certificates: bool
    may_sign: bool
    usages: frozenset[str] | None
    usages_critical: bool
    unknown_critical: tuple[str, ...]
    key_identifier: bytes

    @property
    def sha256(self) -> str:
        """SHA-256 of the DER encoding in hex."""
        return hashlib.sha256(self.der).hexdigest()

    def extension(self, kind: type[_T]) -> x509.Extension[_T] | None:
        """The extension of that kind, if there is one."""
        try:
            return self.parsed.extensions.get_extension_for_class(kind)
        except x509.ExtensionNotFound:
            return None

    @property
    def may_sign_lists(self) -> bool:
        """Whether its key may sign lists of revoked certificates (RFC 5280 section 6.3.3 (f))."""
        usage = self.extension(x509.KeyUsage)
        return usage is None or usage.value.crl_sign

    def issued(self, other: "Certificate") -> bool:
        """Whether the names fit and `other` carries a signature by this certificate's key."""
        try:
            other.parsed.verify_directly_issued_by(self.parsed)
        except (InvalidSignature, *_ERRORS):
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Certificate) and other.der == self.der

    def __hash__(self) -> int:
        return hash(self.der)


def parse(raw: bytes, what: str, *, limit: int) -> Certificate:
    """Read exactly one certificate, PEM or DER.

    Args:
        raw: The bytes as found.
        what: Names it in reasons: `signing certificate`.
        limit: Longest accepted size in bytes.

    Raises:
        Refused: `NoCertificate` where it is a bare public key (GHSA-fx35-mq7g-6g98: a key in the certificate's place is
            nobody's identity), `CertificateInvalid`, `LimitExceeded`.
    """
    if len(raw) > limit:
        raise Refused(Code.LIMIT_EXCEEDED, f"{what} is too long", expected=f"at most {limit} bytes", found=str(len(raw)))
    encoded = _unwrap(raw, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of what it will refuse one day, and of what is refused here
            return _take_apart(x509.load_der_x509_certificate(encoded), encoded, what)
    except _ERRORS as error:
        if _is_key(encoded):
            raise Refused(Code.NO_CERTIFICATE, f"{what} is a bare public key") from None
        raise _bad(what, "cannot be read", str(error)) from None


def _unwrap(raw: bytes, what: str) -> bytes:
    text = raw.strip()
    if not text.startswith(b"-----"):
        return raw
    match = _PEM.fullmatch(text)
    if not match:
        if b"PUBLIC KEY-----" in text[:64]:
            raise Refused(Code.NO_CERTIFICATE, f"{what} is a bare public key")
        raise _bad(what, "is not one PEM block of type CERTIFICATE", repr(text[:40])[1:])
    try:
        return base64.b64decode(b"".join(match[1].split()), validate=True)
    except binascii.Error as error:
        raise _bad(what, "is not base64", str(error)) from None


def _is_key(encoded: bytes) -> bool:
    try:
        keys.parse(encoded)
    except Invalid:
        return False
    return True


def _take_apart(parsed: x509.Certificate, encoded: bytes, what: str) -> Certificate:
    if parsed.version is not x509.Version.v3:
        raise _bad(what, "is of another version than 3", parsed.version.name)
    if not encoded.endswith(b"\0" + parsed.signature):
        # Bits that do not count would give one certificate several encodings, and so several hashes to be revoked by.
        raise _bad(what, "has a signature that is not whole octets (X.690 section 8.6.2)")
    if parsed.serial_number <= 0:
        raise _bad(what, "has a serial number that is not positive (RFC 5280 section 4.1.2.2)")
    if not isinstance(parsed.signature_hash_algorithm, _HASHES):
        raise _bad(what, "is signed with a hash that is not accepted", parsed.signature_algorithm_oid.dotted_string)
    extensions = _Extensions(parsed.extensions, what)
    basic, usage, extended = extensions.basic, extensions.usage, extensions.extended
    return Certificate(
        der=encoded,
        parsed=parsed,
        key=_key(parsed, what),
        window=Window(parsed.not_valid_before_utc.timestamp(), parsed.not_valid_after_utc.timestamp()),
        names=extensions.names(),
        issuers=extensions.issuers(),
        claims=extensions.claims(),
        subject=parsed.subject.rfc4514_string() or "(no name)",
        issuer=parsed.issuer.rfc4514_string() or "(no name)",
        self_issued=parsed.subject.public_bytes() == parsed.issuer.public_bytes(),
        is_authority=basic is not None and basic.ca,
        path_length=basic.path_length if basic else None,
        may_sign_certificates=usage is not None and usage.key_cert_sign,
        may_sign=usage is None or usage.digital_signature,
        usages=None if extended is None else frozenset(purpose.dotted_string for purpose in extended),
        usages_critical=extensions.is_critical(ExtensionOID.EXTENDED_KEY_USAGE),
        unknown_critical=extensions.unknown_critical(),
        key_identifier=extensions.key_identifier(),
    )


def _key(parsed: x509.Certificate, what: str) -> PublicKey:
    spki = parsed.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        return keys.parse(spki)
    except Invalid as error:
        raise _bad(what, "holds a key that is not accepted", error.reason.message) from None


class _Extensions:
    """The extensions of one certificate, by kind."""

    def __init__(self, extensions: x509.Extensions, what: str) -> None:
        self._by_oid: dict[str, x509.Extension[x509.ExtensionType]] = {
            extension.oid.dotted_string: extension for extension in extensions
        }
        self._what = what

    @property
    def basic(self) -> x509.BasicConstraints | None:
        found = self._by_oid.get(ExtensionOID.BASIC_CONSTRAINTS.dotted_string)
        return found.value if found and isinstance(found.value, x509.BasicConstraints) else None

    @property
    def usage(self) -> x509.KeyUsage | None:
        found = self._by_oid.get(ExtensionOID.KEY_USAGE.dotted_string)
        return found.value if found and isinstance(found.value, x509.KeyUsage) else None

    @property
    def extended(self) -> x509.ExtendedKeyUsage | None:
        found = self._by_oid.get(ExtensionOID.EXTENDED_KEY_USAGE.dotted_string)
        return found.value if found and isinstance(found.value, x509.ExtendedKeyUsage) else None

    def is_critical(self, oid: x509.ObjectIdentifier) -> bool:
        found = self._by_oid.get(oid.dotted_string)
        return found is not None and found.critical

    def key_identifier(self) -> bytes:
        found = self._by_oid.get(ExtensionOID.SUBJECT_KEY_IDENTIFIER.dotted_string)
        return found.value.digest if found and isinstance(found.value, x509.SubjectKeyIdentifier) else b""

    def names(self) -> tuple[AlternativeName, ...]:
        found = self._by_oid.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME.dotted_string)
        if not found or not isinstance(found.value, x509.SubjectAlternativeName):
            return ()
        return tuple(self._name(name) for name in found.value)

    def issuers(self) -> tuple[str, ...]:
        found = (self._text(arc) for arc in _ISSUERS)
        return tuple(value for value in found if value is not None)

    def claims(self) -> Mapping[str, str]:
        found = ((name, self._text(arc)) for name, arc in FULCIO_CLAIMS.items())
        return {name: value for name, value in found if value is not None}

    def unknown_critical(self) -> tuple[str, ...]:
        """Critical extensions we do not process; name constraints always, because ignoring them would widen trust."""
        constraints = ExtensionOID.NAME_CONSTRAINTS
        return tuple(
            oid
            for oid, extension in self._by_oid.items()
            if (extension.critical and extension.oid not in _KNOWN_CRITICAL) or extension.oid == constraints
        )

    def _name(self, name: x509.GeneralName) -> AlternativeName:
        match name:
            case x509.UniformResourceIdentifier():
                return AlternativeName("URI", name.value)
            case x509.RFC822Name():
                return AlternativeName("email", name.value)
            case x509.DNSName():
                return AlternativeName("DNS", name.value)
            case x509.OtherName() if name.type_id.dotted_string == _FULCIO_NAME:
                return AlternativeName("otherName", self._utf8(name.value))
            case _:
                return AlternativeName(type(name).__name__, "")

    def _text(self, arc: str) -> str | None:
        found = self._by_oid.get(f"{FULCIO}.{arc}")
        if found is None or not isinstance(found.value, x509.UnrecognizedExtension):
            return None
        if arc in _RAW_STRINGS:
            return self._decode(found.value.value)
        return self._utf8(found.value.value)

    def _utf8(self, encoded: bytes) -> str:
        return self._decode(der.read(encoded, f"extension of {self._what}", der.UTF8_STRING).content)

    def _decode(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _bad(self._what, "has an extension that is not UTF-8", raw[:16].hex()) from None


def _bad(what: str, why: str, found: str = "") -> Refused:
    return Refused(Code.CERTIFICATE_INVALID, f"{what} {why}", found=found[:120])
