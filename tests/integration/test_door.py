"""What the door does when something is in the way: broken input, too much at once, too slow, too late."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from controller.admission.subject import Subject
from controller.compile.compiled import Snapshot
from controller.decision.report import Named, Report, Verdict
from controller.errors import Code
from controller.reference import Digest
from controller.registry.source import Source
from controller.settings import Limits, Settings
from tests.fakes.gates import authority, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import UID, body, pod, pod_spec, review, workload
from tests.fakes.webhook import Response, Webhook

POLICIES = {"corp": policy(authorities=[authority("release", signing_key())])}


class ScriptedGate:
    """Stands in for the pipeline where the door itself is looked at: answers when told, what it is told."""

    def __init__(self, verdict: Verdict = Verdict.ALLOW, error: BaseException | None = None) -> None:
        self.verdict = verdict
        self.error = error
        self.open = asyncio.Event()
        self.open.set()
        self.deadlines: list[float] = []
        self.asked = 0
        self.short = 0

    async def judge(
        self, subjects: Sequence[Subject], snapshot: Snapshot, source: Source, deadline: float
    ) -> tuple[Report, ...]:
        del snapshot, source
        self.asked += 1
        self.deadlines.append(deadline - asyncio.get_running_loop().time())
        await self.open.wait()
        if self.error:
            raise self.error
        reports = (Report(Named(s.image, s.pointer, s.container), self.verdict) for s in subjects)
        return tuple(reports)[self.short :]

    async def pin(self, subjects: Sequence[Subject], source: Source, deadline: float) -> tuple[Digest | None, ...]:
        del source, deadline
        if self.error:
            raise self.error
        return (None,) * len(subjects)

    async def close(self) -> None:
        self.open.set()


def scripted(tmp_path: Path, gate: ScriptedGate, **limits: Any) -> Webhook:
    webhook = Webhook(tmp_path / "app", POLICIES, Settings(limits=Limits(**{"lame_duck": 0, "drain": 5, **limits})))
    webhook.app._gate = gate  # type: ignore[assignment]
    return webhook


def check_denial(answer: Response, uid: str = UID) -> str:
    """A denial in full form; its message."""
    assert answer.status == 200
    assert answer.response["uid"] == uid
    assert not answer.allowed
    assert answer.response["status"]["code"] == 403
    return answer.message


@pytest.mark.parametrize(
    "error", [RuntimeError("secret detail"), ValueError(), KeyError("x"), RecursionError(), AssertionError()]
)
async def test_whatever_goes_wrong_is_a_denial_that_shows_the_uid_alone(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with scripted(tmp_path, ScriptedGate(error=error)) as webhook:
        message = check_denial(await webhook.validate(review(pod("nginx"))))
    assert message == f"not judged: internal error; the log of the controller has it under request {UID}"
    (record,) = [record for record in caplog.records if record.name == "sigward.admission"]
    assert record.exc_info is not None
    assert record.exc_info[1] is error
    assert UID in record.getMessage()


async def test_what_goes_wrong_in_pinning_is_left_for_validation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with scripted(tmp_path, ScriptedGate(error=RuntimeError("secret detail"))) as webhook:
        answer = await webhook.mutate(review(pod("nginx")))
    assert (answer.allowed, answer.patch) == (True, [])
    assert [record.name for record in caplog.records] == ["sigward.admission"]


async def test_a_report_too_few_is_a_denial(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    gate = ScriptedGate()
    async with scripted(tmp_path, gate) as webhook:
        assert (await webhook.validate(review(pod("a", "b")))).allowed
        gate.short = 1
        assert "internal error" in check_denial(await webhook.validate(review(pod("a", "b"))))
        gate.short = 2
        assert "internal error" in check_denial(await webhook.validate(review(pod("a", "b"))))
    assert len(caplog.records) >= 2


class TestTime:
    @pytest.mark.parametrize(
        ("query", "most"),
        [
            ({"timeout": "10s"}, 9.5),
            ({"timeout": "2s"}, 1.5),
            ({"timeout": "400ms"}, 0.2),
            ({"timeout": "24h"}, 29.5),
            ({"timeout": "0s"}, 3.5),
            ({"timeout": "-5s"}, 3.5),
            ({"timeout": "soon"}, 3.5),
            ({"timeout": ""}, 3.5),
            ({"timeout": "nan"}, 3.5),
            ({"timeout": "9" * 400 + "s"}, 3.5),
        ],
    )
    async def test_the_callers_timeout_less_a_margin_is_the_deadline(
        self, tmp_path: Path, query: dict[str, str], most: float
    ) -> None:
        gate = ScriptedGate()
        async with scripted(tmp_path, gate, request_timeout=4) as webhook:
            await webhook.validate(review(pod("nginx")), **query)
        assert most - 0.2 < gate.deadlines[0] <= most

    async def test_a_gate_that_never_answers_is_a_denial_before_the_caller_gives_up(self, tmp_path: Path) -> None:
        gate = ScriptedGate()
        gate.open.clear()
        async with scripted(tmp_path, gate) as webhook:
            answer = await webhook.validate(review(pod("nginx")), timeout="300ms")
            assert check_denial(answer) == "not judged: no verdict in time; try again"
            assert answer.response["auditAnnotations"] == {"code": Code.DEADLINE}

    async def test_a_body_that_never_comes_ends_in_http_400(self, tmp_path: Path) -> None:
        async with scripted(tmp_path, ScriptedGate()) as webhook:
            reader, writer = await connect(webhook)
            writer.write(b"POST /validate?timeout=300ms HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
            assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
            writer.close()


class TestTooMuch:
    async def test_more_than_can_be_judged_at_once_is_answered_busy(self, tmp_path: Path) -> None:
        gate = ScriptedGate()
        gate.open.clear()
        async with scripted(tmp_path, gate, requests_in_flight=3) as webhook:
            waiting = [asyncio.create_task(webhook.validate(review(pod("a")))) for _ in range(3)]
            while gate.asked < 3:  # noqa: ASYNC110 - the gate has no event for it
                await asyncio.sleep(0.01)
            answer = await webhook.validate(review(pod("a"), uid="late"))
            assert "too many admission requests" in check_denial(answer, "late")
            assert answer.response["auditAnnotations"] == {"code": Code.BUSY}
            gate.open.set()
            assert all(done.allowed for done in await asyncio.gather(*waiting))
            assert (await webhook.validate(review(pod("a")))).allowed

    @pytest.mark.parametrize("chunked", [False, True])
    async def test_a_huge_review_is_http_400_and_not_read_to_its_end(self, tmp_path: Path, *, chunked: bool) -> None:
        async with scripted(tmp_path, ScriptedGate(), review_bytes=100_000) as webhook:
            raw = body(review(pod("a", note="x" * 200_000)))

            async def pieces() -> Any:
                for start in range(0, len(raw), 10_000):
                    yield raw[start : start + 10_000]

            data: Any = pieces() if chunked else raw
            url = f"https://127.0.0.1:{webhook.app.port}/validate"
            async with webhook.session.post(url, data=data) as answer:
                assert answer.status == 400
                assert "at most 100000 bytes" in await answer.text()
                assert answer.headers["Connection"] == "close"

    async def test_reviews_being_read_share_a_budget(self, tmp_path: Path) -> None:
        async with scripted(tmp_path, ScriptedGate(), review_bytes=50_000, review_bytes_in_flight=60_000) as webhook:
            reader, writer = await connect(webhook)
            writer.write(b"POST /validate?timeout=30s HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n{")
            await writer.drain()
            await asyncio.sleep(0.1)
            second = asyncio.create_task(webhook.validate(review(pod("a", note="x" * 30_000)), timeout="5s"))
            await asyncio.sleep(0.1)
            assert not second.done()
            writer.close()  # the first gives up, and its share comes free
            assert (await second).allowed
            del reader

    async def test_a_compressed_review_is_not_unpacked(self, tmp_path: Path) -> None:
        async with scripted(tmp_path, ScriptedGate()) as webhook:
            url = f"https://127.0.0.1:{webhook.app.port}/validate"
            async with webhook.session.post(url, data=body(review(pod("a"))), compress="gzip") as answer:
                assert answer.status == 400
                assert "is not JSON" in await answer.text()


class TestPaths:
    async def test_only_these_two_and_only_post(self, tmp_path: Path) -> None:
        async with scripted(tmp_path, ScriptedGate()) as webhook:
            for path in ("/", "/validate/", "/Validate", "/validate/x", "/metrics", "//validate"):
                assert (await webhook.post(path, review(pod("a")))).status == 404
            async with webhook.session.get(f"https://127.0.0.1:{webhook.app.port}/validate") as answer:
                assert answer.status == 405

    async def test_health_and_metrics_have_their_own_port(self, tmp_path: Path) -> None:
        async with scripted(tmp_path, ScriptedGate()) as webhook:
            assert (await webhook.get("/healthz")).text == "ok\n"
            assert (await webhook.get("/readyz")).text == "ok\n"
            assert (await webhook.get("/validate")).status == 404
            metrics = await webhook.get("/metrics")
            assert metrics.headers["Content-Type"].startswith("text/plain; version=0.0.4")
            assert "sigward_certificate_expiry_timestamp_seconds 1." in metrics.text
            async with webhook.session.post(f"http://127.0.0.1:{webhook.app.metrics_port}/metrics") as answer:
                assert answer.status == 405


async def test_http_that_is_none_is_400(tmp_path: Path) -> None:
    async with scripted(tmp_path, ScriptedGate()) as webhook:
        reader, writer = await connect(webhook)
        writer.write(b"NONSENSE\r\n\r\n")
        assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_workload_kinds_are_judged_too(tmp_path: Path) -> None:
    gate = ScriptedGate(Verdict.DENY)
    async with scripted(tmp_path, gate) as webhook:
        assert not (await webhook.validate(review(workload("Deployment", pod_spec("a"))))).allowed
        assert (await webhook.validate(review(None, operation="DELETE", old=pod("a")))).allowed
    assert gate.asked == 1
    assert json.loads(webhook.audit.getvalue().splitlines()[-1])["allowed"] is True


async def connect(webhook: Webhook) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", webhook.app.port, ssl=webhook.client)
