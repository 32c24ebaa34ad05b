"""The tables of fields at the end of docs/policy.md and docs/settings.md, from the models.

`python -m controller.policy.guide docs/policy.md docs/settings.md` writes them; a test holds the files to them.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from controller.policy.exception import TrustExceptionSpec
from controller.policy.model import Spec
from controller.policy.part import Later
from controller.policy.trustroot import TrustRootSpec
from controller.settings import Settings

_HEADING: Final = "## Fields that are judged"
_SETTINGS_HEADING: Final = "## Every key"
_PLAIN: Final = {str: "text", int: "number", float: "duration", bool: "true or false", datetime: "time", Path: "path"}


@dataclass(frozen=True, slots=True)
class Row:
    """One field: its path (`[]` after lists, HOST for a registry's name), what it holds, its default and what it means."""

    path: str
    holds: str
    default: str
    meaning: str
    later: bool


def rows(model: type[BaseModel] = Spec, path: str = "") -> Iterator[Row]:
    """Every field below `model`, in the order of the models, without what is inside a field that nothing judges yet."""
    for name, info in model.model_fields.items():
        where = f"{path}.{info.alias or name}".lstrip(".")
        later = any(isinstance(mark, Later) for mark in info.metadata)
        holds, inner = _holds(info.annotation), _model(info.annotation)
        yield Row(where, holds, _default(info), info.description or "", later)
        if inner and not later:
            yield from rows(
                inner, where + ("[]" if holds.startswith("list") else ".HOST" if holds.startswith("map") else "")
            )


def tables() -> str:
    """The fields of policies as two Markdown tables, those that are judged and those that are not yet, and a TrustRoot's."""
    fields = list(rows())
    judged = [(f"`{row.path}`", row.holds, row.default, row.meaning) for row in fields if not row.later]
    later = [(f"`{row.path}`", row.meaning) for row in fields if row.later]
    first = _table(("field", "holds", "default", "meaning"), judged)
    second = _table(("field", "meaning"), later)
    third = _table(("field", "meaning"), [(f"`{row.path}`", _of_root(row)) for row in rows(TrustRootSpec)])
    fourth = _table(("field", "meaning"), [(f"`{row.path}`", row.meaning) for row in rows(TrustExceptionSpec)])
    return (
        f"{_HEADING}\n\n{first}\n## Fields that are not supported yet\n\n{second}\n## Fields of a TrustRoot\n\n{third}"
        f"\n## Fields of a TrustException\n\n{fourth}"
    )


def _of_root(row: Row) -> str:
    return f"{row.meaning} Not supported yet." if row.later else row.meaning


def _table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in body)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _holds(annotation: Any) -> str:
    arguments = [argument for argument in get_args(annotation) if argument not in {type(None), Ellipsis}]
    match get_origin(annotation):
        case origin if origin in {Union, UnionType}:
            return " or ".join(map(_holds, arguments))
        case origin if origin is Annotated:
            return _holds(arguments[0])
        case origin if origin is Literal:
            return ", ".join(map(str, arguments))
        case origin if origin is tuple:
            return f"list of {_holds(arguments[0])}"
        case origin if origin is dict:
            return f"map of {_holds(arguments[1])}"
        case _:
            return _plain(annotation)


def _plain(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return ", ".join(str(member.value) for member in annotation)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "object"
    return _PLAIN[annotation]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is None or value is PydanticUndefined or isinstance(value, BaseModel) or value in ((), {}):
        return ""
    if isinstance(value, tuple):
        return ", ".join(str(item.value if isinstance(item, Enum) else item) for item in value)
    if isinstance(value, bool):
        return str(value).lower()
    return _duration(value) if isinstance(value, float) else str(value.value if isinstance(value, Enum) else value)


def _duration(seconds: float) -> str:
    """As it is written in the file: `500ms`, `10s`, `10m`, `24h`."""
    for unit, length in (("h", 3600), ("m", 60), ("s", 1)):
        if seconds and seconds % length == 0 and seconds > length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms" if 0 < seconds < 1 else f"{seconds:.0f}s"


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model, get_args(annotation)) if found), None)


def settings_table() -> str:
    """Every key of the settings file as one Markdown table."""
    body = [(f"`{row.path}`", row.holds, row.default, row.meaning) for row in rows(Settings)]
    return f"{_SETTINGS_HEADING}\n\n{_table(('key', 'holds', 'default', 'meaning'), body)}"


def rewrite(guide: Path) -> None:
    """Put the tables in place of those at the end of `guide`."""
    heading, made = (_SETTINGS_HEADING, settings_table()) if guide.name == "settings.md" else (_HEADING, tables())
    prose = guide.read_text(encoding="utf-8").partition(heading)[0]
    guide.write_text(prose + made, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name))
