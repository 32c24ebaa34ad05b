"""Files looked at, and what is made of them."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from controller.errors import Code, Invalid
from controller.server.watch import Files, Watched
from controller.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Sequence


def aged(path: Path) -> None:
    """Make the file's own time an hour old (its status time stays now)."""
    past = time.time() - 3600
    os.utime(path, (past, past))


class TestFiles:
    def test_a_change_of_content_is_seen_even_where_times_and_size_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("one")
        aged(path)
        files = Files([tmp_path])
        before = files.stamp()
        assert files.stamp() == before
        path.write_text("two")
        aged(path)
        assert files.stamp() != before

    def test_what_has_settled_is_not_read_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("one")
        files = Files([tmp_path])
        before = files.stamp()
        later = time.time() + 60
        monkeypatch.setattr("controller.server.watch.time.time", lambda: later)
        assert files.stamp() == before
        monkeypatch.setattr("builtins.open", None)  # reading now would fail
        assert files.stamp() == before

    def test_files_come_and_go(self, tmp_path: Path) -> None:
        files = Files([tmp_path])
        seen = [files.stamp()]
        (tmp_path / "a.yaml").write_text("a")
        seen.append(files.stamp())
        (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
        seen.append(files.stamp())
        (tmp_path / "b.yaml").unlink()
        assert files.stamp() == seen[0]
        assert len(set(seen)) == 3

    def test_hidden_entries_and_folders_below_do_not_count(self, tmp_path: Path) -> None:
        files = Files([tmp_path])
        before = files.stamp()
        (tmp_path / ".a.swp").write_text("x")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "a.yaml").write_text("x")
        assert files.stamp() == before

    def test_what_is_missing_or_no_file_is_a_stamp_too(self, tmp_path: Path) -> None:
        missing = tmp_path / "missing"
        files = Files([missing])
        absent = files.stamp()
        os.mkfifo(missing)
        pipe = files.stamp()
        missing.unlink()
        missing.write_text("x")
        assert len({absent, pipe, files.stamp()}) == 3


class TestWatched:
    async def test_each_change_is_loaded_once_and_failures_keep_the_last(self) -> None:
        outcomes: Sequence[int | Exception] = (1, Invalid(Code.INVALID_FILE, "broken"), KeyError("unforeseen"), 4)
        coming = iter(outcomes)
        stamps = iter([("a",), ("a",), ("b",), ("b",), ("c",), ("d",)])
        used: list[int] = []
        telemetry = Telemetry()

        def load() -> int:
            outcome = next(coming)
            if isinstance(outcome, int):
                return outcome
            raise outcome

        watched = Watched("thing", lambda: ((next(stamps)[0], ""),), load, telemetry, used.append)
        assert [await watched.refresh() for _ in range(4)] == [True, False, False, False]
        assert (watched.current, str(watched.error)) == (1, "broken")
        assert not await watched.refresh()
        assert watched.current == 1
        assert watched.error is not None
        assert watched.error.reason.code is Code.INTERNAL
        assert telemetry.registry.get_sample_value("sigward_reload_errors_total", {"what": "thing"}) == 2
        assert await watched.refresh()
        assert (watched.current, used) == (4, [1, 4])
        assert watched.error is None
