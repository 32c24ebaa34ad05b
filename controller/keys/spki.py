"""SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), taken apart just far enough to say which kind of key it is.

A library would load more kinds than we accept, and says little about the ones it refuses. The outer structure is therefore
read here: which algorithm, which parameters, nothing after the end.
"""

from dataclasses import dataclass
from typing import Final

from controller.keys.armor import invalid

_SEQUENCE: Final = 0x30
_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03
_OID: Final = 0x06
_NULL: Final = b"\x05\x00"
_LONG_FORM: Final = 0x80
_POINT_FORMS: Final = (b"\2", b"\3", b"\4")  # compressed and uncompressed; RFC 5480 section 2.2 forbids the hybrid form

_ALGORITHMS: Final = {
    "2a864886f70d010101": "RSA",
    "2a864886f70d01010a": "RSASSA-PSS",
    "2a8648ce3d0201": "EC",
    "2b6570": "Ed25519",
    "608648016503040311": "ML-DSA-44",
    "608648016503040312": "ML-DSA-65",
    "608648016503040313": "ML-DSA-87",
}
_REFUSED: Final = {
    "2a8648ce380401": "DSA",
    "2a864886f70d010301": "Diffie-Hellman",
    "2a8648ce3e0201": "Diffie-Hellman",
    "2b656e": "X25519",
    "2b656f": "X448",
    "2b6571": "Ed448",
    "2a864886f70d010107": "RSAES-OAEP",
}
CURVES: Final = {"2a8648ce3d030107": "P-256", "2b81040022": "P-384", "2b81040023": "P-521"}
_REFUSED_CURVES: Final = {"2b81040021": "P-224", "2a8648ce3d030101": "P-192", "2b8104000a": "secp256k1"}
HASHES: Final = {"608648016503040201": "sha256", "608648016503040202": "sha384", "608648016503040203": "sha512"}
_MGF1: Final = "2a864886f70d010108"
ACCEPTED: Final = "ECDSA P-256, P-384 or P-521, Ed25519, RSA of 2048 bits and more, or ML-DSA"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What a SubjectPublicKeyInfo says about its key.

    `algorithm` is RSA, RSASSA-PSS, EC, Ed25519 or ML-DSA-…; `curve` is set for EC; `pss_hash` where an RSASSA-PSS key is
    bound to one hash.
    """

    algorithm: str
    curve: str = ""
    pss_hash: str = ""


class _BadDerError(ValueError):
    pass


def read(der: bytes, field: str) -> KeyInfo:
    """Say which key `der` holds.

    Raises:
        Invalid: `InvalidKey` for anything that is not exactly one SubjectPublicKeyInfo of a kind we accept, saying what it
            is instead where that can be told.
    """
    try:
        return _structure(der, field)
    except _BadDerError:
        raise invalid(field, "is no SubjectPublicKeyInfo (RFC 5280)", expected=ACCEPTED) from None


def _structure(der: bytes, field: str) -> KeyInfo:
    tag, body, rest = _take(der)
    if tag != _SEQUENCE:
        raise _BadDerError
    if rest:
        raise invalid(field, "has bytes after the key", found=f"{len(rest)} bytes")
    first_tag, first, after = _take(body)
    if first_tag == _INTEGER:
        raise invalid(field, _integer_first(first))
    second_tag, bits, end = _take(after)
    if first_tag == second_tag == _SEQUENCE:
        raise invalid(field, "this is a certificate: take its key with `openssl x509 -noout -pubkey`")
    if (first_tag, second_tag) != (_SEQUENCE, _BIT_STRING) or end or bits[:1] != b"\x00":
        raise _BadDerError
    return _algorithm(first, bits[1:], field)


def _integer_first(first: bytes) -> str:
    if len(first) > 1:  # PKCS#1 begins with the modulus, every private key with a small version
        return "this is a PKCS#1 key: convert it with `openssl rsa -RSAPublicKey_in -pubout`"
    return "this is a private key: export its public half with `openssl pkey -pubout`, keep the rest secret"


def _algorithm(identifier: bytes, bits: bytes, field: str) -> KeyInfo:
    tag, oid, parameters = _take(identifier)
    if tag != _OID:
        raise _BadDerError
    name = _ALGORITHMS.get(oid.hex())
    match name:
        case None:
            kind = _REFUSED.get(oid.hex(), f"of an unknown algorithm (object identifier {oid.hex()[:40]})")
            raise invalid(field, f"the key is {kind}, which makes no signatures we accept", expected=ACCEPTED)
        case "EC":
            return KeyInfo(name, curve=_curve(parameters, bits, field))
        case "RSASSA-PSS":
            return KeyInfo(name, pss_hash=_pss_hash(parameters, field))
        case "RSA" if parameters in {b"", _NULL}:  # RFC 3279 wants NULL; without it the key is the same
            return KeyInfo(name)
        case _ if parameters:  # RFC 8410 section 3, RFC 9881 section 2
            raise invalid(field, f"the {name} key carries parameters, which it must not")
        case _:
            return KeyInfo(name)


def _curve(parameters: bytes, bits: bytes, field: str) -> str:
    tag, oid, rest = _take(parameters)
    if tag == _SEQUENCE:  # CVE-2020-0601: a key that brings its own curve is a key anybody can make
        raise invalid(field, "the curve is given by explicit parameters", expected="a named curve (RFC 5480)")
    if tag != _OID or rest:
        raise _BadDerError
    curve = CURVES.get(oid.hex())
    if curve is None:
        found = _REFUSED_CURVES.get(oid.hex(), f"object identifier {oid.hex()[:40]}")
        raise invalid(field, "the curve is not accepted", expected="P-256, P-384 or P-521", found=found)
    if bits[:1] not in _POINT_FORMS:
        raise _BadDerError
    return curve


def _pss_hash(parameters: bytes, field: str) -> str:
    """The hash an RSASSA-PSS key is bound to (RFC 4055 section 3.1), empty where it is not bound.

    The minimum salt length is not enforced on purpose: no salt length weakens verification (RFC 8017 section 9.1, note 4).
    """
    if not parameters:
        return ""
    tag, body, rest = _take(parameters)
    parts: dict[int, bytes] = {}
    while body:
        part, value, body = _take(body)
        parts[part] = value
    if tag != _SEQUENCE or rest:
        raise _BadDerError
    hash_name = _hash(_inner(parts.get(0xA0, b"")))
    mask = _inner(parts.get(0xA1, b""))
    _, generator, argument = _take(mask) if mask else (0, b"", b"")
    if not hash_name or generator.hex() != _MGF1 or _hash(_inner(argument)) != hash_name:
        raise invalid(
            field, "the RSASSA-PSS key is bound to a hash that is not accepted", expected="SHA-256, 384 or 512, twice"
        )
    return hash_name


def _inner(value: bytes) -> bytes:
    tag, body, rest = _take(value) if value else (_SEQUENCE, b"", b"")
    if tag != _SEQUENCE or rest:
        raise _BadDerError
    return body


def _hash(identifier: bytes) -> str:
    if not identifier:
        return ""  # the default is SHA-1 (RFC 4055 section 3.1), which is not accepted
    tag, oid, rest = _take(identifier)
    if tag != _OID or rest not in {b"", _NULL}:
        raise _BadDerError
    return HASHES.get(oid.hex(), "")


def _take(data: bytes) -> tuple[int, bytes, bytes]:
    """One DER element: tag, contents, what follows (X.690 section 10.1: definite, shortest length)."""
    if len(data) < 2:  # noqa: PLR2004 - a tag and a length
        raise _BadDerError
    length, start = data[1], 2
    if length >= _LONG_FORM:
        size = length - _LONG_FORM
        start = 2 + size
        length = int.from_bytes(data[2:start], "big")
        if not 1 <= size <= 4 or len(data) < start or length < _LONG_FORM or data[2] == 0:  # noqa: PLR2004 - 4 GiB
            raise _BadDerError
    if len(data) < start + length:
        raise _BadDerError
    return data[0], data[start : start + length], data[start + length :]
