"""AdmissionReviews that another project's users sent: every image is found, under a pointer that leads to it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from controller.admission.pods import ImageTable
from controller.admission.review import open_envelope, read_review
from controller.settings import Limits
from tests.fakes.reviews import resolve

FOLDER = (
    Path(os.environ.get("SIGWARD_CONFORMANCE", Path(__file__).parents[2] / ".." / "shared" / "conformance")) / "admission"
)
FILES = sorted(FOLDER.glob("*.json"))


def images_in(value: Any) -> list[str]:
    """Every text under the name `image`, anywhere: the long way to the same answer."""
    if isinstance(value, dict):
        own = [value["image"]] if isinstance(value.get("image"), str) else []
        return own + [image for inner in value.values() for image in images_in(inner)]
    return [image for inner in value for image in images_in(inner)] if isinstance(value, list) else []


def test_the_reviews_are_there() -> None:
    if not FILES and os.environ.get("CI") != "true":
        pytest.skip(f"no reviews in {FOLDER}; name the folder with SIGWARD_CONFORMANCE")
    assert len(FILES) >= 14


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_image_is_found(path: Path) -> None:
    raw = path.read_bytes()
    envelope = open_envelope(raw)
    document = json.loads(raw)
    review = read_review(raw, envelope, Limits())
    subjects = ImageTable((), Limits()).to_judge(review)
    assert (envelope.version, envelope.uid) == (document["apiVersion"], document["request"]["uid"])
    assert sorted(subject.image for subject in subjects) == sorted(images_in(document["request"]["object"]))
    assert [resolve(document["request"]["object"], s.pointer) for s in subjects] == [s.image for s in subjects]
    assert {subject.workload.namespace for subject in subjects} == {document["request"]["namespace"]}
