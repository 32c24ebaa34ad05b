"""Wherever an image is put, it is found, once, under a pointer that leads to it."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller.admission.pods import ImageTable
from controller.admission.review import Review, open_envelope, read_review
from controller.settings import Limits
from tests.fakes.reviews import KINDS, body, resolve, review, workload

TABLE = ImageTable((), Limits())

JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["image", "containers", "spec", "x"]), inner, max_size=2),
    ),
    max_leaves=4,
)
"""Members with familiar names in places where they name no image."""


def container(number: int, junk: Any) -> dict[str, Any]:
    return {"junk": junk, "name": f"c{number}", "image": f"registry.example.com/c:{number}"}


def volume(number: int, junk: Any) -> dict[str, Any]:
    return {"name": f"v{number}", "junk": junk, "image": {"reference": f"registry.example.com/v:{number}"}}


@st.composite
def specs(draw: st.DrawFn) -> tuple[dict[str, Any], set[str]]:
    """A pod spec and every image in it, all different."""
    numbers = iter(range(100))
    spec: dict[str, Any] = {"junk": draw(JUNK), "metadata": draw(JUNK)}
    for place in draw(st.permutations(["containers", "initContainers", "ephemeralContainers"])):
        count = draw(st.integers(1 if place == "containers" else 0, 3))
        items = [container(next(numbers), draw(JUNK)) for _ in range(count)]
        spec[place] = items or draw(st.sampled_from([None, []]))
    plain = {"name": "p", "configMap": {"name": "x", "image": "not:one"}}
    spec["volumes"] = [
        draw(st.sampled_from([plain, volume(next(numbers), draw(JUNK))])) for _ in range(draw(st.integers(0, 3)))
    ]
    images = {
        item["image"] for place in ("containers", "initContainers", "ephemeralContainers") for item in spec[place] or ()
    }
    return spec, images | {item["image"]["reference"] for item in spec["volumes"] if "image" in item}


def parsed(document: Any, **request: Any) -> Review:
    raw = body(review(document, **request))
    return read_review(raw, open_envelope(raw), Limits())


@given(st.sampled_from(sorted(KINDS)), specs(), JUNK)
def test_each_image_is_found_exactly_once_and_its_pointer_leads_to_it(
    kind: str, generated: tuple[dict[str, Any], set[str]], junk: Any
) -> None:
    spec, images = generated
    document = {**workload(kind, spec), "status": junk}
    subjects = TABLE.to_judge(parsed(document))
    assert sorted(subject.image for subject in subjects) == sorted(images)
    assert [resolve(document, subject.pointer) for subject in subjects] == [subject.image for subject in subjects]
    assert len({subject.pointer for subject in subjects}) == len(subjects)


@given(st.sampled_from(sorted(KINDS)), specs(), specs())
def test_on_update_exactly_the_images_that_are_new_are_judged(
    kind: str, new: tuple[dict[str, Any], set[str]], old: tuple[dict[str, Any], set[str]]
) -> None:
    request = parsed(workload(kind, new[0]), operation="UPDATE", old=workload(kind, old[0]))
    assert {subject.image for subject in TABLE.to_judge(request)} == new[1] - old[1]
