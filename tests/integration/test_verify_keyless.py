"""`verify`, `tree` and `batch` by identity, against images that a private Sigstore signed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from tests.fakes.authorities import ISSUER, SUBJECT
from tests.fakes.commandline import Ran, sigward
from tests.fakes.keyless import PRIVATE_REPOSITORY, SHAPES, Attach
from tests.fakes.keys import signing_key
from tests.fakes.sigstore import PrivateSigstore

PRIVATE = PrivateSigstore("private")
IDENTITY = ("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", ISSUER)
LAYER = SHAPES["cosign 2, annotations"]


@dataclass(frozen=True, slots=True)
class World:
    registry: EmbeddedRegistry
    images: ImageBuilder
    folder: Path

    def image(self, attach: Attach = LAYER, tag: str = "1") -> str:
        image = self.images.image("shop/web", tag, content=tag.encode())
        attach(self.registry, image, PRIVATE, PRIVATE.holder())
        return str(image.reference)

    @property
    def root(self) -> tuple[str, Path]:
        return "--trusted-root", self.write("root.json", PRIVATE.document())

    def write(self, name: str, document: Any) -> Path:
        path = self.folder / name
        path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
        return path

    async def run(self, command: str, *arguments: object) -> Ran:
        return await sigward(command, *arguments, "--insecure-registry", self.registry.host)


@pytest.fixture
def world(registry: EmbeddedRegistry, images: ImageBuilder, tmp_path: Path) -> World:
    return World(registry, images, tmp_path)


def codes(ran: Ran) -> list[str]:
    found = [image for image in ran.document["images"] if image["verdict"] != "Allow"]
    return [need["reason"]["code"] for image in found for policy in image["policies"] for need in policy["requirements"]]


@pytest.mark.parametrize("attach", SHAPES.values(), ids=SHAPES)
async def test_verify_needs_no_policy(world: World, attach: Attach) -> None:
    ran = await world.run("verify", world.image(attach), *IDENTITY, *world.root, "--output", "json")
    assert (ran.code, codes(ran)) == (0, [])
    (check,) = ran.document["images"][0]["policies"][0]["requirements"][0]["checks"]
    assert check["signer"] == f"{SUBJECT} (issuer {ISSUER})"


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        (("--certificate-identity", f"{SUBJECT}x", "--certificate-oidc-issuer", ISSUER), "WrongSubject"),
        (("--certificate-identity", SUBJECT, "--certificate-oidc-issuer", f"{ISSUER}/"), "WrongIssuer"),
        (("--certificate-identity-regexp", "github.com/acme", "--certificate-oidc-issuer", ISSUER), "WrongSubject"),
        (("--certificate-identity", SUBJECT, "--certificate-oidc-issuer-regexp", "https://x.*"), "WrongIssuer"),
    ],
)
async def test_verify_refuses_another_identity(world: World, identity: tuple[str, ...], code: str) -> None:
    ran = await world.run("verify", world.image(), *identity, *world.root, "--output", "json")
    assert (ran.code, codes(ran)) == (1, [code])


async def test_without_a_trusted_root_the_public_instance_is_meant(world: World) -> None:
    ran = await world.run("verify", world.image(), *IDENTITY, "--output", "json")
    assert (ran.code, codes(ran)) == (1, ["LogUntrusted"])


@pytest.mark.parametrize("root", ["--root", "--trusted-root"])
async def test_an_instance_without_a_log_asks_for_none(world: World, root: str) -> None:
    own = ("--trusted-root", world.write("logless.json", {**PRIVATE.document(), "tlogs": []}))
    chosen = ("--root", "github") if root == "--root" else own
    ran = await world.run("verify", world.image(PRIVATE_REPOSITORY), *IDENTITY, *chosen, "--output", "json")
    assert codes(ran) == (["CertificateUntrusted"] if root == "--root" else [])
    printed = await world.run("verify", world.image(), *IDENTITY, *chosen, "--print-policy")
    assert "transparencyLog: Optional" in printed.out


async def test_the_printed_policy_says_the_same(world: World) -> None:
    image = world.image()
    printed = await world.run("verify", image, *IDENTITY, *world.root, "--print-policy")
    root, policy = yaml.safe_load_all(printed.out)
    assert (printed.code, root["kind"], policy["kind"]) == (0, "TrustRoot", "ClusterTrustPolicy")
    assert policy["spec"]["authorities"][0]["keyless"]["trustRoot"] == root["metadata"]["name"]
    again = await world.run("verify", image, "--policy", world.write("policy.yaml", printed.out), "--output", "json")
    assert (again.code, codes(again)) == (0, [])
    other = world.write("other.yaml", printed.out.replace(SUBJECT, "jane@example.com"))
    refused = await world.run("verify", image, "--policy", other, "--output", "json")
    assert (refused.code, codes(refused)) == (1, ["WrongSubject"])


async def test_a_policy_that_names_no_root_is_an_error(world: World) -> None:
    printed = await world.run("verify", world.image(), *IDENTITY, *world.root, "--print-policy")
    alone = world.write("policy.yaml", printed.out.partition("---\n")[2])
    ran = await world.run("verify", world.image(), "--policy", alone, "--output", "json")
    assert ran.code == 2
    assert ran.document["field"].endswith("spec.authorities[0].keyless.trustRoot")


async def test_tree_shows_what_an_identity_proves(world: World) -> None:
    ran = await world.run("tree", world.image(), *IDENTITY, *world.root, "--output", "json")
    (attached,) = ran.document["attachments"]
    assert (attached["what"], attached["proved"]) == ("Signature", True)


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("--certificate-identity", SUBJECT), "--certificate-oidc-issuer"),
    (("--certificate-oidc-issuer", ISSUER), "--certificate-identity"),
    (("--root", "github"), "--certificate-identity"),
    ((*IDENTITY, "--threshold", "2"), "--threshold"),
    ((*IDENTITY, "--trusted-root", "gone.json"), ""),
    (("--certificate-identity-regexp", ".*", "--certificate-oidc-issuer", ISSUER), "command line: "),
]


@pytest.mark.parametrize(("arguments", "field"), WRONG)
async def test_wrong_usage(world: World, arguments: tuple[str, ...], field: str) -> None:
    ran = await world.run("verify", world.image(), *arguments, "--output", "json")
    assert ran.code == 2
    assert ran.document["field"].startswith(field)


async def test_key_and_identity_are_two_ways(world: World) -> None:
    key = world.write("cosign.pub", signing_key().public_pem)
    for extra in (("--certificate-oidc-issuer", ISSUER), world.root):
        ran = await world.run("verify", world.image(), "--key", key, *extra, "--output", "json")
        assert (ran.code, ran.document["field"]) == (2, extra[0])


async def test_batch_by_identity(world: World) -> None:
    _, root = world.root
    entry = {"type": "container", "image": world.image(), "identity": SUBJECT, "issuer": ISSUER}
    entries = [
        {**entry, "trusted_root": root.name},
        {**entry, "trusted_root": root.name, "identity": "jane@example.com"},
        {**entry, "image": world.image(PRIVATE_REPOSITORY, "2"), "trusted_root": root.name},
        entry,
        {**entry, "trusted_root": "gone.json"},
    ]
    manifest = world.write("artifacts.json", {"artifacts": entries})
    ran = await world.run("batch", manifest, "--output", "json")
    found = [(one["result"], (one["reason"] or {}).get("code", "")) for one in ran.document["artifacts"]]
    assert (ran.code, found) == (
        1,
        [
            ("Pass", ""),
            ("Refused", "WrongSubject"),
            ("Refused", "LogRequired"),
            ("Refused", "LogUntrusted"),
            ("Refused", "InvalidFile"),
        ],
    )
    assert ran.document["artifacts"][0]["signer"] == f"{SUBJECT} (issuer {ISSUER})"
