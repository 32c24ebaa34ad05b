"""SPDX licence expressions, and whether a policy's lists can live with them (SPDX 2.3, annex D)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

_TOKEN: Final = re.compile(r"\(|\)|[^\s()]+")
_WORD: Final = re.compile(r"[A-Za-z0-9.+-]+")
_LONGEST: Final = 4096
_DEEPEST: Final = 32
_NO_WORD: Final = frozenset({"", "none", "noassertion", "unknown"})


@dataclass(frozen=True, slots=True)
class Lists:
    """Licences by identifier in small letters, `*` for any part: denied ones, and the only allowed ones, if any."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def problem(self, expression: str) -> str:
        """Which licence there is no way around, empty where the expression can be lived with.

        Of `MIT OR GPL-3.0-only` one may choose, of `MIT AND GPL-3.0-only` not. Words that are no expression count as one
        licence, and are denied where they name a denied one anywhere.
        """
        text = expression.strip()
        if text.lower() in _NO_WORD:
            return "no licence" if self.allow else ""
        bad: list[str] = []

        def accepted(licence: str) -> bool:
            good = not _is_among(licence, self.deny) and (not self.allow or _is_among(licence, self.allow))
            if not good:
                bad.append(licence)
            return good

        def denied(licence: str) -> bool:
            found = _is_among(licence, self.deny)
            if found:
                bad.append(licence)
            return found

        try:
            satisfied = _Reader(text, accepted, denied).read()
        except _NoExpressionError:
            words = _WORD.findall(text[:_LONGEST])
            satisfied = accepted(text[:_LONGEST]) and not any(_is_among(word, self.deny) for word in words)
            bad.append(text[:80])
        return "" if satisfied else bad[0]


def _is_among(licence: str, names: tuple[str, ...]) -> bool:
    low = licence.lower()
    return any(fnmatchcase(low, name) for name in names)


class _NoExpressionError(Exception):
    """A text that is no licence expression."""


class _Reader:
    """Evaluates while it reads: an expression is satisfied if what it asks for is accepted."""

    def __init__(self, text: str, accepted: Callable[[str], bool], denied: Callable[[str], bool]) -> None:
        if len(text) > _LONGEST:
            raise _NoExpressionError
        self._tokens: Iterator[str] = iter(_TOKEN.findall(text))
        self._next = next(self._tokens, "")
        self._accepted = accepted
        self._denied = denied
        self._depth = 0

    def read(self) -> bool:
        satisfied = self._any()
        if self._next:
            raise _NoExpressionError
        return satisfied

    def _any(self) -> bool:
        found = [self._all()]
        while self._next.upper() == "OR":
            self._advance()
            found.append(self._all())
        return any(found)

    def _all(self) -> bool:
        found = [self._one()]
        while self._next.upper() == "AND":
            self._advance()
            found.append(self._one())
        return all(found)

    def _one(self) -> bool:
        word = self._advance()
        if word == "(":
            self._depth += 1
            if self._depth > _DEEPEST:
                raise _NoExpressionError
            found = self._any()
            if self._advance() != ")":
                raise _NoExpressionError
            self._depth -= 1
            return found
        if not word or word == ")" or word.upper() in {"AND", "OR", "WITH"}:
            raise _NoExpressionError
        if self._next.upper() == "WITH":  # an exception permits more than the licence: either name may be allowed
            self._advance()
            whole = f"{word} WITH {self._advance()}"
            return not self._denied(word) and (self._accepted(word) or self._accepted(whole))
        return self._accepted(word)

    def _advance(self) -> str:
        word, self._next = self._next, next(self._tokens, "")
        return word
