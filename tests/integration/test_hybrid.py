"""The example policies/post-quantum-hybrid, judged: one classical and one post-quantum signer, both or nothing."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.decision.report import Verdict
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.demo.signingkeys import KeyType, SigningKey
from tests.fakes.gates import House, codes, local, snapshot
from tests.fakes.keys import signing_key

EXAMPLE = Path(__file__).parents[2] / "policies" / "post-quantum-hybrid" / "policy.yaml"
CLASSICAL = signing_key("classical", KeyType.P256)
SECOND = signing_key("second", KeyType.ED25519)
KINDS = [KeyType.ML_DSA_44, KeyType.ML_DSA_65, KeyType.ML_DSA_87]


def example(*keys: SigningKey) -> dict[str, Any]:
    """The example with our own keys and for every registry; nothing else of it is changed."""
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["spec"]["match"]["images"] = ["*/**"]
    for authority, key in zip(document["spec"]["authorities"], keys, strict=True):
        authority["keys"][0]["pem"] = key.public_pem
    return document


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", [Style.TAG, Style.BUNDLE])
async def test_both_or_nothing(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, kind: KeyType, style: Style
) -> None:
    quantum = signing_key("quantum", kind)
    policies = snapshot(example(CLASSICAL, quantum))
    signed = {
        "both": (CLASSICAL, quantum),
        "classical": (CLASSICAL,),
        "quantum": (quantum,),
        "two classical": (CLASSICAL, SECOND),
    }
    async with House(local(registry.host)) as house:
        found = {}
        for name, keys in signed.items():
            image = images.image(f"critical/{name.replace(' ', '-')}", "1", content=name.encode())
            signer.sign(image, *keys, style=style)
            found[name] = await house.judge(image.reference, policies)
    assert found["both"].verdict is Verdict.ALLOW
    for name in ("classical", "quantum", "two classical"):
        assert (found[name].verdict, codes(found[name])) == (Verdict.DENY, ["ThresholdNotMet"])
    assert "missing post-quantum" in str(found["classical"].policies[0].requirements[0].reason)
    assert "missing classical" in str(found["quantum"].policies[0].requirements[0].reason)


async def test_styles_mix(registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer) -> None:
    quantum = signing_key("quantum", KeyType.ML_DSA_65)
    image = images.image("critical/web", "1")
    signer.sign(image, CLASSICAL, style=Style.TAG)
    signer.sign(image, quantum, style=Style.BUNDLE)
    async with House(local(registry.host)) as house:
        assert (await house.judge(image.reference, snapshot(example(CLASSICAL, quantum)))).verdict is Verdict.ALLOW


async def test_one_key_under_both_roles_is_one_signer(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    image = images.image("critical/web", "1")
    signer.sign(image, CLASSICAL)
    async with House(local(registry.host)) as house:
        report = await house.judge(image.reference, snapshot(example(CLASSICAL, CLASSICAL)))
    assert (report.verdict, codes(report)) == (Verdict.DENY, ["ThresholdNotMet"])
