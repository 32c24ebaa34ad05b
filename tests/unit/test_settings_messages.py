"""The settings file: what is wrong in it is said key by key, in the words of the file."""

from pathlib import Path

import pytest

from controller.errors import Code, Invalid
from controller.policy.guide import rows
from controller.settings import Settings, load


def wrong(tmp_path: Path, text: str) -> str:
    path = tmp_path / "sigward.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Invalid) as caught:
        load(path)
    assert caught.value.reason.code is Code.INVALID_SETTINGS
    return str(caught.value.reason).removeprefix(f"{caught.value.field}: ").replace(str(tmp_path), "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("limit: {}", "unknown field: expected limits (did you mean it?)"),
        ("registries: {x.example.com: {insecur: true}}", "unknown field: expected insecure (did you mean it?)"),
        ("limits: {requestTimeout: 8x}", 'is wrong: expected a duration such as 30s, 10m or 720h; found "8x"'),
        ("limits: {retries: many}", 'is wrong: expected a whole number; found "many"'),
        ("unmatchedImages: allow", 'is wrong: expected Allow, Warn or Deny; found "allow"'),
        ("mutate: perhaps", 'is wrong: expected true or false; found "perhaps"'),
        ("dockerConfig: 3", "is wrong: expected a path; found 3"),
        (
            "remap: {hub: docker.io}",
            "is wrong: expected a registry host or a canonical repository prefix; found 'hub'",
        ),
        ("[1]", "sigward.yaml must be a mapping: found list"),
        ("a: b: c", "/sigward.yaml:1: not YAML: mapping values are not allowed here"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_the_file(tmp_path: Path, text: str, says: str) -> None:
    assert wrong(tmp_path, text) == says


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = "limit: {}\nlimits: {retries: x}\nregistries: {'x.example.com:5000': {caFiel: y}}"
    told = wrong(tmp_path, text)
    assert "also registries['x.example.com:5000'].caFiel: unknown field: expected caFile" in told
    assert "limit: unknown field" in told
    assert told.startswith("is wrong: expected a whole number")


def test_a_file_that_is_not_there_is_named_in_full(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=f"settings file {tmp_path}/none cannot be read: found No such file or directory"):
        load(tmp_path / "none")


def test_defaults_are_told_as_they_are_written() -> None:
    told = {row.path: row.default for row in rows(Settings)}
    assert told["limits.requestTimeout"] == "10s"
    assert told["limits.deadlineMargin"] == "500ms"
    assert told["cache.maxStale"] == "24h"
    assert told["mutate"] == "true"
    assert told["registries.HOST.insecure"] == "false"
