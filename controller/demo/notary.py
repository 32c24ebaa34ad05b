"""A company that signs as the Notary Project's `notation` does: a root, a code-signing certificate, JWS and COSE envelopes.

notaryproject/specifications: signature-specification.md, signature-envelope-jws.md, signature-envelope-cose.md.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from controller.demo.images import Image
from controller.demo.issuing import HOUR, Authority, name
from controller.demo.payloads import encode
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey
from controller.demo.store import StoredManifest
from controller.formats import cbor, notation

_THUMBPRINTS: Final = "io.cncf.notary.x509chain.thumbprint#S256"
_AGENT: Final = "io.cncf.notary.signingAgent"
_WE: Final = "sigward-demo/1"
_ES256: Final = -7
_P256: Final = 32
"""Bytes of each half of the signature."""
_ALG, _CRIT, _CTY, _X5CHAIN = 1, 2, 3, 33
"""Labels of COSE headers (RFC 9052, section 3.1; RFC 9360)."""
_EPOCH: Final = 1
"""CBOR tag of a time in seconds (RFC 8949, section 3.4.2)."""
_SIGN1: Final = 18


class Notary:
    """Signs images for one subject, with a certificate that `root` issued.

    Args:
        subject: Of the certificate, as policies write it: `C=DE, ST=Berlin, O=Acme, CN=release`.
        clock: The time of signing, as envelopes claim it.
    """

    def __init__(self, subject: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        now = clock()
        self._authority = Authority.create("C=DE, ST=Berlin, O=Acme, CN=Acme Root", now)
        self._key = SigningKey.generate()
        purpose = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
        validity = (now - HOUR, now + 24 * HOUR)
        self._certificate = self._authority.issue(name(subject), self._key, *validity, [purpose])

    @property
    def root_pem(self) -> str:
        """The trust anchor."""
        return self._authority.certificate.public_bytes(Encoding.PEM).decode()

    def sign(
        self, signer: Signer, image: Image, form: str = notation.JWS, *, valid: timedelta | None = None
    ) -> StoredManifest:
        """Attach a signature of an image.

        Args:
            signer: Writes into the image's registry.
            image: What is signed.
            form: Media type of the envelope, `notation.JWS` or `notation.COSE`.
            valid: Until when after the signing it claims to be good; by default for ever.
        """
        target = image.descriptor()
        content = encode({"targetArtifact": {key: target[key] for key in ("mediaType", "digest", "size")}})
        now = self._clock()
        expires = None if valid is None else now + valid
        envelope = self._jws(content, now, expires) if form == notation.JWS else self._cose(content, now, expires)
        thumbprints = json.dumps([hashlib.sha256(raw).hexdigest() for raw in self._chain])
        hints = {_THUMBPRINTS: thumbprints}
        return signer.refer(image, notation.ARTIFACT, envelope, hints, layer_type=form, config_type=notation.ARTIFACT)

    @property
    def _chain(self) -> tuple[bytes, bytes]:
        return self._certificate.public_bytes(Encoding.DER), self._authority.certificate.public_bytes(Encoding.DER)

    def _jws(self, content: bytes, now: datetime, expires: datetime | None) -> bytes:
        headers: dict[str, Any] = {"alg": "ES256", "cty": notation.PAYLOAD, notation.SCHEME: notation.X509}
        headers[notation.SIGNING_TIME] = _written(now)
        if expires is not None:
            headers[notation.EXPIRY] = _written(expires)
        headers["crit"] = [header for header in (notation.SCHEME, notation.EXPIRY) if header in headers]
        protected, payload = _url64(encode(headers)), _url64(content)
        chain = [base64.b64encode(raw).decode() for raw in self._chain]
        return encode(
            {
                "payload": payload,
                "protected": protected,
                "header": {"x5c": chain, _AGENT: _WE},
                "signature": _url64(self._signature(f"{protected}.{payload}".encode())),
            }
        )

    def _cose(self, content: bytes, now: datetime, expires: datetime | None) -> bytes:
        critical = [notation.SCHEME, *([notation.EXPIRY] if expires is not None else [])]
        headers = [
            (cbor.encode_integer(_ALG), cbor.encode_integer(_ES256)),
            (cbor.encode_integer(_CRIT), cbor.encode_array(*map(cbor.encode_text, critical))),
            (cbor.encode_integer(_CTY), cbor.encode_text(notation.PAYLOAD)),
            (cbor.encode_text(notation.SCHEME), cbor.encode_text(notation.X509)),
            (cbor.encode_text(notation.SIGNING_TIME), _epoch(now)),
        ]
        if expires is not None:
            headers.append((cbor.encode_text(notation.EXPIRY), _epoch(expires)))
        protected = cbor.encode_map(*headers)
        parts = (cbor.encode_text("Signature1"), *map(cbor.encode_bytes, (protected, b"", content)))
        unprotected = cbor.encode_map(
            (cbor.encode_integer(_X5CHAIN), cbor.encode_array(*map(cbor.encode_bytes, self._chain))),
            (cbor.encode_text(_AGENT), cbor.encode_text(_WE)),
        )
        signature = self._signature(cbor.encode_array(*parts))
        message = (cbor.encode_bytes(protected), unprotected, cbor.encode_bytes(content), cbor.encode_bytes(signature))
        return cbor.encode_tag(_SIGN1, cbor.encode_array(*message))

    def _signature(self, signed: bytes) -> bytes:
        """ES256: both numbers side by side (RFC 7518, section 3.4), not in ASN.1."""
        return b"".join(number.to_bytes(_P256, "big") for number in decode_dss_signature(self._key.sign(signed)))


def _written(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _epoch(time: datetime) -> bytes:
    return cbor.encode_tag(_EPOCH, cbor.encode_integer(int(time.timestamp())))


def _url64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
