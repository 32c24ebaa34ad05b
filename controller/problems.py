"""What is wrong with a policy or the settings, all of it at once, by the path of the field as it was written."""

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from controller.errors import Code, Invalid, Reason

_SHOWN: Final = 8
_FOUND: Final = 60
_NAME: Final = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One field that is wrong: `spec.authorities[0].keys[0].pem`, what was expected there, what stood there."""

    field: str
    message: str
    expected: str = ""
    found: str = ""
    code: Code = Code.INVALID_POLICY

    def __str__(self) -> str:
        return f"{self.field}: {Reason(self.code, self.message, self.expected, self.found)}"


class Problems:
    """Collects problems, so that a person corrects a policy once and not field by field."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: list[Problem] = []

    def add(self, field: str, message: str, *, expected: str = "", found: str = "") -> None:
        """Note one problem."""
        self._found.append(Problem(field, message, expected, found))

    def extend(self, problems: Iterable[Problem]) -> None:
        """Note several."""
        self._found.extend(problems)

    @contextmanager
    def at(self, field: str) -> Iterator[None]:
        """Note an `Invalid` raised inside, under `field` where it names none itself."""
        try:
            yield
        except Invalid as error:
            reason = error.reason
            message = reason.message.removeprefix(f"{error.field}: ") if error.field else reason.message
            self._found.append(Problem(error.field or field, message, reason.expected, reason.found, reason.code))

    def __bool__(self) -> bool:
        return bool(self._found)

    def check(self) -> None:
        """Raise all of them as one.

        Raises:
            Invalid: With the code and field of the first problem; the message names the first eight.
        """
        if not self._found:
            return
        first, *others = self._found
        if not others:
            raise Invalid(first.code, first.message, field=first.field, expected=first.expected, found=first.found)
        shown = "; also ".join(str(problem) for problem in self._found[:_SHOWN])
        more = f"; and {len(self._found) - _SHOWN} more" if len(self._found) > _SHOWN else ""
        raise Invalid(first.code, (shown + more).removeprefix(f"{first.field}: "), field=first.field)


def of_shape(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """Put what pydantic found into words; misspelt fields get the name that was probably meant."""
    details = [detail for detail in error.errors(include_url=False) if not _is_echo(detail)]
    details.sort(key=lambda detail: detail["type"] == "missing")  # a misspelt field says why another is missing
    # Only what is shown is put into words: a tenant's policy may hold a hundred thousand misspelt fields.
    told = [_shape(detail, model) for detail in details[:_SHOWN]]
    return told + [Problem(path(detail["loc"]), "is wrong") for detail in details[_SHOWN:]]


def _is_echo(detail: ErrorDetails) -> bool:
    """A list that is only too short because items of it were refused, each for its own reason."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def path(location: Iterable[int | str]) -> str:
    """`spec.authorities[0].keys[0].pem`; names that are no identifier are quoted in brackets."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part == "[key]":  # pydantic's mark for the key of a mapping, said by the name before it
            continue
        elif len(part) <= _NAME and part.isidentifier():
            text += f".{part}" if text else part
        else:
            text += f"[{part[:_NAME]!r}]"
    return text


def show(value: object) -> str:
    """A value as it might stand in the file, cut to what a person needs to recognise it."""
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, BaseModel):  # what was read into it need not look like what was written
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if value is None:
        return "nothing"
    text = json.dumps(value[:_FOUND] if isinstance(value, str) else value, ensure_ascii=False, default=str)
    return text if len(text) <= _FOUND else text[: _FOUND - 1] + "…"


def _shape(detail: ErrorDetails, model: type[BaseModel]) -> Problem:
    location, kind, context = detail["loc"], detail["type"], detail.get("ctx", {})
    field, found = path(location), show(detail["input"])
    if kind == "missing":
        return Problem(field, "is missing")
    if kind == "extra_forbidden":
        return Problem(field, "unknown field", expected=_known_names(model, location))
    if kind == "value_error":
        told, _, said = str(context["error"]).partition(", found ")
        of_several = isinstance(detail["input"], Mapping)  # then the text names the one at fault
        if of_several and not told.startswith("expected "):
            return Problem(field, told, found=said)
        return Problem(field, "is wrong", expected=told.removeprefix("expected "), found=said if of_several else found)
    return Problem(field, "is wrong", expected=_expected(kind, context, detail["msg"]), found=found)


_FORMS: Final = {  # of pydantic's errors, with what their context holds
    "string_type": "text (in quotes, where it looks like a number or a boolean)",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "enum": "{expected}",
    "literal_error": "{expected}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "too_short": "at least {min_length} items",
    "too_long": "at most {max_length} items",
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le:.0f}",
    "greater_than": "more than {gt}",
    "string_pattern_mismatch": "text of the form {pattern}",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "path_type": "a path",
}


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    form = _FORMS.get(kind)
    return form.format(**context).replace("'", "") if form else message


def _known_names(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    *parents, last = location
    names, written = _names(model, parents), str(last)[:_FOUND]
    near = difflib.get_close_matches(written, names, n=1, cutoff=0.6)
    folded = [name for name in names if name.casefold() == written.casefold()]
    if folded or near:
        return f"{(folded or near)[0]} (did you mean it?)"
    return "one of " + ", ".join(names) if names else "no such field"


def _names(model: type[BaseModel], parents: Iterable[int | str]) -> list[str]:
    """The field names of the model that `parents` leads to."""
    here: type[BaseModel] | None = model
    keyed = False
    for part in parents:
        if here is None or isinstance(part, int):
            continue
        if keyed:  # a name that the writer chose: what it maps to was entered already
            keyed = False
            continue
        field = next((info for name, info in here.model_fields.items() if (info.alias or name) == part), None)
        here = _model_in(field.annotation) if field else None
        keyed = field is not None and get_origin(field.annotation) is dict
    return [info.alias or name for name, info in here.model_fields.items()] if here else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model inside `X | None`, `tuple[X, ...]`, `dict[str, X]` and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {Union, UnionType, tuple, dict, Annotated}:
        return next((found for found in map(_model_in, get_args(annotation)) if found), None)
    return None
