"""A timestamp authority that answers as RFC 3161 says, and wrongly where a test asks for it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization

from controller import der
from controller.demo.signingkeys import SigningKey
from tests.fakes.authorities import T0, TIME_STAMPING, Holder, Wanted, certify, moment
from tests.fakes.keys import signing_key

_SHA256: Final = "2.16.840.1.101.3.4.2.1"
_ECDSA_SHA256: Final = "1.2.840.10045.4.3.2"
_POLICY: Final = "1.3.6.1.4.1.57264.2"
TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"


def oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *rest):
        parts = [arc & 0x7F]
        while arc := arc >> 7:
            parts.append(arc & 0x7F | 0x80)
        octets += bytes(reversed(parts))
    return der.encode(der.OBJECT_IDENTIFIER, bytes(octets))


def integer(value: int) -> bytes:
    return der.encode(der.INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def algorithm(name: str) -> bytes:
    return der.encode(der.SEQUENCE, oid(name))


def attribute(name: str, value: bytes) -> bytes:
    return der.encode(der.SEQUENCE, oid(name), der.encode(der.SET, value))


@dataclass(frozen=True, slots=True)
class Odd:
    """What a stamp does differently; the defaults are a proper one."""

    accuracy: int | None = 1
    embedded: Sequence[bytes] = ()
    signer: Holder | None = None
    named: Holder | None = None
    hashed: bytes | None = None
    content: bytes | None = None
    kind: str = TST_INFO
    fraction: str = ""
    extensions: bytes = b""
    unsigned_order: bool = False
    by_key_identifier: bool = False
    nonce: int | None = None


class TimestampAuthority:
    """A root, a signing certificate, and stamps."""

    def __init__(self, name: str = "tsa", *, called: str = "", **changes: object) -> None:
        """`name` chooses the keys, `called` is what the certificates say, `changes` go to the signer's `Wanted`."""
        self.root = certify(Wanted(f"{called or name} root"), signing_key(f"sigstore {name} root"), None)
        wanted = {"name": called or name, "authority": False, "usages": (TIME_STAMPING,), "usages_critical": True, **changes}
        self.signer = certify(Wanted(**wanted), signing_key(f"sigstore {name}"), self.root)  # type: ignore[arg-type] # as named

    def token(self, message: bytes, time: float = T0 + 1, odd: Odd | None = None) -> bytes:
        """A TimeStampToken over `message`."""
        return self._token(hashlib.sha256(message).digest(), time, odd or Odd())

    def _token(self, digest: bytes, time: float, wrong: Odd) -> bytes:
        signer, named = wrong.signer or self.signer, wrong.named or wrong.signer or self.signer
        content = _info(digest, time, wrong)
        attributes = (
            attribute("1.2.840.113549.1.9.3", oid(wrong.kind)),
            attribute("1.2.840.113549.1.9.4", der.encode(der.OCTET_STRING, hashlib.sha256(content).digest())),
            attribute("1.2.840.113549.1.9.16.2.47", _certificate_hash(wrong.hashed or hashlib.sha256(named.der).digest())),
        )
        signature = signer.key.sign(der.encode_set(attributes))
        info = (
            integer(3 if wrong.by_key_identifier else 1),
            _key_identifier(named.key) if wrong.by_key_identifier else _issuer_and_serial(named),
            algorithm(_SHA256),
            der.encode(der.explicit(0), *(attributes if wrong.unsigned_order else sorted(attributes))),
            algorithm(_ECDSA_SHA256),
            der.encode(der.OCTET_STRING, signature),
        )
        content = wrong.content if wrong.content is not None else content
        signed = (
            integer(3),
            der.encode(der.SET, algorithm(_SHA256)),
            der.encode(der.SEQUENCE, oid(wrong.kind), der.encode(der.explicit(0), der.encode(der.OCTET_STRING, content))),
            der.encode(der.explicit(0), *wrong.embedded) if wrong.embedded else b"",
            der.encode(der.SET, der.encode(der.SEQUENCE, *info)),
        )
        return der.encode(der.SEQUENCE, oid(_SIGNED_DATA), der.encode(der.explicit(0), der.encode(der.SEQUENCE, *signed)))

    def stamp(self, message: bytes, time: float = T0 + 1, odd: Odd | None = None) -> bytes:
        """A TimeStampResp: status granted, and a token."""
        return _granted(self.token(message, time, odd))

    def answer(self, request: bytes, time: float) -> bytes:
        """A TimeStampResp to a TimeStampReq (RFC 3161 section 2.4.1), with its nonce, and its certificate if asked for."""
        inside = der.read(request, "timestamp request").inside()
        inside.take(der.INTEGER)
        imprint = inside.take(der.SEQUENCE).inside()
        hashed = imprint.take(der.SEQUENCE).inside().take(der.OBJECT_IDENTIFIER).oid()
        assert hashed == _SHA256, hashed
        digest = imprint.take(der.OCTET_STRING).content
        inside.maybe(der.OBJECT_IDENTIFIER)
        nonce, wants = inside.maybe(der.INTEGER), inside.maybe(der.BOOLEAN)
        embedded = (self.signer.der,) if wants and any(wants.content) else ()
        odd = Odd(embedded=embedded, nonce=nonce.integer() if nonce else None)
        return _granted(self._token(digest, time, odd))


def _granted(token: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, integer(0)), token)


def _info(digest: bytes, time: float, wrong: Odd) -> bytes:
    written = moment(time).strftime("%Y%m%d%H%M%S").encode() + wrong.fraction.encode() + b"Z"
    return der.encode(
        der.SEQUENCE,
        integer(1),
        oid(_POLICY),
        der.encode(der.SEQUENCE, algorithm(_SHA256), der.encode(der.OCTET_STRING, digest)),
        integer(4711),
        der.encode(der.GENERALIZED_TIME, written),
        b"" if wrong.accuracy is None else der.encode(der.SEQUENCE, integer(wrong.accuracy)),
        b"" if wrong.nonce is None else integer(wrong.nonce),
        wrong.extensions,
    )


def _certificate_hash(digest: bytes) -> bytes:
    return der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, der.encode(der.SEQUENCE, der.encode(der.OCTET_STRING, digest))))


def _issuer_and_serial(holder: Holder) -> bytes:
    return der.encode(der.SEQUENCE, holder.certificate.issuer.public_bytes(), integer(holder.certificate.serial_number))


def _key_identifier(key: SigningKey) -> bytes:
    bits = key.private.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return der.encode(der.implicit(0), hashlib.sha1(bits, usedforsecurity=False).digest())
