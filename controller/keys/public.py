"""A public key that verifies, and its identity.

Which padding and which hash a key verifies with is decided here by the key's type, never by what a payload says:

| key | signs with | who writes it |
|---|---|---|
| ECDSA P-256 | SHA-256 | cosign, sigstore-go |
| ECDSA P-384 | SHA-384, SHA-256 | sigstore's algorithm registry; cosign 2, which hashes with SHA-256 whatever the curve |
| ECDSA P-521 | SHA-512, SHA-256 | the same |
| Ed25519 | the message itself, or Ed25519ph (RFC 8032 keeps the two apart) | cosign; cosign 2.6 and later |
| RSA | PKCS#1 v1.5 or PSS, with SHA-256, SHA-512 or SHA-384 | cosign (PKCS#1 v1.5); key services (PSS, longer hashes) |
| RSASSA-PSS | PSS only, with the hash the key is bound to | RFC 4055 |
| ML-DSA | the message itself, empty context (FIPS 204) | sigstore-go |

ECDSA signatures are ASN.1 (RFC 3279 section 2.2.3). All of these are unforgeable, so accepting any of a key's ways grants
nothing to whoever lacks the private half; MD5 and SHA-1 are in no row.
"""

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from nacl import bindings
from nacl.exceptions import CryptoError

from controller.errors import Code, Refused
from controller.keys.armor import invalid, unwrap
from controller.keys.spki import ACCEPTED, KeyInfo, read
from controller.validity import ALWAYS, Window

FIELD_MAX_BYTES: Final = 32 * 1024
"""Longest text of one key; RSA with 16384 bits needs 3 KiB as PEM, ML-DSA-87 the same."""

_RSA_BITS: Final = (2048, 16384)
_RSA_EXPONENTS: Final = (65537, 2**32)  # FIPS 186-5 section 5.4 asks for more than 2^16; a huge one only costs us time
_MLDSA: Final = (mldsa.MLDSA44PublicKey, mldsa.MLDSA65PublicKey, mldsa.MLDSA87PublicKey)
_HASH: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_PREHASHED: Final = {name: utils.Prehashed(algorithm) for name, algorithm in _HASH.items()}
_CURVE_HASHES: Final = {"P-256": ("sha256",), "P-384": ("sha384", "sha256"), "P-521": ("sha512", "sha256")}
_RSA_HASHES: Final = ("sha256", "sha512", "sha384")
_NO_DIGESTS: Final[Mapping[str, bytes]] = MappingProxyType({})

_LoadedKey = (
    rsa.RSAPublicKey
    | ec.EllipticCurvePublicKey
    | Ed25519PublicKey
    | mldsa.MLDSA44PublicKey
    | mldsa.MLDSA65PublicKey
    | mldsa.MLDSA87PublicKey
)


class Message:
    """What a signature is over: the bytes, or only some of their digests. Hashed once however many keys are tried."""

    __slots__ = ("_digests", "raw")

    def __init__(self, raw: bytes | None, digests: Mapping[str, bytes] = _NO_DIGESTS) -> None:
        """`raw` is None where only `digests` (`sha256` -> 32 bytes) of the message are known."""
        self.raw = raw
        self._digests = dict(digests)

    def digest(self, hash_name: str) -> bytes | None:
        """The digest under `sha256`, `sha384` or `sha512`, None where it cannot be known."""
        known = self._digests.get(hash_name)
        if known is None and self.raw is not None:
            known = self._digests[hash_name] = hashlib.new(hash_name, self.raw).digest()
        return known


@dataclass(frozen=True, slots=True)
class Scheme:
    """One way in which a key verifies. `hash_name` is empty where the message itself is signed."""

    name: str
    hash_name: str
    check: Callable[[bytes, bytes], None]

    def verify(self, signature: bytes, message: Message) -> bool:
        """Whether `signature` holds in this way; False too where what it needs of the message is not known."""
        signed = message.digest(self.hash_name) if self.hash_name else message.raw
        if signed is None:
            return False
        try:
            self.check(signature, signed)
        except (InvalidSignature, CryptoError, UnsupportedAlgorithm, ValueError, TypeError, OverflowError):
            return False
        return True


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key somebody trusts. Two encodings of one key are equal: identity is the hash of the canonical encoding.

    `spki` is the canonical DER SubjectPublicKeyInfo, `spki_sha256` its SHA-256 in hex, `algorithm` is for people.
    """

    algorithm: str
    spki: bytes
    spki_sha256: str
    schemes: tuple[Scheme, ...]

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and twelve hex digits, for people."""
        return fingerprint(self.spki_sha256)

    def verify(self, signature: bytes, message: Message) -> Scheme:
        """Verify `signature` over `message`; the scheme that held says how it was made.

        Raises:
            Refused: `SignatureInvalid`.
        """
        for scheme in self.schemes:
            if scheme.verify(signature, message):
                return scheme
        raise Refused(Code.SIGNATURE_INVALID, f"no signature by key {self.fingerprint} over this content")

    def verifies(self, signature: bytes, message: Message) -> bool:
        """Whether any of its schemes holds."""
        return any(scheme.verify(signature, message) for scheme in self.schemes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.spki == self.spki and self.names == other.names

    def __hash__(self) -> int:
        return hash(self.spki)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its schemes, in the order tried."""
        return tuple(scheme.name for scheme in self.schemes)


@dataclass(frozen=True, slots=True)
class NamedKey:
    """A key under the name its authority gives it, which may be empty; signatures count from within `window` only."""

    name: str
    key: PublicKey
    window: Window = ALWAYS

    def __str__(self) -> str:
        return f"{self.name} {self.key.fingerprint}" if self.name else self.key.fingerprint


def fingerprint(spki_sha256: str) -> str:
    """How a key is shown to people."""
    return f"SHA256:{spki_sha256[:12]}…"


def parse(pem_or_der: bytes, field: str = "") -> PublicKey:
    """Read one public key, PEM (`PUBLIC KEY`) or DER.

    Args:
        pem_or_der: The key as it stands in a policy, a file or a certificate.
        field: Path of the policy field, for the reason.

    Raises:
        Invalid: `InvalidKey`, saying what it is instead, or why the key is too weak.
    """
    der = unwrap(pem_or_der, field, FIELD_MAX_BYTES)
    info = read(der, field)
    loaded = _load(der, field)
    spki = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    algorithm, schemes = _describe(loaded, info, field)
    return PublicKey(algorithm, spki, hashlib.sha256(spki).hexdigest(), schemes)


def _load(der: bytes, field: str) -> _LoadedKey:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library warns of what we are about to refuse
            loaded = load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm, OverflowError) as error:
        raise invalid(field, "the key cannot be loaded", expected=ACCEPTED, found=str(error)[:80]) from None
    if not isinstance(loaded, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey, Ed25519PublicKey, *_MLDSA)):
        raise invalid(field, "the key is of a kind that is not accepted", expected=ACCEPTED)
    return loaded


def _describe(key: _LoadedKey, info: KeyInfo, field: str) -> tuple[str, tuple[Scheme, ...]]:
    match key:
        case rsa.RSAPublicKey():
            _check_rsa(key, field)
            return f"RSA {key.key_size}", _rsa_schemes(key, info)
        case ec.EllipticCurvePublicKey():
            return f"ECDSA {info.curve}", tuple(_ecdsa(key, info.curve, name) for name in _CURVE_HASHES[info.curve])
        case Ed25519PublicKey():
            return "Ed25519", (Scheme("Ed25519", "", key.verify), _ed25519ph(key))
        case _:
            return info.algorithm, (Scheme(info.algorithm, "", key.verify),)


def _check_rsa(key: rsa.RSAPublicKey, field: str) -> None:
    least, most = _RSA_BITS
    if not least <= key.key_size <= most:
        raise invalid(
            field, "the RSA key has a size that is not accepted", expected=f"{least} to {most} bits", found=str(key.key_size)
        )
    numbers = key.public_numbers()
    if not _RSA_EXPONENTS[0] <= numbers.e < _RSA_EXPONENTS[1]:
        raise invalid(
            field,
            "the RSA key has an exponent that is not accepted (FIPS 186-5)",
            expected="65537 or a little more",
            found=str(numbers.e)[:24],
        )
    if not numbers.n % 2:
        raise invalid(field, "the RSA modulus is even, so it is no product of two large primes")


def _rsa_schemes(key: rsa.RSAPublicKey, info: KeyInfo) -> tuple[Scheme, ...]:
    if info.algorithm == "RSASSA-PSS":
        return tuple(_pss(key, name) for name in ((info.pss_hash,) if info.pss_hash else _RSA_HASHES))
    return tuple(scheme for name in _RSA_HASHES for scheme in (_pkcs1(key, name), _pss(key, name)))


def _ecdsa(key: ec.EllipticCurvePublicKey, curve: str, hash_name: str) -> Scheme:
    algorithm = ec.ECDSA(_PREHASHED[hash_name])
    return Scheme(
        f"ECDSA {curve} {hash_name}", hash_name, lambda signature, digest: key.verify(signature, digest, algorithm)
    )


def _pkcs1(key: rsa.RSAPublicKey, hash_name: str) -> Scheme:
    pad, prehashed = padding.PKCS1v15(), _PREHASHED[hash_name]
    return Scheme(
        f"RSA PKCS1v15 {hash_name}", hash_name, lambda signature, digest: key.verify(signature, digest, pad, prehashed)
    )


def _pss(key: rsa.RSAPublicKey, hash_name: str) -> Scheme:
    pad, prehashed = padding.PSS(padding.MGF1(_HASH[hash_name]), padding.PSS.AUTO), _PREHASHED[hash_name]
    return Scheme(f"RSA PSS {hash_name}", hash_name, lambda signature, digest: key.verify(signature, digest, pad, prehashed))


def _ed25519ph(key: Ed25519PublicKey) -> Scheme:
    """`cryptography` has no Ed25519ph, libsodium does."""
    point = key.public_bytes_raw()

    def check(signature: bytes, message: bytes) -> None:
        state = bindings.crypto_sign_ed25519ph_state()
        bindings.crypto_sign_ed25519ph_update(state, message)
        if not bindings.crypto_sign_ed25519ph_final_verify(state, signature, point):
            raise InvalidSignature

    return Scheme("Ed25519ph", "", check)
