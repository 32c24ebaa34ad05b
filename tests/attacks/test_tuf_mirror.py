"""Attack 29: a TUF mirror that goes back, stands still, sets its own threshold, names paths (CVE-2026-24137, CVE-2024-47534,
CVE-2026-23991): the last good root is kept and the error is reported.
"""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError

from controller import roots
from controller.errors import Code, Undecided
from controller.roots import mirror
from controller.roots.keeper import Refreshed, RootKeeper
from controller.roots.mirror import Mirror
from controller.settings import RootSettings
from tests.fakes.evidence import LIMITS
from tests.fakes.sigstore import PrivateSigstore
from tests.fakes.tuf import TufRepository, edited

SIGSTORE = PrivateSigstore()
FIRST = json.dumps(SIGSTORE.document()).encode()
SECOND = json.dumps({**SIGSTORE.document(), "ctlogs": []}).encode()


@pytest.fixture
def repository(tmp_path: Path) -> TufRepository:
    published = TufRepository(tmp_path / "repository")
    published.publish(FIRST)
    return published


def keeper(repository: TufRepository, tmp_path: Path, seen: list[Refreshed] | None = None) -> RootKeeper:
    settings = RootSettings(folder=tmp_path / "seen", timeout=5)
    observed = seen if seen is not None else []
    return RootKeeper([], [repository.mirror()], settings, LIMITS, observe=observed.append)


async def test_an_honest_mirror_is_followed(repository: TufRepository, tmp_path: Path) -> None:
    kept = keeper(repository, tmp_path)
    (refreshed,) = await kept.refresh()
    assert (refreshed.changed, refreshed.failure) == (True, None)
    assert kept.current("private").ct_logs
    assert (await kept.refresh())[0].changed is False
    repository.publish(SECOND)
    repository.rotate()
    assert (await kept.refresh())[0].changed is True
    assert kept.current("private").ct_logs == ()
    assert kept.failures() == {}


def roll_back(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND, version=1)


def freeze(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND, expires=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1))


def alter(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    repository.stored_target().write_bytes(SECOND.replace(b"example.com", b"example.org"))


def take_away(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    repository.stored_target().unlink()


def usurp(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    repository.rotate(signed_by_old=False)


def threshold_zero(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    repository.root.version += 1

    def no_signatures_needed(signed: dict[str, object]) -> None:
        signed["version"] = repository.root.version
        for role in signed["roles"].values():  # type: ignore[attr-defined] # the document of a root
            role["threshold"] = 0

    (repository.folder / "2.root.json").write_bytes(edited(repository.first, no_signatures_needed))


def unsigned(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    path = repository.folder / "timestamp.json"
    document = json.loads(path.read_bytes())
    document["signatures"] = []
    path.write_bytes(json.dumps(document).encode())


def endless(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    (repository.folder / "timestamp.json").write_bytes(b" " * 10_000_000)


def broken(repository: TufRepository, _: Path) -> None:
    repository.publish(SECOND)
    (repository.folder / "timestamp.json").write_bytes(b"[" * 100_000)


def no_root(repository: TufRepository, _: Path) -> None:
    repository.publish(b'{"mediaType": "something else"}')


def huge(repository: TufRepository, _: Path) -> None:
    repository.publish(b" " * (LIMITS.trusted_root_bytes + 1))


def gone(repository: TufRepository, _: Path) -> None:
    (repository.folder / "timestamp.json").unlink()


def traverse(repository: TufRepository, tmp_path: Path) -> None:
    (tmp_path / "trusted_root.json").write_bytes(SECOND)
    repository.publish(SECOND, name="../../trusted_root.json")


@pytest.mark.parametrize(
    ("attack", "word"),
    [
        (roll_back, "BadVersionNumberError"),
        (freeze, "ExpiredMetadataError"),
        (alter, "Hash"),
        (take_away, "DownloadHTTPError"),
        (usurp, "UnsignedMetadataError"),
        (threshold_zero, "threshold"),
        (unsigned, "UnsignedMetadataError"),
        (endless, "DownloadLengthMismatchError"),
        (broken, "Error"),
        (no_root, "trusted root"),
        (huge, "allowed"),
        (gone, "DownloadHTTPError"),
        (traverse, "has no trusted_root.json"),
    ],
)
async def test_the_last_good_root_is_kept_and_the_error_told(
    attack: Callable[[TufRepository, Path], None], word: str, repository: TufRepository, tmp_path: Path
) -> None:
    seen: list[Refreshed] = []
    kept = keeper(repository, tmp_path, seen)
    repository.publish(FIRST)
    await kept.refresh()
    before = kept.current("private")
    attack(repository, tmp_path)
    (refreshed,) = await kept.refresh()
    assert refreshed.failure is not None
    assert refreshed.failure.code in {Code.ROOT_UNAVAILABLE, Code.INVALID_ROOT}
    assert word in str(refreshed.failure)
    assert kept.current("private") == before
    assert kept.failures() == {"private": refreshed.failure}
    assert [one.failure is None for one in seen] == [True, False]
    assert sorted(path.name for path in (tmp_path / "seen").iterdir()) == ["private"], "nothing is written elsewhere"


async def test_versions_seen_are_remembered_across_restarts(repository: TufRepository, tmp_path: Path) -> None:
    repository.publish(SECOND)
    await keeper(repository, tmp_path).refresh()
    roll_back(repository, tmp_path)
    restarted = keeper(repository, tmp_path)
    (refreshed,) = await restarted.refresh()
    assert refreshed.failure is not None
    with pytest.raises(Undecided) as caught:
        restarted.current("private")
    assert caught.value.reason.code is Code.ROOT_UNAVAILABLE


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "con:name"])
def test_a_name_is_no_path(name: str, repository: TufRepository, tmp_path: Path) -> None:
    kept = RootKeeper(
        [], [Mirror(name, repository.mirror().url, repository.first)], RootSettings(folder=tmp_path / "seen"), LIMITS
    )
    folder = kept._folder(kept._mirrors[0])
    assert folder.parent == tmp_path / "seen"
    assert folder.name not in {".", ".."}


def test_a_file_mirror_is_read_within_its_folder_only(repository: TufRepository, tmp_path: Path) -> None:
    (tmp_path / "1.root.json").write_bytes(repository.first)
    outside = Mirror("private", f"{repository.folder.as_uri()}/%2e%2e/elsewhere", repository.first)
    with pytest.raises(Undecided) as caught:
        mirror.fetch(outside, tmp_path / "seen", 5, LIMITS)
    assert "DownloadHTTPError" in caught.value.reason.found
    fetcher = mirror._Fetcher(repository.folder.as_uri(), 5)
    with pytest.raises(DownloadHTTPError):
        list(fetcher.fetch(f"{repository.folder.as_uri()}/../1.root.json"))


def test_roots_that_ship_have_their_repositories() -> None:
    for name in roots.BUILT_IN:
        assert Mirror.builtin(name).url.startswith("https://")
        assert Mirror.builtin(name, "https://mirror.example.com/tuf").url == "https://mirror.example.com/tuf"
