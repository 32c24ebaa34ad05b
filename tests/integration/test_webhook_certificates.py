"""Certificates through the webhook: Notary Project and cosign, admitted, and refused after one change."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.formats import notation
from controller.settings import CacheSettings, Limits
from tests.fakes.gates import local, policy
from tests.fakes.notation import FORMATS, Wanted, envelope
from tests.fakes.pki import NOW, Issued, Responder, Says, intermediate, ocsp_answer, root
from tests.fakes.pki import signer as issue
from tests.fakes.reviews import pod, review
from tests.fakes.webhook import Response, Webhook
from tests.integration.test_notation import cosign

PKI = {
    "name": "pki",
    "x509": {"stores": {"ca": {"pem": root().pem.decode()}}, "identities": ["C=DE, ST=Berlin, O=Acme, CN=release"]},
}


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


def notarize(signer: Signer, image: Image, form: str, by: Issued, changes: dict[str, Any], expiry: float | None) -> None:
    described = image.descriptor()
    artifact = {**{name: described[name] for name in ("mediaType", "digest", "size")}, **changes}
    raw = envelope(form, by, Wanted(artifact=artifact, expiry=expiry))
    signer.refer(image, notation.ARTIFACT, raw, {}, layer_type=form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("by", "changes", "expiry", "words"),
    [
        (issue(), {}, None, ()),
        (issue("other"), {}, None, ("signed by somebody else", "CN=release")),
        (issue(issuer=intermediate("Evil")), {}, None, ("leads to nobody in store ca", "O=Evil")),
        (issue(end=NOW - 1), {}, None, ("outside the validity",)),
        (issue(), {}, NOW - 1, ("has expired",)),
        (issue(), {"size": 1}, None, ("about another image",)),
    ],
)
async def test_notary_project(
    webhook: Webhook,
    images: ImageBuilder,
    signer: Signer,
    form: str,
    by: Issued,
    changes: dict[str, Any],
    expiry: float | None,
    words: tuple[str, ...],
) -> None:
    image = images.image("shop/web", "1")
    assert not (await asked(webhook, image)).allowed
    notarize(signer, image, form, by, changes, expiry)
    answer = await asked(webhook, image)
    assert answer.allowed is not bool(words)
    for word in words:
        assert word in answer.message


async def test_company_pki(webhook: Webhook, images: ImageBuilder, signer: Signer) -> None:
    good, evil = images.image("shop/web", "1", content=b"good"), images.image("shop/web", "2", content=b"evil")
    cosign(signer, good, issue(), *issue().chain[1:])
    assert (await asked(webhook, good)).allowed
    foreign = issue(issuer=intermediate("Evil"))
    cosign(signer, evil, foreign, *foreign.chain[1:])
    answer = await asked(webhook, evil)
    assert not answer.allowed
    assert "brings its own root certificate" in answer.message


async def test_revoked(webhook: Webhook, images: ImageBuilder, signer: Signer, responder: Responder) -> None:
    by = issue(ocsp=(responder.url("/ocsp"),))
    responder.answers["/ocsp"] = ocsp_answer(by, Says("revoked", next=NOW + 1e8))
    image = images.image("shop/web", "1")
    notarize(signer, image, notation.JWS, by, {}, None)
    answer = await asked(webhook, image)
    assert not answer.allowed
    assert "was revoked" in answer.message
