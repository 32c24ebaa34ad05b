"""Certificates through the webhook: Notary Project and cosign, admitted, and refused after one change.

More of cosign's is in `test_webhook_logged.py`.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.formats import notation
from controller.settings import CacheSettings, Limits
from tests.fakes.gates import local, policy
from tests.fakes.keyless import trust_root
from tests.fakes.notation import FORMATS, Wanted, envelope
from tests.fakes.pki import DAY, NOW, Issued, Responder, Says, intermediate, ocsp_answer, root
from tests.fakes.pki import signer as issue
from tests.fakes.reviews import pod, review
from tests.fakes.sigstore import PrivateSigstore
from tests.fakes.timestamps import Odd, TimestampAuthority
from tests.fakes.webhook import Response, Webhook, reasons
from tests.integration.test_notation import cosign

STORE = {"ca": {"pem": root().pem.decode()}}
IDENTITIES = ["C=DE, ST=Berlin, O=Acme, CN=release"]
PKI = {"name": "pki", "x509": {"stores": STORE, "identities": IDENTITIES}}
CLOCK, STRANGER = TimestampAuthority("clock"), TimestampAuthority("stranger")


def trust(webhook: Webhook, **stores: Any) -> None:
    """Write the policy again with further stores."""
    x509 = {"stores": {**STORE, **stores}, "identities": IDENTITIES}
    webhook.write_policy("corp", policy(authorities=[{"name": "pki", "x509": x509}]))


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    async with Responder() as running:
        yield running


@pytest.fixture
async def webhook(tmp_path: Path, registry: EmbeddedRegistry, responder: Responder) -> AsyncIterator[Webhook]:
    settings = local(
        registry.host,
        limits=Limits(lame_duck=0),
        cache=CacheSettings(tag_ttl=0, refusal_ttl=0),
        revocation_hosts=(responder.host,),
    )
    async with Webhook(tmp_path / "app", {"corp": policy(authorities=[PKI])}, settings) as running:
        yield running


async def asked(webhook: Webhook, image: Image) -> Response:
    return await webhook.validate(review(pod(str(image.reference))))


def notarize(signer: Signer, image: Image, form: str, by: Issued, wanted: Wanted | None = None) -> None:
    """Attach an envelope; `wanted.artifact` changes what it says about the image."""
    what, described = wanted or Wanted(), image.descriptor()
    artifact = {**{name: described[name] for name in ("mediaType", "digest", "size")}, **what.artifact}
    signer.refer(image, notation.ARTIFACT, envelope(form, by, replace(what, artifact=artifact)), {}, layer_type=form)


@pytest.mark.parametrize("form", FORMATS)
class TestNotaryProject:
    @pytest.mark.parametrize(
        ("by", "wanted", "expected", "words"),
        [
            (issue(), Wanted(), [], ""),
            (issue("other"), Wanted(), ["WrongSubject"], "CN=release"),
            (issue(issuer=intermediate("Evil")), Wanted(), ["CertificateUntrusted"], "O=Evil"),
            (issue(end=NOW - 1), Wanted(), ["OutsideValidity"], "outside the validity"),
            (issue(), Wanted(expiry=NOW - 1), ["SignatureExpired"], "has expired"),
            (issue(), Wanted(artifact={"size": 1}), ["WrongDigest"], "about another image"),
            (issue(), Wanted(artifact={"mediaType": "application/json"}), ["WrongDigest"], "about another image"),
            (issue(), Wanted(scheme=notation.SIGNING_AUTHORITY), ["CertificateUntrusted"], "signingAuthority"),
        ],
        ids=["good", "identity", "root", "time", "expiry", "size", "media type", "scheme"],
    )
    async def test_one_change(
        self,
        webhook: Webhook,
        images: ImageBuilder,
        signer: Signer,
        form: str,
        by: Issued,
        wanted: Wanted,
        expected: list[str],
        words: str,
    ) -> None:
        image = images.image("shop/web", "1")
        assert not (await asked(webhook, image)).allowed
        notarize(signer, image, form, by, wanted)
        answer = await asked(webhook, image)
        assert (answer.allowed, reasons(webhook, answer)) == (not expected, expected)
        assert words in answer.message

    async def test_another_digest(self, webhook: Webhook, images: ImageBuilder, signer: Signer, form: str) -> None:
        good, bad = (images.image("shop/web", tag, content=tag.encode()) for tag in ("good", "bad"))
        notarize(signer, good, form, issue())
        signer.copy(good, bad)
        answer = await asked(webhook, bad)
        assert (answer.allowed, reasons(webhook, answer)) == (False, ["WrongDigest"])

    @pytest.mark.parametrize(
        ("stamped_by", "at", "expected"),
        [(CLOCK, NOW - DAY, []), (STRANGER, NOW - DAY, ["TimestampUntrusted"]), (CLOCK, NOW, ["OutsideValidity"])],
        ids=["in time", "by a stranger", "too late"],
    )
    async def test_expired_since_and_stamped(
        self,
        webhook: Webhook,
        images: ImageBuilder,
        signer: Signer,
        form: str,
        stamped_by: TimestampAuthority,
        at: float,
        expected: list[str],
    ) -> None:
        trust(webhook, tsa={"pem": CLOCK.signer.pem.decode()})
        assert await webhook.app.policies.refresh()
        image = images.image("shop/web", "1")
        wanted = Wanted(time=at, stamp=lambda raw: stamped_by.token(raw, at, Odd(embedded=(stamped_by.signer.der,))))
        notarize(signer, image, form, issue(end=NOW - 3600), wanted)
        answer = await asked(webhook, image)
        assert (answer.allowed, reasons(webhook, answer)) == (not expected, expected)

    async def test_no_log_holds_them(self, webhook: Webhook, images: ImageBuilder, signer: Signer, form: str) -> None:
        image = images.image("shop/web", "1")
        notarize(signer, image, form, issue())
        assert (await asked(webhook, image)).allowed
        webhook.write_policy("private", trust_root(PrivateSigstore("private")))
        authority = {**PKI, "trustRoot": "private", "transparencyLog": "Required"}
        webhook.write_policy("corp", policy(authorities=[authority]))
        assert await webhook.app.policies.refresh()
        answer = await asked(webhook, image)
        assert (answer.allowed, reasons(webhook, answer)) == (False, ["LogRequired"])


async def test_company_pki(webhook: Webhook, images: ImageBuilder, signer: Signer) -> None:
    good, evil = images.image("shop/web", "1", content=b"good"), images.image("shop/web", "2", content=b"evil")
    cosign(signer, good, issue(), *issue().chain[1:])
    assert (await asked(webhook, good)).allowed
    foreign = issue(issuer=intermediate("Evil"))
    cosign(signer, evil, foreign, *foreign.chain[1:])
    answer = await asked(webhook, evil)
    assert (answer.allowed, reasons(webhook, answer)) == (False, ["RootInChain"])
    assert "brings its own root certificate" in answer.message


async def test_revoked(webhook: Webhook, images: ImageBuilder, signer: Signer, responder: Responder) -> None:
    by = issue(ocsp=(responder.url("/ocsp"),))
    responder.answers["/ocsp"] = ocsp_answer(by, Says("revoked", next=NOW + 1e8))
    image = images.image("shop/web", "1")
    notarize(signer, image, notation.JWS, by)
    answer = await asked(webhook, image)
    assert (answer.allowed, reasons(webhook, answer)) == (False, ["CertificateRevoked"])
    assert "was revoked" in answer.message
