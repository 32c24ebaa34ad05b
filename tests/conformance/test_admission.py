"""AdmissionReviews that another project's users sent: every image is found, under a pointer that leads to it, and judged."""

import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from controller.admission.pods import ImageTable
from controller.admission.review import open_envelope, read_review
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.settings import Limits
from tests.fakes.gates import authority, local, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import resolve
from tests.fakes.webhook import Webhook

KEY = signing_key("release")

FOLDER = (
    Path(os.environ.get("SIGWARD_CONFORMANCE", Path(__file__).parents[2] / ".." / "shared" / "conformance")) / "admission"
)
FILES = sorted(FOLDER.glob("*.json"))


def content(path: Path) -> bytes:
    return path.read_bytes()


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


class NoNames(AbstractResolver):
    """A machine without a network, wherever the test runs."""

    async def resolve(self, host: str, port: int = 0, family: Any = None) -> list[ResolveResult]:
        raise OSError(f"no address for {host}:{port} ({family})")

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
async def webhook(tmp_path: Path, registry: EmbeddedRegistry) -> AsyncIterator[Webhook]:
    """Under a policy for every image; nothing but this machine can be reached."""
    settings = local(registry.host, limits=Limits(lame_duck=0))
    async with Webhook(
        tmp_path / "app", {"all": policy("all", authorities=[authority("release", KEY)])}, settings
    ) as running:
        yield running


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_unsigned_it_is_refused_naming_every_image_and_pointer(
    path: Path, webhook: Webhook, images: ImageBuilder
) -> None:
    document = json.loads(content(path))
    places = moved(document, lambda name: str(images.image(name, "1").reference))
    answer = await webhook.validate(document)
    assert (answer.document["apiVersion"], answer.response["uid"]) == (document["apiVersion"], document["request"]["uid"])
    assert not answer.allowed
    for image, pointer in places:
        assert image in answer.message
        assert pointer in answer.message
    assert [image["policies"][0]["reasons"][0]["code"] for image in webhook.audit_lines[-1]["images"]] == [
        "NoEvidence"
    ] * len(places)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_as_it_came_it_is_refused_naming_every_image_and_pointer(path: Path, webhook: Webhook) -> None:
    """The registries it names are out of reach: undecided, which is never a yes."""
    webhook.app._transport._given_resolver = NoNames()
    raw = content(path)
    subjects = ImageTable((), Limits()).to_judge(read_review(raw, open_envelope(raw), Limits()))
    answer = await webhook.validate(raw, timeout="2s")
    assert answer.response["uid"] == json.loads(raw)["request"]["uid"]
    assert not answer.allowed
    for subject in subjects:
        assert subject.pointer in answer.message
        assert subject.image.partition("@")[0] in answer.message
    codes = {image["policies"][0]["reasons"][0]["code"] for image in webhook.audit_lines[-1]["images"]}
    assert codes <= {"Unreachable", "Deadline"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_signed_it_is_admitted(path: Path, webhook: Webhook, images: ImageBuilder, signer: Signer) -> None:
    document = json.loads(content(path))

    def sign(name: str) -> str:
        image = images.image(name, "1")
        signer.sign(image, KEY)
        return str(image.reference.pinned(image.digest))

    moved(document, sign)
    answer = await webhook.validate(document)
    assert (answer.document["apiVersion"], answer.response["uid"]) == (document["apiVersion"], document["request"]["uid"])
    assert answer.allowed, answer.message


def moved(document: Any, to: Callable[[str], str]) -> list[tuple[str, str]]:
    """Rewrite every image of the review to one of the embedded registry; returns each with its pointer."""
    raw = json.dumps(document).encode()
    found = []
    for subject in ImageTable((), Limits()).to_judge(read_review(raw, open_envelope(raw), Limits())):
        *_, last = subject.image.partition("@")[0].partition(":")[0].split("/")
        image = to(f"conformance/{last}")
        parent, _, name = subject.pointer.rpartition("/")
        resolve(document["request"]["object"], parent)[name] = image
        found.append((image, subject.pointer))
    return found
