"""Attacks 30 and 34 on revocation: addresses in certificates are somebody else's choice, and their hosts may be slow.

CVE-2026-24117 and kin; Kyverno 5714, Ratify 1623.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.compile.compiled import Snapshot
from controller.decision.report import Report, Verdict
from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.formats import notation
from controller.settings import Limits
from tests.fakes.gates import Clock, House, codes, local, policy, snapshot
from tests.fakes.notation import Wanted, envelope
from tests.fakes.pki import NOW, Issued, Responder, Says, intermediate, ocsp_answer, revocation_list, root
from tests.fakes.pki import signer as issue
from tests.fakes.servers import HangingListener


def trust() -> Snapshot:
    x509 = {"stores": {"ca": {"pem": root().pem.decode()}}, "identities": ["C=DE, ST=Berlin, O=Acme"]}
    return snapshot(policy(authorities=[{"name": "pki", "x509": x509}]))


def signed(images: ImageBuilder, signer: Signer, by: Issued) -> Image:
    image = images.image("shop/web", "1")
    described = image.descriptor()
    artifact = {name: described[name] for name in ("mediaType", "digest", "size")}
    raw = envelope(notation.JWS, by, Wanted(artifact=artifact))
    signer.refer(image, notation.ARTIFACT, raw, {}, layer_type=notation.JWS)
    return image


def at(place: str, url: str) -> Issued:
    """A certificate whose status is kept at `url`."""
    return issue(ocsp=(url,)) if place == "ocsp" else issue(lists=(url,))


def told(report: Report) -> str:
    return " ".join(str(requirement.reason) for result in report.policies for requirement in result.requirements)


@pytest.fixture
async def inside() -> AsyncIterator[Responder]:
    async with Responder() as running:
        yield running


async def judged(registry: EmbeddedRegistry, image: Image, hosts: tuple[str, ...], **limits: Any) -> Report:
    settings = local(registry.host, revocation_hosts=hosts, limits=Limits(**limits))
    async with House(settings, Clock(NOW)) as house:
        return await house.judge(image.reference, trust())


@pytest.mark.parametrize("place", ["ocsp", "lists"])
async def test_a_host_that_settings_do_not_list_is_never_called(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, inside: Responder, place: str
) -> None:
    by = at(place, inside.url("/secret"))
    inside.answers["/secret"] = ocsp_answer(by) if place == "ocsp" else revocation_list(by)
    image = signed(images, signer, by)
    name, _, port = inside.host.partition(":")
    for hosts in ((), ("ocsp.acme.example",), (name,), (f"{name}:{int(port) ^ 1}",), (f"x.{inside.host}",)):
        report = await judged(registry, image, hosts)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["AddressNotAllowed"])
        assert inside.host in told(report)
    assert inside.asked == []
    assert (await judged(registry, image, (inside.host,))).verdict is Verdict.ALLOW


async def test_nobody_is_called_for_a_chain_that_nobody_trusts(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, inside: Responder
) -> None:
    by = issue(issuer=intermediate("Evil"), ocsp=(inside.url("/ocsp"),))
    report = await judged(registry, signed(images, signer, by), (inside.host,))
    assert codes(report) == ["CertificateUntrusted"]
    assert inside.asked == []


async def test_no_redirect_is_followed(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, inside: Responder
) -> None:
    by = issue(ocsp=(inside.url("/ocsp"),))
    inside.answers["/ocsp"] = 307
    report = await judged(registry, signed(images, signer, by), (inside.host, "127.0.0.1:1"))
    assert codes(report) == ["RevocationUnknown"]
    assert inside.asked == ["/ocsp"]


async def test_a_delta_list_elsewhere_is_not_fetched(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, inside: Responder
) -> None:
    """The list is signed, and yet its issuer does not choose whom we call."""
    async with Responder() as other:
        by = issue(lists=(inside.url("/list"),))
        inside.answers["/list"] = revocation_list(by, Says(freshest=other.url("/delta")))
        report = await judged(registry, signed(images, signer, by), (inside.host,))
        assert codes(report) == ["AddressNotAllowed"]
        assert other.asked == []


@pytest.mark.parametrize("place", ["ocsp", "lists"])
async def test_a_slow_responder_is_named_in_its_time(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, place: str
) -> None:
    with HangingListener() as slow:
        image = signed(images, signer, at(place, f"http://{slow.host}/"))
        async with asyncio.timeout(4):
            report = await judged(registry, image, (slow.host,), ocsp_timeout=0.2, crl_timeout=0.2)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["Unreachable"])
        assert report.undecided
        assert slow.host in told(report)


async def test_the_deadline_comes_first_and_names_whom_we_waited_for(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    with HangingListener() as slow:
        image = signed(images, signer, issue(ocsp=(f"http://{slow.host}/",)))
        settings = local(registry.host, revocation_hosts=(slow.host,))
        async with House(settings, Clock(NOW)) as house:
            async with asyncio.timeout(4):
                report = await house.judge(image.reference, trust(), within=0.4)
        assert codes(report) == ["Deadline"]
        assert report.undecided
        assert slow.host in told(report)
