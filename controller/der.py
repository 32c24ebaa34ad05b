"""DER (ITU-T X.690), read strictly and one level at a time.

Only what timestamps and certificate extensions need: definite lengths in their shortest form (section 10.1), low tag
numbers, no recursion, so that depth and size are bounded by the caller's own schema. Whatever two decoders could read
differently is refused.
"""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from controller.errors import Code, Refused

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
BIT_STRING: Final = 0x03
OCTET_STRING: Final = 0x04
NULL: Final = 0x05
OBJECT_IDENTIFIER: Final = 0x06
UTF8_STRING: Final = 0x0C
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_LONG_FORM: Final = 0x80
_LONG_TAG: Final = 0x1F
_LENGTH_OCTETS: Final = 4
_SEVEN_BITS: Final = 7
_GENERALIZED: Final = re.compile(rb"([0-9]{14})(?:\.([0-9]{1,9}))?Z", re.ASCII)


def implicit(number: int) -> int:
    """Identifier octet of a context-specific primitive element `[number]`."""
    return 0x80 | number


def explicit(number: int) -> int:
    """Identifier octet of a context-specific constructed element `[number]`."""
    return 0xA0 | number


@dataclass(frozen=True, slots=True)
class Element:
    """One element: identifier octet, contents, and the whole encoding."""

    tag: int
    content: bytes
    raw: bytes
    what: str

    def inside(self) -> "Reader":
        """Read the elements of a constructed element."""
        return Reader(self.content, self.what)

    def integer(self) -> int:
        """The value of an INTEGER (section 8.3), which must be in its shortest form.

        Raises:
            Refused: `Malformed`.
        """
        head = self.content[:2]
        if not head or (len(head) > 1 and head[0] in {0x00, 0xFF} and (head[0] ^ head[1]) < _LONG_FORM):
            raise _malformed(self.what, "an INTEGER that is not in its shortest form")
        return int.from_bytes(self.content, "big", signed=True)

    def oid(self) -> str:
        """The value of an OBJECT IDENTIFIER (section 8.19) in dotted form.

        Raises:
            Refused: `Malformed`.
        """
        arcs: list[int] = []
        value, fresh = 0, True
        for octet in self.content[:64]:
            if fresh and octet == _LONG_FORM:
                raise _malformed(self.what, "an OBJECT IDENTIFIER that is not in its shortest form")
            value, fresh = value << _SEVEN_BITS | octet & 0x7F, octet < _LONG_FORM
            if fresh:
                arcs.append(value)
                value = 0
        if not arcs or not fresh or len(self.content) > 64:  # noqa: PLR2004 - no identifier we know is a third as long
            raise _malformed(self.what, "an OBJECT IDENTIFIER that is cut short or too long")
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))

    def time(self) -> float:
        """The value of a GeneralizedTime in POSIX seconds, in the form of RFC 3161 section 2.4.2: UTC, fraction allowed.

        Raises:
            Refused: `Malformed`.
        """
        match = _GENERALIZED.fullmatch(self.content)
        if not match or (match[2] or b"1").endswith(b"0"):
            raise _malformed(self.what, "a time that is not YYYYMMDDhhmmss[.s]Z")
        try:
            moment = dt.datetime.strptime(match[1].decode(), "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
        except ValueError:
            raise _malformed(self.what, "a time that does not exist") from None
        return moment.timestamp() + (int(match[2]) / 10 ** len(match[2]) if match[2] else 0.0)


class Reader:
    """Reads elements one after another; what is left over at the end is an error of the caller's choosing."""

    __slots__ = ("_data", "_position", "what")

    def __init__(self, data: bytes, what: str) -> None:
        """Read `data`; `what` names the document in reasons."""
        self._data = data
        self._position = 0
        self.what = what

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._position < len(self._data)

    def next(self) -> Element:
        """The next element, whatever its tag.

        Raises:
            Refused: `Malformed`.
        """
        data, start = self._data, self._position
        if len(data) < start + 2 or data[start] & _LONG_TAG == _LONG_TAG:
            raise _malformed(self.what, "an element that is cut short or has a high tag number")
        length, content = data[start + 1], start + 2
        if length >= _LONG_FORM:
            octets = length - _LONG_FORM
            content += octets
            length = int.from_bytes(data[start + 2 : content], "big")
            shortest = length >= _LONG_FORM and length >= 1 << 8 * (octets - 1)
            if not 1 <= octets <= _LENGTH_OCTETS or not shortest:
                raise _malformed(self.what, "a length that is indefinite or not in its shortest form")
        end = content + length
        if end > len(data):
            raise _malformed(self.what, "an element longer than what holds it")
        self._position = end
        return Element(data[start], data[content:end], data[start:end], self.what)

    def take(self, *tags: int) -> Element:
        """The next element, which must carry one of `tags`.

        Raises:
            Refused: `Malformed`.
        """
        element = self.next()
        if element.tag not in tags:
            raise _malformed(self.what, f"tag {element.tag:#04x}", expected=" or ".join(f"{tag:#04x}" for tag in tags))
        return element

    def maybe(self, *tags: int) -> Element | None:
        """The next element if it carries one of `tags`, else None, and it stays next."""
        if self._position < len(self._data) and self._data[self._position] in tags:
            return self.next()
        return None

    def all(self, tag: int, *, limit: int) -> tuple[Element, ...]:
        """Every element left, each with `tag`.

        Raises:
            Refused: `Malformed`, or `LimitExceeded` for more than `limit`.
        """
        elements: list[Element] = []
        while self.more:
            if len(elements) == limit:
                raise Refused(Code.LIMIT_EXCEEDED, f"{self.what} holds too many elements", expected=f"at most {limit}")
            elements.append(self.take(tag))
        return tuple(elements)

    def end(self) -> None:
        """Insist that nothing is left.

        Raises:
            Refused: `Malformed`.
        """
        if self.more:
            raise _malformed(self.what, f"{len(self._data) - self._position} bytes after the end")


def read(data: bytes, what: str, tag: int = SEQUENCE) -> Element:
    """Read exactly one element with `tag`.

    Raises:
        Refused: `Malformed`.
    """
    reader = Reader(data, what)
    element = reader.take(tag)
    reader.end()
    return element


def encode(tag: int, *parts: bytes) -> bytes:
    """Encode an element whose contents are `parts` one after another."""
    content = b"".join(parts)
    if len(content) < _LONG_FORM:
        return bytes((tag, len(content))) + content
    octets = (len(content).bit_length() + 7) // 8
    return bytes((tag, _LONG_FORM | octets)) + len(content).to_bytes(octets, "big") + content


def encode_set(elements: Iterable[bytes], tag: int = SET) -> bytes:
    """Encode a SET OF in DER order (section 11.6)."""
    return encode(tag, *sorted(elements))


def _malformed(what: str, found: str, expected: str = "") -> Refused:
    return Refused(Code.MALFORMED, f"{what} is not DER", expected=expected, found=found)
