"""Ed25519ph signatures (RFC 8032, section 5.1).

cosign 2.6 and 3 sign with Ed25519ph where the key is Ed25519, and `cryptography` has no such signature. This signs and
does nothing else. It is not constant-time: for keys of demonstrations and tests only.
"""

import hashlib
from typing import Final

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_DOMAIN: Final = b"SigEd25519 no Ed25519 collisions" + b"\x01\x00"
"""dom2(1, ""): pre-hashed, no context."""

# A point as (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z (section 5.1.4).
Point = tuple[int, int, int, int]


def sign(seed: bytes, message: bytes) -> bytes:
    """Sign `message` with a private key of 32 bytes (section 5.1.6)."""
    digest = hashlib.sha512(message).digest()
    expanded = hashlib.sha512(seed).digest()
    scalar = int.from_bytes(expanded[:32], "little")
    scalar = (scalar & ~7 & ~(1 << 255)) | (1 << 254)
    nonce = _hash(expanded[32:], digest)
    commitment = _compress(_multiply(nonce))
    response = (nonce + _hash(commitment, _compress(_multiply(scalar)), digest) * scalar) % _L
    return commitment + response.to_bytes(32, "little")


def _hash(*parts: bytes) -> int:
    return int.from_bytes(hashlib.sha512(_DOMAIN + b"".join(parts)).digest(), "little") % _L


def _base() -> Point:
    y = 4 * pow(5, -1, _P) % _P
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    x = _P - x if x & 1 else x
    return x, y, 1, x * y % _P


def _add(one: Point, two: Point) -> Point:
    a = (one[1] - one[0]) * (two[1] - two[0]) % _P
    b = (one[1] + one[0]) * (two[1] + two[0]) % _P
    c = 2 * one[3] * two[3] * _D % _P
    d = 2 * one[2] * two[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _multiply(scalar: int) -> Point:
    total: Point = (0, 1, 1, 0)
    addend = _base()
    while scalar:
        if scalar & 1:
            total = _add(total, addend)
        addend = _add(addend, addend)
        scalar >>= 1
    return total


def _compress(point: Point) -> bytes:
    inverse = pow(point[2], -1, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")
