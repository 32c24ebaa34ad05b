"""OpenPGP signatures and `platforms: Each` through the webhook: admitted, and refused after one change."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from controller.demo.images import ImageBuilder
from controller.demo.mediatypes import SPDX
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.settings import CacheSettings, Limits, RegistrySettings, Settings
from tests.fakes import gates
from tests.fakes.gates import Clock, policy
from tests.fakes.keys import signing_key
from tests.fakes.lookaside import LookasideServer
from tests.fakes.openpgp import armored, claim, gnupg, key, revoked, signed
from tests.fakes.reviews import pod, review
from tests.fakes.webhook import Response, Webhook, reasons

RELEASE = signing_key("release")
EXPIRING, LEFT = key("expiring", days=1), key("left")
RING = armored(key(), EXPIRING, revoked(LEFT), gnupg("release.ring"))
VENDOR = {"name": "vendor", "openpgp": {"keyring": {"armored": RING}}}
POLICIES = {
    "vendor": policy("vendor", match={"images": ["*/vendor/**"]}, authorities=[VENDOR]),
    "each": policy(
        "each", match={"images": ["*/multi/**"]}, authorities=[gates.authority("release", RELEASE)], platforms="Each"
    ),
}


@pytest.fixture
async def lookaside() -> AsyncIterator[LookasideServer]:
    async with LookasideServer() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock(time.time())


@pytest.fixture
async def webhook(
    tmp_path: Path, registry: EmbeddedRegistry, lookaside: LookasideServer, clock: Clock
) -> AsyncIterator[Webhook]:
    own = RegistrySettings(insecure=True, private_address=True, lookaside=(lookaside.base,))
    settings = Settings(
        registries={registry.host: own}, limits=Limits(lame_duck=0), cache=CacheSettings(tag_ttl=0, refusal_ttl=0)
    )
    async with Webhook(tmp_path / "app", POLICIES, settings, clock) as running:
        yield running


async def asked(webhook: Webhook, image: object) -> Response:
    return await webhook.validate(review(pod(str(image))))


async def test_openpgp(webhook: Webhook, images: ImageBuilder, lookaside: LookasideServer) -> None:
    image = images.image("vendor/web", "1.4")
    missing = await asked(webhook, image.reference)
    assert not missing.allowed
    assert "policy vendor" in missing.message
    assert "OpenPGP key" in missing.message
    assert "under this name, with an OpenPGP key" in missing.message
    lookaside.add(image, signed(claim(image.digest, str(image.reference)), key()))
    assert (await asked(webhook, image.reference)).allowed


@pytest.mark.parametrize(
    ("change", "code", "word"),
    [
        ("digest", "WrongDigest", "about another image"),
        ("name", "WrongIdentity", "for another image name"),
        ("key", "WrongKey", "found 1, OpenPGP key"),
        ("type", "WrongPayloadType", "no image signature"),
        ("bytes", "SignatureInvalid", "does not hold"),
        ("time", "OutsideValidity", "has expired"),
        ("revocation", "Revoked", "revoked"),
    ],
)
async def test_openpgp_after_one_change(
    webhook: Webhook, images: ImageBuilder, lookaside: LookasideServer, clock: Clock, change: str, code: str, word: str
) -> None:
    image, other = images.image("vendor/web", "1.4"), images.image("vendor/other", "1.4")
    made = claim(
        other.digest if change == "digest" else image.digest,
        str(other.reference) if change == "name" else str(image.reference),
        **({"type": "cosign container image signature"} if change == "type" else {}),
    )
    by = {"key": key("stranger"), "time": EXPIRING, "revocation": LEFT}.get(change, key())
    message = signed(made, by)
    lookaside.add(image, message.replace(b"podman 5", b"podman 6") if change == "bytes" else message)
    if change == "time":
        assert (await asked(webhook, image.reference)).allowed
        clock.pass_(2 * 86400)
    answer = await asked(webhook, image.reference)
    assert (answer.allowed, reasons(webhook, answer)) == (False, [code])
    assert word in answer.message + json.dumps(webhook.audit_lines[-1])  # the message is bounded, the audit line is not


async def test_every_platform(webhook: Webhook, images: ImageBuilder, signer: Signer) -> None:
    index = images.index("multi/web", "1.4", attestations=[SPDX])
    signer.sign(index, RELEASE)
    signer.sign(index.platforms[0], RELEASE)
    answer = await asked(webhook, index.reference)
    assert not answer.allowed
    assert "signed on linux/arm64/v8" in answer.message
    signer.sign(index.platforms[1], RELEASE)
    assert (await asked(webhook, index.reference)).allowed


async def test_gnupgs_own_signature(webhook: Webhook, images: ImageBuilder, lookaside: LookasideServer) -> None:
    """What GnuPG signed is about another image: the signature holds, and the refusal says what it is about."""
    assert time.time() > 1_795_388_000, "GnuPG signed in November 2026"
    image = images.image("vendor/web", "1.4")
    lookaside.add(image, gnupg("zip.sig"))
    answer = await asked(webhook, image.reference)
    assert not answer.allowed
    assert "about another image" in answer.message
