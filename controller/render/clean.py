"""Text from outside, made fit to be shown.

An image's name, a container's name and whatever a registry answered reach a terminal, a log line and an HTTP header. A
control character moves the cursor, a newline forges a second line, a bidirectional override reverses what is read, and any
of them makes a Kubernetes warning vanish.
"""

from typing import Final

ELLIPSIS: Final = "…"
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


def clean(text: str, limit: int = 0) -> str:
    """One line of printable characters, at most `limit` of them (0 = as many as there are).

    White space becomes single spaces, everything else that cannot be printed the replacement character.
    """
    if not text.isprintable():
        text = "".join(map(_printable, text))
        text = " ".join(text.split())
    return clip(text, limit) if limit else text


def clip(text: str, limit: int) -> str:
    """The beginning of `text`, an ellipsis in place of what does not fit into `limit` characters."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + ELLIPSIS


def clip_middle(text: str, limit: int) -> str:
    """Beginning and end of `text`: of an image's name the registry says whose it is, the tag which one."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return text[: limit - 1 - tail] + ELLIPSIS + text[len(text) - tail :]


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else REPLACEMENT
