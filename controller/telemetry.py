"""What the process says about itself: metrics, log lines, and one audit line per decision.

Nothing here is global: the app makes one `Telemetry` and passes it on, a test makes its own.
"""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import generate_latest
from prometheus_client.process_collector import ProcessCollector

from controller import __version__

REQUEST_UID: Final[ContextVar[str]] = ContextVar("request_uid", default="")
"""The uid of the admission request in whose course a log line is written."""

METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: a warm admission takes about one millisecond, the API server waits at most thirty."""

_FINGERPRINT_DIGITS: Final = 13
"""Hex digits of a fingerprint that a float holds exactly (52 bits)."""


class Telemetry:
    """All metrics. Labels have few values each: none holds an image, a user or a host that a request names."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._counters: dict[tuple[object, ...], Counter] = {}
        self._durations: dict[str, Histogram] = {}
        ProcessCollector(registry=registry)
        Info("sigward_build", "The running version.", registry=registry).info({"version": __version__})
        self._of_admission(registry)
        self._of_lookups(registry)
        self._of_what_is_in_force(registry)

    def _of_admission(self, registry: CollectorRegistry) -> None:
        self.admissions = Counter(
            "sigward_admissions", "Admission requests answered, by path and verdict.", ("path", "verdict"), registry=registry
        )
        self.admission_errors = Counter(
            "sigward_admission_errors", "Requests denied without a judgement, by reason code.", ("code",), registry=registry
        )
        self.duration = Histogram(
            "sigward_admission_duration_seconds",
            "Time from the request's head to its answer.",
            ("path",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self.in_flight = Gauge("sigward_admissions_in_flight", "Admission requests being answered.", registry=registry)
        self.images = Counter("sigward_images", "Images judged, by verdict.", ("verdict",), registry=registry)
        self.excepted = Counter(
            "sigward_exceptions_used",
            "Denials that a TrustException made a warning, by exception and policy.",
            ("exception", "policy"),
            registry=registry,
        )

    def _of_lookups(self, registry: CollectorRegistry) -> None:
        self.registry_requests = Counter(
            "sigward_registry_requests",
            "Requests to registries, by what was asked and how it ended.",
            ("operation", "outcome"),
            registry=registry,
        )
        self.cache_lookups = Counter(
            "sigward_cache_lookups",
            "Cache lookups, by cache and result (hit, miss, stale).",
            ("cache", "result"),
            registry=registry,
        )

    def _of_what_is_in_force(self, registry: CollectorRegistry) -> None:
        self.policies = Gauge("sigward_policies", "Policies of the current snapshot.", ("state",), registry=registry)
        self.snapshot_number = Gauge("sigward_policy_snapshot_number", "Number of the current snapshot.", registry=registry)
        self.snapshot_hash = Gauge(
            "sigward_policy_snapshot_hash",
            "Fingerprint of the current snapshot, equal on equal replicas.",
            registry=registry,
        )
        self.reload_errors = Counter(
            "sigward_reload_errors", "Reloads refused; what was loaded before goes on.", ("what",), registry=registry
        )
        self.reload_failing = Gauge(
            "sigward_reload_failing", "1 while what is on disk cannot be used.", ("what",), registry=registry
        )
        self.policy_age = Gauge(
            "sigward_policy_age_seconds",
            "Time since the API server last confirmed the policies in force; 0 where they come from files.",
            registry=registry,
        )
        self.disconnections = Counter(
            "sigward_watch_disconnections",
            "Failed listings and lost watches of the API server, by resource.",
            ("resource",),
            registry=registry,
        )
        self.root_age = Gauge(
            "sigward_trusted_root_age_seconds",
            "Time since each built-in trusted root that policies name was confirmed by its mirror, or loaded.",
            ("root",),
            registry=registry,
        )
        self.root_refreshes = Counter(
            "sigward_trusted_root_refreshes",
            "Refreshes of trusted roots, by outcome (changed, unchanged, failed).",
            ("root", "outcome"),
            registry=registry,
        )
        self.root_failing = Gauge(
            "sigward_trusted_root_refresh_failing",
            "1 while the last refresh failed and the last good root goes on.",
            ("root",),
            registry=registry,
        )
        self.certificate_expiry = Gauge(
            "sigward_certificate_expiry_timestamp_seconds", "When the serving certificate expires.", registry=registry
        )
        self.ready = Gauge("sigward_ready", "1 while the process says that it is ready.", registry=registry)

    def admitted(self, path: str, verdict: str, seconds: float, images: Iterable[str]) -> None:
        """Count one answer on `path` and the verdict of each of its images."""
        self._count(self.admissions, path, verdict).inc()
        for image in images:
            self._count(self.images, image).inc()
        observed = self._durations.get(path)
        if observed is None:
            observed = self._durations[path] = self.duration.labels(path)
        observed.observe(seconds)

    def looked_up(self, cache: str, result: str) -> None:
        """Count a lookup in `cache` (`report`, `tag`, `evidence`) that was a `hit`, a `miss` or `stale`."""
        self._count(self.cache_lookups, cache, result).inc()

    def asked(self, operation: str, outcome: str) -> None:
        """Count a question to a registry and how it ended."""
        self._count(self.registry_requests, operation, outcome).inc()

    def _count(self, counter: Counter, *labels: str) -> Counter:
        """The counter under `labels`, found again without the lock that `labels()` takes."""
        key = (counter, *labels)
        found = self._counters.get(key)
        if found is None:
            found = self._counters[key] = counter.labels(*labels)
        return found

    def loaded(self, number: int, fingerprint: str, ready: int, broken: int) -> None:
        """Say which policies are in force: `ready` that judge, `broken` that refuse all they match."""
        self.policies.labels("ready").set(ready)
        self.policies.labels("broken").set(broken)
        self.snapshot_number.set(number)
        self.snapshot_hash.set(int(fingerprint[:_FINGERPRINT_DIGITS], 16))

    def reloaded(self, what: str, *, failed: bool) -> None:
        """Count a reload of `what` (`policies`, `certificate`)."""
        self.reload_failing.labels(what).set(int(failed))
        if failed:
            self.reload_errors.labels(what).inc()

    def disconnected(self, resource: str) -> None:
        """Count a listing of `resource` that failed, or a watch that was lost."""
        self._count(self.disconnections, resource).inc()

    def root_followed(self, root: str, age: Callable[[], float]) -> None:
        """Show how old `root` is, in seconds, as `age` says whenever metrics are read."""
        self.root_age.labels(root).set_function(age)

    def root_refreshed(self, root: str, outcome: str) -> None:
        """Count a refresh of `root` that `changed` it, left it `unchanged` or `failed`."""
        self.root_refreshes.labels(root, outcome).inc()
        self.root_failing.labels(root).set(int(outcome == "failed"))

    def root_left(self, root: str) -> None:
        """Show nothing more of a root that no policy names: its age must alert nobody."""
        for gauge in (self.root_age, self.root_failing):
            with contextlib.suppress(KeyError):
                gauge.remove(root)

    def render(self) -> bytes:
        """Every metric, as Prometheus reads it."""
        return generate_latest(self.registry)


class JsonFormatter(logging.Formatter):
    """One JSON object per record; members of `extra={"fields": {...}}` stand beside the message."""

    def format(self, record: logging.LogRecord) -> str:
        """Render `record` on one line."""
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        uid = REQUEST_UID.get()
        if uid:
            line["uid"] = uid
        fields = getattr(record, "fields", None)
        if isinstance(fields, Mapping):
            line.update(fields)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_to(stream: TextIO, level: int = logging.INFO) -> None:
    """Send every log record of this process to `stream` as JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


class AuditLog:
    """Writes one JSON line per decision, past the logging module: this is on the path of every admission.

    Args:
        stream: Where lines go.
        clock: POSIX seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._clock = clock
        self._encoder = msgspec.json.Encoder()

    def write(self, record: Mapping[str, Any]) -> None:
        """Write `record`, with the time and its kind in front."""
        line = {"time": _time(self._clock()), "logger": "sigward.audit", **record}
        self._stream.write(self._encoder.encode(line).decode() + "\n")
        self._stream.flush()


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
