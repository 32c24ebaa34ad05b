"""OpenPGP simple signing: one signed message around a claim (containers-signature(5)).

Only the frame is read here (RFC 9580, sections 4.2 and 10.3): the packets of a signed message, out of the compression that
gpg puts around them by default. The signed content stays unread until its signature held, as containers-signature demands.
"""

import bz2
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from controller.errors import Code, Refused
from controller.evidence import Evidence, Format, Material, OpenPgpMessage
from controller.registry.discovery import Attachment
from controller.settings import Limits

_WHAT: Final = "OpenPGP message"
_SIGNATURE: Final = 2
_ONE_PASS: Final = 4
_COMPRESSED: Final = 8
_LITERAL: Final = 11
_SHAPES: Final = ((_ONE_PASS, _LITERAL, _SIGNATURE), (_SIGNATURE, _LITERAL))
"""A signed message around literal data (section 10.3), with one signature: no consumer agrees on what several would mean,
and containers/image refuses them, too."""

_PACKETS: Final = 8
_ALWAYS: Final = 0x80
_NEW: Final = 0x40
_INDETERMINATE: Final = 3
_TWO_OCTETS: Final = 192
_PARTIAL: Final = 224
_FIVE_OCTETS: Final = 255


@dataclass(frozen=True, slots=True)
class _Packet:
    tag: int
    body: bytes


def read(attachment: Attachment, limits: Limits) -> Evidence:
    """One signature of a lookaside server or of a registry's signature extension, out of its compression.

    Raises:
        Refused: `Malformed` where it is no binary OpenPGP message with one signature; `LimitExceeded`.
    """
    message = attachment.payload
    _check_length(len(message), limits.signature_bytes)
    if message.lstrip().startswith(b"-----"):
        raise _malformed("an armored or clear-signed text", expected="a binary signed message, as gpg --sign writes it")
    packets = tuple(_packets(message))
    if [packet.tag for packet in packets] == [_COMPRESSED]:
        message = _inflate(packets[0].body, limits.signature_bytes)
        packets = tuple(_packets(message))
    tags = tuple(packet.tag for packet in packets)
    if tags not in _SHAPES:
        raise _malformed(f"packets {', '.join(map(str, tags)) or 'none'}", expected="one signature around literal data")
    return Evidence.of(Format.SIMPLE_SIGNING, attachment.origin, OpenPgpMessage(message), Material(), attachment.annotations)


def _packets(data: bytes) -> Iterator[_Packet]:
    position = 0
    for _ in range(_PACKETS):
        if position == len(data):
            return
        packet, position = _packet(data, position)
        yield packet
    raise _malformed("too many packets")


def _packet(data: bytes, position: int) -> tuple[_Packet, int]:
    """The packet that begins at `position`, and where the next one begins (section 4.2)."""
    first = data[position]
    if not first & _ALWAYS:
        raise _malformed("bytes that are no packet")
    if first & _NEW:
        body, end = _new_body(data, position + 1)
        return _Packet(first & 0x3F, body), end
    kind = first & 3
    if kind == _INDETERMINATE:
        return _Packet(first >> 2 & 0x0F, data[position + 1 :]), len(data)
    octets = 1 << kind
    start = position + 1 + octets
    length = int.from_bytes(_slice(data, position + 1, octets))
    return _Packet(first >> 2 & 0x0F, _slice(data, start, length)), start + length


def _new_body(data: bytes, position: int) -> tuple[bytes, int]:
    """A body in one piece, or in partial ones (sections 4.2.1 and 4.2.1.4)."""
    pieces = []
    while True:
        first = _slice(data, position, 1)[0]
        position += 1
        partial = _PARTIAL <= first < _FIVE_OCTETS
        if partial:
            length = 1 << (first & 0x1F)
        elif first < _TWO_OCTETS:
            length = first
        elif first < _PARTIAL:
            length = ((first - _TWO_OCTETS) << 8) + _slice(data, position, 1)[0] + _TWO_OCTETS
            position += 1
        else:
            length = int.from_bytes(_slice(data, position, 4))
            position += 4
        pieces.append(_slice(data, position, length))
        position += length
        if not partial:
            return b"".join(pieces), position


def _slice(data: bytes, position: int, length: int) -> bytes:
    piece = data[position : position + length]
    if len(piece) != length:
        raise _malformed("a packet that is cut off")
    return piece


def _inflate(body: bytes, limit: int) -> bytes:
    """Unpack at most `limit` bytes (section 5.6): ZIP is a raw deflate stream, ZLIB and BZip2 carry their frames."""
    algorithm, packed = body[:1], body[1:]
    if algorithm == b"\x00":
        return packed
    unpacker: bz2.BZ2Decompressor | zlib._Decompress
    match algorithm:
        case b"\x01":
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
        case b"\x02":
            unpacker = zlib.decompressobj()
        case b"\x03":
            unpacker = bz2.BZ2Decompressor()
        case _:
            raise _malformed("an unknown compression")
    try:
        message = unpacker.decompress(packed, limit + 1)
    except (zlib.error, OSError, ValueError, EOFError):
        raise _malformed("a broken compression") from None
    _check_length(len(message), limit)
    if not unpacker.eof or unpacker.unused_data:
        raise _malformed("a compression that ends too early or too late")
    return message


def _check_length(length: int, limit: int) -> None:
    if length > limit:
        raise Refused(Code.LIMIT_EXCEEDED, f"{_WHAT} is too long (limits.signatureBytes)", expected=f"at most {limit} bytes")


def _malformed(found: str, expected: str = "") -> Refused:
    return Refused(Code.MALFORMED, f"{_WHAT} cannot be read", expected=expected, found=found)
