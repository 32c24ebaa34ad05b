"""Documents with one place changed: what differential tests show to two verifiers."""

import copy
import random
from collections.abc import Iterator
from typing import Any

Place = tuple[str | int, ...]


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
