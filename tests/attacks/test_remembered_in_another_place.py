"""A verdict remembered for one namespace never serves in another, where other policies apply or fail (rows 16 and 33)."""

from controller.admission.subject import Workload
from controller.decision.report import Verdict
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from tests.fakes.gates import House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key

RELEASE = signing_key("release")
OTHER = signing_key("other")
PROD = {"images": ["*/**"], "namespaceSelector": {"matchLabels": {"tier": "prod"}}}
SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"tier": "prod"}}}


async def test_an_unknown_namespace_gains_nothing_from_a_known_one(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE)
    one, two = (
        policy("all", authorities=[authority("a", RELEASE)]),
        policy("prod", match=PROD, authorities=[authority("a", RELEASE)]),
    )
    policies = snapshot(one, two, SHOP)
    async with House(local(registry.host)) as house:
        known = await house.judge(image.reference, policies, workload=Workload("shop", kind="Pod"))
        unknown = await house.judge(image.reference, policies, workload=Workload("elsewhere", kind="Pod"))
        again = await house.judge(image.reference, policies, workload=Workload("shop", kind="Pod"))
    assert (known.verdict, again.verdict) == (Verdict.ALLOW, Verdict.ALLOW)
    assert (unknown.verdict, codes(unknown)) == (Verdict.DENY, ["NamespaceUnknown"])


async def test_the_stricter_namespace_gains_nothing_from_the_laxer_one(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE)
    strict = policy("strict", kind="TrustPolicy", namespace="shop", authorities=[authority("b", OTHER)])
    policies = snapshot(policy("all", authorities=[authority("a", RELEASE)]), strict)
    async with House(local(registry.host)) as house:
        lax = await house.judge(image.reference, policies, workload=Workload("other", kind="Pod"))
        denied = await house.judge(image.reference, policies, workload=Workload("shop", kind="Pod"))
    assert lax.verdict is Verdict.ALLOW
    assert (denied.verdict, codes(denied)) == (Verdict.DENY, ["WrongKey"])
