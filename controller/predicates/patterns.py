"""Patterns over URIs and refs in policies: `*` within a path segment, `**` across, the whole text or nothing."""

from collections.abc import Iterable
from typing import Final

import re2

from controller.errors import Code, Invalid

_LONGEST: Final = 512
_MOST: Final = 16
"""Wildcards in one pattern."""


class Pattern:
    """One pattern, compiled."""

    __slots__ = ("_expression", "text")

    def __init__(self, text: str, field: str = "") -> None:
        """Compile `text`.

        Raises:
            Invalid: `InvalidPolicy` for an empty, too long or too wild one.
        """
        if not text or len(text) > _LONGEST or text.count("*") > _MOST or "***" in text:
            expected = f"1 to {_LONGEST} characters, at most {_MOST} '*', no three side by side"
            raise Invalid(Code.INVALID_POLICY, "no pattern", field=field, expected=expected, found=repr(text[:80]))
        self.text = text
        self._expression = None if "*" not in text else re2.compile(_expression(text))

    def matches(self, value: str) -> bool:
        """Whether all of `value` matches; the empty text never does."""
        if not value:
            return False
        return value == self.text if self._expression is None else self._expression.fullmatch(value) is not None


def any_matches(patterns: Iterable[Pattern], value: str) -> bool:
    """Whether one of them matches."""
    return any(pattern.matches(value) for pattern in patterns)


def shown(patterns: Iterable[Pattern]) -> str:
    """The patterns for people."""
    texts = [pattern.text for pattern in patterns]
    return " or ".join(texts[:3]) + (f" or {len(texts) - 3} more" if len(texts) > 3 else "")  # noqa: PLR2004 - three are shown


def _expression(text: str) -> str:
    parts = text.replace("**", "\0").split("*")
    return "[^/]*".join(".*".join(re2.escape(piece) for piece in part.split("\0")) for part in parts)
