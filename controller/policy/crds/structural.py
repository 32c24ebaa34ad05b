"""Structural schemas (Kubernetes, "Specifying a structural schema") from the models."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from controller.policy.crds.unions import Rule, rules

Schema = dict[str, Any]

_KEPT: Final = ("format", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern")
"""What a plain value's schema has in common with JSON Schema as pydantic writes it."""
_RAW: Final = {"ge": "minimum", "le": "maximum"}
"""Bounds behind a validator of ours, which pydantic passes on as it got them."""

_LIST_KEYS: Final = ("name", "type", "sha256")
"""The field by which items of a list are told apart, where they must have it."""
_SETS: Final = frozenset({"of"})
"""Lists of plain values in which the model refuses repetitions."""
_ATOMIC: Final = frozenset({"LabelSelector", "DataRef"})
"""Owned as a whole by whoever writes them, as Kubernetes' own selectors and references are."""


def structural(model: type[BaseModel], *, cluster: bool, strict: bool) -> Schema:
    """The schema of a model, whole: no references, every list with its type, every rule across fields.

    Args:
        model: The model, which must be made of models, plain values, lists and maps of them.
        cluster: Whether the resource is cluster-scoped; some rules differ.
        strict: Whether a field that the model does not know is kept, for our own validation to refuse: pruning it would
            drop a misspelt restriction silently. Without it the API server drops such fields.
    """
    written = model.model_json_schema(by_alias=True)
    return _Builder(written.get("$defs", {}), cluster=cluster, strict=strict).model(model.__name__, written)


class _Builder:
    """Turns what pydantic writes into what an API server takes."""

    __slots__ = ("_cluster", "_definitions", "_strict")

    def __init__(self, definitions: Mapping[str, Schema], *, cluster: bool, strict: bool) -> None:
        self._definitions, self._cluster, self._strict = definitions, cluster, strict

    def model(self, name: str, written: Schema) -> Schema:
        """An object with known fields."""
        made: Schema = {"description": written["description"], "type": "object"}
        if "required" in written:
            made["required"] = written["required"]
        made["properties"] = {field: self.value(field, schema) for field, schema in written["properties"].items()}
        if self._strict:
            made["x-kubernetes-preserve-unknown-fields"] = True
        if name in _ATOMIC:
            made["x-kubernetes-map-type"] = "atomic"
        return _with_rules(made, rules(name, cluster=self._cluster))

    def value(self, field: str, written: Schema) -> Schema:
        """What stands in a field: its own description goes before that of what it holds."""
        schema = _not_null(field, written)
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            held = self._definitions[name]
            made = self.model(name, held) if "properties" in held else self._plain(field, held)
        else:
            made = self._plain(field, schema)
        described: Schema = {}
        for source in (written, schema, made):
            if "description" in source:
                described = {"description": source["description"]}
                break
        default = {} if written.get("default") in (None, [], {}) else {"default": written["default"]}
        return {**described, **{key: value for key, value in made.items() if key != "description"}, **default}

    def _plain(self, field: str, schema: Schema) -> Schema:
        match schema.get("type"):
            case "array":
                return self._list(field, schema)
            case "object":
                return self._map(field, schema)
            case "string" | "boolean" | "integer" as kind:
                described = {"description": schema["description"]} if "description" in schema else {}
                bounds = {_RAW.get(key, key): schema[key] for key in (*_KEPT, *_RAW) if key in schema}
                if "enum" in schema:  # API servers of 1.28 take the cost of a word from this alone
                    bounds["maxLength"] = max(map(len, schema["enum"]))
                return {**described, "type": kind, **bounds}
            case _:
                raise TypeError(f"{field} has no structural schema: {schema}")

    def _list(self, field: str, schema: Schema) -> Schema:
        items = self.value(field, schema["items"])
        bounds: Schema = {key: schema[key] for key in ("minItems", "maxItems") if key in schema}
        key = next((name for name in _LIST_KEYS if name in items.get("required", ())), None)
        kind = "map" if key else "set" if field in _SETS else "atomic"
        keys: Schema = {"x-kubernetes-list-map-keys": [key]} if key else {}
        return {"type": "array", **bounds, "items": items, "x-kubernetes-list-type": kind, **keys}

    def _map(self, field: str, schema: Schema) -> Schema:
        names = dict(schema.get("propertyNames", {}))
        values = schema.get("additionalProperties")
        if values is None:
            ((names["pattern"], values),) = schema["patternProperties"].items()
        held = self.value(field, values)
        if self._strict:  # an API server drops `env: null` otherwise, and with it what `env` was to restrict
            held["nullable"] = True
        made = {"type": "object", "maxProperties": schema["maxProperties"], "additionalProperties": held}
        return _with_rules(made, _key_rules(names["maxLength"], names.get("pattern", "")))


def _key_rules(longest: int, pattern: str) -> list[Rule]:
    """A structural schema says nothing about the keys of a map."""
    found = [Rule(f"self.all(key, key.size() <= {longest})", f"keys have at most {longest} characters")]
    if pattern:
        found.append(Rule(f"self.all(key, key.matches(r'{pattern}'))", f"keys match {pattern}"))
    return found


def _not_null(field: str, schema: Schema) -> Schema:
    """Absent and null are the same to the models, and to an API server, which drops nulls where they are not declared."""
    alternatives: list[Schema] = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    if len(alternatives) != 1:
        raise TypeError(f"{field} has no structural schema: {schema}")
    return alternatives[0]


def _with_rules(made: Schema, found: Sequence[Rule]) -> Schema:
    return {**made, "x-kubernetes-validations": [rule.document() for rule in found]} if found else made
