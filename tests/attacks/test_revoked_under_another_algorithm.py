"""Row 33: a revoked image asked for by the digest of the same bytes under another algorithm.

Most signatures name one digest; one straight over the manifest's bytes holds under both, and a policy that only revokes
wants no signature at all.
"""

import json
from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.demo.images import AMD64, Image, ImageBuilder
from controller.demo.mediatypes import OCI_INDEX
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer, Style
from controller.errors import Code
from controller.reference import Digest, Reference
from tests.fakes.gates import House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key

RELEASE = signing_key("release")


def alias(registry: EmbeddedRegistry, image: Image) -> Reference:
    """Push the same bytes under SHA-512, and the image's signatures as referrers of that: anybody who may push can."""
    stored = registry.manifest(image.path, image.digest)
    assert stored is not None
    digest = Digest.of(stored.content, "sha512")
    registry.put_manifest(image.path, stored.content, media_type=stored.media_type, digest=digest)
    for referrer in registry.referrers(image.path, image.digest):
        document = json.loads(referrer.content)
        document["subject"]["digest"] = str(digest)
        registry.put_manifest(image.path, json.dumps(document).encode(), media_type=referrer.media_type)
    return Reference(image.repository, None, digest)


def revoking(*digests: object, **spec: Any) -> dict[str, Any]:
    return policy("revoked", revoked={"digests": [str(digest) for digest in digests]}, **spec)


SIGNED = policy(authorities=[authority("release", RELEASE)])


@pytest.mark.parametrize("tagged", [False, True])
@pytest.mark.parametrize("signed", [False, True])
async def test_both_names_are_revoked(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer, *, signed: bool, tagged: bool
) -> None:
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE, style=Style.MESSAGE)
    other = alias(registry, image)
    rest = [SIGNED] if signed else []
    async with House(local(registry.host)) as house:
        before = await house.judge(other, snapshot(*rest, revoking("sha256:" + "0" * 64)))
        assert before.verdict is Verdict.ALLOW
        report = await house.judge(other, snapshot(*rest, revoking(image.digest), number=2))
        assert (report.verdict, Code.REVOKED in codes(report)) == (Verdict.DENY, True)
        report = await house.judge(
            image.reference if tagged else image.pinned, snapshot(*rest, revoking(other.digest), number=3)
        )
        assert (report.verdict, Code.REVOKED in codes(report)) == (Verdict.DENY, True)


async def test_a_platform_listed_by_its_other_name_is_revoked(
    registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> None:
    """Where each platform is judged by itself, nobody need have signed the index: anybody may write one."""
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE, style=Style.MESSAGE)
    entry = {**image.descriptor(), "digest": str(alias(registry, image).digest), "platform": AMD64.document()}
    listing = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    registry.put_manifest(image.path, json.dumps(listing).encode(), tag="listed")
    index = Reference(image.repository, "listed")
    each = {**SIGNED, "spec": {**SIGNED["spec"], "platforms": "Each"}}
    async with House(local(registry.host)) as house:
        assert (await house.judge(index, snapshot(each))).verdict is Verdict.ALLOW
        report = await house.judge(index, snapshot(each, revoking(image.digest, mode="Audit"), number=2))
        assert (report.verdict, codes(report)) == (Verdict.DENY, [Code.REVOKED])
