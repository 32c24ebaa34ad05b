"""Validates JSON against the part of JSON Schema that docs/output.schema.json uses; any other keyword is an error.

Stricter than the schema in one point: a member that it does not name is refused, because the schema leaves room for
members to come, and a test is where one that came without being described is to be found.
"""

from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}
_TOLD = frozenset({"title", "description", "$schema", "$id", "$defs", "discriminator"})
_JUDGED = frozenset({"$ref", "anyOf", "enum", "type", "properties", "required", "items"})


def problems(value: Any, schema: dict[str, Any]) -> list[str]:
    """What is wrong with `value`, empty where nothing is."""
    return list(_problems(value, schema, schema, "$"))


def _problems(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    unknown = set(schema) - _TOLD - _JUDGED
    if unknown:
        raise AssertionError(f"this validator does not know {sorted(unknown)}")
    if "$ref" in schema:
        yield from _problems(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in schema:
        tried = [list(_problems(value, choice, root, at)) for choice in schema["anyOf"]]
        if all(tried):
            yield min(tried, key=len)[0]
    if "enum" in schema and not any(value == known and type(value) is type(known) for known in schema["enum"]):
        yield f"{at}: {value!r} is none of {schema['enum']}"
    if "type" in schema:
        yield from _typed(value, schema, root, at)


def _typed(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str) -> Iterator[str]:
    kind = schema["type"]
    if kind == "integer":
        if not isinstance(value, int) or isinstance(value, bool):
            yield f"{at}: {value!r} is no integer"
        return
    if not isinstance(value, _TYPES[kind]):
        yield f"{at}: {value!r} is no {kind}"
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _problems(item, schema.get("items", {}), root, f"{at}[{number}]")
    if isinstance(value, dict):
        known = schema.get("properties", {})
        yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        yield from (f"{at}: {name} is not described" for name in value if name not in known)
        for name, own in known.items():
            if name in value:
                yield from _problems(value[name], own, root, f"{at}.{name}")
