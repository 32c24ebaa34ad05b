"""Documents with one place changed: JSON, CBOR and DER, element by element.

Differential tests show them to two verifiers; mutation tests hold a judge to what was signed.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Final

from controller import der
from controller.errors import Refused
from controller.formats import cbor
from controller.formats.cbor import Tagged, Value

Place = tuple[str | int, ...]
ODD_JSON: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    1 << 70,
    0.5,
    "",
    "x",
    "\ud800",
    [],
    [[]],
    {},
    {"a": 1},
    "2026-01-01T00:00:00Z",
)
ODD_CBOR: Final[tuple[Value, ...]] = (None, True, 0, -1, 1 << 60, "", "x", b"", b"x", [], [[]], {}, {1: 2}, Tagged(1, 5))


def leaves(value: Any, path: Place = ()) -> Iterator[Place]:
    """Every place in a document that holds no further places."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = False
    for name, inner in entries:
        found = True
        yield from leaves(inner, (*path, name))
    if not found:
        yield path


def replaced(document: dict[str, Any], path: Place, change: random.Random) -> dict[str, Any]:
    """A copy with one place changed: a letter of a text, or a number, or nothing there at all."""
    copied = copy.deepcopy(document)
    place: Any = copied
    for step in path[:-1]:
        place = place[step]
    old = place[path[-1]]
    kind = change.randrange(3)
    if kind == 0 and isinstance(place, dict):
        del place[path[-1]]
    elif isinstance(old, str) and old.isdigit():
        place[path[-1]] = str(int(old) + change.choice((-1, 1, 1000)))
    elif isinstance(old, str) and old:
        position = change.randrange(len(old))
        place[path[-1]] = old[:position] + change.choice("ABCabc019+/=. ") + old[position + 1 :]
    else:
        place[path[-1]] = change.choice((None, 7, "x", [], {}))
    return copied


Path = tuple[Any, ...]


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every element of a document, itself first."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from paths(item, (*at, key))
    if isinstance(value, Tagged):
        yield from paths(value.value, (*at, "tagged"))


def changed(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy with one element changed; `...` as its new value takes it away."""
    if not path:
        return change(value)
    key, *rest = path
    if isinstance(value, Tagged):
        return Tagged(value.tag, changed(value.value, tuple(rest), change))
    copy = value.copy()
    item = changed(value[key], tuple(rest), change)
    if item is ...:
        del copy[key]
    else:
        copy[key] = item
    return copy


def dumped(value: Value) -> bytes:
    encoded: bytes
    match value:
        case bool() | None:
            encoded = {False: b"\xf4", True: b"\xf5", None: b"\xf6"}[value]
        case int():
            encoded = cbor.encode_integer(value)
        case bytes():
            encoded = cbor.encode_bytes(value)
        case str():
            encoded = cbor.encode_text(value)
        case list():
            encoded = cbor.encode_array(*map(dumped, value))
        case dict():
            encoded = cbor.encode_map(*((dumped(key), dumped(item)) for key, item in value.items()))
        case Tagged():
            encoded = cbor.encode_tag(value.tag, dumped(value.value))
    return encoded


def elements(raw: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Where each DER element inside `raw` begins, and where its contents do; also those in OCTET STRINGs that hold DER."""
    reader, position = der.Reader(raw, "fixture"), start
    while reader.more:
        element = reader.next()
        head = len(element.raw) - len(element.content)
        yield position, position + head
        if element.tag & 0x20:
            yield from elements(element.content, position + head)
        elif element.tag == der.OCTET_STRING:
            with suppress(Refused):
                yield from list(elements(element.content, position + head))
        position += len(element.raw)


def flipped(raw: bytes, at: int, bit: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]


def spoilt(raw: bytes) -> Iterator[bytes]:
    """Each element's tag, length and first octet of contents changed, one at a time."""
    for start, content in elements(raw):
        for at in dict.fromkeys((start, start + 1, content)):
            if at < len(raw):
                yield flipped(raw, at, 1)
                yield flipped(raw, at, 0x80)


def _of_document(
    original: bytes, read: Callable[[bytes], Any], write: Callable[[Any], bytes], odd: tuple[Any, ...], choose: random.Random
) -> Iterator[tuple[int, bytes]]:
    """Each element in turn, again and again: another value there, a letter of it, or nothing of it."""
    document = read(original)
    places = list(paths(document))
    while True:
        for number, path in enumerate(places):
            removable = bool(path) and path[-1] != "tagged"
            change = choose.choice((*odd, letter(choose), letter(choose), *((lambda _: ...,) if removable else ())))
            value = change if callable(change) else (lambda _, new=change: new)
            yield number, write(changed(document, path, value))


def letter(choose: random.Random) -> Callable[[Any], Any]:
    """Changes one letter or octet of a text, or a number a little."""

    def change(old: Any) -> Any:
        if isinstance(old, bool) or old is None:
            return choose.choice((True, False, None))
        if isinstance(old, int):
            return old + choose.choice((-1, 1, 256))
        if isinstance(old, str) and old:
            where = choose.randrange(len(old))
            return old[:where] + choose.choice("ABCabcxyz019+/=-_ \n\u2014") + old[where + 1 :]
        if isinstance(old, bytes) and old:
            return flipped(old, choose.randrange(len(old)), 1 << choose.randrange(8))
        return "x"

    return change


def of_json(original: bytes, choose: random.Random) -> Iterator[tuple[int, bytes]]:
    """Mutations of a JSON document without end; each with the number of the element it hit."""
    return _of_document(original, json.loads, lambda value: json.dumps(value).encode(), ODD_JSON, choose)


def of_cbor(original: bytes, choose: random.Random) -> Iterator[tuple[int, bytes]]:
    """The same for CBOR."""
    return _of_document(original, lambda raw: cbor.read(raw, "document"), dumped, ODD_CBOR, choose)


def of_der(original: bytes, choose: random.Random) -> Iterator[tuple[int, bytes]]:
    """The same for DER: tag, length, contents, nothing of it, or it twice."""
    found = list(elements(original))
    ends = [start + len(der.Reader(original[start:], "element").next().raw) for start, _ in found]
    while True:
        for number, ((start, content), end) in enumerate(zip(found, ends, strict=True)):
            ways = [
                flipped(original, start, 1 << choose.randrange(8)),
                flipped(original, start + 1, 1 << choose.randrange(8)),
            ]
            ways += [original[:start] + original[end:], original[:end] + original[start:end] + original[end:]]
            if end > content:
                ways += [flipped(original, choose.randrange(content, end), 1 << choose.randrange(8))] * 3
            yield number, choose.choice(ways)


def of_octets(original: bytes, choose: random.Random) -> Iterator[tuple[int, bytes]]:
    """The same for a format that is neither: every octet is an element."""
    while True:
        for number in range(len(original)):
            ways = (
                flipped(original, number, 1 << choose.randrange(8)),
                original[:number],
                original[:number] + original[number + 1 :],
            )
            yield number, choose.choice(ways)


def count(mutate: Callable[[bytes, random.Random], Iterator[tuple[int, bytes]]], original: bytes) -> int:
    """How many elements there are."""
    if mutate is of_octets:
        return len(original)
    if mutate is of_der:
        return len(list(elements(original)))
    return len(list(paths(cbor.read(original, "document") if mutate is of_cbor else json.loads(original))))
