"""The door for admission: one HTTP request in, one AdmissionReview out.

Whatever happens in between, the answer is a verdict under the right uid, or an HTTP 400 where nobody can be answered; never
an HTTP 500, never a yes by accident. This file has the one catch-all of the product.
"""

import asyncio
import functools
import logging
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import parse_qs

from aiohttp import web

from controller.admission.patch import pin
from controller.admission.pods import ImageTable
from controller.admission.response import MAX_MESSAGE, Answer, clean, encode
from controller.admission.review import Envelope, Review, open_envelope, read_review
from controller.admission.subject import Subject, Workload
from controller.cache import ByteBudget
from controller.compile.compiled import Snapshot
from controller.decision.report import Report, Verdict
from controller.errors import Code, Invalid, SigwardError, Undecided
from controller.reference import Digest
from controller.registry.source import Source
from controller.server.audit import record
from controller.server.resources import Resources
from controller.settings import Limits, duration
from controller.telemetry import REQUEST_UID, AuditLog, Telemetry

_LOG: Final = logging.getLogger("sigward.admission")
_POD: Final = ("", "Pod")
_MAX_QUERY: Final = 256
"""Longest query read, in characters; the API server's is `timeout=10s`."""
_MAX_FIELDS: Final = 16


class Gate(Protocol):
    """What the door asks of the pipeline."""

    def concerns(self, subjects: Sequence[Subject], snapshot: Snapshot) -> bool:
        """Whether a policy is about any of the images, wherever they are to run."""

    async def judge(
        self, subjects: Sequence[Subject], snapshot: Snapshot, source: Source, deadline: float
    ) -> tuple[Report, ...]:
        """One report per subject, in order, before `deadline` (event loop time)."""

    async def pin(self, subjects: Sequence[Subject], source: Source, deadline: float) -> tuple[Digest | None, ...]:
        """Each subject's digest, None where it could not be had."""


class Surroundings(Protocol):
    """What of the cluster around a workload its verdict needs, beside the policies."""

    async def placed(self, snapshot: Snapshot, workload: Workload, deadline: float) -> Snapshot:
        """`snapshot` with the labels of the workload's namespace, as far as they can be had."""

    async def source(self, workload: Workload, deadline: float) -> Source:
        """The registries as whoever pulls for the workload sees them."""


@dataclass(frozen=True, slots=True)
class Judging:
    """Everything a verdict needs. `snapshot` returns the one in force, None before the first was loaded.

    `source` sees the registries as the controller does. `around` is the cluster, where there is one. `clock` gives POSIX
    seconds.
    """

    gate: Gate
    source: Source
    snapshot: Callable[[], Snapshot | None]
    table: ImageTable
    answer: Callable[[Sequence[Report]], Answer]
    limits: Limits
    pins: bool
    clock: Callable[[], float] = time.time
    around: Surroundings | None = None

    async def judge(self, subjects: Sequence[Subject], snapshot: Snapshot, deadline: float) -> tuple[Report, ...]:
        """One report per image of one object, which has one place and one set of credentials."""
        source = self.source
        if self.around is not None and self.gate.concerns(subjects, snapshot):
            workload = subjects[0].workload
            snapshot = await self.around.placed(snapshot, workload, deadline)
            source = await self.around.source(workload, deadline)
        return await self.gate.judge(subjects, snapshot, source, deadline)

    async def pin(self, subjects: Sequence[Subject], deadline: float) -> tuple[Digest | None, ...]:
        """Each image's digest, None where it could not be had."""
        source = self.source if self.around is None else await self.around.source(subjects[0].workload, deadline)
        return await self.gate.pin(subjects, source, deadline)


@dataclass(slots=True)
class _Exchange:
    """One request and how far it has come.

    Times are the event loop's: the gate answers before `deadline` by itself, after `latest` nothing is waited for any more.
    """

    path: str
    started: float
    deadline: float
    latest: float
    envelope: Envelope | None = None
    review: Review | None = None
    reports: Sequence[Report] = ()


class AdmissionDoor:
    """Answers `/validate`, `/mutate` and `/policies`.

    Args:
        judging: Makes verdicts.
        telemetry: Counts them.
        audit: Writes one line for each.
    """

    def __init__(self, judging: Judging, telemetry: Telemetry, audit: AuditLog) -> None:
        self._judging = judging
        self._limits = judging.limits
        self._telemetry = telemetry
        self._audit = audit
        self._doors: dict[str, Callable[[_Exchange, Review], Awaitable[Answer]]] = {
            "/validate": self._validate,
            "/mutate": self._mutate,
            "/policies": self._policies,
        }
        self._resources = Resources(judging.limits, judging.snapshot, judging.clock)
        self._bytes = ByteBudget(judging.limits.review_bytes_in_flight)
        self.in_flight = 0
        telemetry.in_flight.set_function(lambda: self.in_flight)

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        path = request.path
        if path not in self._doors:
            return _text(HTTPStatus.NOT_FOUND, "no such path")
        if request.method != "POST":
            return _text(HTTPStatus.METHOD_NOT_ALLOWED, "an AdmissionReview is sent with POST")
        started = asyncio.get_running_loop().time()
        total, margin = patience(request.rel_url.raw_query_string, self._limits)
        exchange = _Exchange(path, started, started + total - margin, started + total - margin / 2)
        self.in_flight += 1
        try:
            return await self._answer(request, exchange)
        finally:
            self.in_flight -= 1

    async def _answer(self, request: web.BaseRequest, exchange: _Exchange) -> web.Response:
        try:
            async with asyncio.timeout_at(exchange.latest):
                raw = await self._body(request)
                exchange.envelope = open_envelope(raw)
                answer = await self._decide(raw, exchange.envelope, exchange)
        except Exception as error:  # noqa: BLE001 - the one catch-all: it denies
            if exchange.envelope is None:
                return self._unanswerable(error)
            answer = self._failed(error, exchange)
        self._tell(exchange, exchange.envelope, answer)
        return web.Response(body=encode(exchange.envelope, answer), content_type="application/json")

    async def _body(self, request: web.BaseRequest) -> bytes:
        length, limit = request.content_length, self._limits.review_bytes
        if length is not None and length > limit:
            raise _too_long(limit, length)
        # A body whose length is not said may become as long as is allowed.
        held = await self._bytes.reserve(limit if length is None else length)
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise _too_long(limit, None) from None
        finally:
            self._bytes.release(held)

    async def _decide(self, raw: bytes, envelope: Envelope, exchange: _Exchange) -> Answer:
        REQUEST_UID.set(envelope.uid)  # aiohttp gives each request a task, and so a context, of its own
        if self.in_flight > self._limits.requests_in_flight:
            raise Undecided(Code.BUSY, "too many admission requests are being judged; try again")
        exchange.review = review = read_review(raw, envelope, self._limits)
        return await self._doors[exchange.path](exchange, review)

    async def _validate(self, exchange: _Exchange, review: Review) -> Answer:
        judging = self._judging
        subjects = judging.table.to_judge(review)
        if not subjects:
            return Answer(allowed=True)  # the request lets no image run that does not run already
        snapshot = judging.snapshot()
        if snapshot is None:
            raise Undecided(Code.POLICIES_UNKNOWN, "the policies are not loaded yet")
        exchange.reports = await judging.judge(subjects, snapshot, exchange.deadline)
        answer = judging.answer(exchange.reports)
        refused = any(report.verdict is Verdict.DENY for report in exchange.reports)
        if len(exchange.reports) != len(subjects) or answer.allowed is refused:
            raise AssertionError("the answer does not follow from one report per image")
        return answer

    async def _mutate(self, exchange: _Exchange, review: Review) -> Answer:
        """Pin Pods; workload objects stay as their authors wrote them, and nothing is judged here."""
        judging = self._judging
        if not judging.pins or review.kind != _POD or review.object is None:
            return Answer(allowed=True)
        subjects = judging.table.to_judge(review)
        if not subjects:
            return Answer(allowed=True)
        digests = await judging.pin(subjects, exchange.deadline)
        return Answer(allowed=True, patch=pin(zip(subjects, digests, strict=True)))

    async def _policies(self, _: _Exchange, review: Review) -> Answer:
        """Our own resources, in a thread: parsing a long one must not keep admission waiting."""
        return await asyncio.to_thread(self._resources.judge, review)

    def _failed(self, error: Exception, exchange: _Exchange) -> Answer:
        """What a failure answers: a denial at `/validate`, no patch at `/mutate`.

        Pinning never judges: what it cannot do it leaves for validation, which sees the same request and refuses it there.
        """
        denial = self._denial(error, exchange.envelope.uid if exchange.envelope else "")
        return Answer(allowed=True) if exchange.path == "/mutate" else denial

    def _denial(self, error: Exception, uid: str) -> Answer:
        """A refusal without a judgement; what was not foreseen shows the uid and nothing else."""
        if isinstance(error, SigwardError):
            code, message = error.reason.code, str(error)
        elif isinstance(error, TimeoutError):
            code, message = Code.DEADLINE, "no verdict in time; try again"
        else:
            _LOG.error("request %s failed", uid, exc_info=error)
            code, message = Code.INTERNAL, f"internal error; the log of the controller has it under request {uid}"
        self._telemetry.admission_errors.labels(code).inc()
        return Answer(allowed=False, message=f"not judged: {message}", audit={"code": code})

    def _unanswerable(self, error: Exception) -> web.Response:
        """Nobody to answer: HTTP 400, which the API server counts as a failed call."""
        known = isinstance(error, SigwardError)
        code = error.reason.code if isinstance(error, SigwardError) else Code.INVALID_REVIEW
        self._telemetry.admission_errors.labels(code).inc()
        if not known and not isinstance(error, (TimeoutError, OSError, web.RequestPayloadError)):
            _LOG.error("a request could not be read", exc_info=error)
        response = _text(
            HTTPStatus.BAD_REQUEST, clean(str(error), MAX_MESSAGE) if known else "the request could not be read"
        )
        response.force_close()  # the rest of the body is not waited for
        return response

    def _tell(self, exchange: _Exchange, envelope: Envelope, answer: Answer) -> None:
        seconds = asyncio.get_running_loop().time() - exchange.started
        verdict = _verdict(answer, exchange.reports)
        self._telemetry.admitted(exchange.path[1:], verdict, seconds, (report.verdict for report in exchange.reports))
        for report in exchange.reports if verdict == Verdict.WARN else ():
            for policy in report.policies:
                for exception in policy.exceptions:
                    self._telemetry.excepted.labels(exception.name, str(policy.policy)).inc()
        if exchange.path != "/mutate":
            self._audit.write(record(envelope, exchange.review, verdict, answer, exchange.reports, seconds))


def patience(query: str, limits: Limits) -> tuple[float, float]:
    """How long the caller waits, and what of that is kept for the way home, in seconds.

    The call's `?timeout=` says it, or else the settings.
    """
    asked = _timeout(query)
    total = min(asked, limits.request_timeout_longest) if asked else limits.request_timeout
    return total, min(limits.deadline_margin, total / 2)


@functools.lru_cache(maxsize=64)  # the API server sends one and the same
def _timeout(query: str) -> float:
    """The `timeout` of a query, in seconds; 0 where it has none that can be read."""
    for text in parse_qs(query, max_num_fields=_MAX_FIELDS).get("timeout", ())[:1] if len(query) <= _MAX_QUERY else ():
        with suppress(ValueError):
            seconds = duration(text)
            if isinstance(seconds, float) and math.isfinite(seconds):
                return max(seconds, 0.0)
    return 0.0


def _verdict(answer: Answer, reports: Sequence[Report]) -> str:
    if not answer.allowed:
        return Verdict.DENY
    verdicts = {report.verdict for report in reports}
    return next((verdict for verdict in (Verdict.WARN, Verdict.AUDIT) if verdict in verdicts), Verdict.ALLOW)


def _too_long(limit: int, length: int | None) -> Invalid:
    found = f"{length} bytes" if length is not None else "more"
    return Invalid(Code.LIMIT_EXCEEDED, "AdmissionReview is too long", expected=f"at most {limit} bytes", found=found)


def _text(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
