"""Keyless signatures of a private Sigstore in real registries, before the real webhook, each also changed in one thing."""

import asyncio
from pathlib import Path

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.settings import Limits
from tests.fakes.authorities import Identity
from tests.fakes.gates import local, policy
from tests.fakes.keyless import PRIVATE_REPOSITORY, SHAPES, trust_root, trusting
from tests.fakes.reviews import pod, review
from tests.fakes.sigstore import PrivateSigstore
from tests.fakes.webhook import Response, Webhook, reasons
from tests.interop.tools import RunningRegistry
from tests.interop.wire import Repository, mirror

pytestmark = pytest.mark.interop

PRIVATE, SPARE = PrivateSigstore("private"), PrivateSigstore("spare")
UNLOGGED = "bundle, timestamp alone"
EVERY = {**SHAPES, UNLOGGED: PRIVATE_REPOSITORY}


async def stored(peer: RunningRegistry, shape: str) -> str:
    """An image signed so, in the real registry, by digest."""
    path = f"keyless/{''.join(letter if letter.isalnum() else '-' for letter in shape.lower())}".replace("--", "-")
    async with EmbeddedRegistry(referrers_api=peer.referrers_api) as registry:
        image: Image = ImageBuilder(registry).image(path, "1")
        EVERY[shape](registry, image, PRIVATE, PRIVATE.holder())
        target = Repository(peer.host, path)
        await asyncio.to_thread(mirror, Repository(registry.host, path), target)
    return target.named(str(image.digest))


async def asked(
    folder: Path, host: str, image: str, root: PrivateSigstore = PRIVATE, *, log: str = "Optional", **identity: object
) -> tuple[Response, list[str]]:
    authority = {**trusting(**identity), "transparencyLog": log}
    documents = {"corp": policy(authorities=[authority]), "private": trust_root(root)}
    async with Webhook(folder, documents, local(host, limits=Limits(lame_duck=0))) as webhook:
        answer = await webhook.validate(review(pod(image)))
        return answer, reasons(webhook, answer)


@pytest.mark.parametrize("shape", EVERY)
async def test_every_shape_in_every_registry(peer: RunningRegistry, shape: str, tmp_path: Path) -> None:
    image = await stored(peer, shape)
    answer, why = await asked(tmp_path / "good", peer.host, image, log="Required")
    if shape == UNLOGGED:
        assert (answer.allowed, why) == (False, ["LogRequired"])
        answer, _ = await asked(tmp_path / "unlogged", peer.host, image)
    assert answer.allowed, answer.message
    _, why = await asked(tmp_path / "identity", peer.host, image, subject={"exact": "https://github.com/acme/other"})
    assert why == ["WrongSubject"]
    _, why = await asked(tmp_path / "root", peer.host, image, SPARE)
    assert why == ["CertificateUntrusted"]


async def test_another_identity_under_the_same_root(peer: RunningRegistry, tmp_path: Path) -> None:
    other = PRIVATE.holder(Identity(subject="https://github.com/evil/shop/.github/workflows/release.yml@refs/heads/main"))
    async with EmbeddedRegistry(referrers_api=peer.referrers_api) as registry:
        image = ImageBuilder(registry).image("keyless/evil", "1")
        SHAPES["bundle, Rekor 1"](registry, image, PRIVATE, other)
        target = Repository(peer.host, "keyless/evil")
        await asyncio.to_thread(mirror, Repository(registry.host, "keyless/evil"), target)
    answer, why = await asked(tmp_path, peer.host, target.named(str(image.digest)))
    assert (answer.allowed, why) == (False, ["WrongSubject"])
