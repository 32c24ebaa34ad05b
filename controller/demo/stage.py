"""What the demonstration plays on: two registries, the people who sign, and the policies of a small company."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stage:
    """The registry in use, the one that went away, and private keys by their owner.

    `release` signs for the shop, `alice`, `bob` and `carol` for payments, `scanner` attests SBOMs; `intern` is nobody.
    """

    registry: EmbeddedRegistry
    away: EmbeddedRegistry
    release: SigningKey
    intern: SigningKey
    alice: SigningKey
    bob: SigningKey
    carol: SigningKey
    scanner: SigningKey

    @property
    def images(self) -> ImageBuilder:
        """Pushes to the registry in use."""
        return ImageBuilder(self.registry)

    @property
    def signer(self) -> Signer:
        """Signs in the registry in use."""
        return Signer(self.registry)

    def image(self, name: str, content: str = "") -> Image:
        """Push `shop/web:1.0`."""
        path, _, tag = name.partition(":")
        return self.images.image(path, tag, content=content.encode())

    def name(self, image: str) -> str:
        """The image's full name in the registry in use."""
        return f"{self.registry.host}/{image}"


@asynccontextmanager
async def staged(port: int) -> AsyncIterator[Stage]:
    """Start the registry, at `port` if it is free (0: any); the other one was here a moment ago and is gone."""
    registry = await _started(port)
    away = await _started(port + 1 if port else 0)
    stage = Stage(registry, away, *(SigningKey.generate() for _ in range(6)))
    try:
        far = ImageBuilder(away).image("partner/api", "1.0")
        Signer(away).sign(far, stage.release)
        await away.stop()
        yield stage
    finally:
        await asyncio.gather(registry.stop(), away.stop())


async def _started(port: int) -> EmbeddedRegistry:
    """A fixed port makes the output the same each time; where somebody has it already, any other will do."""
    registry = EmbeddedRegistry(port=port)
    try:
        await registry.start()
    except OSError:
        registry = EmbeddedRegistry()
        await registry.start()
    return registry


def policies(stage: Stage) -> dict[str, Document]:
    """The trust policies by name."""
    host, away = stage.registry.host, stage.away.host
    release = _authority("release", stage.release)
    approvers = [_authority(name, key) for name, key in _approvers(stage).items()]
    approved = {"name": "approved", "signature": {"threshold": 2, "of": ["alice", "bob", "carol"]}}
    signed = {"name": "signed", "signature": {"of": ["release"]}}
    bill = {"name": "bill-of-materials", "sbom": {"of": ["scanner"], "formats": ["CycloneDX"]}}
    return {
        "corp": _policy("corp", [f"{host}/shop/**", f"{away}/**"], [release], None),
        "payments": _policy("payments", [f"{host}/payments/**"], approvers, [approved]),
        "catalog": _policy(
            "catalog", [f"{host}/catalog/**"], [release, _authority("scanner", stage.scanner)], [signed, bill]
        ),
    }


def _approvers(stage: Stage) -> dict[str, SigningKey]:
    return {"alice": stage.alice, "bob": stage.bob, "carol": stage.carol}


def _authority(name: str, key: SigningKey) -> Document:
    return {"name": name, "keys": [{"pem": key.public_pem}]}


def _policy(name: str, images: list[str], authorities: list[Document], require: list[Document] | None) -> Document:
    spec: Document = {"match": {"images": images}, "authorities": authorities}
    if require:
        spec["require"] = require
    return {
        "apiVersion": "sigward.dev/v1alpha1",
        "kind": "ClusterTrustPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }
