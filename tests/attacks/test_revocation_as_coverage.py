"""A policy that only revokes demands nothing: it must not open what `unmatchedImages: Deny` closes (design, rule 2)."""

from pathlib import Path

import pytest
import yaml

from controller.decision.report import Verdict
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.errors import Code
from controller.settings import Unmatched
from tests.fakes.commandline import sigward
from tests.fakes.evidence import OTHER, signature
from tests.fakes.gates import House, codes, local, snapshot
from tests.fakes.gates import policy as written
from tests.fakes.keys import signing_key
from tests.fakes.policies import policy, reason_codes, spec, verdict, without

REVOKING = without(spec(revoked={"digests": [str(OTHER)]}), "authorities")


@pytest.mark.parametrize(
    ("unmatched", "expected"),
    [(Unmatched.ALLOW, Verdict.ALLOW), (Unmatched.WARN, Verdict.WARN), (Unmatched.DENY, Verdict.DENY)],
)
def test_a_policy_that_only_revokes_covers_no_image(unmatched: Unmatched, expected: Verdict) -> None:
    report = verdict(policy(REVOKING), unmatched=unmatched)
    assert (report.verdict, reason_codes(report)) == (expected, {Code.UNMATCHED})


def test_beside_a_policy_that_demands_it_changes_nothing() -> None:
    report = verdict([policy(spec()), policy(REVOKING, "revoked")], signature(signing_key()), unmatched=Unmatched.DENY)
    assert (report.verdict, reason_codes(report)) == (Verdict.ALLOW, set())


async def test_an_unsigned_image_stays_unmatched(registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    image = images.image("shop/web", "1")
    async with House(local(registry.host, unmatched_images=Unmatched.DENY)) as house:
        for number, name in enumerate((image.reference, image.pinned)):
            report = await house.judge(name, snapshot(written(revoked={"digests": [str(OTHER)]}), number=number))
            assert (report.verdict, codes(report)) == (Verdict.DENY, [Code.UNMATCHED])


async def test_the_command_refuses_as_the_webhook_does(
    registry: EmbeddedRegistry, images: ImageBuilder, tmp_path: Path
) -> None:
    image = images.image("shop/web", "1")
    path = tmp_path / "revoked.yaml"
    path.write_text(yaml.safe_dump(written(revoked={"digests": [str(OTHER)]})), encoding="utf-8")
    ran = await sigward("verify", image.reference, "--policy", path, "--insecure-registry", registry.host, "-o", "json")
    assert (ran.code, ran.document["images"][0]["reason"]["code"]) == (1, "Unmatched")
