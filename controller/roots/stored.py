"""What a process before this one fetched and proved: the last good root outlives a restart (design, section 5).

The folder is this controller's own. What stands in it was proved when it was written, and beside it stand the versions that
were seen, so that no mirror goes back.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from controller.errors import Invalid
from controller.roots.reading import parse
from controller.roots.trusted import TrustedRoot
from controller.settings import Limits

TARGET: Final = "trusted_root.json"
_LOG: Final = logging.getLogger("sigward.roots")


@dataclass(frozen=True, slots=True)
class Stored:
    """A root, and when (POSIX seconds) it was fetched."""

    root: TrustedRoot
    confirmed: float


def folder_of(base: Path, name: str) -> Path:
    """The folder for a mirror of that name, whatever letters it has."""
    return base / "".join(letter if letter.isalnum() or letter in "-_" else f"%{ord(letter):x}" for letter in name)


def read_stored(folder: Path, name: str, limits: Limits) -> Stored | None:
    """The root in `folder`, None where there is none that can be read: then it is fetched again."""
    path = folder / TARGET
    try:
        with path.open("rb") as file:
            raw = file.read(limits.trusted_root_bytes + 1)
        return Stored(parse(raw, name, limits), path.stat().st_mtime)
    except FileNotFoundError:
        return None
    except (OSError, Invalid) as error:
        _LOG.warning("what was kept of trusted root %s cannot be used: %s", name, error)
        return None


def newest(root: TrustedRoot) -> float:
    """When the last of its members began to count: a later root adds members, and takes none away."""
    windows = (
        one.window for group in (root.logs, root.ct_logs, root.authorities, root.timestamp_authorities) for one in group
    )
    return max((window.start or 0.0 for window in windows), default=0.0)
