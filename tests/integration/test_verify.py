"""`sigward verify` and `sigward explain` against a running registry."""

import base64
import io
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.demo.authentication import Account, BasicAuthentication
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.demo.signingkeys import SigningKey
from tests.fakes.commandline import Ran, run, sigward

CYCLONEDX = "https://cyclonedx.org/bom"


@dataclass(frozen=True, slots=True)
class World:
    """A registry with images, and a folder with keys."""

    registry: EmbeddedRegistry
    images: ImageBuilder
    signer: Signer
    folder: Path
    release: SigningKey
    other: SigningKey

    @property
    def insecure(self) -> tuple[str, str]:
        return "--insecure-registry", self.registry.host

    def name(self, path: str) -> str:
        return f"{self.registry.host}/{path}"

    def key(self, name: str) -> Path:
        return self.folder / f"{name}.pub"

    async def verify(self, *arguments: object, command: str = "verify") -> Ran:
        return await sigward(command, *arguments, *self.insecure)

    def write(self, name: str, content: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        return path

    def policy(self, name: str = "corp", **spec: Any) -> dict[str, Any]:
        return {
            "apiVersion": "sigward.dev/v1alpha1",
            "kind": "ClusterTrustPolicy",
            "metadata": {"name": name},
            "spec": {
                "match": {"images": [f"{self.registry.host}/**"]},
                "authorities": [{"name": "release", "keys": [{"pem": self.release.public_pem}]}],
                **spec,
            },
        }


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with EmbeddedRegistry() as registry:
        release, other = SigningKey.generate(), SigningKey.generate()
        own = World(registry, ImageBuilder(registry), Signer(registry), tmp_path, release, other)
        own.key("release").write_text(release.public_pem, encoding="utf-8")
        own.key("other").write_text(other.public_pem, encoding="utf-8")
        own.signer.sign(own.images.image("shop/web", "1"), release)
        own.signer.sign(own.images.image("shop/bundled", "1"), release, style=Style.BUNDLE)
        own.signer.sign(own.images.image("shop/both", "1"), release, other)
        own.signer.sign(own.images.image("shop/wrong", "1"), other)
        own.images.image("shop/unsigned", "1")
        yield own


def codes(document: dict[str, Any]) -> list[str]:
    """The reason of every requirement or policy that denies."""
    found = []
    for image in document["images"]:
        for policy in image["policies"]:
            if policy["reason"]:
                found.append(policy["reason"]["code"])
            found += [r["reason"]["code"] for r in policy["requirements"] if r["effect"] == "Deny"]
    return found


@pytest.mark.parametrize("path", ["shop/web:1", "shop/bundled:1"])
async def test_a_signed_image_passes_and_says_who_signed(world: World, path: str) -> None:
    ran = await world.verify(world.name(path), "--key", world.key("release"))
    assert ran.code == 0
    assert ran.lines[0] == f"✓ {world.name(path)}"
    assert f"pass, by release (key SHA256:{world.release.fingerprint[:12]}…)" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize(("path", "code"), [("shop/unsigned:1", "NoEvidence"), ("shop/wrong:1", "WrongKey")])
async def test_an_image_without_a_trusted_signature_is_refused(world: World, path: str, code: str) -> None:
    ran = await world.verify(world.name(path), "--key", world.key("release"), "-o", "json")
    assert ran.code == 1
    assert codes(ran.document) == [code]
    assert ran.document["images"][0]["next"] == "sign this digest with a key the policy trusts"


async def test_one_refused_image_among_others_decides_the_exit_code(world: World) -> None:
    ran = await world.verify(
        world.name("shop/web:1"), world.name("shop/unsigned:1"), "127.0.0.1:1/gone:1", "--key", world.key("release")
    )
    assert ran.code == 1
    assert ran.lines[-1] == "3 images: 1 allowed, 1 refused, 1 undecided"


async def test_a_registry_out_of_reach_is_undecided(world: World) -> None:
    await world.registry.stop()
    ran = await world.verify(world.name("shop/web:1"), "--key", world.key("release"), "-o", "json")
    assert ran.code == 3
    assert codes(ran.document) == ["Unreachable"]
    assert ran.document["result"] == "Undecided"


async def test_a_registry_that_speaks_no_tls_must_be_called_insecure(world: World) -> None:
    ran = await sigward("verify", world.name("shop/web:1"), "--key", world.key("release"), "-o", "json")
    assert (ran.code, codes(ran.document)) == (3, ["Unreachable"])


async def test_any_one_of_several_keys_suffices_until_a_threshold_says_otherwise(world: World) -> None:
    both = ("--key", world.key("release"), "--key", world.key("other"))
    assert (await world.verify(world.name("shop/wrong:1"), *both)).code == 0
    ran = await world.verify(world.name("shop/wrong:1"), *both, "--threshold", 2, "-o", "json")
    assert (ran.code, codes(ran.document)) == (1, ["ThresholdNotMet"])
    assert (await world.verify(world.name("shop/both:1"), *both, "--threshold", 2)).code == 0


async def test_one_key_given_twice_is_one_signer(world: World) -> None:
    twice = ("--key", world.key("release"), "--key", world.key("release"), "--threshold", 2)
    ran = await world.verify(world.name("shop/both:1"), *twice, "-o", "json")
    assert ran.code != 0


async def test_annotations_must_be_signed_along(world: World) -> None:
    world.signer.sign(world.images.image("shop/noted", "1"), world.release, annotations={"stage": "prod"})
    image, key = world.name("shop/noted:1"), ("--key", world.key("release"))
    assert (await world.verify(image, *key, "-a", "stage=prod")).code == 0
    ran = await world.verify(image, *key, "-a", "stage=test", "-o", "json")
    assert (ran.code, codes(ran.document)) == (1, ["WrongAnnotation"])


async def test_an_attestation_type_is_wanted_beside_the_signature(world: World) -> None:
    image, key = world.images.image("shop/attested", "1"), ("--key", world.key("release"))
    world.signer.attest(image, world.release, predicate_type=CYCLONEDX, predicate={})
    ran = await world.verify(world.name("shop/attested:1"), *key, "--attestation-type", "cyclonedx", "-o", "json")
    assert (ran.code, codes(ran.document)) == (1, ["WrongPredicateType"])  # an attestation is no signature
    world.signer.sign(image, world.release)
    assert (await world.verify(world.name("shop/attested:1"), *key, "--attestation-type", "cyclonedx")).code == 0
    ran = await world.verify(world.name("shop/attested:1"), *key, "--attestation-type", "spdxjson", "-o", "json")
    assert (ran.code, codes(ran.document)) == (1, ["WrongPredicateType"])


async def test_the_printed_policy_judges_as_the_flags_do(world: World) -> None:
    flags = ("--key", world.key("release"), "--key", world.key("other"), "--threshold", 2, "--attestation-type", "cyclonedx")
    printed = await sigward("verify", world.name("shop/both:1"), *flags, "--print-policy")
    assert printed.code == 0
    document = yaml.safe_load(printed.out)
    assert document["kind"] == "ClusterTrustPolicy"
    assert document["spec"]["match"] == {"images": [world.name("shop/both")]}
    assert "&" not in printed.out  # no anchors
    policy = world.write("printed.yaml", printed.out)
    by_flags = await world.verify(world.name("shop/both:1"), *flags, "-o", "json")
    by_policy = await world.verify(world.name("shop/both:1"), "--policy", policy, "-o", "json")
    assert by_policy.document == by_flags.document
    assert by_policy.code == 1
    world.signer.attest(world.images.image("shop/both", "1"), world.other, predicate_type=CYCLONEDX, predicate={})
    assert (await world.verify(world.name("shop/both:1"), "--policy", policy)).code == 0


async def test_a_folder_of_policies_judges_each_image_by_those_about_it(world: World) -> None:
    world.write("policies/corp.yaml", world.policy())
    strict = world.policy("strict", require=[{"name": "listed", "digests": [f"sha256:{'0' * 64}"]}])
    strict["spec"]["match"]["images"] = [world.name("shop/bundled")]
    world.write("policies/strict.yaml", strict)
    policies = ("--policy", world.folder / "policies", "-o", "json")
    assert (await world.verify(world.name("shop/web:1"), *policies)).code == 0
    ran = await world.verify(world.name("shop/bundled:1"), *policies)
    assert (ran.code, codes(ran.document)) == (1, ["DigestNotListed"])
    assert [policy["name"] for policy in ran.document["images"][0]["policies"]] == ["corp", "strict"]


async def test_an_image_that_no_policy_is_about_is_refused_unless_said_otherwise(world: World) -> None:
    about = world.policy()
    about["spec"]["match"]["images"] = ["registry.example.com/**"]
    policy = ("--policy", world.write("policy.yaml", about))
    ran = await world.verify(world.name("shop/web:1"), *policy, "-o", "json")
    assert ran.code == 1
    assert ran.document["images"][0]["reason"]["code"] == "Unmatched"
    assert (await world.verify(world.name("shop/web:1"), *policy, "--unmatched", "allow")).code == 0
    config = world.write("sigward.yaml", {"unmatchedImages": "Warn"})
    ran = await world.verify(world.name("shop/web:1"), *policy, "--config", config, "-o", "json")
    assert (ran.code, ran.document["images"][0]["verdict"]) == (0, "Warn")
    assert ran.document["summary"]["warned"] == 1


async def test_the_namespace_decides_which_policies_are_about_an_image(world: World) -> None:
    world.write(
        "p/space.yaml", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"tier": "prod"}}}
    )
    strict = world.policy("prod", require=[{"name": "listed", "digests": [f"sha256:{'0' * 64}"]}])
    strict["spec"]["match"]["namespaceSelector"] = {"matchLabels": {"tier": "prod"}}
    world.write("p/corp.yaml", world.policy())
    world.write("p/prod.yaml", strict)
    policies = ("--policy", world.folder / "p", "-o", "json")
    assert (await world.verify(world.name("shop/web:1"), *policies)).code == 0
    ran = await world.verify(world.name("shop/web:1"), *policies, "--namespace", "shop")
    assert (ran.code, codes(ran.document)) == (1, ["DigestNotListed"])
    ran = await world.verify(world.name("shop/web:1"), *policies, "--namespace", "unknown")
    assert (ran.code, codes(ran.document)) == (3, ["NamespaceUnknown"])


def deployment(world: World, *images: str, name: str = "web", namespace: str | None = "shop") -> dict[str, Any]:
    containers = [{"name": f"c{number}", "image": world.name(image)} for number, image in enumerate(images)]
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"template": template}}


async def test_every_document_of_every_file_is_judged(world: World) -> None:
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"x": 1}}
    rollout = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web"}}
    text = "---\n".join(
        yaml.safe_dump(d)
        for d in (service, rollout, deployment(world, "shop/web:1"), deployment(world, "shop/wrong:1", name="two"))
    )
    world.write("manifests/a.yaml", text)
    items = {"apiVersion": "v1", "kind": "List", "items": [deployment(world, "shop/unsigned:1", name="three")]}
    world.write("manifests/deep/b.yml", items)
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "p"}, "spec": {"volumes": [
        {"name": "v", "image": {"reference": world.name("shop/bundled:1")}}]}}]}  # fmt: skip
    world.write("manifests/c.json", json.dumps(pods))
    world.write("manifests/.hidden/d.yaml", deployment(world, "shop/unsigned:1"))
    world.write("manifests/readme.txt", "no manifest")
    ran = await world.verify(
        "-f", world.folder / "manifests", "--policy", world.write("p.yaml", world.policy()), "-o", "json"
    )
    assert ran.code == 1
    told = [(i["object"]["kind"], i["object"]["name"], i["pointer"], i["result"]) for i in ran.document["images"]]
    assert told == [
        ("Deployment", "web", "/spec/template/spec/containers/0/image", "Pass"),
        ("Deployment", "two", "/spec/template/spec/containers/0/image", "Refused"),
        ("Pod", "p", "/spec/volumes/0/image/reference", "Pass"),
        ("Deployment", "three", "/spec/template/spec/containers/0/image", "Refused"),
    ]
    assert ran.err.rstrip().endswith("(setting imagePaths): 1 Rollout.argoproj.io")
    assert ran.document["images"][1]["object"]["file"].endswith("a.yaml:28")


async def test_manifests_in_words_are_grouped_by_object(world: World) -> None:
    path = world.write("deploy.yaml", deployment(world, "shop/web:1", "shop/unsigned:1"))
    ran = await world.verify("-f", path, "--key", world.key("release"))
    head, *rest = ran.lines
    if f"({path}:1)" not in head:  # a long path stands on a line of its own
        head = f"{head} {rest.pop(0).strip(' │')}"
    assert head == f"✗ Deployment shop/web ({path}:1)"
    assert rest[0] == f"├─ ✓ {world.name('shop/web:1')} (c0)"
    assert ran.lines[-1] == "2 images: 1 allowed, 1 refused"


async def test_manifests_come_through_standard_input(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = yaml.safe_dump(deployment(world, "shop/web:1")).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert (await world.verify("-f", "-", "--key", world.key("release"))).code == 0


async def test_namespaces_among_the_manifests_give_labels_but_not_against_the_policies(world: World) -> None:
    strict = world.policy("prod", require=[{"name": "listed", "digests": [f"sha256:{'0' * 64}"]}])
    strict["spec"]["match"]["namespaceSelector"] = {"matchLabels": {"tier": "prod"}}
    world.write("p/prod.yaml", strict)
    world.write("p/corp.yaml", world.policy())
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"tier": "prod"}}}
    world.write("m/deploy.yaml", deployment(world, "shop/web:1"))
    world.write("m/space.yaml", {**space, "metadata": {"name": "shop", "labels": {"tier": "test"}}})
    flags = ("-f", world.folder / "m", "--policy", world.folder / "p", "-o", "json")
    assert (await world.verify(*flags)).code == 0
    world.write("p/space.yaml", space)
    ran = await world.verify(*flags)
    assert (ran.code, codes(ran.document)) == (1, ["DigestNotListed"])


async def test_a_manifest_names_no_registry_literally(world: World) -> None:
    path = world.write("deploy.yaml", deployment(world, "shop/web:1"))
    ran = await sigward("verify", "-f", path, "--key", world.key("release"), "-o", "json")
    assert (ran.code, codes(ran.document)) == (3, ["AddressNotAllowed"])
    ran = await sigward(
        "verify", "-f", path, "--key", world.key("release"), "-o", "json", "--private-registry", world.registry.host
    )
    assert (ran.code, codes(ran.document)) == (3, ["Unreachable"])  # reached, and no TLS spoken there


async def test_the_credentials_of_docker_login_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey.generate()
    (tmp_path / "release.pub").write_text(key.public_pem, encoding="utf-8")
    async with EmbeddedRegistry(authentication=BasicAuthentication(Account("jane", "secret"))) as registry:
        Signer(registry).sign(ImageBuilder(registry).image("shop/web", "1"), key)
        flags = (f"{registry.host}/shop/web:1", "--key", tmp_path / "release.pub", "--insecure-registry", registry.host)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        ran = await sigward("verify", *flags, "-o", "json")
        assert (ran.code, codes(ran.document)) == (3, ["Unauthorized"])
        auth = base64.b64encode(b"jane:secret").decode()
        config = json.dumps({"auths": {registry.host: {"auth": auth}}})
        (tmp_path / "config.json").write_text(config, encoding="utf-8")
        assert (await sigward("verify", *flags)).code == 0


async def test_yaml_that_two_readers_read_differently_is_no_matter_outside_of_images(world: World) -> None:
    text = yaml.safe_dump(deployment(world, "shop/web:1")) + "mode: 0644\nenabled: yes\n"
    assert (await world.verify("-f", world.write("d.yaml", text), "--key", world.key("release"))).code == 0


async def test_explain_shows_every_check(world: World) -> None:
    ran = await world.verify(world.name("shop/both:1"), "--key", world.key("release"), command="explain")
    assert ran.code == 0
    assert "cosign signature at tag sha256-" in ran.out
    assert f"✓ release: key SHA256:{world.release.fingerprint[:12]}…" in ran.out
    ran = await world.verify(world.name("shop/wrong:1"), "--key", world.key("release"), command="explain")
    assert ran.code == 1
    assert "no trusted key made this signature (WrongKey)" in ran.out
    ran = await world.verify(world.name("shop/both:1"), "--key", world.key("release"), "-o", "json", command="explain")
    checks = ran.document["images"][0]["policies"][0]["requirements"][0]["checks"]
    assert [check["proved"] for check in checks] == [True, False]


async def test_verify_and_explain_say_the_same(world: World) -> None:
    flags = (world.name("shop/wrong:1"), "--key", world.key("release"), "-o", "json")
    verified, explained = await world.verify(*flags), await world.verify(*flags, command="explain")
    assert verified.document == explained.document


def test_what_is_wrong_with_the_command_line_is_usage(tmp_path: Path) -> None:
    key = tmp_path / "cosign.pub"
    key.write_text(SigningKey.generate().public_pem, encoding="utf-8")
    private = tmp_path / "cosign.key"
    private.write_text(SigningKey.generate().private_pem, encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    broken = tmp_path / "broken.yaml"
    broken.write_text("apiVersion: sigward.dev/v1alpha1\nkind: ClusterTrustPolicy\nmetadata: {name: x}\nspec: {mach: {}}\n")
    service = tmp_path / "service.yaml"
    service.write_text("apiVersion: v1\nkind: Service\nmetadata: {name: x}\n")
    for arguments, says in [
        ((), "which images?"),
        (("x:1",), "nobody is trusted"),
        (("x:1", "-f", "y", "--key", key), "which images?"),
        (("UPPER:case:1", "--key", key), "image reference"),
        (("x:1", "--key", tmp_path / "none"), "cannot be read"),
        (("x:1", "--key", private), "private key"),
        (("x:1", "--key", key, "--threshold", "2"), "--threshold: cannot be met: expected 1, or more keys; found 2"),
        (("x:1", "--key", key, "--key", key, "--threshold", "2"), "--threshold: cannot be met: expected 1, or more keys"),
        (("x:1", "--key", key, "--threshold", "0"), "--threshold: cannot be met"),
        (("x:1", "--key", key, "-a", "no-equals"), "--annotation: has no name or no value: expected NAME=VALUE"),
        (("x:1", "--key", key, "-a", "a=b", "-a", "a=c"), "--annotation: is given twice: expected NAME=VALUE"),
        (("x:1", "--key", key, "--attestation-type", "no type"), "predicate type"),
        (("x:1", "--policy", empty), "no policy to judge by"),
        (("x:1", "--policy", broken), "broken.yaml:1: spec.mach"),
        (("x:1", "--policy", broken, "--threshold", "1"), "--threshold: belongs to --key"),
        (("x:1", "--policy", broken, "--print-policy"), "--print-policy"),
        (("x:1", "--key", key, "--config", tmp_path / "none"), "settings file"),
        (("x:1", "--key", key, "--insecure-registry", "http://x"), "--insecure-registry"),
        (("-f", service, "--key", key), "no object names an image"),
        (("-f", tmp_path / "none.yaml", "--key", key), "cannot be read"),
    ]:
        ran = run("verify", *arguments)
        assert (ran.code, ran.out) == (2, ""), arguments
        assert says in ran.err, (arguments, ran.err)
        as_json = run("verify", *arguments, "-o", "json")
        assert as_json.document["kind"] == "Error"
        assert as_json.code == 2


@pytest.mark.parametrize("arguments", [(), ("nonsense",), ("verify", "--no-such-flag"), ("verify", "x", "--timeout", "0")])
def test_argparse_says_the_rest(arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert ran.code == 2
    assert "usage: " in ran.err


@pytest.mark.parametrize("json", [("-o", "json"), ("--output", "json"), ("-ojson",), ("--output=json",)])
def test_what_argparse_finds_wrong_is_a_document_too_where_json_is_asked_for(json: tuple[str, ...]) -> None:
    ran = run("verify", "x", *json, "--timeout", "0")
    assert (ran.code, ran.err) == (2, "")
    assert (ran.document["field"], ran.document["reason"]["code"]) == ("--timeout", "InvalidUsage")
    assert (
        run("verify", "x", "--no-such-flag", *json).document["reason"]["message"] == "unrecognized arguments: --no-such-flag"
    )


async def test_who_refused_an_image_that_no_policy_is_about_is_said(world: World, tmp_path: Path) -> None:
    policy = world.write("p.yaml", world.policy())
    for flags, told in (((), True), (("--unmatched", "deny"), False)):
        ran = await world.verify("elsewhere.example.com/x:1", "--policies", policy, *flags)
        assert ran.code == 1
        assert "(Unmatched)" in ran.out
        assert ("say --unmatched" in ran.err) is told


@pytest.mark.parametrize("command", ["verify", "explain", "tree", "batch", "serve", "demo", "verify-bundle"])
def test_every_command_explains_itself_with_examples(command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert f"sigward {command} " in ran.out
    assert "exit status: " in ran.out
    assert command in run("--help").out
