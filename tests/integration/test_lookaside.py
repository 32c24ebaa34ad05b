"""OpenPGP simple signing through the whole gate: lookaside servers, the registry's extension, names after remapping."""

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from controller.compile.compiled import Snapshot
from controller.decision.report import Report, Verdict
from controller.demo.authentication import Account, TokenAuthentication
from controller.demo.images import Image, ImageBuilder
from controller.demo.openpgp import ExtensionRegistry
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.reference import Reference, Repository
from controller.registry.client import RegistryClient
from controller.registry.credentials import Credential
from controller.settings import Limits, RegistrySettings, Settings
from tests.fakes import gates
from tests.fakes.gates import Clock, House, codes, policy, snapshot
from tests.fakes.keys import signing_key
from tests.fakes.lookaside import LookasideServer
from tests.fakes.openpgp import armored, claim, key, revoked, signed
from tests.fakes.servers import HangingListener


def vendor(*keys: Any, name: str = "vendor", **spec: Any) -> dict[str, Any]:
    """A policy that trusts OpenPGP keys."""
    return policy(authorities=[authority(*keys, name=name)], **spec)


def authority(*keys: Any, name: str = "vendor") -> dict[str, Any]:
    return {"name": name, "openpgp": {"keyring": {"armored": armored(*keys)}}}


VENDOR = snapshot(vendor(key()))


class Everywhere:
    """The same credential for every host that is asked about."""

    scope = "alice"

    async def find(self, repository: Repository) -> Credential | None:
        del repository
        return Credential("alice", "wonderland")

    def note(self, repository: Repository) -> str:
        del repository
        return ""


def by(signer: Any, image: Image, name: str = "") -> bytes:
    """A signature of an image under its own name, or another."""
    return signed(claim(image.digest, name or str(image.reference)), signer)


@pytest.fixture
async def lookaside() -> AsyncIterator[LookasideServer]:
    async with LookasideServer() as running:
        yield running


def reach(registry: EmbeddedRegistry, *bases: str, **changes: Any) -> Settings:
    own = RegistrySettings(insecure=True, private_address=True, lookaside=bases)
    return Settings(registries={registry.host: own}, **changes)


async def judge(settings: Settings, image: object, policies: Snapshot = VENDOR, **options: Any) -> Report:
    async with House(settings, Clock(time.time())) as house:
        return await house.judge(image, policies, **options)


class TestLookaside:
    async def test_signed_is_admitted(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, by(key("stranger"), image), by(key(), image))
        report = await judge(reach(registry, lookaside.base), image.reference)
        assert report.verdict is Verdict.ALLOW
        (check,) = (check for check in report.policies[0].requirements[0].checks if check.signer)
        assert check.signer.startswith("OpenPGP key")
        assert check.evidence.endswith("signature-2")
        assert [request.path.rpartition("/")[2] for request in lookaside.requests] == [
            "signature-1",
            "signature-2",
            "signature-3",
        ]

    async def test_nothing_but_the_manifest_is_asked_of_the_registry(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, by(key(), image))
        assert (await judge(reach(registry, lookaside.base), image.reference)).verdict is Verdict.ALLOW
        assert [request.path for request in registry.requests] == ["/v2/shop/web/manifests/1.4"]

    async def test_unsigned_is_denied(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        report = await judge(reach(registry, lookaside.base), images.image("shop/web", "1.4").reference)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["NoEvidence"])

    async def test_each_no_has_its_reason(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        other = images.image("shop/web", "1.3", content=b"other")
        cases: dict[str, Callable[[Image], bytes]] = {
            "WrongKey": lambda image: by(key("stranger"), image),
            "WrongDigest": lambda _: by(key(), other),
            "WrongIdentity": lambda image: by(key(), image, f"{image.repository}:1.3"),
            "WrongPayloadType": lambda image: signed(claim(image.digest, type="cosign container image signature"), key()),
        }
        for expected, made in cases.items():
            image = images.image(f"shop/{expected.lower()}", "1.4")
            lookaside.add(image, made(image))
            report = await judge(reach(registry, lookaside.base), image.reference)
            assert (report.verdict, codes(report)) == (Verdict.DENY, [expected])

    async def test_revoked_key_is_denied(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, by(key("left"), image))
        settings = reach(registry, lookaside.base)
        assert (await judge(settings, image.reference, snapshot(vendor(key("left"))))).verdict is Verdict.ALLOW
        report = await judge(settings, image.reference, snapshot(vendor(revoked(key("left")))))
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["Revoked"])

    async def test_what_is_no_message_is_shown_as_unreadable_evidence(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, b"<html>not found</html>")
        report = await judge(reach(registry, lookaside.base), image.reference)
        assert report.verdict is Verdict.DENY
        lookaside.add(image, by(key(), image))
        assert (await judge(reach(registry, lookaside.base), image.reference)).verdict is Verdict.ALLOW

    @pytest.mark.parametrize(("status", "expected"), [(403, "Unauthorized"), (500, "RegistryError")])
    async def test_a_server_that_fails_is_undecided(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer, status: int, expected: str
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.failing["signature-1"] = status
        limits = Limits(retries=0)
        report = await judge(reach(registry, lookaside.base, limits=limits), image.reference)
        assert (report.verdict, report.undecided, codes(report)) == (Verdict.DENY, True, [expected])

    async def test_one_server_down_does_not_hide_the_other(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, by(key(), image))
        with HangingListener() as silent:
            settings = reach(registry, f"http://{silent.host}/x", lookaside.base, limits=Limits(retries=0, read_timeout=0.2))
            assert (await judge(settings, image.reference)).verdict is Verdict.ALLOW

    async def test_endless_signatures_are_refused(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, *[by(key(), image)] * 40)
        limits = Limits(openpgp_signatures_per_image=5)
        report = await judge(reach(registry, lookaside.base, limits=limits), image.reference)
        assert (report.verdict, codes(report)) == (Verdict.DENY, ["LimitExceeded"])
        assert len(lookaside.requests) == 6

    async def test_no_credential_leaves_for_the_server(
        self, images: ImageBuilder, registry: EmbeddedRegistry, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        async with House(reach(registry, lookaside.base), Clock(time.time())) as house:
            house.source = RegistryClient(house.transport, Everywhere())
            await house.judge(image.reference, VENDOR)
        assert len(lookaside.requests) == 1
        assert all("Authorization" not in request.headers for request in lookaside.requests)


class TestNames:
    async def test_a_tag_is_not_another_tags(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        """The field `docker-reference` alone changes the verdict; by digest any tag of the repository is good."""
        image = images.image("shop/web", "1.4")
        lookaside.add(image, by(key(), image, f"{image.repository}:1.3"))
        settings = reach(registry, lookaside.base)
        assert codes(await judge(settings, image.reference)) == ["WrongIdentity"]
        assert codes(await judge(settings, f"{image.reference}@{image.digest}")) == ["WrongIdentity"]
        assert (await judge(settings, image.pinned)).verdict is Verdict.ALLOW

    async def test_one_gate_remembers_the_verdict_and_still_compares_each_name(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4", content=b"same")
        images.image("shop/web", "1.5", content=b"same")
        lookaside.add(image, by(key(), image))
        async with House(reach(registry, lookaside.base), Clock(time.time())) as house:
            good, bad = await house.judge_all([image.reference, f"{image.repository}:1.5"], VENDOR)
            again = await house.judge(f"{image.repository}:1.5", VENDOR)
        assert (good.verdict, bad.verdict, again.verdict) == (Verdict.ALLOW, Verdict.DENY, Verdict.DENY)
        assert good.digest == bad.digest
        assert codes(bad) == codes(again) == ["WrongIdentity"]

    async def test_a_mirror_is_judged_under_its_origins_name(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("mirror/web", "1.4")
        origin = Reference.parse("registry.example.com/shop/web:1.4")
        lookaside.files[f"/sigstore/shop/web@sha256={image.digest.hex}/signature-1"] = by(key(), image, str(origin))
        registries = {
            registry.host: RegistrySettings(insecure=True, private_address=True),
            "registry.example.com": RegistrySettings(lookaside=(lookaside.base,)),
        }
        remapped = Settings(registries=registries, remap={f"{registry.host}/mirror": "registry.example.com/shop"})
        assert (await judge(remapped, image.reference)).verdict is Verdict.ALLOW
        plain = Settings(registries=registries)
        assert codes(await judge(plain, image.reference)) == ["NoEvidence"]


class TestExtension:
    async def test_signed_is_admitted(self) -> None:
        async with ExtensionRegistry() as registry:
            image = ImageBuilder(registry).image("shop/web", "1.4")
            registry.add(image, by(key("stranger"), image), by(key(), image))
            assert (await judge(reach(registry), image.reference)).verdict is Verdict.ALLOW
            registry.requests.clear()
            registry.advertised = ""
            report = await judge(reach(registry), image.reference)
            assert (report.verdict, codes(report)) == (Verdict.DENY, ["NoEvidence"])
            assert [request.path for request in registry.requests] == ["/v2/shop/web/manifests/1.4", "/v2/"]

    async def test_it_is_asked_with_the_registrys_credentials(self) -> None:
        alice = Account("alice", "wonderland")
        async with ExtensionRegistry(authentication=TokenAuthentication(alice)) as registry:
            image = ImageBuilder(registry).image("shop/web", "1.4")
            registry.add(image, by(key(), image))
            async with House(reach(registry), Clock(time.time())) as house:
                refused = await house.judge(image.reference, VENDOR)
                house.source = RegistryClient(house.transport, Everywhere())
                report = await house.judge(image.reference, VENDOR)
            assert codes(refused) == ["Unauthorized"]
            assert report.verdict is Verdict.ALLOW

    @pytest.mark.parametrize(("member", "value"), [("type", "other"), ("schemaVersion", 1)])
    async def test_entries_of_other_kinds_are_skipped(self, member: str, value: object) -> None:
        async with ExtensionRegistry() as registry:
            image = ImageBuilder(registry).image("shop/web", "1.4")
            registry.add(image, by(key(), image), **{member: value})
            assert codes(await judge(reach(registry), image.reference)) == ["NoEvidence"]

    @pytest.mark.parametrize(
        ("listing", "expected"),
        [
            (b"[]", "Malformed"),
            (b"{", "Malformed"),
            (b'{"signatures": [1]}', "Malformed"),
            (b'{"signatures": [], "signatures": []}', "Ambiguous"),
            (json.dumps({"signatures": [{"schemaVersion": 2, "type": "atomic", "content": "?"}]}).encode(), "Malformed"),
            (json.dumps({"signatures": [{"schemaVersion": 2, "type": "atomic"}]}).encode(), "Malformed"),
            (json.dumps({"signatures": [{}] * 33}).encode(), "LimitExceeded"),
        ],
    )
    async def test_listings_that_cannot_be_read_are_refused(self, listing: bytes, expected: str) -> None:
        async with ExtensionRegistry() as registry:
            image = ImageBuilder(registry).image("shop/web", "1.4")
            registry.listing = listing
            report = await judge(reach(registry), image.reference)
            assert (report.verdict, codes(report)) == (Verdict.DENY, [expected])


class TestPolicies:
    async def test_openpgp_and_cosign_make_a_quorum(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer, signer: Signer
    ) -> None:
        image = images.image("shop/web", "1.4")
        both = snapshot(
            policy(
                authorities=[authority(key()), gates.authority("release", signing_key("release"))],
                require=[{"name": "two", "signature": {"threshold": 2, "of": ["vendor", "release"]}}],
            )
        )
        settings = reach(registry, lookaside.base)
        lookaside.add(image, by(key(), image))
        assert codes(await judge(settings, image.reference, both)) == ["ThresholdNotMet"]
        signer.sign(image, signing_key("release"))
        assert (await judge(settings, image.reference, both)).verdict is Verdict.ALLOW

    async def test_one_key_under_two_authorities_counts_once(
        self, registry: EmbeddedRegistry, images: ImageBuilder, lookaside: LookasideServer
    ) -> None:
        image = images.image("shop/web", "1.4")
        lookaside.add(image, by(key(), image), by(key(), image))
        twice = snapshot(
            policy(
                authorities=[authority(key(), name="a"), authority(key(), key("other"), name="b")],
                require=[{"name": "two", "signature": {"threshold": 2, "of": ["a", "b"]}}],
            )
        )
        assert codes(await judge(reach(registry, lookaside.base), image.reference, twice)) == ["ThresholdNotMet"]
