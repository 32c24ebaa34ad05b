"""Base64 as every container here carries it, with one reading only."""

import binascii
from typing import Final

from controller.errors import Code, Refused

_QUANTUM: Final = 4
_TO_STANDARD: Final = bytes.maketrans(b"-_", b"+/")


def decode64(text: str, what: str) -> bytes:
    """Decode base64, standard or URL-safe alphabet, padded or not.

    DSSE (protocol.md) and protobuf's JSON allow both alphabets, protobuf's also leaves padding out. What is refused is
    whatever decoders disagree about: both alphabets in one text, white space, wrong padding, and trailing bits that are not
    zero (RFC 4648 sections 3.3 to 3.5).

    Raises:
        Refused: `Malformed`.
    """
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        raise _malformed(what, "a letter that is not ASCII") from None
    if (b"-" in raw or b"_" in raw) and (b"+" in raw or b"/" in raw):
        raise _malformed(what, "two alphabets")
    packed = raw.translate(_TO_STANDARD)
    if not packed.endswith(b"="):
        packed += b"=" * (-len(packed) % _QUANTUM)
    try:
        decoded = binascii.a2b_base64(packed, strict_mode=True)
    except binascii.Error as error:
        raise _malformed(what, str(error).lower()[:80]) from None
    if binascii.b2a_base64(decoded, newline=False) != packed:  # strict_mode alone lets some padding and trailing bits pass
        raise _malformed(what, "padding or trailing bits that mean nothing")
    return decoded


def _malformed(what: str, found: str) -> Refused:
    return Refused(Code.MALFORMED, f"{what} is not canonical base64", found=found)
