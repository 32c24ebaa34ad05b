"""Specs with one thing to look at each, the refusal of a spec, and the fields a spec has."""

from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from controller.compile import compile_one
from controller.errors import Invalid
from controller.policy.model import Spec
from controller.policy.part import Later
from tests.fakes.policies import LIMITS, authority, policy, spec


def refusal(written: Any, namespace: str = "") -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_one(policy(written, namespace=namespace), LIMITS)
    return caught.value


def with_key(**fields: Any) -> dict[str, Any]:
    return spec({"name": "release", "keys": [fields]})


def with_require(*items: Any, **fields: Any) -> dict[str, Any]:
    return spec(authority("release", role="dev"), authority("ci"), require=list(items), **fields)


def signed(**rule: Any) -> dict[str, Any]:
    return with_require({"name": "signed", "signature": {"of": ["release", "ci"], **rule}})


def matching(**fields: Any) -> dict[str, Any]:
    return spec(match={"images": ["registry.example.com/**"], **fields})


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) in {Union, UnionType, tuple, Annotated}:
        for inner in get_args(annotation):
            yield from _models(inner)


def fields(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, bool]]:
    """Each field below `model` by its path without indexes, and whether it is judged."""
    for name, info in model.model_fields.items():
        where = f"{path}.{info.alias or name}".lstrip(".")
        later = any(isinstance(mark, Later) for mark in info.metadata)
        yield where, not later
        if not later:
            for inner in _models(info.annotation):
                yield from fields(inner, where)


JUDGED = [path for path, judged in fields(Spec) if judged]
LATER = [path for path, judged in fields(Spec) if not judged]
