"""Reading JSON that others wrote, so that it has one reading only.

RFC 8259 section 4 leaves the meaning of repeated names open, and Go's decoder matches names whatever their case; a document
that two programs can read differently is how an image is checked as one thing and run as another (CVE-2021-41190). Here such
a document is refused, as are documents too deep or too long, NaN and infinities (not JSON) and lone surrogates.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from controller.errors import Code, Refused

MAX_DEPTH: Final = 64
"""Levels of nesting; an image manifest needs five, an SBOM about ten."""

_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ESCAPE: Final = re.compile(rb"\\\\.", re.DOTALL)
_STRING: Final = re.compile(rb'"[^"]*"')
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")


def read_json(raw: bytes, what: str, *, limit: int, max_depth: int = MAX_DEPTH, fold_names: bool = True) -> Any:
    """Decode one JSON document strictly.

    Args:
        raw: The bytes as they came, UTF-8 without byte order mark.
        what: Names the document in the reason ("image manifest").
        limit: Longest accepted size in bytes.
        max_depth: Deepest accepted nesting of arrays and objects.
        fold_names: Whether names that differ in letter case only count as one. False for documents whose objects are
            maps of somebody else's names (a provenance's environment holds `http_proxy` and `HTTP_PROXY`).

    Raises:
        Refused: `LimitExceeded`, `Malformed` or `Ambiguous` (a name repeated within one object).
    """
    if len(raw) > limit:
        raise Refused(Code.LIMIT_EXCEEDED, f"{what} is too long", expected=f"at most {limit} bytes", found=str(len(raw)))
    _check_depth(raw, what, max_depth)
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_folded if fold_names else _unique, **_NUMBERS)
        if _SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode("utf-8")  # a lone one cannot be encoded, and no text holds one
    except Refused as error:
        raise Refused(error.reason.code, f"{what}: {error.reason.message}", found=error.reason.found) from None
    except (ValueError, RecursionError) as error:
        raise Refused(Code.MALFORMED, f"{what} is not JSON", found=str(error)[:120]) from None
    return value


def read_object(raw: bytes, what: str, *, limit: int, max_depth: int = MAX_DEPTH, fold_names: bool = True) -> dict[str, Any]:
    """The same, for a document that must be a JSON object.

    Raises:
        Refused: As `read_json`; `Malformed` where the document is another JSON value.
    """
    value = read_json(raw, what, limit=limit, max_depth=max_depth, fold_names=fold_names)
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{what} is not a JSON object", found=type(value).__name__)
    return value


def text(document: Mapping[str, Any], name: str, what: str) -> str:
    """The string member `name`, which must be there.

    Raises:
        Refused: `Malformed` where it is absent or no string.
    """
    value = document.get(name)
    if not isinstance(value, str):
        raise Refused(Code.MALFORMED, f"{what}.{name} must be a string", found=type(value).__name__)
    return value


def optional_text(document: Mapping[str, Any], name: str, what: str) -> str:
    """The string member `name`, or the empty string where it is absent or null.

    Raises:
        Refused: `Malformed` where it is another type.
    """
    return "" if document.get(name) is None else text(document, name, what)


def items(document: Mapping[str, Any], name: str, what: str, *, limit: int) -> list[Any]:
    """The array member `name`, empty where it is absent or null.

    Raises:
        Refused: `Malformed` where it is another type, `LimitExceeded` where it holds more than `limit` items.
    """
    value = document.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(Code.MALFORMED, f"{what}.{name} must be an array", found=type(value).__name__)
    if len(value) > limit:
        raise Refused(
            Code.LIMIT_EXCEEDED, f"{what}.{name} is too long", expected=f"at most {limit} items", found=str(len(value))
        )
    return value


def members(document: Mapping[str, Any], name: str, what: str) -> dict[str, Any]:
    """The object member `name`, empty where it is absent or null.

    Raises:
        Refused: `Malformed` where it is another type.
    """
    value = document.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(Code.MALFORMED, f"{what}.{name} must be an object", found=type(value).__name__)
    return value


def texts(document: Mapping[str, Any], name: str, what: str) -> dict[str, str]:
    """The object member `name` as a map of strings (annotations), empty where it is absent or null.

    Raises:
        Refused: `Malformed` where it, or a value in it, is another type.
    """
    value = members(document, name, what)
    for key, entry in value.items():
        if not isinstance(entry, str):
            raise Refused(Code.MALFORMED, f"{what}.{name}[{key[:64]!r}] must be a string", found=type(entry).__name__)
    return value


def unfolded(document: Mapping[str, Any], what: str) -> None:
    """Refuse an object in which two names differ in letter case only.

    Raises:
        Refused: `Ambiguous`.
    """
    if len({name.casefold() for name in document}) != len(document):
        raise Refused(Code.AMBIGUOUS, f"{what}: two names differ in letter case only")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Refused(Code.AMBIGUOUS, "a name stands twice in one object", found=repr(twice[:64]))
    return document


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = _unique(pairs)
    unfolded(document, "object")
    return document


def _constant(value: str) -> float:
    raise Refused(Code.MALFORMED, "a number is not JSON", found=value)


def _finite(value: str) -> float:
    number = float(value)
    if math.isinf(number):
        raise Refused(Code.MALFORMED, "a number is out of range", found=value[:32])
    return number


_NUMBERS: Final[dict[str, Any]] = {"parse_constant": _constant, "parse_float": _finite}


def _check_depth(raw: bytes, what: str, max_depth: int) -> None:
    """Count brackets outside strings, so that no deep value reaches code that recurses.

    Works at the speed of `bytes` methods: a 50 MB SBOM comes this way too.
    """
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return
    bare = _STRING.sub(b"", _ESCAPE.sub(b"", raw) if b"\\" in raw else raw)
    depth = 0
    for byte in bare.translate(None, _NOT_BRACKETS):
        depth += 1 if byte in b"[{" else -1
        if depth > max_depth:
            raise Refused(Code.LIMIT_EXCEEDED, f"{what} is nested too deeply", expected=f"at most {max_depth} levels")
