"""How often the registry is asked, and how long a cold admission waits for it."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator

from bench.table import Row
from controller.demo.images import Image, ImageBuilder
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.demo.signingkeys import SigningKey
from tests.fakes import faults
from tests.fakes.gates import House, authority, local, policy, snapshot
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry

_KEYS = [signing_key(f"bench-{number}") for number in range(15)]
_NAMES = [f"a{number}" for number in range(15)]
_QUORUM = snapshot(
    policy(
        authorities=[authority(name, key) for name, key in zip(_NAMES, _KEYS, strict=True)],
        require=[{"name": "signed", "signature": {"threshold": 3, "of": _NAMES}}],
    )
)
_AWAY = 0.05
_SLACK = 0.025
_RUNS = 15


async def rows() -> AsyncIterator[Row]:
    """Every row of this part."""
    yield await _count(Style.TAG, "cosign tags", 3 + 3, referrers_api=True)
    yield await _count(Style.BUNDLE, "bundles", 3 + 2 * 3, referrers_api=True)
    yield await _count(Style.BUNDLE, "bundles, no referrers API", 3 + 2 * 3 + 1, referrers_api=False)
    yield await _together()
    yield await _cold(Style.TAG, "cosign tags", 3)
    yield await _cold(Style.BUNDLE, "referrers", 4)


async def _count(style: Style, name: str, most: int, *, referrers_api: bool) -> Row:
    async with EmbeddedRegistry(referrers_api=referrers_api) as registry, House(local(registry.host)) as house:
        image = ImageBuilder(registry).image("shop/web", "1")
        Signer(registry).sign(image, *_KEYS[:3], style=style)
        report = await house.judge(image.reference, _QUORUM)
        assert report.verdict == "Allow"
        asked = len(registry.requests.counted)
    return Row(f"registry requests, 15 keys, 3 signatures, cold by tag ({name})", str(asked), f"<= {most}", asked <= most)


async def _together() -> Row:
    async with EmbeddedRegistry() as registry, House(local(registry.host)) as house:
        build, sign = ImageBuilder(registry), Signer(registry)
        one, many = build.image("shop/one", "1"), build.image("shop/many", "1")
        sign.sign(one, *_KEYS[:3])
        sign.sign(many, *_KEYS[:3])
        await house.judge(one.reference, _QUORUM)
        alone = len(registry.requests.counted)
        registry.requests.clear()
        await asyncio.gather(*(house.judge(many.reference, _QUORUM) for _ in range(1000)))
        asked = len(registry.requests.counted)
    return Row("registry requests for 1,000 concurrent admissions of one cold image", str(asked), f"{alone}", asked == alone)


async def _cold(style: Style, name: str, trips: int) -> Row:
    """Median over fresh images of a registry that answers after `_AWAY` seconds; the connection is warm."""
    key = SigningKey.generate()
    one = snapshot(policy(authorities=[authority("release", key)]))
    async with FaultyRegistry() as registry, House(local(registry.host)) as house:
        images = _signed(registry, key, style)
        registry.inject(faults.slow(_AWAY), Kind.MANIFEST, Kind.BLOB, Kind.REFERRERS)
        await house.judge(images[0].reference, one)
        taken = []
        for image in images[1:]:
            start = time.perf_counter()
            report = await house.judge(image.reference, one)
            taken.append(time.perf_counter() - start)
            assert report.verdict == "Allow"
    median, most = statistics.median(taken), trips * _AWAY + _SLACK
    value = f"{trips} R + {1000 * (median - trips * _AWAY):.0f} ms"
    return Row(f"cold admission by tag, registry R = 50 ms away ({name})", value, f"<= {trips} R + 25 ms", median <= most)


def _signed(registry: EmbeddedRegistry, key: SigningKey, style: Style) -> list[Image]:
    build, sign = ImageBuilder(registry), Signer(registry)
    images = [build.image(f"shop/web{number}", "1", content=bytes([number])) for number in range(_RUNS + 1)]
    for image in images:
        sign.sign(image, key, style=style)
    return images
