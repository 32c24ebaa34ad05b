"""The whole pipeline against a running registry: verdicts, what is asked, what is remembered, and what failure does."""

import asyncio
import gc
from collections.abc import AsyncIterator

import pytest

from controller.compile.compiled import CompiledPolicy
from controller.decision.report import Outcome, Verdict
from controller.demo.images import ImageBuilder
from controller.demo.recording import Kind
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.settings import CacheSettings, Limits, Unmatched
from tests.fakes import faults
from tests.fakes.gates import Clock, House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry
from tests.fakes.servers import HangingListener

RELEASE = signing_key("release")
OTHER = signing_key("other")
SIGNED = snapshot(policy(authorities=[authority("release", RELEASE)]))
STYLES = [Style.TAG, Style.BUNDLE, Style.MESSAGE]


@pytest.fixture
async def house(registry: EmbeddedRegistry) -> AsyncIterator[House]:
    async with House(local(registry.host)) as running:
        yield running


class TestVerdicts:
    @pytest.mark.parametrize("style", STYLES)
    async def test_signed_is_admitted(self, house: House, images: ImageBuilder, signer: Signer, style: Style) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE, style=style)
        report = await house.judge(image.reference, SIGNED)
        assert report.verdict is Verdict.ALLOW
        assert report.digest == image.digest
        assert report.policies[0].requirements[0].checks[-1].signer

    async def test_unsigned_is_denied(self, house: House, images: ImageBuilder) -> None:
        report = await house.judge(images.image("shop/web", "1").reference, SIGNED)
        assert report.verdict is Verdict.DENY
        assert codes(report) == ["NoEvidence"]

    @pytest.mark.parametrize("style", STYLES)
    async def test_wrong_key_is_denied(self, house: House, images: ImageBuilder, signer: Signer, style: Style) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, OTHER, style=style)
        report = await house.judge(image.reference, SIGNED)
        assert report.verdict is Verdict.DENY
        assert codes(report) == ["WrongKey"]

    @pytest.mark.parametrize("style", STYLES)
    async def test_another_images_signature_is_denied(
        self, house: House, images: ImageBuilder, signer: Signer, style: Style
    ) -> None:
        good, bad = images.image("shop/web", "1", content=b"good"), images.image("shop/web", "2", content=b"bad")
        signer.sign(good, RELEASE, style=style)
        signer.copy(good, bad)
        report = await house.judge(bad.reference, SIGNED)
        assert report.verdict is Verdict.DENY
        assert codes(report) == ["WrongDigest"]

    async def test_no_such_image_is_denied(self, house: House, registry: EmbeddedRegistry) -> None:
        report = await house.judge(f"{registry.host}/shop/none:1", SIGNED)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["NotFound"])

    async def test_what_is_no_reference_is_denied(self, house: House) -> None:
        report = await house.judge("registry.example.com/UPPER:1", SIGNED)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["InvalidReference"])

    @pytest.mark.parametrize(
        ("setting", "verdict"),
        [(Unmatched.ALLOW, Verdict.ALLOW), (Unmatched.WARN, Verdict.WARN), (Unmatched.DENY, Verdict.DENY)],
    )
    async def test_unmatched_is_settings_say_and_never_fetched(
        self, registry: EmbeddedRegistry, images: ImageBuilder, setting: Unmatched, verdict: Verdict
    ) -> None:
        image = images.image("shop/web", "1")
        elsewhere = snapshot(policy(match={"images": ["registry.example.com/**"]}, authorities=[authority("a", RELEASE)]))
        async with House(local(registry.host, unmatched_images=setting)) as house:
            report = await house.judge(image.reference, elsewhere)
        assert (report.verdict, codes(report)) == (verdict, ["Unmatched"])
        assert len(registry.requests) == 0


class TestMemory:
    async def test_second_time_asks_nothing(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        await house.judge(image.reference, SIGNED)
        registry.requests.clear()
        assert (await house.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW
        assert len(registry.requests) == 0

    async def test_moved_tag_is_seen_after_its_time(self, house: House, images: ImageBuilder, signer: Signer) -> None:
        image = images.image("shop/web", "1", content=b"good")
        signer.sign(image, RELEASE)
        assert (await house.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW
        moved = images.image("shop/web", "1", content=b"bad")
        house.clock.pass_(59)
        assert (await house.judge(image.reference, SIGNED)).digest == image.digest
        house.clock.pass_(2)
        report = await house.judge(image.reference, SIGNED)
        assert (report.verdict, report.digest) == (Verdict.DENY, moved.digest)

    async def test_tag_time_zero_asks_every_time(
        self, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1", content=b"good")
        signer.sign(image, RELEASE)
        async with House(local(registry.host, cache=CacheSettings(tag_ttl=0))) as house:
            assert (await house.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW
            images.image("shop/web", "1", content=b"bad")
            assert (await house.judge(image.reference, SIGNED)).verdict is Verdict.DENY

    async def test_sign_deploy_attest_deploy(self, house: House, images: ImageBuilder, signer: Signer) -> None:
        image = images.image("shop/web", "1")
        assert (await house.judge(image.pinned, SIGNED)).verdict is Verdict.DENY
        signer.sign(image, RELEASE)
        house.clock.pass_(19)
        assert (await house.judge(image.pinned, SIGNED)).verdict is Verdict.DENY
        house.clock.pass_(2)
        assert (await house.judge(image.pinned, SIGNED)).verdict is Verdict.ALLOW

    async def test_passing_evidence_is_kept_ten_minutes(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        await house.judge(image.pinned, SIGNED)
        registry.requests.clear()
        house.clock.pass_(599)
        await house.judge(image.pinned, SIGNED)
        assert len(registry.requests) == 0
        house.clock.pass_(2)
        await house.judge(image.pinned, SIGNED)
        assert len(registry.requests) > 0

    async def test_changed_key_acts_at_once_and_asks_nothing(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        await house.judge(image.reference, SIGNED)
        registry.requests.clear()
        rotated = snapshot(policy(authorities=[authority("release", OTHER)]), number=2)
        report = await house.judge(image.reference, rotated)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["WrongKey"])
        both = snapshot(policy(authorities=[authority("release", OTHER, RELEASE)]), number=3)
        assert (await house.judge(image.reference, both)).verdict is Verdict.ALLOW
        assert len(registry.requests) == 0

    async def test_an_edited_policy_is_not_kept_alive_by_what_was_judged_under_it(
        self, house: House, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        first = snapshot(policy("short-lived", authorities=[authority("release", RELEASE)]), number=1)
        await house.judge(image.reference, first)
        del first
        await house.judge(image.reference, snapshot(policy(authorities=[authority("release", OTHER)]), number=2))
        gc.collect()
        alive = [thing for thing in gc.get_objects() if isinstance(thing, CompiledPolicy) and thing.id.name == "short-lived"]
        assert alive == []

    async def test_revoked_key_acts_at_once(self, house: House, images: ImageBuilder, signer: Signer) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        assert (await house.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW
        key = f"sha256:{RELEASE.fingerprint}" if not RELEASE.fingerprint.startswith("sha256:") else RELEASE.fingerprint
        revoking = snapshot(policy(authorities=[authority("release", RELEASE)], revoked={"keys": [key]}), number=2)
        report = await house.judge(image.reference, revoking)
        assert report.verdict is Verdict.DENY
        assert report.policies[0].requirements[0].checks[0].reason is not None
        assert report.policies[0].requirements[0].checks[0].reason.code == "Revoked"

    async def test_payloads_too_long_to_keep_are_fetched_again_for_a_new_key(
        self, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        async with House(local(registry.host, cache=CacheSettings(payload_kept_bytes=10))) as house:
            assert (await house.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW
            registry.requests.clear()
            renamed = snapshot(policy("renamed", authorities=[authority("release", RELEASE)]), number=2)
            assert (await house.judge(image.reference, renamed)).verdict is Verdict.ALLOW
            assert len(registry.requests) == 0  # the verdict was kept, though the payload was not
            both = snapshot(policy(authorities=[authority("release", RELEASE, OTHER)]), number=3)
            assert (await house.judge(image.reference, both)).verdict is Verdict.ALLOW
            assert len(registry.requests) > 0

    async def test_payloads_judged_in_the_pool(
        self, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        async with House(local(registry.host, limits=Limits(large_payload_bytes=1))) as house:
            reports = await asyncio.gather(*(house.judge(image.reference, SIGNED) for _ in range(20)))
        assert {report.verdict for report in reports} == {Verdict.ALLOW}


class TestRequests:
    @pytest.mark.parametrize(("style", "most"), [(Style.TAG, 6), (Style.BUNDLE, 9)])
    async def test_fifteen_keys_three_signatures(
        self,
        house: House,
        registry: EmbeddedRegistry,
        images: ImageBuilder,
        signer: Signer,
        style: Style,
        most: int,
    ) -> None:
        keys = [signing_key(f"budget-{number}") for number in range(15)]
        image = images.image("shop/web", "1")
        signer.sign(image, *keys[:3], style=style)
        names = [f"a{number}" for number in range(15)]
        policies = snapshot(
            policy(
                authorities=[authority(name, key) for name, key in zip(names, keys, strict=True)],
                require=[{"name": "signed", "signature": {"threshold": 3, "of": names}}],
            )
        )
        report = await house.judge(image.reference, policies)
        assert report.verdict is Verdict.ALLOW
        assert len(registry.requests.counted) <= most

    async def test_thousand_at_once_ask_as_one(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image, alone = images.image("shop/web", "1"), images.image("shop/alone", "1")
        signer.sign(image, RELEASE)
        signer.sign(alone, RELEASE)
        await house.judge(alone.reference, SIGNED)
        one = len(registry.requests.counted)
        registry.requests.clear()
        reports = await asyncio.gather(*(house.judge(image.reference, SIGNED) for _ in range(1000)))
        assert {report.verdict for report in reports} == {Verdict.ALLOW}
        assert len(registry.requests.counted) == one

    async def test_one_tag_in_many_containers_is_resolved_once(
        self, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        async with House(local(registry.host, cache=CacheSettings(tag_ttl=0))) as house:
            reports = await house.judge_all([image.reference] * 5, SIGNED)
        assert len({report.digest for report in reports}) == 1
        assert sum(entry.path.endswith("/manifests/1") for entry in registry.requests.of(Kind.MANIFEST)) == 1

    async def test_attestations_are_asked_for_only_where_wanted(
        self, house: House, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        await house.judge(image.reference, SIGNED)
        assert not [entry for entry in registry.requests if entry.path.endswith(".att")]


class TestFailure:
    @pytest.fixture
    async def away(self, faulty_registry: FaultyRegistry) -> AsyncIterator[House]:
        quick = Limits(retries=0, connect_timeout=1, read_timeout=1, lookup_timeout=2)
        async with House(local(faulty_registry.host, limits=quick)) as running:
            yield running

    async def test_registry_away_is_undecided_and_forgotten(self, away: House, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        faulty_registry.inject(faults.status(503))
        report = await away.judge(image.reference, SIGNED)
        assert report.verdict is Verdict.DENY
        assert report.undecided
        faulty_registry.heal()
        assert (await away.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW

    async def test_on_unavailable_warn_is_a_choice(self, away: House, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        faulty_registry.inject(faults.status(503))
        lenient = snapshot(policy(authorities=[authority("release", RELEASE)], onUnavailable="Warn"))
        report = await away.judge(image.reference, lenient)
        assert report.verdict is Verdict.WARN
        assert report.undecided

    async def test_passes_on_what_was_found_though_another_place_is_away(
        self, away: House, faulty_registry: FaultyRegistry
    ) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        faulty_registry.inject(faults.status(503), Kind.REFERRERS)
        assert (await away.judge(image.reference, SIGNED)).verdict is Verdict.ALLOW

    async def test_missing_is_undecided_while_a_place_is_away(self, away: House, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        faulty_registry.inject(faults.status(503), Kind.REFERRERS)
        report = await away.judge(image.reference, SIGNED)
        assert report.policies[0].requirements[0].outcome is Outcome.UNDECIDED

    async def test_verified_digest_stays_verified_while_its_registry_is_away(
        self, away: House, faulty_registry: FaultyRegistry
    ) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        await away.judge(image.reference, SIGNED)
        faulty_registry.inject(faults.status(503))
        away.clock.pass_(3600)
        report = await away.judge(image.reference, SIGNED)
        assert (report.verdict, report.stale) == (Verdict.ALLOW, True)
        rotated = snapshot(policy(authorities=[authority("release", OTHER)]), number=2)
        assert (await away.judge(image.reference, rotated)).verdict is Verdict.DENY
        away.clock.pass_(90_000)
        assert (await away.judge(image.reference, SIGNED)).undecided

    async def test_stale_tag_only_where_pods_are_pinned(self, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        settings = local(faulty_registry.host, mutate=False, limits=Limits(retries=0))
        async with House(settings, Clock()) as house:
            await house.judge(image.reference, SIGNED)
            faulty_registry.inject(faults.status(503))
            house.clock.pass_(3600)
            by_tag = await house.judge(image.reference, SIGNED)
            by_digest = await house.judge(image.pinned, SIGNED)
        assert (by_tag.verdict, by_tag.undecided) == (Verdict.DENY, True)
        assert (by_digest.verdict, by_digest.stale) == (Verdict.ALLOW, True)

    async def test_a_registry_that_says_no_is_not_away(self, away: House, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        await away.judge(image.pinned, SIGNED)
        faulty_registry.inject(faults.status(403))
        away.clock.pass_(3600)
        report = await away.judge(image.pinned, SIGNED)
        assert (report.verdict, report.undecided, report.stale) == (Verdict.DENY, True, False)

    async def test_answers_by_the_deadline_and_the_retry_finds_the_answer(self, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        faulty_registry.inject(faults.slow(0.3))
        async with House(local(faulty_registry.host)) as house:
            late = await house.judge(image.pinned, SIGNED, within=0.1)
            assert (late.verdict, codes(late)) == (Verdict.DENY, ["Deadline"])
            assert faulty_registry.host in str(late.policies[0].requirements[0].reason)
            report = await house.judge(image.pinned, SIGNED, within=5)
            assert report.verdict is Verdict.ALLOW
        assert len([entry for entry in faulty_registry.requests.counted if entry.path.endswith(".sig")]) == 1

    async def test_names_the_storage_host_that_kept_it_waiting(self, faulty_registry: FaultyRegistry) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        with HangingListener() as storage:
            async with House(local(faulty_registry.host, storage.host)) as house:
                faulty_registry.inject(faults.redirect(f"http://{storage.host}"), Kind.BLOB)
                late = await house.judge(image.pinned, SIGNED, within=0.3)
            assert (late.verdict, codes(late)) == (Verdict.DENY, ["Deadline"])
            assert storage.host in str(late.policies[0].requirements[0].reason)

    async def test_a_tag_is_not_stale_where_the_registry_refuses_us(
        self, away: House, faulty_registry: FaultyRegistry
    ) -> None:
        image = ImageBuilder(faulty_registry).image("shop/web", "1")
        Signer(faulty_registry).sign(image, RELEASE)
        await away.judge(image.reference, SIGNED)
        faulty_registry.inject(faults.status(401), path="/manifests/1")
        away.clock.pass_(61)
        report = await away.judge(image.reference, SIGNED)
        assert (report.verdict, report.undecided, report.digest) == (Verdict.DENY, True, None)
