"""Private keys that sign as cosign's do, with the hash and the padding written out.

Older cosign hashes with SHA-256 whatever the curve and signs with plain Ed25519. cosign 2.6 and 3, as measured, hash as
long as the curve (sigstore/pkg/signature, `GetDefaultPublicKeyDetails`) and sign with Ed25519ph, although their own
`verify --key` then expects the older form. A verifier meets both, so here it is a choice.
"""

import base64
import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self, assert_never

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from controller.demo import ed25519ph

MlDsaKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey | MlDsaKey


class KeyType(StrEnum):
    """What a key can be."""

    P256 = "ecdsa-p256"
    P384 = "ecdsa-p384"
    P521 = "ecdsa-p521"
    ED25519 = "ed25519"
    RSA2048 = "rsa-2048"
    RSA3072 = "rsa-3072"
    RSA4096 = "rsa-4096"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"


class Hash(StrEnum):
    """What ECDSA and RSA hash with; Ed25519 and ML-DSA hash in their own way."""

    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"


class Padding(StrEnum):
    """How RSA pads (RFC 8017): PKCS #1 v1.5, or PSS with a salt as long as the hash, or as long as fits (Go's default)."""

    PKCS1 = "pkcs1"
    PSS = "pss"
    PSS_LONGEST_SALT = "pss-longest-salt"


_HASHES: Final[dict[Hash, hashes.HashAlgorithm]] = {
    Hash.SHA256: hashes.SHA256(),
    Hash.SHA384: hashes.SHA384(),
    Hash.SHA512: hashes.SHA512(),
}
_CURVES: Final[dict[KeyType, ec.EllipticCurve]] = {
    KeyType.P256: ec.SECP256R1(),
    KeyType.P384: ec.SECP384R1(),
    KeyType.P521: ec.SECP521R1(),
}
_CURVE_HASHES: Final = {"secp256r1": Hash.SHA256, "secp384r1": Hash.SHA384, "secp521r1": Hash.SHA512}
_RSA_BITS: Final = {KeyType.RSA2048: 2048, KeyType.RSA3072: 3072, KeyType.RSA4096: 4096}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key and how it signs: ECDSA and RSA by `hash`, RSA by `padding`, Ed25519 as Ed25519ph where `prehash`."""

    private: PrivateKey
    hash: Hash = Hash.SHA256
    padding: Padding = Padding.PKCS1
    prehash: bool = False

    @classmethod
    def generate(cls, kind: KeyType = KeyType.P256, hash: Hash = Hash.SHA256, padding: Padding = Padding.PKCS1) -> Self:  # noqa: A002 - the field's name
        """Make a new key. RSA takes up to seconds; everything else is fast."""
        return cls(_generate(kind), hash, padding)

    def with_cosign_defaults(self) -> "SigningKey":
        """The same key signing as cosign 2.6 and 3 do: ECDSA hashing as long as the curve, Ed25519 as Ed25519ph."""
        if isinstance(self.private, ec.EllipticCurvePrivateKey):
            return replace(self, hash=_CURVE_HASHES[self.private.curve.name])
        return replace(self, prehash=isinstance(self.private, ed25519.Ed25519PrivateKey))

    def sign(self, message: bytes) -> bytes:
        """Sign `message`; ECDSA signatures are ASN.1 DER."""
        algorithm = _HASHES[self.hash]
        private = self.private
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.sign(message, ec.ECDSA(algorithm))
        if isinstance(private, rsa.RSAPrivateKey):
            return private.sign(message, _padding(self.padding, algorithm), algorithm)
        if isinstance(private, ed25519.Ed25519PrivateKey) and self.prehash:
            return ed25519ph.sign(private.private_bytes_raw(), message)
        return private.sign(message)

    @property
    def public_der(self) -> bytes:
        """The public key as DER SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def public_pem(self) -> str:
        """The public key as PEM, as `cosign public-key` prints it."""
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    @property
    def private_pem(self) -> str:
        """The private key as unencrypted PKCS #8 PEM, as `cosign import-key-pair` takes it."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER public key, in hex."""
        return hashlib.sha256(self.public_der).hexdigest()

    @property
    def hint(self) -> str:
        """What cosign 3 writes into a bundle to name the key: base64 of the SHA-256 of the DER public key."""
        return base64.b64encode(hashlib.sha256(self.public_der).digest()).decode()


def _generate(kind: KeyType) -> PrivateKey:
    match kind:
        case KeyType.P256 | KeyType.P384 | KeyType.P521:
            return ec.generate_private_key(_CURVES[kind])
        case KeyType.RSA2048 | KeyType.RSA3072 | KeyType.RSA4096:
            return rsa.generate_private_key(65537, _RSA_BITS[kind])
        case KeyType.ED25519:
            return ed25519.Ed25519PrivateKey.generate()
        case KeyType.ML_DSA_44:
            return mldsa.MLDSA44PrivateKey.generate()
        case KeyType.ML_DSA_65:
            return mldsa.MLDSA65PrivateKey.generate()
        case KeyType.ML_DSA_87:
            return mldsa.MLDSA87PrivateKey.generate()
        case _:
            assert_never(kind)


def _padding(kind: Padding, algorithm: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if kind is Padding.PKCS1:
        return padding.PKCS1v15()
    salt = padding.PSS.MAX_LENGTH if kind is Padding.PSS_LONGEST_SALT else algorithm.digest_size
    return padding.PSS(padding.MGF1(algorithm), salt)
