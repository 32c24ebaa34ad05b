"""`sigward batch` against a running registry and files that real tools could have signed."""

import base64
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.commands import batch
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.demo.signingkeys import Hash, KeyType, SigningKey
from tests.fakes.commandline import Ran, sigward


@dataclass(frozen=True, slots=True)
class Bench:
    """A registry, and a folder with keys and files."""

    registry: EmbeddedRegistry
    images: ImageBuilder
    signer: Signer
    folder: Path
    key: SigningKey

    def image(self, path: str, **trust: str) -> dict[str, str]:
        return {"type": "container", "image": f"{self.registry.host}/{path}", **trust}

    def file(self, name: str, content: bytes, signature: bytes, **trust: str) -> dict[str, str]:
        (self.folder / name).write_bytes(content)
        (self.folder / f"{name}.sig").write_bytes(signature)
        return {"type": "file", "path": name, "signature": f"{name}.sig", **trust}

    async def run(self, *entries: dict[str, Any], extra: tuple[object, ...] = ("-o", "json")) -> Ran:
        manifest = self.folder / "artifacts.json"
        manifest.write_text(json.dumps({"artifacts": entries}), encoding="utf-8")
        return await sigward("batch", manifest, "--insecure-registry", self.registry.host, *extra)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with EmbeddedRegistry() as registry:
        key = SigningKey.generate()
        own = Bench(registry, ImageBuilder(registry), Signer(registry), tmp_path, key)
        (tmp_path / "release.pub").write_text(key.public_pem, encoding="utf-8")
        own.signer.sign(own.images.image("shop/web", "1"), key)
        own.images.image("shop/unsigned", "1")
        yield own


def results(ran: Ran) -> list[tuple[str, str]]:
    """Each artifact's result and reason code."""
    return [(a["result"], (a["reason"] or {"code": ""})["code"]) for a in ran.document["artifacts"]]


KEY = {"public_key": "release.pub"}


async def test_images_and_files_are_verified_by_their_own_keys(bench: Bench) -> None:
    content = b"a release"
    raw = bench.key.sign(content)
    ran = await bench.run(
        bench.image("shop/web:1", **KEY),
        bench.file("raw", content, raw, **KEY),
        bench.file("armoured", content, base64.b64encode(raw) + b"\n", **KEY),
        bench.file("wrapped", content, base64.encodebytes(raw), public_key=bench.key.public_pem),
    )
    assert ran.code == 0
    assert results(ran) == [("Pass", "")] * 4
    signer = f"key SHA256:{bench.key.fingerprint[:12]}…"
    assert [artifact["signer"] for artifact in ran.document["artifacts"]] == [signer] * 4
    assert ran.document["artifacts"][0]["image"]["verdict"] == "Allow"


async def test_what_does_not_verify_fails_alone(bench: Bench) -> None:
    content, other = b"a release", SigningKey.generate()
    (bench.folder / "other.pub").write_text(other.public_pem, encoding="utf-8")
    signature = bench.key.sign(content)
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    ran = await bench.run(
        bench.image("shop/unsigned:1", **KEY),
        bench.image("shop/web:1", public_key="other.pub"),
        bench.image("shop/none:1", **KEY),
        bench.file("tampered", content + b"!", signature, **KEY),
        bench.file("flipped", content, flipped, **KEY),
        bench.file("foreign", content, other.sign(content), **KEY),
        bench.file("empty", content, b"", **KEY),
        bench.file("bundle", content, b'{"base64Signature": ""}', **KEY),
        {"type": "file", "path": "gone", "signature": "gone.sig", **KEY},
        {"type": "container", "image": "Not An Image", **KEY},
        {"type": "helm", "chart": "x"},
        bench.image("shop/web:1"),
        bench.image("shop/web:1", identity="me", issuer="you"),
        bench.image("shop/web:1", public_key="gone.pub"),
        bench.image("shop/web:1", policy="gone"),
        bench.image("shop/web:1", **KEY),
    )
    assert ran.code == 1
    assert results(ran) == [
        ("Refused", "NoEvidence"),
        ("Refused", "WrongKey"),
        ("Refused", "NotFound"),
        ("Refused", "SignatureInvalid"),
        ("Refused", "SignatureInvalid"),
        ("Refused", "SignatureInvalid"),
        ("Refused", "SignatureInvalid"),
        ("Refused", "WrongFormat"),
        ("Refused", "InvalidFile"),
        ("Refused", "InvalidReference"),
        ("Refused", "InvalidManifest"),
        ("Refused", "InvalidManifest"),
        ("Refused", "NoCertificate"),
        ("Refused", "InvalidFile"),
        ("Refused", "InvalidFile"),
        ("Pass", ""),
    ]
    assert ran.document["summary"] == {"total": 16, "passed": 1, "warned": 0, "refused": 15, "undecided": 0}


@pytest.mark.parametrize("kind", [KeyType.P384, KeyType.ED25519, KeyType.RSA2048, KeyType.ML_DSA_65])
async def test_files_are_verified_by_every_kind_of_key(bench: Bench, kind: KeyType) -> None:
    key = SigningKey.generate(kind, Hash.SHA256)
    content = b"x" * (3 * 1024 * 1024)
    entry = bench.file("big", content, key.sign(content), public_key=key.public_pem)
    assert results(await bench.run(entry)) == [("Pass", "")]
    (bench.folder / "big").write_bytes(content[:-1] + b"y")
    assert results(await bench.run(entry)) == [("Refused", "SignatureInvalid")]


async def test_a_registry_out_of_reach_is_undecided_unless_something_fails(bench: Bench) -> None:
    away = {"type": "container", "image": "127.0.0.1:1/shop/web:1", **KEY}
    ran = await bench.run(bench.image("shop/web:1", **KEY), away)
    assert (ran.code, results(ran)) == (3, [("Pass", ""), ("Undecided", "Unreachable")])
    ran = await bench.run(bench.image("shop/unsigned:1", **KEY), away)
    assert (ran.code, ran.document["result"]) == (1, "Refused")


async def test_policies_are_read_relative_to_the_manifest(bench: Bench) -> None:
    policy = {
        "apiVersion": "sigward.dev/v1alpha1",
        "kind": "ClusterTrustPolicy",
        "metadata": {"name": "corp"},
        "spec": {
            "mode": "Warn",
            "match": {"images": [f"{bench.registry.host}/shop/*"]},
            "authorities": [{"name": "release", "keys": [{"pem": bench.key.public_pem}]}],
        },
    }
    (bench.folder / "policies").mkdir()
    (bench.folder / "policies" / "corp.json").write_text(json.dumps(policy), encoding="utf-8")
    ran = await bench.run(
        bench.image("shop/web:1", policy="policies"),
        bench.image("shop/unsigned:1", policy="policies/corp.json"),
        bench.image("elsewhere:1", policy="policies"),
    )
    assert (ran.code, results(ran)) == (1, [("Pass", ""), ("Pass", ""), ("Refused", "Unmatched")])
    assert ran.document["summary"]["warned"] == 1


async def test_a_broken_manifest_is_usage_and_names_the_field(bench: Bench) -> None:
    ran = await bench.run({"type": "container"})
    assert (ran.code, ran.document["field"]) == (2, "artifacts[0].image")
    (bench.folder / "broken.json").write_text("{", encoding="utf-8")
    ran = await sigward("batch", bench.folder / "broken.json")
    assert (ran.code, ran.out) == (2, "")
    assert "manifest is not JSON" in ran.err


async def test_one_image_many_times_is_looked_up_once(bench: Bench) -> None:
    bench.registry.requests.clear()
    ran = await bench.run(*[bench.image("shop/web:1", **KEY)] * 40, extra=("-o", "json", "--parallel", "16"))
    assert (ran.code, ran.document["summary"]["passed"]) == (0, 40)
    once = len(bench.registry.requests)
    bench.registry.requests.clear()
    await bench.run(bench.image("shop/web:1", **KEY))
    assert once == len(bench.registry.requests)


@pytest.mark.parametrize("wrong_first", [True, False])
async def test_one_image_by_several_keys_is_judged_by_each(bench: Bench, *, wrong_first: bool) -> None:
    (bench.folder / "other.pub").write_text(SigningKey.generate().public_pem, encoding="utf-8")
    right, wrong = bench.image("shop/web:1", **KEY), bench.image("shop/web:1", public_key="other.pub")
    entries = [wrong, right] if wrong_first else [right, wrong]
    ran = await bench.run(*entries, *entries, extra=("-o", "json", "--parallel", "1"))
    told = {"Pass": ("Pass", ""), "Refused": ("Refused", "WrongKey")}
    order = ["Refused", "Pass"] if wrong_first else ["Pass", "Refused"]
    assert results(ran) == [told[result] for result in order * 2]


async def test_the_list_in_words_ends_in_a_summary(bench: Bench) -> None:
    signature = bench.key.sign(b"x")
    ran = await bench.run(
        bench.image("shop/web:1", **KEY),
        bench.image("shop/unsigned:1", **KEY),
        bench.file("tool", b"y", signature, **KEY),
        {"type": "helm"},
        extra=(),
    )
    fingerprint = bench.key.fingerprint[:12]
    assert ran.lines == [
        f"✓ container {bench.registry.host}/shop/web:1: by key SHA256:{fingerprint}…",
        f"✗ container {bench.registry.host}/shop/unsigned:1",
        "  why       missing (NoEvidence)",
        f"  expected  a signature by release (key SHA256:{fingerprint}…)",
        "  found     none",
        "  next      sign this digest with a key the policy trusts",
        "✗ file tool",
        "  why       tool.sig is no signature over tool by this key (SignatureInvalid)",
        f"  expected  a signature by key SHA256:{fingerprint}… (ECDSA P-256)",
        "  found     a signature by another key, or over other content",
        "✗ helm",
        "  why       unknown type (InvalidManifest)",
        "  expected  container or file",
        "  found     'helm'",
        "",
        "4 artifacts: 1 passed, 3 failed",
    ]
    assert ran.err == ""


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_only() -> None:
    terminal, pipe = _Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        with batch.Progress(stream, 2) as progress:
            progress.done("Pass")
            progress.done("Refused")
    assert "2/2 verified, 1 failed or undecided" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert pipe.getvalue() == ""
