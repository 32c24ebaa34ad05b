"""RFC 3161 timestamps, taken apart and not yet believed.

Clauses: RFC 3161 section 2.4.2 (response, TSTInfo), RFC 5652 section 5 (SignedData), RFC 5035 section 3 and RFC 5816 (the
attributes that name the signing certificate).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from controller import der
from controller.der import Element, Reader
from controller.errors import Code, Refused
from controller.settings import Limits

_WHAT: Final = "timestamp"
SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"

_SHA256: Final = "2.16.840.1.101.3.4.2.1"
HASHES: Final[Mapping[str, str]] = {
    _SHA256: "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_GRANTED: Final = (0, 1)
_ELEMENTS: Final = 32
_MOST: Final = 999  # milliseconds and microseconds of an accuracy go from 1 to 999


@dataclass(frozen=True, slots=True)
class Imprint:
    """What was stamped: `sha256`, `sha384` or `sha512` of it."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SignerId:
    """How a signature names its certificate: issuer and serial number (DER), or the subject key identifier."""

    issuer: bytes
    serial: int
    key_identifier: bytes


@dataclass(frozen=True, slots=True)
class CertificateHash:
    """The hash of the signing certificate that the signature covers; `sha1` where only the old attribute is there."""

    algorithm: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A timestamp token.

    `time` and `accuracy` are POSIX seconds and seconds to either side. `signed` is what the signature is over: the signed
    attributes in DER. `signature_algorithm` is an object identifier, the other algorithms are names. `content` is the
    encoded TSTInfo and `content_digest` what the attributes say it hashes to. `certificates` are those that came along, DER,
    in no order that means anything.
    """

    time: float
    accuracy: float
    imprint: Imprint
    signer: SignerId
    certificate_hashes: tuple[CertificateHash, ...]
    digest_algorithm: str
    signature_algorithm: str
    content: bytes
    content_digest: bytes
    signed: bytes
    signature: bytes
    certificates: tuple[bytes, ...]


def read(raw: bytes, limits: Limits) -> Timestamp:
    """Read a TimeStampResp, or the bare token in it.

    Raises:
        Refused: `Malformed`, `LimitExceeded`; `TimestampInvalid` for a response that grants nothing or a token of another
            kind.
    """
    if len(raw) > limits.timestamp_bytes:
        raise Refused(
            Code.LIMIT_EXCEEDED,
            "timestamp is too long",
            expected=f"at most {limits.timestamp_bytes} bytes",
            found=str(len(raw)),
        )
    outer = der.read(raw, _WHAT)
    reader = outer.inside()
    status = reader.maybe(der.SEQUENCE)
    if status is None:
        return _token(outer, limits)
    granted = status.inside().take(der.INTEGER).integer()
    token = reader.maybe(der.SEQUENCE)
    reader.end()
    if granted not in _GRANTED or token is None:
        raise _bad("is a response that grants nothing", "status granted", f"status {granted}")
    return _token(token, limits)


def _token(content_info: Element, limits: Limits) -> Timestamp:
    reader = content_info.inside()
    kind = reader.take(der.OBJECT_IDENTIFIER).oid()
    if kind != SIGNED_DATA:
        raise _bad("is no signed data", SIGNED_DATA, kind)
    explicit = reader.take(der.explicit(0)).inside()
    reader.end()
    signed_data = explicit.take(der.SEQUENCE).inside()
    explicit.end()
    _version(signed_data, 3)  # the content is no plain data (RFC 5652 section 5.1)
    listed = signed_data.take(der.SET).inside().all(der.SEQUENCE, limit=_ELEMENTS)
    content = _content(signed_data.take(der.SEQUENCE))
    embedded = signed_data.maybe(der.explicit(0))
    signed_data.maybe(der.explicit(1))  # CRLs: revocation is not looked for in what the signature does not cover
    signers = signed_data.take(der.SET).inside()
    signed_data.end()
    signer = signers.take(der.SEQUENCE)
    signers.end()  # RFC 3161 section 2.4.2: no signature but the TSA's
    certificates = () if embedded is None else _certificates(embedded, limits)
    stamp = _assemble(content, signer.inside(), certificates)
    if stamp.digest_algorithm not in {_hash_name(one, "digest algorithm") for one in listed}:  # RFC 5652 section 5.1
        raise _bad("does not list its digest algorithm", stamp.digest_algorithm)
    return stamp


def _content(encapsulated: Element) -> bytes:
    reader = encapsulated.inside()
    kind = reader.take(der.OBJECT_IDENTIFIER).oid()
    if kind != TST_INFO:
        raise _bad("signs another kind of content", TST_INFO, kind)
    holder = reader.take(der.explicit(0)).inside()
    reader.end()
    content = holder.take(der.OCTET_STRING).content
    holder.end()
    return content


def _certificates(embedded: Element, limits: Limits) -> tuple[bytes, ...]:
    """The set may stand in any order: it is not signed, and real authorities do not sort it (RFC 5652 section 5.1)."""
    reader = embedded.inside()
    found: list[bytes] = []
    while reader.more:
        if len(found) == limits.certificates_per_chain:
            raise Refused(
                Code.LIMIT_EXCEEDED,
                "timestamp holds too many certificates",
                expected=f"at most {limits.certificates_per_chain}",
            )
        found.append(reader.next().raw)
    return tuple(found)


def _assemble(content: bytes, signer: Reader, certificates: tuple[bytes, ...]) -> Timestamp:
    stated = signer.take(der.INTEGER).integer()
    sid = _signer_id(signer.take(der.SEQUENCE, der.implicit(0)))
    if stated != (3 if sid.key_identifier else 1):  # RFC 5652 section 5.3
        raise _bad("has signer information of another version", found=str(stated))
    digest_algorithm = _hash_name(signer.take(der.SEQUENCE), "digest algorithm")
    attributes = _attributes(signer.take(der.explicit(0)))
    signature_algorithm = signer.take(der.SEQUENCE).inside().take(der.OBJECT_IDENTIFIER).oid()
    signature = signer.take(der.OCTET_STRING).content
    signer.maybe(der.explicit(1))  # unsigned attributes
    signer.end()
    time, accuracy, imprint = _info(content)
    content_type = der.read(_required(attributes, CONTENT_TYPE, "content type"), _WHAT, der.OBJECT_IDENTIFIER).oid()
    if content_type != TST_INFO:
        raise _bad("signs attributes of another kind of content", TST_INFO, content_type)
    digest = der.read(_required(attributes, MESSAGE_DIGEST, "message digest"), _WHAT, der.OCTET_STRING).content
    signed = der.encode_set(
        der.encode(der.SEQUENCE, der_oid, der.encode(der.SET, value)) for der_oid, value in attributes.values()
    )
    return Timestamp(
        time=time,
        accuracy=accuracy,
        imprint=imprint,
        signer=sid,
        certificate_hashes=_certificate_hashes(attributes),
        digest_algorithm=digest_algorithm,
        signature_algorithm=signature_algorithm,
        content=content,
        content_digest=digest,
        signed=signed,
        signature=signature,
        certificates=certificates,
    )


_Attributes = Mapping[str, tuple[bytes, bytes]]


def _attributes(element: Element) -> _Attributes:
    """Each attribute once, with one value (RFC 5652 section 11): encoded identifier and encoded value by identifier."""
    found: dict[str, tuple[bytes, bytes]] = {}
    for attribute in element.inside().all(der.SEQUENCE, limit=_ELEMENTS):
        reader = attribute.inside()
        oid = reader.take(der.OBJECT_IDENTIFIER)
        values = reader.take(der.SET).inside()
        reader.end()
        value = values.next()
        values.end()
        if oid.oid() in found:
            raise _bad("carries a signed attribute twice", found=oid.oid())
        found[oid.oid()] = (oid.raw, value.raw)
    return found


def _required(attributes: _Attributes, oid: str, name: str) -> bytes:
    if oid not in attributes:
        raise _bad(f"lacks the signed attribute {name} (RFC 5652 section 5.3)")
    return attributes[oid][1]


def _signer_id(element: Element) -> SignerId:
    if element.tag == der.implicit(0):
        return SignerId(b"", 0, element.content)
    reader = element.inside()
    issuer = reader.take(der.SEQUENCE).raw
    serial = reader.take(der.INTEGER).integer()
    reader.end()
    return SignerId(issuer, serial, b"")


def _certificate_hashes(attributes: _Attributes) -> tuple[CertificateHash, ...]:
    """What either attribute says of the first certificate, the signer's (RFC 5035 section 5.4)."""
    found: list[CertificateHash] = []
    if SIGNING_CERTIFICATE_V2 in attributes:
        identifier = _first_identifier(attributes[SIGNING_CERTIFICATE_V2][1])
        algorithm = identifier.maybe(der.SEQUENCE)
        name = "sha256" if algorithm is None else _hash_name(algorithm, "certificate hash")
        found.append(CertificateHash(name, identifier.take(der.OCTET_STRING).content))
    if SIGNING_CERTIFICATE in attributes:
        identifier = _first_identifier(attributes[SIGNING_CERTIFICATE][1])
        found.append(CertificateHash("sha1", identifier.take(der.OCTET_STRING).content))
    if not found:
        raise _bad("does not say which certificate signed it (RFC 3161 section 2.4.2, RFC 5816)")
    return tuple(found)


def _first_identifier(value: bytes) -> Reader:
    return der.read(value, _WHAT).inside().take(der.SEQUENCE).inside().take(der.SEQUENCE).inside()


def _info(content: bytes) -> tuple[float, float, Imprint]:
    """TSTInfo (RFC 3161 section 2.4.2). Policy, serial number, nonce and the authority's name are not asked for here."""
    reader = der.read(content, _WHAT).inside()
    _version(reader, 1)
    reader.take(der.OBJECT_IDENTIFIER)
    imprint = _imprint(reader.take(der.SEQUENCE).inside())
    reader.take(der.INTEGER)
    time = reader.take(der.GENERALIZED_TIME).time()
    accuracy = reader.maybe(der.SEQUENCE)
    reader.maybe(der.BOOLEAN)
    reader.maybe(der.INTEGER)
    reader.maybe(der.explicit(0))
    extensions = reader.maybe(der.explicit(1))
    reader.end()
    if extensions is not None:
        _check_extensions(extensions)
    return time, _accuracy(accuracy.inside()) if accuracy is not None else 0.0, imprint


def _version(reader: Reader, expected: int) -> None:
    found = reader.take(der.INTEGER).integer()
    if found != expected:
        raise _bad("is of another version", str(expected), str(found))


def _imprint(reader: Reader) -> Imprint:
    name = _hash_name(reader.take(der.SEQUENCE), "message imprint")
    value = reader.take(der.OCTET_STRING).content
    reader.end()
    return Imprint(name, value)


def _accuracy(reader: Reader) -> float:
    seconds = reader.maybe(der.INTEGER)
    millis = reader.maybe(der.implicit(0))
    micros = reader.maybe(der.implicit(1))
    reader.end()
    parts = [part.integer() if part is not None else 0 for part in (seconds, millis, micros)]
    if min(parts) < 0 or max(parts[1:]) > _MOST:
        raise _bad("states an accuracy that is none", "seconds, milliseconds and microseconds")
    return parts[0] + parts[1] / 1e3 + parts[2] / 1e6


def _check_extensions(element: Element) -> None:
    for extension in element.inside().all(der.SEQUENCE, limit=_ELEMENTS):
        reader = extension.inside()
        oid = reader.take(der.OBJECT_IDENTIFIER).oid()
        critical = reader.maybe(der.BOOLEAN)
        if critical is not None and critical.content != b"\x00":
            raise _bad("carries a critical extension that is not known", found=oid)


def _hash_name(algorithm: Element, what: str) -> str:
    """The name of an AlgorithmIdentifier's hash; parameters are absent or NULL (RFC 5754 section 2)."""
    reader = algorithm.inside()
    oid = reader.take(der.OBJECT_IDENTIFIER).oid()
    reader.maybe(der.NULL)
    reader.end()
    if oid not in HASHES:
        raise _bad(f"uses a hash that is not accepted as {what}", ", ".join(HASHES.values()), oid)
    return HASHES[oid]


def _bad(why: str, expected: str = "", found: str = "") -> Refused:
    return Refused(Code.TIMESTAMP_INVALID, f"timestamp {why}", expected=expected, found=found)
