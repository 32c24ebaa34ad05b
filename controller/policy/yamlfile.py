"""Reading YAML that people wrote, so that it has one reading only.

YAML 1.1 (PyYAML, and kubectl's Go library) and YAML 1.2 read `yes`, `0777` and `1_000` differently, most readers let the
last of two equal keys win, and a page of aliases can mean a terabyte. Here such a document is refused with its line; what is
left is JSON's data model.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from controller.errors import Code, Invalid
from controller.settings import Limits

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEPTH: Final = 64
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})?\.?[0-9]{0,18}(?:[eE][-+]?[0-9]{1,3})?", re.ASCII)
# What YAML 1.1 takes for a boolean, an octal, hexadecimal, binary, underscored or base-60 number, and YAML 1.2 does not.
_TWO_READINGS: Final = re.compile(
    r"(?:[yYnN]|[yY]es|YES|[nN]o|NO|[oO]n|ON|[oO]ff|OFF"
    r"|[-+]?0[0-9_]+|[-+]?0[xob][0-9a-fA-F_]+|[-+]?[0-9]+(?:_[0-9]+)+(?:\.[0-9_]*)?"
    r"|[-+]?[0-9]+(?::[0-5]?[0-9])+(?:\.[0-9]*)?|[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN))",
    re.ASCII,
)
_STRING_TAG: Final = "tag:yaml.org,2002:str"


@dataclass(slots=True)
class Parsed:
    """One document: its value, the line it begins at, and the line of each mapping in it by identity."""

    value: Any
    line: int
    lines: dict[int, int] = field(default_factory=dict)

    def line_of(self, mapping: dict[str, Any]) -> int:
        """The line at which `mapping`, a part of the value, begins."""
        return self.lines.get(id(mapping), self.line)


def read(raw: bytes, name: str, limits: Limits, *, doubtful_as_text: bool = False) -> list[Parsed]:
    """Every document in `raw` that is not empty.

    Args:
        raw: UTF-8.
        name: The file, for the reason.
        limits: `policy_file_bytes` and `policy_file_values` (aliases count as often as they are used).
        doubtful_as_text: Keep a scalar with two readings (`0644`, `yes`) as the text it is, instead of refusing it: for
            documents of which only texts are used.

    Raises:
        Invalid: `InvalidFile` with file and line; `LimitExceeded`.
    """
    if len(raw) > limits.policy_file_bytes:
        expected = f"at most {limits.policy_file_bytes} bytes"
        raise Invalid(Code.LIMIT_EXCEEDED, f"{name} is too long", expected=expected, found=str(len(raw)))
    reader = _Reader(name, limits.policy_file_values, doubtful_as_text=doubtful_as_text)
    try:
        return [parsed for parsed in reader.documents(raw.decode("utf-8")) if parsed.value is not None]
    except UnicodeDecodeError as error:
        raise Invalid(Code.INVALID_FILE, f"{name} is not UTF-8", found=f"byte {error.start}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise Invalid(Code.INVALID_FILE, f"{where}: not YAML: {str(error.problem or error.context)[:120]}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise Invalid(Code.INVALID_FILE, f"{name}: not YAML: {str(error).partition(chr(10))[0][:120]}") from None


@dataclass(slots=True)
class _Anchor:
    value: Any
    values: int  # how many values an alias of it stands for
    depth: int  # levels below it


class _Reader:
    """Builds values from parser events: no recursion in native code, every alias counted at its full size."""

    def __init__(self, name: str, values: int, *, doubtful_as_text: bool) -> None:
        self._name = name
        self._allowed = values
        self._doubtful_as_text = doubtful_as_text
        self._left = values
        self._anchors: dict[str, _Anchor] = {}
        self._lines: dict[int, int] = {}
        self._deepest = 0

    def documents(self, text: str) -> Iterator[Parsed]:
        events: Iterator[Any] = iter(yaml.parse(text, Loader=_LOADER))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._anchors, self._lines = {}, {}
                first = next(events)
                yield Parsed(self._value(first, events, 0), first.start_mark.line + 1, self._lines)

    def _value(self, event: Any, events: Iterator[Any], depth: int) -> Any:
        self._spend(event, 1, depth)
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, depth)
        if getattr(event, "tag", None) not in {None, "!", _STRING_TAG}:
            raise self._invalid(event, "tags are not read here", found=str(event.tag)[:60])
        before, outer, self._deepest = self._left, self._deepest, depth
        match event:
            case yaml.ScalarEvent():
                value: Any = self._scalar(event)
            case yaml.SequenceStartEvent():
                value = self._sequence(events, depth)
            case _:
                value = self._mapping(event, events, depth)
        if event.anchor:
            self._anchors[event.anchor] = _Anchor(value, before - self._left, self._deepest - depth)
        self._deepest = max(outer, self._deepest)
        return value

    def _sequence(self, events: Iterator[Any], depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(self._value(event, events, depth + 1))
        return items

    def _mapping(self, start: Any, events: Iterator[Any], depth: int) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        self._lines[id(mapping)] = start.start_mark.line + 1
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key = self._value(event, events, depth + 1)
            if not isinstance(key, str):
                raise self._invalid(event, "a key must be text: put it in quotes", found=json.dumps(key, default=str)[:60])
            if key == "<<" and isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
                raise self._invalid(event, "merge keys are not read here: write the fields out", found="<<")
            if key in mapping:
                raise self._invalid(event, "a key stands twice in one mapping", found=repr(key[:60]))
            mapping[key] = self._value(next(events), events, depth + 1)
        return mapping

    def _alias(self, event: Any, depth: int) -> Any:
        known = self._anchors.get(event.anchor)
        if known is None:  # unknown, or still being read: a mapping inside itself
            raise self._invalid(event, "an alias of nothing that stands before it", found=f"*{event.anchor}"[:60])
        self._spend(event, known.values, depth + known.depth)
        return known.value

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        doubtful = _TWO_READINGS.fullmatch(text) is not None
        if event.tag in {_STRING_TAG, "!"} or not event.implicit[0] or (doubtful and self._doubtful_as_text):
            return text
        if text in _NULL:
            return None
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if doubtful:
            raise self._invalid(
                event, "YAML 1.1 and 1.2 read this differently: write true or false, or put it in quotes", found=text[:60]
            )
        if _INTEGER.fullmatch(text):
            return int(text)
        if any(character.isdigit() for character in text) and _FLOAT.fullmatch(text):
            return self._float(event, text)
        return text

    def _float(self, event: Any, text: str) -> float:
        number = float(text)
        if number in {float("inf"), float("-inf")}:
            raise self._invalid(event, "a number is out of range", found=text[:60])
        return number

    def _spend(self, event: Any, values: int, depth: int) -> None:
        self._left -= values
        self._deepest = max(self._deepest, depth)
        if depth > _DEPTH:
            raise self._invalid(event, "nested too deeply", expected=f"at most {_DEPTH} levels", code=Code.LIMIT_EXCEEDED)
        if self._left < 0:
            raise self._invalid(event, "too many values", expected=f"at most {self._allowed}", code=Code.LIMIT_EXCEEDED)

    def _invalid(
        self, event: Any, message: str, *, expected: str = "", found: str = "", code: Code = Code.INVALID_FILE
    ) -> Invalid:
        where = f"{self._name}:{event.start_mark.line + 1}"
        return Invalid(code, f"{where}: {message}", expected=expected, found=found)
