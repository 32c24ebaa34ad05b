"""`platforms: Each` through the whole gate: every platform by itself, counted requests, and nothing that hides from it."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.decision.report import Outcome, Report, Verdict
from controller.demo.images import AMD64, ARM64, Image, ImageBuilder, Platform
from controller.demo.mediatypes import OCI_INDEX, SPDX
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.render.text import explanation
from controller.render.tree import Style
from controller.settings import CacheSettings, Limits
from tests.fakes import faults
from tests.fakes.gates import House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry

RELEASE = signing_key("release")
PLATFORMS = (AMD64, ARM64, Platform(architecture="s390x"))


def trusting(platforms: str = "Each", **spec: Any) -> dict[str, Any]:
    return policy(authorities=[authority("release", RELEASE)], platforms=platforms, **spec)


EACH, INDEX = snapshot(trusting()), snapshot(trusting("Index"), number=2)


@pytest.fixture
async def house(registry: EmbeddedRegistry) -> AsyncIterator[House]:
    async with House(local(registry.host)) as running:
        yield running


@pytest.fixture
def index(images: ImageBuilder) -> Image:
    return images.index("shop/web", "1.4", platforms=PLATFORMS, attestations=[SPDX])


def sign_each(signer: Signer, image: Image, *but: int) -> None:
    for number, platform in enumerate(image.platforms):
        if number not in but:
            signer.sign(platform, RELEASE)


class TestVerdicts:
    async def test_the_field_alone_changes_the_verdict(self, house: House, index: Image, signer: Signer) -> None:
        signer.sign(index, RELEASE)
        assert (await house.judge(index.reference, INDEX)).verdict is Verdict.ALLOW
        report = await house.judge(index.reference, EACH)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["NoEvidence"] * 3)

    async def test_every_platform_signed_is_admitted(self, house: House, index: Image, signer: Signer) -> None:
        sign_each(signer, index)
        report = await house.judge(index.reference, EACH)
        assert report.verdict is Verdict.ALLOW
        assert report.digest == index.digest
        assert [result.platform for result in report.policies[0].requirements] == [
            "linux/amd64",
            "linux/arm64/v8",
            "linux/s390x",
        ]
        assert codes(await house.judge(index.reference, INDEX)) == ["NoEvidence"], "and says nothing about the index"

    @pytest.mark.parametrize("missing", [0, 1, 2])
    async def test_one_unsigned_platform_is_named(self, house: House, index: Image, signer: Signer, missing: int) -> None:
        sign_each(signer, index, missing)
        report = await house.judge(index.reference, EACH)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["NoEvidence"])
        (failed,) = (result for result in report.policies[0].requirements if result.outcome is not Outcome.PASS)
        assert failed.platform == ["linux/amd64", "linux/arm64/v8", "linux/s390x"][missing]
        assert f"signed (signature) on {failed.platform}: missing" in shown(report)

    async def test_another_platforms_signature_is_none(self, house: House, index: Image, signer: Signer) -> None:
        sign_each(signer, index, 1)
        signer.copy(index.platforms[0], index.platforms[1])
        assert codes(await house.judge(index.reference, EACH)) == ["WrongDigest"]

    async def test_a_single_image_is_judged_itself(self, house: House, images: ImageBuilder, signer: Signer) -> None:
        image = images.image("shop/web", "1")
        assert codes(await house.judge(image.reference, EACH)) == ["NoEvidence"]
        house.clock.pass_(60)
        signer.sign(image, RELEASE)
        report = await house.judge(image.pinned, EACH)
        assert report.verdict is Verdict.ALLOW
        assert [result.platform for result in report.policies[0].requirements] == [""]

    async def test_both_kinds_of_policy_judge_one_index(self, house: House, index: Image, signer: Signer) -> None:
        both = snapshot(trusting(), {**trusting("Index"), "metadata": {"name": "whole"}})
        sign_each(signer, index)
        report = await house.judge(index.reference, both)
        assert {str(result.policy): result.outcome for result in report.policies} == {
            "corp": Outcome.PASS,
            "whole": Outcome.MISSING,
        }
        house.clock.pass_(60)
        signer.sign(index, RELEASE)
        assert (await house.judge(index.reference, both)).verdict is Verdict.ALLOW

    async def test_a_listed_digest_is_the_platforms(self, house: House, index: Image) -> None:
        def listing(*digests: object) -> dict[str, Any]:
            return policy(platforms="Each", require=[{"name": "base", "digests": [str(digest) for digest in digests]}])

        own, parts = [index.digest], [platform.digest for platform in index.platforms]
        assert codes(await house.judge(index.reference, snapshot(listing(*own)))) == ["DigestNotListed"] * 3
        assert (await house.judge(index.reference, snapshot(listing(*parts), number=2))).verdict is Verdict.ALLOW


class TestHiding:
    async def test_attestation_manifests_are_no_platforms_and_no_evidence(
        self, house: House, images: ImageBuilder, signer: Signer
    ) -> None:
        index = images.index("shop/web", "1", attestations=[SPDX])
        sign_each(signer, index)
        assert (await house.judge(index.reference, EACH)).verdict is Verdict.ALLOW
        bill = {"name": "bill", "onMissing": "Deny", "sbom": {"of": ["release"]}}
        for number, platforms in enumerate(("Each", "Index"), 2):
            report = await house.judge(index.reference, snapshot(trusting(platforms, require=[bill]), number=number))
            assert report.verdict is Verdict.DENY
            assert set(codes(report)) == {"NoEvidence"}

    @pytest.mark.parametrize("platform", [{"os": "linux", "architecture": "amd64"}, None])
    async def test_a_runnable_entry_does_not_hide_as_an_attestation(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, platform: Any
    ) -> None:
        good, evil = images.image("shop/web", content=b"good"), images.image("shop/web", content=b"evil")
        signer.sign(good, RELEASE)
        entry = {**evil.descriptor(), "annotations": {"vnd.docker.reference.type": "attestation-manifest"}}
        if platform:
            entry["platform"] = platform
        push(registry, [entry, {**good.descriptor(), "platform": {"os": "linux", "architecture": "amd64"}}])
        report = await house.judge(f"{registry.host}/shop/web:index", EACH)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["NoEvidence"])

    async def test_an_index_in_an_index_is_refused_whatever_its_entry_says(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        inner = images.index("shop/web", "inner")
        sign_each(signer, inner)
        signer.sign(inner, RELEASE)
        for media_type in (OCI_INDEX, "application/vnd.oci.image.manifest.v1+json"):
            push(registry, [{**inner.descriptor(), "mediaType": media_type, "platform": {"os": "linux"}}])
            house.clock.pass_(60)
            report = await house.judge(f"{registry.host}/shop/web:index", EACH)
            assert (report.verdict, codes(report)) == (Verdict.DENY, ["Ambiguous"])

    async def test_an_index_of_attestations_alone_passes_nothing(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web")
        signer.sign(image, RELEASE)
        mark = {"vnd.docker.reference.type": "attestation-manifest"}
        unknown = {"os": "unknown", "architecture": "unknown"}
        push(registry, [{**image.descriptor(), "annotations": mark, "platform": unknown}])
        report = await house.judge(f"{registry.host}/shop/web:index", EACH)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["Malformed"])

    async def test_too_many_platforms_are_refused_unseen(
        self, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        index = images.index("shop/web", "1")
        sign_each(signer, index)
        async with House(local(registry.host, limits=Limits(platforms_per_index=1))) as house:
            registry.requests.clear()
            report = await house.judge(index.reference, EACH)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["LimitExceeded"])
        assert len(registry.requests) == 1

    async def test_a_revoked_platform_is_denied(self, house: House, index: Image, signer: Signer) -> None:
        sign_each(signer, index)
        revoked = snapshot(trusting(revoked={"digests": [str(index.platforms[1].digest)]}))
        assert codes(await house.judge(index.reference, revoked)) == ["Revoked"]


class TestRequests:
    async def test_each_platform_costs_its_manifest_and_its_evidence(
        self, house: House, registry: EmbeddedRegistry, index: Image, signer: Signer
    ) -> None:
        """By tag: the index; for each platform its manifest, the `.sig` tag, the referrers and one signature's blob."""
        sign_each(signer, index)
        registry.requests.clear()
        await house.judge(index.reference, EACH)
        assert len(registry.requests) == 1 + 4 * len(PLATFORMS)
        assert len(registry.requests.of(Kind.BLOB)) == len(PLATFORMS)
        registry.requests.clear()
        assert (await house.judge(index.reference, EACH)).verdict is Verdict.ALLOW
        assert len(registry.requests) == 0

    async def test_a_long_payload_is_judged_again_after_it_was_dropped(
        self, registry: EmbeddedRegistry, index: Image, signer: Signer
    ) -> None:
        sign_each(signer, index)
        other = snapshot(policy(authorities=[authority("other", signing_key("other"))], platforms="Each"), number=2)
        async with House(local(registry.host, cache=CacheSettings(payload_kept_bytes=1))) as house:
            assert (await house.judge(index.reference, EACH)).verdict is Verdict.ALLOW
            assert codes(await house.judge(index.reference, other)) == ["WrongKey"] * 3
            assert (await house.judge(index.reference, EACH)).verdict is Verdict.ALLOW


class TestAway:
    async def test_one_platform_out_of_reach_is_undecided_and_not_remembered(self, faulty_registry: FaultyRegistry) -> None:
        registry = faulty_registry
        index = ImageBuilder(registry).index("shop/web", "1")
        sign_each(Signer(registry), index)
        fault = registry.inject(faults.status(500), path=str(index.platforms[1].digest))
        async with House(local(registry.host, limits=Limits(retries=0))) as house:
            report = await house.judge(index.reference, EACH)
            assert (report.verdict, report.undecided, codes(report)) == (Verdict.DENY, True, ["RegistryError"])
            assert fault.hits
            registry.heal()
            assert (await house.judge(index.reference, EACH)).verdict is Verdict.ALLOW

    async def test_a_failed_platform_is_not_forgiven_because_another_is_out_of_reach(
        self, faulty_registry: FaultyRegistry
    ) -> None:
        registry = faulty_registry
        index = ImageBuilder(registry).index("shop/web", "1")
        registry.inject(faults.status(500), path=str(index.platforms[0].digest))
        lenient = snapshot(trusting(onUnavailable="Warn"))
        async with House(local(registry.host, limits=Limits(retries=0))) as house:
            report = await house.judge(index.reference, lenient)
            assert report.verdict is Verdict.DENY
            assert "NoEvidence" in codes(report)

    async def test_what_was_verified_stays_verified_while_the_registry_is_away(
        self, registry: EmbeddedRegistry, index: Image, signer: Signer
    ) -> None:
        sign_each(signer, index)
        async with House(local(registry.host, limits=Limits(retries=0))) as house:
            assert (await house.judge(index.pinned, EACH)).verdict is Verdict.ALLOW
            house.clock.pass_(3600)
            await registry.stop()
            report = await house.judge(index.pinned, EACH)
            assert (report.verdict, report.stale) == (Verdict.ALLOW, True)


def push(registry: EmbeddedRegistry, entries: list[dict[str, Any]]) -> None:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    registry.put_manifest("shop/web", json.dumps(document).encode(), tag="index")


def shown(report: Report) -> str:
    return explanation(report, Style())
