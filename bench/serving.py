"""The warm path against a bare echo, memory, and the time to be ready: `sigward serve` as its own process."""

import asyncio
import json
import statistics
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp

from bench.load import Order
from bench.processes import Server, echo, load, resident, sigward, trusting
from bench.table import Row
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey
from tests.fakes.gates import authority, policy
from tests.fakes.reviews import pod, review

_ALLOWED = '"allowed":true'
_PATH = "/validate?timeout=10s"
_ROUNDS = 5
_SECONDS = 2.0
_IMAGES = 10_000
_AT_ONCE = 32


async def rows() -> AsyncIterator[Row]:
    """Every row of this part."""
    key = SigningKey.generate()
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedRegistry() as registry:
            places = {registry.host: {"insecure": True, "privateAddress": True}}
            async with sigward(Path(folder), _twenty(key, registry.host), {"registries": places}) as server:
                yield Row("start to ready, standalone", f"{server.started:.1f} s", "<= 3 s", server.started <= 3)
                idle = resident(server.pid)
                yield Row("resident memory, standalone, idle", f"{idle:.0f} MiB", "<= 110 MiB", idle <= 110)
                async for row in _warm(Path(folder), server, registry, key):
                    yield row
                full = await _fill(server, registry, key)
                yield Row("resident memory, 10,000 distinct images cached", f"{full:.0f} MiB", "<= 256 MiB", full <= 256)


def _twenty(key: SigningKey, host: str) -> list[dict[str, Any]]:
    """Twenty policies of which one is about the images."""
    others = [
        policy(f"team-{number}", match={"images": [f"registry-{number}.example.com/**"]}, authorities=[authority("a", key)])
        for number in range(19)
    ]
    return [*others, policy("corp", match={"images": [f"{host}/**"]}, authorities=[authority("release", key)])]


async def _warm(folder: Path, server: Server, registry: EmbeddedRegistry, key: SigningKey) -> AsyncIterator[Row]:
    bodies = {count: _body(registry, key, count) for count in (3, 10)}
    async with echo(folder) as plain:
        for count, least in ((3, 0.60), (10, 0.45)):
            ratios, rates = await _compare(server, plain, bodies[count])
            ratio = statistics.median(ratios)
            value = f"{ratio:.0%} ({statistics.median(rates):.0f}/s)"
            what = f"warm admission against a bare JSON echo, {count}-container pod of {len(bodies[count]) // 1024} KiB"
            yield Row(what, value, f">= {least:.0%}", ratio >= least)
            if count == 3:
                ours = await _tail(
                    Order(server.port, _PATH, bodies[count], server.ca, expect=_ALLOWED), statistics.median(rates)
                )
                theirs = await _tail(Order(plain.port, "/echo", bodies[count], plain.ca), statistics.median(rates))
                yield Row("warm p99 at 70 % of that throughput", f"{ours:.1f} x p50", "<= 5 x p50", ours <= 5)
                yield Row("the same of the bare echo at the same rate", f"{theirs:.1f} x p50", "", None)


async def _compare(server: Server, plain: Server, body: str) -> tuple[list[float], list[float]]:
    """Turn and turn about, so that a drift of the machine's speed falls on both."""
    ratios, rates = [], []
    for _ in range(_ROUNDS):
        ours = await load(Order(server.port, _PATH, body, server.ca, seconds=_SECONDS, expect=_ALLOWED))
        theirs = await load(Order(plain.port, "/echo", body, plain.ca, seconds=_SECONDS))
        ratios.append(ours["rate"] / theirs["rate"])
        rates.append(ours["rate"])
    return ratios, rates


async def _tail(order: Order, full: float) -> float:
    """p99 over p50 at 70 % of `full` requests per second; the median of the rounds."""
    paced = replace(order, seconds=_SECONDS, rate=0.7 * full)
    runs = [await load(paced) for _ in range(_ROUNDS)]
    return statistics.median(run["p99"] / run["p50"] for run in runs)


def _body(registry: EmbeddedRegistry, key: SigningKey, count: int) -> str:
    build, sign = ImageBuilder(registry), Signer(registry)
    images = [build.image(f"shop/part{number}", "1", content=bytes([number])) for number in range(count)]
    for image in images:
        sign.sign(image, key)
    return json.dumps(review(_realistic([str(image.reference) for image in images])))


def _realistic(images: Sequence[str]) -> dict[str, Any]:
    """A pod with the size that controllers, probes, volumes and managed fields give it."""
    document = pod(*images)
    for container in document["spec"]["containers"]:
        container |= {
            "env": [{"name": f"SETTING_{number}", "value": f"value-{number}"} for number in range(12)],
            "ports": [{"containerPort": 8080, "protocol": "TCP"}],
            "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}},
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 10},
            "volumeMounts": [{"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}],
            "terminationMessagePath": "/dev/termination-log",
            "imagePullPolicy": "IfNotPresent",
        }
    fields: dict[str, Any] = {f"f:spec-{number}": {"f:value": {}, ".": {}} for number in range(120)}
    document["metadata"]["managedFields"] = [{"manager": "kube-controller-manager", "fieldsV1": fields}]
    return document


async def _fill(server: Server, registry: EmbeddedRegistry, key: SigningKey) -> float:
    """Admit many distinct images, some at a time, and weigh the process."""
    build, sign = ImageBuilder(registry), Signer(registry)
    gate = asyncio.Semaphore(_AT_ONCE)
    context = trusting(server)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=_AT_ONCE)) as session:

        async def admit(number: int) -> None:
            async with gate:
                image = build.image(f"many/image{number}", "1", content=number.to_bytes(4, "big"))
                sign.sign(image, key)
                url = f"https://localhost:{server.port}/validate?timeout=10s"
                async with session.post(url, json=review(pod(str(image.reference)))) as answer:
                    assert _ALLOWED in (await answer.text()).replace(" ", "")

        await asyncio.gather(*(admit(number) for number in range(_IMAGES)))
    return resident(server.pid)
