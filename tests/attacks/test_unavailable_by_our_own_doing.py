"""`onUnavailable: Warn` is about registries that are away. What keeps us from looking although nobody is away is no way in.

A tenant who fills the gate with lookups, pushes evidence that takes long to judge, or runs a registry at an address that
must not be called would otherwise be admitted with a warning.
"""

import asyncio
import threading

from controller.decision.report import Report, Verdict
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.errors import Code, Refused
from controller.evidence import Evidence, Verified
from controller.pipeline.judging import Judging
from controller.reference import Digest
from controller.settings import Limits, RegistrySettings, Settings
from tests.fakes import faults
from tests.fakes.evidence import IMAGE, signature
from tests.fakes.gates import START as NOW
from tests.fakes.gates import House, authority, codes, local, policy, snapshot
from tests.fakes.keys import signing_key
from tests.fakes.registry import FaultyRegistry

LENIENT = snapshot(policy(authorities=[authority("release", signing_key())], onUnavailable="Warn"))


def denied(report: Report, code: Code) -> None:
    assert (report.verdict, report.undecided) == (Verdict.DENY, True)
    assert code in codes(report)


async def test_too_many_lookups(faulty_registry: FaultyRegistry) -> None:
    builder = ImageBuilder(faulty_registry)
    slow, other = builder.image("shop/slow", "1"), builder.image("shop/web", "1")
    faulty_registry.inject(faults.hang(), path="/shop/slow/")
    async with House(local(faulty_registry.host, limits=Limits(lookups_in_flight=1))) as house:
        filling = asyncio.create_task(house.judge(slow.reference, LENIENT, within=1))
        await asyncio.sleep(0)
        denied(await house.judge(other.reference, LENIENT), Code.BUSY)
        report = await filling
        assert (report.verdict, codes(report)[0]) == (Verdict.WARN, "Deadline"), "a registry that keeps us waiting is away"


async def test_an_address_that_must_not_be_called(registry: EmbeddedRegistry, images: ImageBuilder) -> None:
    image = images.image("shop/web", "1")
    async with House(Settings(registries={registry.host: RegistrySettings(insecure=True)})) as house:
        for number, revoked in enumerate(([], [str(image.digest)])):
            document = policy(
                authorities=[authority("release", signing_key())], onUnavailable="Warn", revoked={"digests": revoked}
            )
            denied(await house.judge(image.reference, snapshot(document, number=number)), Code.ADDRESS_NOT_ALLOWED)


class Slow:
    """A judge that is not done before it is told to be."""

    name = fingerprint = description = "slow"

    def __init__(self) -> None:
        self.done = threading.Event()

    def judge(self, evidence: Evidence, subject: Digest, now: float) -> tuple[Verified, ...]:
        del evidence, subject, now
        self.done.wait(10)
        raise Refused(Code.WRONG_KEY, "too late")


async def test_evidence_that_takes_long_to_judge() -> None:
    judging = Judging(Settings(limits=Limits(large_payload_bytes=1)), lambda: NOW)
    slow = Slow()
    deadline = asyncio.get_running_loop().time() + 0.05
    try:
        answers = await judging.outcomes(signature(signing_key()), IMAGE, [slow], deadline, stripped=False)
    finally:
        slow.done.set()
        await judging.close()
    answer = answers["slow"]
    assert not isinstance(answer, tuple)
    assert answer.reason.code is Code.BUSY
