"""Which public key an OpenPGP key packet holds, so that it counts once however it is written (design, rule 5).

RFC 4880 and RFC 9580, section 5.5: public key packets of version 4 and 6, RSA, ECDSA and Ed25519.
"""

from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from controller.errors import Invalid
from controller.keys.public import parse

_CURVES: Final = {
    bytes.fromhex("2a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("2b81040022"): ec.SECP384R1(),
    bytes.fromhex("2b81040023"): ec.SECP521R1(),
}
_ED25519_LEGACY: Final = bytes.fromhex("2b06010401da470f01")
_RSA: Final = frozenset({1, 3})
_ECDSA, _EDDSA_LEGACY, _ED25519 = 19, 22, 27
_MATERIAL: Final = {4: 6, 6: 10}
"""Where the key begins in a packet of that version: after version, time and algorithm, and in version 6 a length."""


def spki_sha256(packet: bytes) -> str:
    """SHA-256 (hex) of the SubjectPublicKeyInfo of the key in a key packet's body; empty for a kind we do not read."""
    start = _MATERIAL.get(packet[0]) if packet else None
    if start is None or len(packet) <= start:
        return ""
    try:
        key = _key(packet[5], packet[start:])
        return parse(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).spki_sha256 if key else ""
    except (ValueError, IndexError, Invalid, UnsupportedAlgorithm):  # too weak to be believed as a key of a policy, or odd
        return ""


def _key(algorithm: int, material: bytes) -> rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | None:
    if algorithm in _RSA:
        modulus, rest = _number(material)
        exponent, _ = _number(rest)
        return rsa.RSAPublicNumbers(int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")).public_key()
    if algorithm == _ED25519:
        return ed25519.Ed25519PublicKey.from_public_bytes(material)
    curve, rest = material[1 : 1 + material[0]], material[1 + material[0] :]
    point, _ = _number(rest)
    if algorithm == _ECDSA and curve in _CURVES:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve], point)
    if algorithm == _EDDSA_LEGACY and curve == _ED25519_LEGACY:
        return ed25519.Ed25519PublicKey.from_public_bytes(point.removeprefix(b"\x40"))
    return None


def _number(data: bytes) -> tuple[bytes, bytes]:
    """A multiprecision integer (section 3.2), and what follows it."""
    length = (int.from_bytes(data[:2], "big") + 7) // 8
    return data[2 : 2 + length], data[2 + length :]
