"""Break-glass through the webhook: at once open, at once shut, said aloud each time."""

from pathlib import Path
from typing import Any

from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.settings import Limits
from tests.fakes.gates import Clock, authority, local, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import pod, review
from tests.fakes.webhook import Webhook

CORP = policy(authorities=[authority("release", signing_key("release"))])
MADE, ENDS = "2027-01-15T08:00:00Z", "2027-01-15T10:00:00Z"
NOON = 1_800_000_000.0  # 2027-01-15T08:00:00Z
HOUR = 3600.0


def exception(name: str = "outage", /, **fields: Any) -> dict[str, Any]:
    match = {"images": ["*/shop/**"], "namespaces": ["shop"]}
    whole = {"match": match, "policies": ["corp"], "requirements": ["*"], "expiresAt": ENDS, "reason": "we must ship"}
    metadata = {"name": name, "creationTimestamp": MADE}
    return {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustException", "metadata": metadata, "spec": whole | fields}


def app(folder: Path, registry: EmbeddedRegistry, clock: Clock) -> Webhook:
    settings = local(registry.host, limits=Limits(lame_duck=0))
    return Webhook(folder / "app", {"corp": CORP, "outage": exception()}, settings, clock)


async def test_it_lets_through_until_it_expires_and_not_a_second_longer(
    tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder
) -> None:
    clock = Clock(NOON + HOUR)
    image = images.image("shop/web", "1")
    async with app(tmp_path, registry, clock) as webhook:
        for _ in range(2):  # the second time from memory
            answer = await webhook.validate(review(pod(str(image.reference))))
            assert answer.allowed
            assert any("let through by exception outage" in warning for warning in answer.warnings), answer.warnings
        clock.pass_(HOUR - 1)
        assert (await webhook.validate(review(pod(str(image.reference))))).allowed
        clock.pass_(1)
        answer = await webhook.validate(review(pod(str(image.reference))))
        assert not answer.allowed
        assert "expected a signature by release" in answer.message
        used = (await webhook.get("/metrics")).text
        assert 'sigward_exceptions_used_total{exception="outage",policy="corp"} 3.0' in used
        assert [line["images"][0]["policies"][0].get("exceptions", [{}])[0].get("name") for line in webhook.audit_lines] == [
            *["outage"] * 3,
            None,
        ]


async def test_it_serves_while_the_registry_is_away_and_frees_nothing_else(
    tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder
) -> None:
    image, other = images.image("shop/web", "1"), images.image("tools/web", "1")
    async with app(tmp_path, registry, Clock(NOON + HOUR)) as webhook:
        await registry.stop()
        answer = await webhook.validate(review(pod(str(image.reference))))
        assert answer.allowed, answer.message
        assert "let through by exception outage" in answer.warnings[0]
        refused = await webhook.validate(review(pod(str(image.reference), str(other.reference))))
        assert not refused.allowed
        assert "/spec/containers/1/image" in refused.message
