"""Log lines, audit lines and metrics."""

import io
import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families

from controller import __version__
from controller.telemetry import REQUEST_UID, AuditLog, JsonFormatter, Telemetry, log_to


def sample(telemetry: Telemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_two_apps_share_no_metric() -> None:
    one, other = Telemetry(), Telemetry()
    one.admissions.labels("validate", "Allow").inc()
    assert sample(one, "sigward_admissions_total", path="validate", verdict="Allow") == 1
    assert sample(other, "sigward_admissions_total", path="validate", verdict="Allow") is None


def test_equal_snapshots_have_one_hash() -> None:
    one, other = Telemetry(), Telemetry()
    one.loaded(3, "00ff00ff00ff00ff", 5, 1)
    other.loaded(9, "00ff00ff00ff00ff", 5, 1)
    assert sample(one, "sigward_policy_snapshot_hash") == sample(other, "sigward_policy_snapshot_hash") == 0x00FF00FF00FF0
    other.loaded(10, "00ff00ff00ff1000", 5, 1)
    assert sample(one, "sigward_policy_snapshot_hash") != sample(other, "sigward_policy_snapshot_hash")
    assert sample(other, "sigward_policies", state="broken") == 1


def test_reloads_are_counted_and_alert_while_they_fail() -> None:
    telemetry = Telemetry()
    for failed, expected in ((True, 1.0), (True, 2.0), (False, 2.0)):
        telemetry.reloaded("policies", failed=failed)
        assert sample(telemetry, "sigward_reload_errors_total", what="policies") == expected
        assert sample(telemetry, "sigward_reload_failing", what="policies") == float(failed)


def test_what_is_shown_is_what_prometheus_reads() -> None:
    families = {family.name: family for family in text_string_to_metric_families(Telemetry().render().decode())}
    assert families["sigward_build_info"].samples[0].labels == {"version": __version__}
    assert "process_resident_memory_bytes" in families
    assert all(family.documentation for family in families.values())


class TestLogLines:
    def line(self, record: logging.LogRecord) -> dict[str, object]:
        text = JsonFormatter().format(record)
        assert "\n" not in text
        found: dict[str, object] = json.loads(text)
        return found

    def record(self, message: str = "said %s", *arguments: object, **extra: object) -> logging.LogRecord:
        made = logging.getLogger("sigward.x").makeRecord(
            "sigward.x", logging.WARNING, "f", 1, message, arguments, None, extra=extra
        )
        made.created = 1_800_000_000.25
        return made

    def test_one_object_per_record(self) -> None:
        assert self.line(self.record("said %s", "a\nb", fields={"port": 1})) == {
            "time": "2027-01-15T08:00:00.250Z",
            "level": "WARNING",
            "logger": "sigward.x",
            "message": "said a\nb",
            "port": 1,
        }

    def test_the_request_is_named(self) -> None:
        token = REQUEST_UID.set("the-uid")
        try:
            assert self.line(self.record("x"))["uid"] == "the-uid"
        finally:
            REQUEST_UID.reset(token)
        assert "uid" not in self.line(self.record("x"))

    def test_a_traceback_stays_on_the_line(self) -> None:
        record = self.record("x")
        with pytest.raises(ValueError, match="invalid literal") as caught:
            int("none")
        record.exc_info = (caught.type, caught.value, caught.tb)
        assert "ValueError: invalid literal" in str(self.line(record)["traceback"])

    def test_the_root_logger_writes_to_the_stream(self, monkeypatch: pytest.MonkeyPatch) -> None:
        root = logging.getLogger()
        monkeypatch.setattr(root, "handlers", list(root.handlers))
        before = root.level
        stream = io.StringIO()
        try:
            log_to(stream)
            logging.getLogger("any").info("seen", extra={"fields": {"a": object}})
            logging.getLogger("any").debug("not seen")
        finally:
            root.setLevel(before)
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line)["message"] == "seen"


def test_audit_lines_are_json_and_flushed() -> None:
    class Stream(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            self.flushed += 1

    stream = Stream()
    log = AuditLog(stream, lambda: 1_800_000_000.0)
    log.write({"uid": "a\n", "images": []})
    log.write({"uid": "b"})
    first, second = stream.getvalue().splitlines()
    assert json.loads(first) == {"time": "2027-01-15T08:00:00.000Z", "logger": "sigward.audit", "uid": "a\n", "images": []}
    assert json.loads(second)["uid"] == "b"
    assert stream.flushed == 2
