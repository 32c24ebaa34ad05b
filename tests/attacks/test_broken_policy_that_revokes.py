"""Row 39 with row 33: a policy that does not compile goes on revoking, however the image is named.

In mode Warn or Audit such a policy denies nothing else, so nothing else makes the gate look at the digest.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from controller.decision.report import Verdict
from controller.demo.images import Image, ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.errors import Code
from tests.fakes.gates import House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key

RELEASE = signing_key("release")


@pytest.fixture
async def house(registry: EmbeddedRegistry) -> AsyncIterator[House]:
    async with House(local(registry.host)) as running:
        yield running


@pytest.fixture
def index(images: ImageBuilder, signer: Signer) -> Image:
    made = images.index("shop/web", "1")
    signer.sign(made, RELEASE)
    return made


def broken(*digests: object) -> dict[str, Any]:
    """An Audit policy with a misspelt field."""
    return policy("revoked", mode="Audit", misspelt=True, revoked={"digests": [str(digest) for digest in digests]})


SIGNED = policy(authorities=[authority("release", RELEASE)])


@pytest.mark.parametrize("by_digest", [False, True])
@pytest.mark.parametrize("child", [False, True])
@pytest.mark.parametrize("others", [(), (SIGNED,)])
async def test_a_revoked_digest_is_denied(
    house: House, index: Image, others: tuple[dict[str, Any], ...], *, child: bool, by_digest: bool
) -> None:
    revoked = index.platforms[0].digest if child else index.digest
    report = await house.judge(index.pinned if by_digest else index.reference, snapshot(broken(revoked), *others))
    assert (report.verdict, Code.REVOKED in codes(report)) == (Verdict.DENY, True)


async def test_what_it_does_not_revoke_it_only_reports(house: House, index: Image, images: ImageBuilder) -> None:
    other = images.image("shop/other", "1")
    report = await house.judge(index.reference, snapshot(broken(other.digest)))
    assert (report.verdict, codes(report)) == (Verdict.AUDIT, [Code.INVALID_POLICY])
