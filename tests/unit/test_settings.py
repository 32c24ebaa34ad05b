"""The settings file: everything may be left out, nothing may be misspelt."""

from pathlib import Path

import pytest

from controller.errors import Code, Invalid
from controller.settings import Limits, Settings, duration, load, parse


def written(folder: Path, text: str) -> Path:
    path = folder / "settings.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Settings()


def test_keys_are_camel_case_and_durations_gos(tmp_path: Path) -> None:
    text = "cache: {tagTtl: 1m30s}\nunmatchedImages: Deny\nregistries:\n  a.example.com: {privateAddress: true}\n"
    settings = load(written(tmp_path, text))
    assert settings.cache.tag_ttl == 90
    assert settings.unmatched_images == "Deny"
    assert settings.registries["a.example.com"].private_address


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("limitz: {}", "limitz"),
        ("limits: {manifestByte: 1}", "limits.manifestByte"),
        ("unmatched_images: Deny", "unmatched_images"),
        ("unmatchedImages: deny", "unmatchedImages"),
        ("cache: {tagTtl: 1x}", "cache.tagTtl"),
        ("cache: {tagTtl: -1s}", "cache.tagTtl"),
        ("limits: {requestsPerRegistry: 0}", "requestsPerRegistry must be at least 1"),
        ("limits: {retries: -1}", "retries must be at least 0"),
        ("registries: {a.io: {insecure: true}}\nregistries: {}", "'registries' stands twice"),
        ("- a list", "mapping"),
        ("{", "settings.yaml:1: not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(Invalid) as wrong:
        load(written(tmp_path, text))
    assert wrong.value.reason.code is Code.INVALID_SETTINGS
    assert named in str(wrong.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"none\.yaml cannot be read"):
        load(tmp_path / "none.yaml")


def test_no_retries_and_no_redirects_are_a_choice() -> None:
    assert parse({"limits": {"retries": 0, "redirects": 0}}).limits == Limits(retries=0, redirects=0)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("30s", 30), ("1h30m", 5400), ("250ms", 0.25), ("1.5m", 90), ("720h", 2592000)]
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "30", "s", ".s", "1.2.3s", "1d", "30s ago", "-1s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        duration(text)
