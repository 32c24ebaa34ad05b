"""A tree of findings on a terminal: marks, aligned fields, lines no longer than the window, colour where it is wanted."""

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TextIO

from controller.render.clean import clean

WIDTH: Final = 100


class Mark(Enum):
    """What a line says: its sign, the same in plain ASCII, and its colour (SGR parameter, ECMA-48 section 8.3.117)."""

    GOOD = ("✓", "+", "32")
    BAD = ("✗", "x", "31")
    WARN = ("!", "!", "33")
    OPEN = ("?", "?", "35")
    NOTE = ("·", "-", "2")
    NEXT = ("→", ">", "36")
    NONE = ("", "", "")


@dataclass(frozen=True, slots=True)
class Field:
    """A labelled value under a branch; the labels of one branch are aligned. A `whole` text is not broken into lines."""

    label: str
    text: str
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Branch:
    """One thing, what there is to say about it, and what it rests on."""

    title: str
    mark: Mark = Mark.NONE
    fields: tuple[Field, ...] = ()
    children: tuple["Branch", ...] = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How to draw. `width` in characters."""

    colour: bool = False
    ascii: bool = False
    width: int = WIDTH

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] | None = None) -> "Style":
        """What `stream` can show: colour on a terminal unless NO_COLOR is set (no-color.org), boxes where it has them."""
        environment = os.environ if environment is None else environment
        colour = stream.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        try:
            "✓✗→·…└─│".encode(stream.encoding or "ascii")
        except (UnicodeEncodeError, LookupError):
            return cls(colour, ascii=True)
        return cls(colour)

    def paint(self, text: str, mark: Mark) -> str:
        """`text` in the colour of `mark`."""
        return f"\x1b[{mark.value[2]}m{text}\x1b[0m" if self.colour and mark.value[2] and text else text

    def bold(self, text: str) -> str:
        """`text` in bold."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour and text else text

    def sign(self, mark: Mark) -> str:
        """The painted sign of `mark` with a space behind it; nothing for NONE."""
        sign = mark.value[1] if self.ascii else mark.value[0]
        return f"{self.paint(sign, mark)} " if sign else ""


def draw(branch: Branch, style: Style) -> str:
    """The tree as lines without a newline at the end."""
    return "\n".join(_lines(branch, style, "", "", root=True))


def write(text: str, stream: TextIO | None = None) -> None:
    """Print `text`; what the stream's encoding lacks is replaced, not an error."""
    stream = sys.stdout if stream is None else stream
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")


_LINES: Final = {False: ("├─ ", "└─ ", "│  ", "   "), True: ("|- ", "`- ", "|  ", "   ")}


def _lines(branch: Branch, style: Style, first: str, rest: str, *, root: bool = False) -> Iterator[str]:
    fork, last, bar, gap = _LINES[style.ascii]
    indent = "  " if branch.mark.value[0] else ""
    title = _wrapped(clean(branch.title), style.width - len(rest) - len(indent))
    yield first + style.sign(branch.mark) + (style.bold(title[0]) if root else title[0])
    under = rest + (bar if branch.children else indent.ljust(3 if branch.children else 0))
    for line in title[1:]:
        yield under + (indent if not branch.children else "") + line
    yield from (under + line for line in _fields(branch.fields, style, style.width - len(under)))
    for number, child in enumerate(branch.children, start=1):
        is_last = number == len(branch.children)
        yield from _lines(child, style, rest + (last if is_last else fork), rest + (gap if is_last else bar))


def _fields(fields: tuple[Field, ...], style: Style, width: int) -> Iterator[str]:
    column = max((len(field.label) for field in fields), default=0)
    for field in fields:
        label = field.label.ljust(column) + "  " if column else ""
        text = clean(field.text)
        wrapped = [text] if field.whole else _wrapped(text, width - len(label))
        yield style.paint(label, Mark.NOTE) + wrapped[0]
        yield from (" " * len(label) + line for line in wrapped[1:])


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width`; a name too long for one is left whole, so that it can be copied."""
    return textwrap.wrap(text, max(width, 30), break_long_words=False, break_on_hyphens=False) or [""]
