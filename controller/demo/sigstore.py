"""A Sigstore instance in a few lines: an authority that certifies identities, and a log that takes signatures in.

It has no certificate transparency log and no timestamp authority, and its trusted root lists none: the log's promise, with
its time, is what proves when something was signed (rekor, openapi.yaml, `SignedEntryTimestamp`).
"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from controller import der
from controller.demo import payloads
from controller.demo.images import Image
from controller.demo.issuing import HOUR, Authority, Extension
from controller.demo.mediatypes import COSIGN_SIGNATURE, SIMPLE_SIGNING
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey

_ISSUER: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
"""The token's issuer, as Fulcio writes it (fulcio, docs/oid-info.md)."""
_NAME: Final = "https://rekor.example.com"
_SHORT: Final = timedelta(minutes=10)
"""How long a certificate for one signature is valid."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs, and who vouches for it."""

    subject: str
    issuer: str


class Sigstore:
    """One instance, with keys of its own."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Certify and log at the time of `clock`."""
        self._clock = clock
        self._log = SigningKey.generate()
        self._authority = Authority.create("CN=demo authority", clock())

    def trusted_root(self) -> dict[str, Any]:
        """Whom to trust, as `trusted_root.json` says it (sigstore_trustroot.proto)."""
        window = {"start": (self._clock() - HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")}
        key = {
            "rawBytes": _base64(self._log.public_der),
            "keyDetails": "PKIX_ECDSA_P256_SHA_256",
            "validFor": window,
        }
        chain = {"certificates": [{"rawBytes": _base64(self._authority.certificate.public_bytes(Encoding.DER))}]}
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [
                {"baseUrl": _NAME, "hashAlgorithm": "SHA2_256", "publicKey": key, "logId": {"keyId": _base64(self._log_id)}}
            ],
            "certificateAuthorities": [{"uri": "https://fulcio.example.com", "certChain": chain, "validFor": window}],
        }

    def sign(self, signer: Signer, image: Image, identity: Identity) -> None:
        """Sign an image as `cosign sign` (version 2) does without a key, with a certificate for `identity`."""
        key = SigningKey.generate()
        claim = payloads.claim(image.digest, str(image.repository))
        signature = key.sign(claim)
        certificate = self._certify(identity, key).public_bytes(Encoding.PEM)
        annotations = {
            COSIGN_SIGNATURE: _base64(signature),
            "dev.sigstore.cosign/certificate": certificate.decode(),
            "dev.sigstore.cosign/chain": self._authority.certificate.public_bytes(Encoding.PEM).decode(),
            "dev.sigstore.cosign/bundle": self._entry(claim, signature, certificate),
        }
        signer.append(image, "sig", SIMPLE_SIGNING, claim, annotations)

    @property
    def _log_id(self) -> bytes:
        return hashlib.sha256(self._log.public_der).digest()

    def _entry(self, message: bytes, signature: bytes, certificate: bytes) -> str:
        """A hashedrekord entry of Rekor 1, and the log's promise to keep it."""
        recorded = {
            "apiVersion": "0.0.1",
            "kind": "hashedrekord",
            "spec": {
                "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(message).hexdigest()}},
                "signature": {"content": _base64(signature), "publicKey": {"content": _base64(certificate)}},
            },
        }
        payload = {
            "body": _base64(_canonical(recorded)),
            "integratedTime": int(self._clock().timestamp()),
            "logIndex": 1,
            "logID": self._log_id.hex(),
        }
        return json.dumps({"SignedEntryTimestamp": _base64(self._log.sign(_canonical(payload))), "Payload": payload})

    def _certify(self, identity: Identity, key: SigningKey) -> x509.Certificate:
        now = self._clock()
        alternative = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity.subject)])
        issuer = x509.UnrecognizedExtension(_ISSUER, der.encode(der.UTF8_STRING, identity.issuer.encode()))
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
        extensions: list[Extension] = [(purpose, False), (alternative, True), (issuer, False)]
        return self._authority.issue(x509.Name([]), key, now - timedelta(seconds=1), now + _SHORT, extensions)


def _canonical(document: object) -> bytes:
    """RFC 8785 for ASCII without escapes and integers."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
