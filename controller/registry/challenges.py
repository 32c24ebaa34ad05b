"""Reading `WWW-Authenticate` (RFC 9110, section 11.6.1): several challenges, with quoted strings, in one or many fields."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SEPARATOR: Final = re.compile(r"[\s,]*")
_SCHEME: Final = re.compile(rf"({_WORD})(?=[\s,]|$)[ \t]*")
_PARAMETER: Final = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))[ \t]*(?=,|$)', re.DOTALL)
_TOKEN68: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a server offers. `scheme` and the parameters' names are in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(fields: Iterable[str]) -> tuple[Challenge, ...]:
    """Every challenge that can be read, in order.

    What follows something unreadable in a field is left out, and so is a challenge that has one parameter twice: which of
    two realms is meant nobody can know.
    """
    return tuple(challenge for field in fields for challenge in _read(field))


def _read(field: str) -> Iterable[Challenge]:
    position = _end(_SEPARATOR, field, 0)
    while match := _SCHEME.match(field, position):
        scheme, position = match[1].lower(), match.end()
        if token68 := _TOKEN68.match(field, position):
            position = _end(_SEPARATOR, field, token68.end())
            yield Challenge(scheme, {})
            continue
        position = _end(_SEPARATOR, field, position)
        parameters, twice = {}, False
        while parameter := _PARAMETER.match(field, position):
            name = parameter[1].lower()
            twice = twice or name in parameters
            parameters[name] = parameter[3] if parameter[2] is None else _ESCAPED.sub(r"\1", parameter[2])
            position = _end(_SEPARATOR, field, parameter.end())
        if not twice:
            yield Challenge(scheme, parameters)


def _end(pattern: re.Pattern[str], field: str, position: int) -> int:
    match = pattern.match(field, position)
    return match.end() if match else position
