"""Keyless signatures through the whole webhook: every shape admitted, and refused after one change."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.settings import Limits
from tests.fakes.authorities import T0, Identity
from tests.fakes.gates import local, policy
from tests.fakes.keyless import PRIVATE_REPOSITORY, SHAPES, Attach, trust_root, trusting
from tests.fakes.keys import signing_key
from tests.fakes.reviews import pod, review
from tests.fakes.sigstore import PrivateSigstore
from tests.fakes.webhook import Webhook, reasons

PRIVATE = PrivateSigstore("private")
SPARE = PrivateSigstore("spare")
CLAIMS = {"sourceRepositoryURI": "https://github.com/acme/shop", "runnerEnvironment": "github-hosted"}
HOLDER = PRIVATE.holder(Identity(claims=CLAIMS))
OPTIONAL = {**trusting(), "transparencyLog": "Optional"}


def with_logs_of(other: PrivateSigstore) -> PrivateSigstore:
    """The private Sigstore, which writes into another's logs and asks another for the time."""
    mixed = PrivateSigstore("private")
    mixed.rekor1, mixed.rekor2, mixed.tsa = other.rekor1, other.rekor2, other.tsa
    return mixed


@dataclass
class Cluster:
    """A registry, and a webhook for each set of policies."""

    registry: EmbeddedRegistry
    images: ImageBuilder
    folder: Path

    def image(self, attach: Attach, by: PrivateSigstore = PRIVATE, holder: Any = HOLDER, tag: str = "1") -> Image:
        image = self.images.image("shop/web", tag, content=tag.encode())
        attach(self.registry, image, by, holder)
        return image

    @asynccontextmanager
    async def webhook(
        self, authority: dict[str, Any] | None = None, root: PrivateSigstore = PRIVATE
    ) -> AsyncIterator[Webhook]:
        documents = {"corp": policy(authorities=[authority or trusting()]), "private": trust_root(root)}
        settings = local(self.registry.host, limits=Limits(lame_duck=0))
        async with Webhook(self.folder / "app", documents, settings) as running:
            yield running

    async def judge(self, image: Image, authority: dict[str, Any] | None = None, root: PrivateSigstore = PRIVATE) -> Any:
        async with self.webhook(authority, root) as webhook:
            answer = await webhook.validate(review(pod(str(image.reference))))
            return answer.allowed, reasons(webhook, answer)


@pytest.fixture
def cluster(registry: EmbeddedRegistry, images: ImageBuilder, tmp_path: Path) -> Cluster:
    return Cluster(registry, images, tmp_path)


in_each_shape = pytest.mark.parametrize("attach", SHAPES.values(), ids=SHAPES)


@in_each_shape
class TestLogged:
    async def test_admitted(self, cluster: Cluster, attach: Attach) -> None:
        assert await cluster.judge(cluster.image(attach)) == (True, [])

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"subject": {"glob": "https://github.com/acme/shop/.github/workflows/*@refs/heads/dev"}}, "WrongSubject"),
            ({"subject": {"regex": "https://github[.]com/acme/shop"}}, "WrongSubject"),
            ({"issuer": {"exact": "https://accounts.example.com"}}, "WrongIssuer"),
            ({"claims": {**CLAIMS, "runnerEnvironment": "self-hosted"}}, "WrongClaim"),
            ({"claims": {"sourceRepositoryRef": "refs/heads/main"}}, "WrongClaim"),
        ],
    )
    async def test_another_identity(self, cluster: Cluster, attach: Attach, changes: dict[str, Any], code: str) -> None:
        assert await cluster.judge(cluster.image(attach), trusting(**changes)) == (False, [code])

    async def test_signed_after_the_certificate_had_expired(self, cluster: Cluster, attach: Attach) -> None:
        holder = PRIVATE.holder(time=T0 - 86400)
        assert await cluster.judge(cluster.image(attach, holder=holder)) == (False, ["OutsideValidity"])

    async def test_copied_to_another_image(self, cluster: Cluster, attach: Attach) -> None:
        good, bad = cluster.image(attach), cluster.images.image("shop/web", "2", content=b"bad")
        Signer(cluster.registry).copy(good, bad)
        assert await cluster.judge(bad) == (False, ["WrongDigest"])

    async def test_in_another_log(self, cluster: Cluster, attach: Attach) -> None:
        image = cluster.image(attach, with_logs_of(SPARE))
        assert await cluster.judge(image) == (False, ["LogUntrusted"])

    async def test_under_another_root(self, cluster: Cluster, attach: Attach) -> None:
        allowed, codes = await cluster.judge(cluster.image(attach), root=SPARE)
        assert (allowed, codes) == (False, ["LogUntrusted"])

    async def test_by_a_certificate_of_another_root(self, cluster: Cluster, attach: Attach) -> None:
        image = cluster.image(attach, holder=SPARE.holder())
        assert await cluster.judge(image) == (False, ["CertificateUntrusted"])


class TestPrivateRepository:
    """A timestamp and no log entry, as GitHub signs for private repositories."""

    async def test_admitted(self, cluster: Cluster) -> None:
        assert await cluster.judge(cluster.image(PRIVATE_REPOSITORY), OPTIONAL) == (True, [])

    async def test_not_where_a_log_is_required(self, cluster: Cluster) -> None:
        assert await cluster.judge(cluster.image(PRIVATE_REPOSITORY)) == (False, ["LogRequired"])

    async def test_time_by_somebody_else(self, cluster: Cluster) -> None:
        image = cluster.image(PRIVATE_REPOSITORY, with_logs_of(SPARE))
        assert await cluster.judge(image, OPTIONAL) == (False, ["TimestampUntrusted"])

    async def test_signed_after_the_certificate_had_expired(self, cluster: Cluster) -> None:
        image = cluster.image(PRIVATE_REPOSITORY, holder=PRIVATE.holder(time=T0 - 86400))
        assert await cluster.judge(image, OPTIONAL) == (False, ["OutsideValidity"])

    async def test_under_another_root(self, cluster: Cluster) -> None:
        image = cluster.image(PRIVATE_REPOSITORY)
        assert await cluster.judge(image, OPTIONAL, SPARE) == (False, ["CertificateUntrusted"])

    async def test_another_identity(self, cluster: Cluster) -> None:
        authority = {**trusting(subject={"exact": "jane@example.com"}), "transparencyLog": "Optional"}
        assert await cluster.judge(cluster.image(PRIVATE_REPOSITORY), authority) == (False, ["WrongSubject"])

    async def test_copied_to_another_image(self, cluster: Cluster) -> None:
        good, bad = cluster.image(PRIVATE_REPOSITORY), cluster.images.image("shop/web", "2", content=b"bad")
        Signer(cluster.registry).copy(good, bad)
        assert await cluster.judge(bad, OPTIONAL) == (False, ["WrongDigest"])


class TestRootsThatChange:
    async def test_a_new_root_acts_with_the_next_request(self, cluster: Cluster) -> None:
        image = cluster.image(SHAPES["bundle, Rekor 1"])
        async with cluster.webhook(root=SPARE) as webhook:

            async def allowed() -> bool:
                return (await webhook.validate(review(pod(str(image.reference))))).allowed

            assert not await allowed()
            for root, expected in ((PRIVATE, True), (SPARE, False)):  # asked twice: remembered verdicts must not stay
                webhook.write_policy("private", trust_root(root))
                assert await webhook.app.policies.refresh()
                assert (await allowed(), await allowed()) == (expected, expected)

    async def test_a_root_that_is_gone_leaves_the_question_open(self, cluster: Cluster) -> None:
        image = cluster.image(SHAPES["bundle, Rekor 1"])
        async with cluster.webhook() as webhook:
            (webhook.policies / "private.yaml").unlink()
            assert await webhook.app.policies.refresh()
            answer = await webhook.validate(review(pod(str(image.reference))))
            assert (answer.allowed, reasons(webhook, answer)) == (False, ["TrustedRootUnavailable"])
            webhook.write_policy("private", trust_root(PRIVATE))
            assert await webhook.app.policies.refresh()
            assert (await webhook.validate(review(pod(str(image.reference))))).allowed

    async def test_two_certificates_of_one_identity_are_one_signer(self, cluster: Cluster) -> None:
        """Design, rule 5: the signer is issuer and subject, never the ephemeral key."""
        image = cluster.image(SHAPES["cosign 2, annotations"])
        twice = [trusting(), {**trusting(claims=CLAIMS), "name": "again"}]
        spec: dict[str, Any] = {
            "authorities": twice,
            "require": [{"name": "two", "signature": {"threshold": 2, "of": ["ci", "again"]}}],
        }
        other_key = PRIVATE.ca.certify(signing_key("another ephemeral"), Identity(claims=CLAIMS))
        SHAPES["bundle, Rekor 1"](cluster.registry, image, PRIVATE, other_key)
        async with cluster.webhook() as webhook:
            webhook.write_policy("corp", policy(**spec))
            assert await webhook.app.policies.refresh()
            answer = await webhook.validate(review(pod(str(image.reference))))
            assert (answer.allowed, reasons(webhook, answer)) == (False, ["ThresholdNotMet"])
