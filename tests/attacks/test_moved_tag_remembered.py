"""Row 31: a tag moves while a judgement of what it named is under way; the answer must not outlive what was known."""

import asyncio

import pytest
from aiohttp import web

from controller.admission.subject import Subject, Workload
from controller.decision.report import Verdict
from controller.demo.images import ImageBuilder
from controller.demo.recording import Kind
from controller.demo.signer import Signer
from controller.settings import Limits
from tests.fakes import faults
from tests.fakes.faults import Call
from tests.fakes.gates import House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry

RELEASE = signing_key("release")
SIGNED = snapshot(policy(authorities=[authority("release", RELEASE)]))
OTHERS = snapshot(policy(authorities=[authority("release", RELEASE)]), number=2)


async def test_an_answer_does_not_get_the_time_of_a_later_look_at_the_tag(faulty_registry: FaultyRegistry) -> None:
    reached, held = asyncio.Event(), asyncio.Event()

    async def hold(call: Call) -> web.StreamResponse:
        reached.set()
        await held.wait()
        return await call.proceed()

    image = ImageBuilder(faulty_registry).image("shop/web", "1")
    Signer(faulty_registry).sign(image, RELEASE)
    async with House(local(faulty_registry.host)) as house:
        subject = Subject(str(image.reference), "", Workload())
        deadline = asyncio.get_running_loop().time() + 5
        assert await house.gate.pin([subject], house.source, deadline) == (image.digest,)
        house.clock.pass_(59)
        faulty_registry.inject(hold, Kind.REFERRERS, times=1)
        early = asyncio.create_task(house.judge(image.reference, SIGNED))
        await reached.wait()
        moved = ImageBuilder(faulty_registry).image("shop/web", "1", content=b"unsigned")
        house.clock.pass_(2)  # the tag is looked at again, by another request
        assert codes(await house.judge(image.reference, OTHERS)) == ["NoEvidence"]
        held.set()
        report = await early
        assert (report.verdict, report.digest) == (Verdict.ALLOW, image.digest), "what the tag named when it was asked"
        report = await house.judge(image.reference, SIGNED)
        assert (report.verdict, report.digest, codes(report)) == (Verdict.DENY, moved.digest, ["NoEvidence"])


@pytest.mark.parametrize(
    ("kind", "expected"), [("Deployment", (Verdict.ALLOW, [])), ("Pod", (Verdict.DENY, ["RegistryError"]))]
)
async def test_what_a_tag_named_before_does_not_admit_a_pod_that_nobody_pinned(
    faulty_registry: FaultyRegistry, kind: str, expected: tuple[Verdict, list[str]]
) -> None:
    """Another replica, which does not remember the tag, could not pin the Pod; the node pulls what the tag names now."""
    image = ImageBuilder(faulty_registry).image("shop/web", "1")
    Signer(faulty_registry).sign(image, RELEASE)
    async with House(local(faulty_registry.host, limits=Limits(retries=0))) as house:
        place = Workload("shop", kind=kind)
        assert (await house.judge(image.reference, SIGNED, workload=place)).verdict is Verdict.ALLOW
        faulty_registry.inject(faults.status(503))
        house.clock.pass_(3600)
        report = await house.judge(image.reference, SIGNED, workload=place)
        assert (report.verdict, sorted(set(codes(report)))) == expected
        assert (await house.judge(image.pinned, SIGNED, workload=place)).verdict is Verdict.ALLOW, (
            "pinned, it stays verified"
        )
