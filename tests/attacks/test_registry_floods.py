"""Attacks 7 and 8: more than anybody needs. Requests, memory and time stay bounded, and the limit is named."""

import asyncio
import json
import sys
from typing import Any

import pytest
from aiohttp import web

from controller.demo.images import ImageBuilder
from controller.demo.mediatypes import OCI_INDEX, OCI_MANIFEST
from controller.demo.recording import Kind
from controller.errors import Code, Refused
from controller.reference import Digest
from controller.registry import mediatypes
from controller.registry.client import RegistryClient
from controller.registry.discovery import Discovery, Want, discover
from controller.registry.source import Descriptor
from controller.settings import Limits
from tests.fakes import faults
from tests.fakes.clients import QUICK, transport
from tests.fakes.faults import MIB, Call
from tests.fakes.registry import FaultyRegistry

_BUNDLE = f"{mediatypes.BUNDLE_PREFIX}.v0.3+json"
_GROWTH = 32.0
"""MiB, from the attack's row."""


def _descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def _signatures(count: int, suffix: str = "sig") -> bytes:
    """The manifest of a cosign tag with `count` layers, each another blob."""
    kind = mediatypes.SIMPLE_SIGNING if suffix == "sig" else mediatypes.DSSE
    layers = [_descriptor(b"%d" % number, kind) for number in range(count)]
    config = _descriptor(b"{}", "application/vnd.oci.image.config.v1+json")
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": layers}).encode()


def _listing(count: int, artifact_type: str = _BUNDLE) -> bytes:
    entries = [_descriptor(b"r%d" % number, OCI_MANIFEST, artifactType=artifact_type) for number in range(count)]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}).encode()


async def _discover(registry: FaultyRegistry, limits: Limits = QUICK) -> tuple[Discovery, int]:
    """What is found about an image, and how many requests were made for it."""
    image = ImageBuilder(registry).image("shop/web", "1.4")
    registry.requests.clear()
    async with transport(registry, limits=limits) as connections:
        found = await discover(
            RegistryClient(connections),
            [image.repository],
            image.digest,
            frozenset({Want.SIGNATURES, Want.ATTESTATIONS}),
            limits,
        )
    return found, len(registry.requests)


def _limits_named(found: Discovery) -> set[str]:
    assert {gap.reason.code for gap in found.gaps} == {Code.LIMIT_EXCEEDED}
    assert all(gap.settled for gap in found.gaps)
    return {gap.reason.message.rpartition(" ")[2] for gap in found.gaps}


@pytest.mark.parametrize(
    ("count", "suffix", "limit"),
    [
        (65, "sig", "limits.signaturesPerImage"),
        (257, "sig", "limits.manifestLayers"),
        (10_000, "sig", "limits.manifestLayers"),
        (65, "att", "limits.attestationsPerImage"),
        (10_000, "att", "limits.manifestLayers"),
    ],
)
async def test_signatures_without_end(count: int, suffix: str, limit: str) -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        registry.put_manifest("shop/web", _signatures(count, suffix), tag=f"sha256-{image.digest.hex}.{suffix}")
        found, requests = await _discover(registry)
        assert found.attachments == ()
        assert _limits_named(found) == {limit}
        assert requests == 3


@pytest.mark.parametrize(
    ("count", "limit"),
    [(129, "limits.referrersPerImage"), (4097, "limits.referrerEntries"), (10_000, "limits.referrerEntries")],
)
async def test_referrers_without_end(count: int, limit: str) -> None:
    for referrers_api in (True, False):
        async with FaultyRegistry(referrers_api=referrers_api) as registry:
            image = ImageBuilder(registry).image("shop/web", "1.4")
            if referrers_api:
                registry.inject(faults.status(200, {"Content-Type": OCI_INDEX}, _listing(count)), Kind.REFERRERS)
            else:
                registry.put_manifest("shop/web", _listing(count), tag=f"sha256-{image.digest.hex}")
            found, requests = await _discover(registry)
            assert _limits_named(found) == {limit}
            assert requests == (3 if referrers_api else 4)


async def test_referrers_of_no_use_do_not_use_up_the_limit() -> None:
    async with FaultyRegistry() as registry:
        listing = _listing(1000, "application/spdx+json")
        registry.inject(faults.status(200, {"Content-Type": OCI_INDEX}, listing), Kind.REFERRERS)
        found, requests = await _discover(registry)
        assert (found.attachments, found.gaps, requests) == ((), (), 3)


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize(
    ("entries", "limit", "most"),
    [(0, "limits.referrerPages", 18), (300, "limits.referrerEntries", 17), (2000, "limits.manifestBytes", 15)],
)
async def test_pages_without_end(*, same: bool, entries: int, limit: str, most: int) -> None:
    limits = QUICK.model_copy(update={"manifest_bytes": MIB}) if limit == "limits.manifestBytes" else QUICK
    async with FaultyRegistry() as registry:
        registry.inject(faults.pages(same=same, entries=entries), Kind.REFERRERS)
        found, requests = await _discover(registry, limits)
        assert _limits_named(found) == {limit}
        assert requests <= most


async def test_layers_of_one_referrer_without_end() -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        document = json.loads(_signatures(65))
        about = {"mediaType": image.media_type, "digest": str(image.digest), "size": image.size}
        registry.put_manifest("shop/web", json.dumps({**document, "subject": about, "artifactType": _BUNDLE}).encode())
        found, requests = await _discover(registry)
        assert _limits_named(found) == {"limits.signaturesPerImage"}
        assert requests == 4


async def test_evidence_of_one_image_shares_one_limit() -> None:
    """Each piece alone is within its limit; the others still count."""
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        blobs = [registry.put_blob("shop/web", bytes([number]) * 200_000) for number in range(5)]
        layers = [{"mediaType": mediatypes.SIMPLE_SIGNING, "digest": str(blob), "size": 200_000} for blob in blobs]
        document = {**json.loads(_signatures(0)), "layers": layers}
        registry.put_manifest("shop/web", json.dumps(document).encode(), tag=f"sha256-{image.digest.hex}.sig")
        found, requests = await _discover(registry, QUICK.model_copy(update={"evidence_bytes_per_image": 700_000}))
        assert len(found.attachments) == 3
        assert _limits_named(found) == {"limits.evidenceBytesPerImage"}
        assert requests == 6


async def test_payloads_and_annotations_over_their_limit_are_not_fetched() -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        document = json.loads(_signatures(3))
        document["layers"][0]["size"] = 2**40
        document["layers"][1]["annotations"] = {"dev.cosignproject.cosign/signature": "A" * 70_000}
        registry.put_manifest("shop/web", json.dumps(document).encode(), tag=f"sha256-{image.digest.hex}.sig")
        registry.put_blob("shop/web", b"2")
        found, requests = await _discover(registry)
        assert len(found.attachments) == 1
        assert _limits_named(found) == {"limits.signatureBytes", "limits.annotationBytes"}
        assert requests == 4


class _Budget:
    """Counts what is reserved, and remembers the most."""

    def __init__(self) -> None:
        self.held = 0
        self.most = 0
        self.calls = 0

    async def reserve(self, count: int) -> int:
        self.calls += 1
        self.held += count
        self.most = max(self.most, self.held)
        return count

    def release(self, count: int) -> None:
        self.held -= count


async def test_large_payloads_wait_for_one_reservation_that_is_given_back() -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        blobs = [registry.put_blob("shop/web", bytes([number]) * 100_000) for number in range(4)]
        small = registry.put_blob("shop/web", b"small")
        layers = [{"mediaType": mediatypes.SIMPLE_SIGNING, "digest": str(blob), "size": 100_000} for blob in blobs]
        layers.append({"mediaType": mediatypes.SIMPLE_SIGNING, "digest": str(small), "size": 5})
        document = {**json.loads(_signatures(0)), "layers": layers}
        registry.put_manifest("shop/web", json.dumps(document).encode(), tag=f"sha256-{image.digest.hex}.sig")
        budget = _Budget()
        async with transport(registry) as connections:
            found = await discover(
                RegistryClient(connections),
                [image.repository],
                image.digest,
                frozenset({Want.SIGNATURES, Want.ATTESTATIONS}),
                QUICK,
                budget,
            )
        assert len(found.attachments) == 5
        assert (budget.calls, budget.most, budget.held) == (1, 400_000, 0)


async def test_a_lookup_that_is_given_up_gives_its_reservation_back() -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        blob = registry.put_blob("shop/web", b"x" * 100_000)
        layer = {"mediaType": mediatypes.SIMPLE_SIGNING, "digest": str(blob), "size": 100_000}
        document = {**json.loads(_signatures(0)), "layers": [layer]}
        registry.put_manifest("shop/web", json.dumps(document).encode(), tag=f"sha256-{image.digest.hex}.sig")
        asked = asyncio.Event()

        async def behave(call: Call) -> web.StreamResponse:
            asked.set()
            return await faults.hang()(call)

        registry.inject(behave, Kind.BLOB)
        budget = _Budget()
        async with transport(registry) as connections:
            client = RegistryClient(connections)
            lookup = asyncio.ensure_future(
                discover(
                    client, [image.repository], image.digest, frozenset({Want.SIGNATURES, Want.ATTESTATIONS}), QUICK, budget
                )
            )
            await asked.wait()
            lookup.cancel()
            with pytest.raises(asyncio.CancelledError):
                await lookup
        assert (budget.most, budget.held) == (100_000, 0)


async def test_bodies_and_lengths_that_lie_are_refused() -> None:
    async with FaultyRegistry() as registry:
        image = ImageBuilder(registry).image("shop/web", "1.4")
        blob = Descriptor("application/x", registry.put_blob("shop/web", b"content"), 7)
        async with transport(registry) as connections:
            client = RegistryClient(connections)
            for behaviour, words in (
                (faults.lying_length(2**40), f"{2**40} announced"),
                (faults.endless(), "more"),
                (faults.gzip_bomb(MIB), "gzip"),
            ):
                registry.inject(behaviour, Kind.MANIFEST, Kind.BLOB)
                for question in (client.resolve(image.reference), client.blob(image.repository, blob, limit=100)):
                    with pytest.raises(Refused) as caught:
                        await question
                    assert caught.value.reason.code in {Code.LIMIT_EXCEEDED, Code.MALFORMED}
                    assert words in caught.value.reason.found
                registry.heal()


def _hostile_manifests() -> dict[str, bytes]:
    """Documents within `manifest_bytes` that cost much to read."""
    size = 4 * MIB - 100
    return {
        "deep": b'{"schemaVersion":2,"annotations":' + b"[" * (size // 2) + b"]" * (size // 2 - 50) + b"}",
        "wide/objects": b'{"schemaVersion":2,"layers":[' + b"{}," * (size // 3 - 20) + b"{}]}",
        "wide/strings": b'{"schemaVersion":2,"layers":[' + b'"ab",' * (size // 5 - 20) + b'""]}',
        "wide/names": b"{" + b",".join(b'"%d":0' % number for number in range(size // 12)) + b"}",
        "many/values": b'{"schemaVersion":2,"layers":[' + b'{"ab":0},' * 30_000 + b"{}]}",
        "one/number": b'{"schemaVersion":2,"layers":' + b"9" * (size - 50) + b"}",
        "one/string": faults.huge_manifest(4 * MIB),
        "escapes": b'{"schemaVersion":2,"x":"' + rb"\u00e9" * (size // 6 - 20) + b'"}',
    }


async def test_memory_stays_bounded_whatever_is_sent() -> None:
    async with FaultyRegistry() as registry:
        images = ImageBuilder(registry)
        warm = images.image("warm/up", "latest")
        cases = []
        for path, raw in _hostile_manifests().items():
            registry.put_manifest(path, b"{}", tag="latest")
            registry.inject(faults.status(200, {"Content-Type": OCI_MANIFEST}, raw), Kind.MANIFEST, path=f"/{path}/")
            cases.append(f"manifest {path}")
        for name, behaviour in (
            ("endless", faults.endless()),
            ("bomb", faults.gzip_bomb()),
            ("lying", faults.lying_length(2**40)),
        ):
            image = images.image(f"{name}/web", "latest")
            registry.inject(behaviour, path=f"/{name}/")
            blob = registry.put_blob(image.path, b"content")
            cases += [f"manifest {image.path}", f"blob {image.path} {blob} 7", f"image {image.path} {image.digest}"]
        image = images.image("errors/web", "latest")
        registry.inject(_endless_error, path="/errors/")
        cases.append(f"image {image.path} {image.digest}")
        answers = await _probe(registry.host, f"image {warm.path} {warm.digest}", *cases)
    assert answers[0]["reasons"] == []
    assert len(answers) == len(cases) + 1
    for answer in answers[1:]:
        codes = {code for code, _ in answer["reasons"]}
        assert answer["reasons"] or answer["case"] == "manifest one/string", answer
        assert codes <= {Code.LIMIT_EXCEEDED, Code.MALFORMED, Code.REGISTRY_ERROR, Code.DIGEST_MISMATCH}, answer
        assert answer["growth"] < _GROWTH, answer


async def _endless_error(call: Call) -> web.StreamResponse:
    response = web.StreamResponse(status=500)
    response.enable_chunked_encoding()
    await response.prepare(call.request)
    while not call.stopping.is_set():
        await response.write(b"x" * 65536)
    return response


async def _probe(*arguments: str) -> list[dict[str, Any]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.memory_probe", *arguments, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    return [json.loads(line) for line in output.splitlines()]
