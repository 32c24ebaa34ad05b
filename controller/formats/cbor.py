"""CBOR (RFC 8949) as COSE signatures need it, read so that it has one reading only.

Definite lengths, the shortest form of every number (section 4.2.1), no map key twice (section 5.6), no floats and no simple
values but false, true and null: whatever two decoders could read differently is refused, and depth and counts are bounded
before anything is built.
"""

from dataclasses import dataclass
from typing import Final

from controller.errors import Code, Refused

MAX_DEPTH: Final = 8
MAX_ITEMS: Final = 1024

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_SIMPLE: Final = {20: False, 21: True, 22: None}
_INLINE: Final = 24
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tagged item (section 3.4)."""

    tag: int
    value: "Value"


Value = int | bytes | str | bool | None | list["Value"] | dict["int | str", "Value"] | Tagged


def read(raw: bytes, what: str) -> Value:
    """Decode exactly one item.

    Args:
        raw: The bytes; how many there may be is the caller's limit.
        what: Names the document in reasons.

    Raises:
        Refused: `Malformed`, `Ambiguous` (a key twice) or `LimitExceeded`.
    """
    reader = _Reader(raw, what)
    value = reader.item(MAX_DEPTH)
    if reader.position != len(raw):
        raise _malformed(what, f"{len(raw) - reader.position} bytes after the end")
    return value


def encode_bytes(value: bytes) -> bytes:
    """Encode a byte string."""
    return _head(_BYTES, len(value)) + value


def encode_text(value: str) -> bytes:
    """Encode a text string."""
    encoded = value.encode()
    return _head(_TEXT, len(encoded)) + encoded


def encode_array(*items: bytes) -> bytes:
    """Encode an array of encoded items."""
    return _head(_ARRAY, len(items)) + b"".join(items)


def encode_integer(value: int) -> bytes:
    """Encode an integer."""
    return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)


def encode_map(*entries: tuple[bytes, bytes]) -> bytes:
    """Encode a map of encoded keys and values, in the order given."""
    return _head(_MAP, len(entries)) + b"".join(part for entry in entries for part in entry)


def encode_tag(tag: int, item: bytes) -> bytes:
    """Encode a tagged item."""
    return _head(_TAG, tag) + item


def _head(major: int, argument: int) -> bytes:
    if argument < _INLINE:
        return bytes((major << 5 | argument,))
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << 8 * width)
    info = next(info for info, octets in _WIDTHS.items() if octets == width)
    return bytes((major << 5 | info,)) + argument.to_bytes(width, "big")


class _Reader:
    def __init__(self, raw: bytes, what: str) -> None:
        self._raw = raw
        self._what = what
        self._items = 0
        self.position = 0

    def item(self, depth: int) -> Value:
        self._items += 1
        if self._items > MAX_ITEMS or depth == 0:
            raise Refused(Code.LIMIT_EXCEEDED, f"{self._what} holds too much", expected=f"at most {MAX_ITEMS} items")
        value: Value
        major, argument = self._argument()
        match major:
            case 0:
                value = argument
            case 1:
                value = -1 - argument
            case 2:
                value = self._take(argument)
            case 3:
                value = self._text(argument)
            case 4:
                value = [self.item(depth - 1) for _ in range(self._count(argument))]
            case 5:
                value = self._map(self._count(argument), depth - 1)
            case 6:
                value = Tagged(argument, self.item(depth - 1))
            case _:
                value = self._simple(argument)
        return value

    def _argument(self) -> tuple[int, int]:
        head = self._take(1)[0]
        major, info = head >> 5, head & 0x1F
        if info < _INLINE:
            return major, info
        width = _WIDTHS.get(info)
        if width is None or major > _TAG:  # 31 is an indefinite length; major type 7 with an argument a float
            raise _malformed(self._what, f"initial byte {head:#04x}")
        argument = int.from_bytes(self._take(width), "big")
        if argument < (_INLINE if width == 1 else 1 << 4 * width):
            raise _malformed(self._what, "a number that is not in its shortest form")
        return major, argument

    def _take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if self.position > len(self._raw):
            raise _malformed(self._what, "an item that is cut short")
        return self._raw[start : self.position]

    def _count(self, count: int) -> int:
        if count > len(self._raw) - self.position:  # each item has at least one byte
            raise _malformed(self._what, "an array or map that is cut short")
        return count

    def _text(self, count: int) -> str:
        try:
            return self._take(count).decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed(self._what, "text that is not UTF-8") from None

    def _map(self, count: int, depth: int) -> dict[int | str, Value]:
        found: dict[int | str, Value] = {}
        for _ in range(count):
            key = self.item(depth)
            if isinstance(key, bool) or not isinstance(key, int | str):
                raise _malformed(self._what, "a map key that is neither number nor text")
            if key in found:
                raise Refused(Code.AMBIGUOUS, f"{self._what} holds a key twice", found=repr(key)[:64])
            found[key] = self.item(depth)
        return found

    def _simple(self, argument: int) -> bool | None:
        if argument not in _SIMPLE:
            raise _malformed(self._what, f"simple value {argument}")
        return _SIMPLE[argument]


def _malformed(what: str, found: str) -> Refused:
    return Refused(Code.MALFORMED, f"{what} is not the CBOR that is read here", found=found)
