"""The quick proof that no name stands twice says what the exact reader says."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.admission.review import open_envelope, read_review
from controller.documents import read_json
from controller.errors import Code, Refused, SigwardError
from controller.settings import Limits
from tests.fakes.reviews import body, pod, review

LIMITS = Limits()

# Names and texts that make counting quotation marks hard: quotes, backslashes, the escape spelled out, escapes of others.
TEXT = st.text(st.sampled_from('"\\u02a<é\U0001f600/'), max_size=6)
PAIRS = st.recursive(
    st.one_of(
        TEXT, st.none(), st.booleans(), st.integers(-(10**25), 10**25), st.floats(allow_nan=False, allow_infinity=False)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(st.tuples(st.sampled_from(["a", 'a"', "b\\", "\\u0022"]), inner), max_size=3).map(tuple),
    ),
    max_leaves=12,
)
"""JSON values; a tuple of pairs is an object, in which a name may stand twice."""


def written(value: Any, draw: st.DataObject) -> str:
    """JSON for `value`, with escapes and white space as drawn."""
    gap = draw.draw(st.sampled_from(["", "", " ", "\n\t"]))
    if isinstance(value, tuple):
        members = (f"{gap}{spelled(name, draw)}{gap}:{gap}{written(inner, draw)}" for name, inner in value)
        return "{" + ",".join(members) + gap + "}"
    if isinstance(value, list):
        return "[" + ",".join(gap + written(inner, draw) for inner in value) + "]"
    return spelled(value, draw) if isinstance(value, str) else json.dumps(value)


def spelled(text: str, draw: st.DataObject) -> str:
    plain = json.dumps(text, ensure_ascii=draw.draw(st.booleans()))
    return plain.replace('\\"', "\\u0022") if draw.draw(st.booleans()) and "\\\\" not in plain else plain


@given(PAIRS, st.data())
def test_a_review_is_refused_as_ambiguous_exactly_if_a_name_stands_twice(value: Any, data: st.DataObject) -> None:
    document = review({**pod("nginx"), "extra": "HERE"})
    raw = body(document).replace(b'"HERE"', written(value, data).encode())
    try:
        expected = read_json(raw, "x", limit=len(raw), fold_names=False)
    except Refused as error:
        assert error.reason.code is Code.AMBIGUOUS  # noqa: PT017 - what was generated is JSON
        with pytest.raises(Refused) as caught:
            read_review(raw, open_envelope(raw), LIMITS)
        assert caught.value.reason.code is Code.AMBIGUOUS
    else:
        assert read_review(raw, open_envelope(raw), LIMITS).object == expected["request"]["object"]


@given(st.binary(max_size=60), st.integers(min_value=0), st.integers(min_value=0, max_value=40))
def test_damaged_reviews_are_refused_or_read_but_never_crash(noise: bytes, place: int, cut: int) -> None:
    raw = body(review(pod("nginx"), operation="UPDATE", old=pod("busybox")))
    start = place % len(raw)
    damaged = raw[:start] + noise + raw[start + cut :]
    try:
        found = read_review(damaged, open_envelope(damaged), LIMITS)
    except SigwardError:
        return
    assert found.uid
