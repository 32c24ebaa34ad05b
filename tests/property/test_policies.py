"""Whatever somebody writes: a policy that judges, or one that refuses and says why; never an exception, never nothing."""

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.compile import compile_policies
from controller.compile.compiled import CompiledPolicy
from controller.errors import Code, Invalid
from controller.policy.store import read_text
from controller.reference import Repository
from tests.fakes.policies import LIMITS, authority, policy, spec

SHOP = Repository("registry.example.com", "shop/web")
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "Enforce", "Audit", "*/**", "release", "sha256:" + "a" * 64, "720h", "2026-01-01T00:00:00Z"]),
    st.text(max_size=8),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["name", "of", "mode", "pem", "images", "signature", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)
FULL = spec(
    authority("release", role="dev"),
    authority("ci"),
    mode="Enforce",
    onUnavailable="Deny",
    platforms="Index",
    require=[
        {"name": "signed", "signature": {"of": ["release", "ci"], "threshold": 2, "perRole": {"dev": 1}, "annotations": {}}},
        {"name": "bill", "mode": "Warn", "onMissing": "Warn", "sbom": {"of": ["ci"], "formats": ["SPDX"], "packages": {}}},
        {"name": "built", "attestation": {"predicateType": "slsaprovenance1", "of": ["ci"], "validations": []}},
        {"name": "base", "digests": ["sha256:" + "a" * 64]},
    ],
    revoked={"digests": [], "keys": ["b" * 64], "certificates": []},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


PLACES = places(FULL)


def replaced(place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    whole = copy.deepcopy(FULL)
    inner: Any = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return whole


def compiled(written: Any) -> CompiledPolicy:
    (one,) = compile_policies([policy(written)], 1, LIMITS).policies
    return one


def test_the_policy_that_is_changed_below_compiles() -> None:
    assert compiled(FULL).broken is None


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(PLACES), VALUES)
def test_any_value_anywhere_gives_a_policy_that_judges_or_refuses(place: tuple[Any, ...], value: Any) -> None:
    result = compiled(replaced(place, value))
    if result.broken:
        assert result.broken.code is not Code.INTERNAL, result.broken
        assert str(result.broken)
        if place[:1] != ("match",):
            assert result.scope.about(SHOP) or place == ()
    else:
        assert len(result.authorities) == len((value if place == ("authorities",) else FULL["authorities"]) or ())
        assert result.requirements or result.revoked


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PLACES[1:]))
def test_a_field_misspelt_anywhere_is_refused(place: tuple[Any, ...]) -> None:
    if not isinstance(place[-1], str) or place[-2:-1] in {("perRole",), ("annotations",)}:
        return
    whole = copy.deepcopy(FULL)
    inner: Any = whole
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1] + "s"] = inner.pop(place[-1])
    broken = compiled(whole).broken
    assert broken is not None
    assert f"{place[-1]}s: unknown field" in broken.message
    assert "(did you mean it?)" in str(broken)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="{}[]:,-&*!|>'\"#%@`? \n\tab01.~<x", max_size=60))
def test_any_text_is_documents_or_invalid(text: str) -> None:
    for name in ("a.yaml", "a.json"):
        found: set[object] = set()
        try:
            found.update(document.name for document in read_text(text.encode(), name, LIMITS))
        except Invalid as error:
            found.add(error.reason.code)
        assert found <= {Code.INVALID_FILE, Code.INVALID_POLICY, Code.LIMIT_EXCEEDED}
