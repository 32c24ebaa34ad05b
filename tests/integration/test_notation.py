"""Certificates through the whole pipeline: Notary Project referrers, cosign's annotations, and responders that are asked."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.compile.compiled import Snapshot
from controller.decision.report import Report, Verdict
from controller.demo import payloads
from controller.demo.images import Image, ImageBuilder
from controller.demo.mediatypes import COSIGN_SIGNATURE, OCI_MANIFEST, SIMPLE_SIGNING
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.demo.signingkeys import SigningKey
from controller.formats import notation
from controller.settings import Limits
from tests.fakes.gates import Clock, House, codes, local, policy, snapshot
from tests.fakes.notation import FORMATS, Wanted, envelope
from tests.fakes.pki import NOW, Issued, Responder, Says, intermediate, ocsp_answer, revocation_list, root
from tests.fakes.pki import signer as issue_signer


def trust(anchor: Issued | None = None, *, number: int = 1, **fields: Any) -> Snapshot:
    x509 = {
        "stores": {"ca": {"pem": (anchor or root()).pem.decode()}},
        "identities": ["C=DE, ST=Berlin, O=Acme, CN=release"],
        **fields,
    }
    return snapshot(policy(authorities=[{"name": "pki", "x509": x509}]), number=number)


def target(image: Image, **changes: Any) -> dict[str, Any]:
    described = image.descriptor()
    return {**{name: described[name] for name in ("mediaType", "digest", "size")}, **changes}


def notarize(signer: Signer, image: Image, form: str, by: Issued | None = None, wanted: Wanted | None = None) -> None:
    what = wanted or Wanted(artifact=target(image))
    signer.refer(image, notation.ARTIFACT, envelope(form, by or issue_signer(), what), {}, layer_type=form)


@pytest.fixture
async def responder() -> AsyncIterator[Responder]:
    async with Responder() as running:
        yield running


@pytest.fixture
async def house(registry: EmbeddedRegistry) -> AsyncIterator[House]:
    async with House(local(registry.host), Clock(NOW)) as running:
        yield running


@pytest.mark.parametrize("form", FORMATS)
class TestReferrers:
    async def test_admitted(self, house: House, images: ImageBuilder, signer: Signer, form: str) -> None:
        image = images.image("shop/web", "1")
        notarize(signer, image, form)
        report = await house.judge(image.reference, trust())
        assert report.verdict is Verdict.ALLOW
        assert "CN=release" in report.policies[0].requirements[0].checks[-1].signer

    async def test_index(self, house: House, images: ImageBuilder, signer: Signer, form: str) -> None:
        image = images.index("shop/multi", "1")
        notarize(signer, image, form)
        assert (await house.judge(image.reference, trust())).verdict is Verdict.ALLOW

    @pytest.mark.parametrize(
        ("anchor", "by", "wanted", "code"),
        [
            (root("Evil"), None, {}, "CertificateUntrusted"),
            (None, issue_signer("somebody"), {}, "WrongSubject"),
            (None, issue_signer(end=NOW - 1), {}, "OutsideValidity"),
            (None, None, {"expiry": NOW - 1}, "SignatureExpired"),
            (None, None, {"artifact": {"size": 1}}, "WrongDigest"),
            (None, None, {"scheme": notation.SIGNING_AUTHORITY}, "CertificateUntrusted"),
        ],
    )
    async def test_one_change_and_it_is_denied(
        self,
        house: House,
        images: ImageBuilder,
        signer: Signer,
        form: str,
        anchor: Issued | None,
        by: Issued | None,
        wanted: dict[str, Any],
        code: str,
    ) -> None:
        image = images.image("shop/web", "1")
        artifact = target(image, **wanted.get("artifact", {}))
        notarize(signer, image, form, by, Wanted(**{**wanted, "artifact": artifact}))
        report = await house.judge(image.reference, trust(anchor))
        assert (report.verdict, codes(report)) == (Verdict.DENY, [code])

    async def test_copied_to_another_image(self, house: House, images: ImageBuilder, signer: Signer, form: str) -> None:
        good, bad = images.image("shop/web", "1", content=b"good"), images.image("shop/web", "2", content=b"bad")
        notarize(signer, good, form)
        signer.copy(good, bad)
        assert codes(await house.judge(bad.reference, trust())) == ["WrongDigest"]

    async def test_registry_without_the_referrers_api(self, form: str) -> None:
        async with EmbeddedRegistry(referrers_api=False) as registry, House(local(registry.host), Clock(NOW)) as house:
            image = ImageBuilder(registry).image("shop/web", "1")
            notarize(Signer(registry), image, form)
            assert (await house.judge(image.reference, trust())).verdict is Verdict.ALLOW

    async def test_older_manifests_that_tell_their_type_in_the_config(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, form: str
    ) -> None:
        image = images.image("shop/web", "1")
        put(registry, image, [(form, envelope(form, issue_signer(), Wanted(artifact=target(image))))], artifact_type="")
        assert (await house.judge(image.reference, trust())).verdict is Verdict.ALLOW

    async def test_two_layers_are_no_signature(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, form: str
    ) -> None:
        image = images.image("shop/web", "1")
        good = envelope(form, issue_signer(), Wanted(artifact=target(image)))
        put(registry, image, [(form, good), (form, good)])
        report = await house.judge(image.reference, trust())
        assert report.verdict is Verdict.DENY
        assert "Malformed" in json.dumps(str(report))


def put(registry: EmbeddedRegistry, image: Image, layers: list[tuple[str, bytes]], artifact_type: str | None = None) -> None:
    """A referrer written by hand."""
    kind = notation.ARTIFACT if artifact_type is None else artifact_type

    def blob(media_type: str, content: bytes) -> dict[str, Any]:
        digest = registry.put_blob(image.path, content)
        return {"mediaType": media_type, "digest": str(digest), "size": len(content)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": blob(notation.ARTIFACT, b"{}"),
        "layers": [blob(media_type, content) for media_type, content in layers],
        "subject": image.descriptor(),
        **({"artifactType": kind} if kind else {}),
    }
    registry.put_manifest(image.path, payloads.encode(manifest))


def cosign(signer: Signer, image: Image, by: Issued, *chain: Issued) -> None:
    """What `cosign sign --certificate --certificate-chain` stores."""
    claim = payloads.claim(image.digest, str(image.reference))
    hints = {
        COSIGN_SIGNATURE: payloads.signature(claim, SigningKey(by.key)),
        "dev.sigstore.cosign/certificate": by.pem.decode(),
        "dev.sigstore.cosign/chain": "".join(one.pem.decode() for one in chain),
    }
    signer.append(image, "sig", SIMPLE_SIGNING, claim, hints)


class TestCosign:
    async def test_company_pki(self, house: House, images: ImageBuilder, signer: Signer) -> None:
        image = images.image("shop/web", "1")
        cosign(signer, image, issue_signer(), *issue_signer().chain[1:])
        assert (await house.judge(image.reference, trust())).verdict is Verdict.ALLOW

    async def test_root_in_the_chain(self, house: House, images: ImageBuilder, signer: Signer) -> None:
        image = images.image("shop/web", "1")
        evil = issue_signer(issuer=intermediate("Evil"))
        cosign(signer, image, evil, *evil.chain[1:])
        assert codes(await house.judge(image.reference, trust())) == ["RootInChain"]


class TestRevocation:
    @pytest.fixture
    async def asking(self, registry: EmbeddedRegistry, responder: Responder) -> AsyncIterator[House]:
        settings = local(registry.host, revocation_hosts=(responder.host,), limits=Limits(ocsp_timeout=0.5, crl_timeout=0.5))
        async with House(settings, Clock(NOW)) as running:
            yield running

    def watched(self, responder: Responder, **changes: Any) -> Issued:
        return issue_signer(**{"ocsp": (responder.url("/ocsp"),), "lists": (responder.url("/list"),), **changes})

    async def judge(self, house: House, image: Image, within: float = 5.0, **fields: Any) -> Report:
        return await house.judge(image.reference, trust(**fields), within=within)

    def image(self, images: ImageBuilder, signer: Signer, by: Issued, tag: str = "1") -> Image:
        image = images.image("shop/web", tag, content=tag.encode())
        notarize(signer, image, notation.JWS, by)
        return image

    async def test_good(self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer) -> None:
        by = self.watched(responder)
        responder.answers["/ocsp"] = ocsp_answer(by)
        assert (await self.judge(asking, self.image(images, signer, by))).verdict is Verdict.ALLOW
        assert responder.asked == ["/ocsp"]

    async def test_revoked(self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer) -> None:
        by = self.watched(responder)
        responder.answers["/ocsp"] = ocsp_answer(by, Says("revoked"))
        assert codes(await self.judge(asking, self.image(images, signer, by))) == ["CertificateRevoked"]

    async def test_list_and_its_delta_where_the_responder_is_away(
        self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer
    ) -> None:
        by = self.watched(responder)
        responder.answers["/list"] = revocation_list(by, Says(freshest=responder.url("/delta")))
        responder.answers["/delta"] = revocation_list(by, Says(number=8, base=7))
        assert (await self.judge(asking, self.image(images, signer, by))).verdict is Verdict.ALLOW
        assert responder.asked == ["/ocsp", "/list", "/delta"]

    async def test_many_at_once_ask_once(
        self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer
    ) -> None:
        by = self.watched(responder)
        responder.answers["/ocsp"] = ocsp_answer(by)
        one, two = (self.image(images, signer, by, tag) for tag in ("1", "2"))
        reports = await asyncio.gather(*(self.judge(asking, image) for image in (one, two) * 50))
        assert {report.verdict for report in reports} == {Verdict.ALLOW}
        assert responder.asked == ["/ocsp"]

    async def test_what_was_believed_is_remembered_until_it_is_out_of_date(
        self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer
    ) -> None:
        by = self.watched(responder)
        responder.answers["/ocsp"] = ocsp_answer(by)
        for tag in ("1", "2"):
            assert (await self.judge(asking, self.image(images, signer, by, tag))).verdict is Verdict.ALLOW
        assert responder.asked == ["/ocsp"]
        asking.clock.pass_(3600)  # the answer's next update
        responder.answers["/ocsp"] = ocsp_answer(by, Says("revoked", this=NOW + 60, next=NOW + 9000))
        for tag in ("1", "2"):
            assert codes(await self.judge(asking, self.image(images, signer, by, tag))) == ["CertificateRevoked"]

    async def test_what_nobody_believed_is_not_remembered(
        self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer
    ) -> None:
        by = self.watched(responder, lists=())
        image = self.image(images, signer, by)
        responder.answers["/ocsp"] = ocsp_answer(by, Says(by=issue_signer("thief")))
        assert codes(await self.judge(asking, image)) == ["RevocationUnknown"]
        responder.answers["/ocsp"] = ocsp_answer(by)
        assert (await self.judge(asking, image)).verdict is Verdict.ALLOW

    async def test_soft_only_warns(self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer) -> None:
        image = self.image(images, signer, self.watched(responder))
        assert (await self.judge(asking, image)).verdict is Verdict.DENY
        assert (await self.judge(asking, image, revocation="Soft", number=2)).verdict is Verdict.WARN

    async def test_skip_asks_nobody(self, asking: House, responder: Responder, images: ImageBuilder, signer: Signer) -> None:
        image = self.image(images, signer, self.watched(responder))
        assert (await self.judge(asking, image, revocation="Skip")).verdict is Verdict.ALLOW
        assert responder.asked == []

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            (500, "RevocationUnknown"),
            (302, "RevocationUnknown"),  # followed nowhere
            (b"x" * (64 * 1024 + 1), "RevocationUnknown"),
            (b"", "RevocationUnknown"),
        ],
    )
    async def test_answers_that_are_none(
        self,
        asking: House,
        responder: Responder,
        images: ImageBuilder,
        signer: Signer,
        answer: bytes | int,
        code: str,
    ) -> None:
        by = self.watched(responder, lists=())
        responder.answers["/ocsp"] = answer
        report = await self.judge(asking, self.image(images, signer, by))
        assert (report.verdict, codes(report)) == (Verdict.DENY, [code])
        assert report.undecided
