"""What policies ask beyond one signature, answered by what real cosign wrote: several signers, every type of statement."""

from pathlib import Path
from typing import Any, Final

import pytest

from controller.demo.mediatypes import COSIGN_SIGN, CYCLONEDX, SLSA_V1, SPDX
from controller.policy.predicate_types import ALIASES
from tests.fakes.commandline import sigward
from tests.interop import stored
from tests.interop.cosign import Cosign, Storage
from tests.interop.door import SIGNED, SignedImage, Stock, ask, authority
from tests.interop.tools import Product, RunningRegistry
from tests.interop.wire import Repository, push_image

pytestmark = pytest.mark.interop

VULN: Final = "https://cosign.sigstore.dev/attestation/vuln/v1"
OPENVEX: Final = "https://openvex.dev/ns"
PACKAGE: Final = {"type": "library", "name": "a", "version": "1"}
STATEMENTS: Final[dict[str, tuple[str, dict[str, Any]]]] = {
    "spdxjson": (SPDX, {"spdxVersion": "SPDX-2.3", "name": "web", "packages": [{"name": "a", "versionInfo": "1"}]}),
    "cyclonedx": (
        CYCLONEDX,
        {"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [PACKAGE]},
    ),
    "slsaprovenance1": (
        SLSA_V1,
        {
            "buildDefinition": {"buildType": "https://ci.example.com/v1", "externalParameters": {}},
            "runDetails": {"builder": {"id": "https://ci.example.com"}},
        },
    ),
    "slsaprovenance02": (
        ALIASES["slsaprovenance02"],
        {"builder": {"id": "https://ci.example.com"}, "buildType": "https://ci.example.com/v0", "invocation": {}},
    ),
    "link": (
        ALIASES["link"],
        {
            "_type": "link",
            "name": "build",
            "command": ["make"],
            "materials": {},
            "products": {},
            "byproducts": {},
            "environment": {},
        },
    ),
    "custom": (ALIASES["custom"], {"reviewed": True}),
    "https://example.com/own/v1": ("https://example.com/own/v1", {"own": True}),
    "vuln": (
        VULN,
        {
            "invocation": {"uri": "", "event_id": "", "builder.id": ""},
            "scanner": {
                "uri": "https://scanner.example.com",
                "version": "1",
                "db": {"uri": "", "version": ""},
                "result": {},
            },
            "metadata": {"scanStartedOn": "2026-01-01T00:00:00Z", "scanFinishedOn": "2026-01-01T00:00:01Z"},
        },
    ),
    "openvex": (
        OPENVEX,
        {"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://vex.example.com/1", "statements": []},
    ),
}
"""Cosign's short name, the type it stands for, and a document that cosign takes for one."""


def named(kind: str) -> str:
    """A requirement's name for it."""
    return "own" if ":" in kind else kind


@pytest.fixture(scope="module", params=list(Storage))
def storage(request: pytest.FixtureRequest) -> Storage:
    found: Storage = request.param
    return found


@pytest.fixture(scope="module")
def registry(storage: Storage, registries: dict[Product, RunningRegistry]) -> RunningRegistry:
    """One with the referrers API for bundles; `test_webhook.py` is about the others."""
    return registries[Product.DISTRIBUTION if storage is Storage.TAG else Product.REFERRERS]


@pytest.fixture(scope="module")
def described(cosign: Cosign, storage: Storage, registry: RunningRegistry, stock: Stock) -> SignedImage:
    """An image signed, and with a statement of every type."""
    path, key = f"described/{cosign}/{storage}", stock.key(cosign, "release")
    image = push_image(Repository(registry.host, path), content=path)
    cosign.sign(image.by_digest, key, storage)
    for kind, (_, predicate) in STATEMENTS.items():
        cosign.attest(image.by_digest, key, storage, kind, predicate)
    return SignedImage(image, path, key)


@pytest.fixture(scope="module")
def signed_by_two(cosign: Cosign, storage: Storage, registry: RunningRegistry, stock: Stock) -> SignedImage:
    """An image signed twice with the key `release`, once with the key `qa`."""
    path, key = f"quorum/{cosign}/{storage}", stock.key(cosign, "release")
    image = push_image(Repository(registry.host, path), content=path)
    cosign.sign(image.by_digest, key, storage)
    cosign.sign(image.by_digest, stock.key(cosign, "qa"), storage)
    cosign.sign(image.by_digest, key, storage, {"again": "yes"})
    return SignedImage(image, path, key)


def test_cosign_names_the_types_as_policies_do(described: SignedImage) -> None:
    found = [piece.predicate_type for piece in stored.pieces(described.image)]
    assert sorted(found) == sorted([COSIGN_SIGN, *(name for name, _ in STATEMENTS.values())])


async def test_every_type_of_statement(described: SignedImage, tmp_path: Path) -> None:
    wanted = [{"name": named(kind), "attestation": {"predicateType": kind}} for kind in STATEMENTS]
    verdict = await ask(tmp_path, described.image, described.key, SIGNED, *wanted)
    assert verdict.allowed, verdict.message
    assert verdict.codes == {}


@pytest.mark.parametrize("kind", STATEMENTS)
async def test_each_type_of_statement_is_needed(described: SignedImage, kind: str, tmp_path: Path) -> None:
    lacking = described.elsewhere()
    stored.copy(described.image, lacking, stored.without(STATEMENTS[kind][0]))
    wanted = [{"name": named(other), "attestation": {"predicateType": other}} for other in STATEMENTS]
    verdict = await ask(tmp_path, lacking, described.key, SIGNED, *wanted)
    assert (verdict.allowed, verdict.codes) == (False, {named(kind): "WrongPredicateType"})


@pytest.mark.parametrize(("form", "kind"), [("SPDX", "spdxjson"), ("CycloneDX", "cyclonedx")])
async def test_bill_of_materials(described: SignedImage, form: str, kind: str, tmp_path: Path) -> None:
    wanted = {"name": "bill", "sbom": {"formats": [form]}}
    verdict = await ask(tmp_path, described.image, described.key, SIGNED, wanted)
    assert (verdict.allowed, verdict.codes) == (True, {})
    lacking = described.elsewhere()
    stored.copy(described.image, lacking, stored.without(STATEMENTS[kind][0]))
    verdict = await ask(tmp_path, lacking, described.key, SIGNED, wanted)
    assert (verdict.allowed, verdict.codes) == (True, {"bill": "WrongPredicateType"})  # a warning by default
    verdict = await ask(tmp_path, lacking, described.key, SIGNED, {**wanted, "onMissing": "Deny"})
    assert (verdict.allowed, verdict.codes) == (False, {"bill": "WrongPredicateType"})


async def test_another_images_bill_of_materials_contradicts(described: SignedImage, tmp_path: Path) -> None:
    other = described.elsewhere(content="another image")
    stored.copy(described.image, other)
    verdict = await ask(tmp_path, other, described.key, {"name": "bill", "sbom": {}})
    assert (verdict.allowed, verdict.codes) == (False, {"bill": "WrongDigest"})


async def test_two_of_two(signed_by_two: SignedImage, stock: Stock, cosign: Cosign, tmp_path: Path) -> None:
    image = signed_by_two.image
    release, qa, stranger = (stock.key(cosign, name) for name in ("release", "qa", "stranger"))
    quorum = {"name": "signed", "signature": {"threshold": 2, "of": ["first", "second"]}}
    verdict = await ask(tmp_path, image, [authority("first", release), authority("second", qa)], quorum)
    assert verdict.allowed, verdict.message
    verdict = await ask(tmp_path, image, [authority("first", release), authority("second", stranger)], quorum)
    assert (verdict.allowed, verdict.codes) == (False, {"signed": "ThresholdNotMet"})
    # One signer stays one, however often it signs and however many authorities trust it.
    verdict = await ask(tmp_path, image, [authority("first", release), authority("second", release)], quorum)
    assert (verdict.allowed, verdict.codes) == (False, {"signed": "ThresholdNotMet"})


async def test_two_of_two_on_the_command_line(signed_by_two: SignedImage, stock: Stock, cosign: Cosign) -> None:
    image = (signed_by_two.image.by_tag, "--insecure-registry", signed_by_two.image.repository.host)
    keys = {name: stock.key(cosign, name).public for name in ("release", "qa", "stranger")}
    two = ("--threshold", 2, "--key", keys["release"], "--key")
    assert (await sigward("verify", *image, *two, keys["qa"])).code == 0
    assert (await sigward("verify", *image, *two, keys["stranger"])).code == 1
    assert (await sigward("verify", *image, *two, keys["release"])).code == 2  # one key twice is one key


async def test_annotations(signed_by_two: SignedImage, cosign: Cosign, storage: Storage, tmp_path: Path) -> None:
    """Only what was signed along counts; cosign 2 drops annotations where it writes a bundle."""
    wanted = {"name": "signed", "signature": {"annotations": {"again": "yes"}}}
    verdict = await ask(tmp_path, signed_by_two.image, signed_by_two.key, wanted)
    dropped = cosign.major < 3 and storage is Storage.BUNDLE
    assert verdict.codes == ({"signed": "WrongAnnotation"} if dropped else {})
    wanted = {"name": "signed", "signature": {"annotations": {"again": "no"}}}
    verdict = await ask(tmp_path, signed_by_two.image, signed_by_two.key, wanted)
    assert (verdict.allowed, verdict.codes) == (False, {"signed": "WrongAnnotation"})
