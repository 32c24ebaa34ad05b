"""`sigward crds`: the definitions of Sigward's resources, as the API server takes them."""

import argparse
import sys
from pathlib import Path
from typing import Final

from controller.commands import exits, options
from controller.commands.saying import note
from controller.errors import Code, Invalid
from controller.policy.crds import DEFINITIONS, HEAD

_EXAMPLES: Final = """\
  sigward crds | kubectl apply --server-side -f -    install or update them
  sigward crds --write charts/sigward/crds           one file each
  sigward crds --check charts/sigward/crds           do these files say what this version says?

exit status: 0 done, 1 files differ (--check), 2 wrong usage or input
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(parser, "Print the definitions of Sigward's resources, made from its own models.", _EXAMPLES)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--write", type=Path, metavar="DIR", help="write one file each there instead")
    where.add_argument("--check", type=Path, metavar="DIR", help="compare the files there instead; writes nothing")


def run(arguments: argparse.Namespace) -> int:
    """Print, write or compare; returns the exit status.

    Raises:
        Invalid: A file cannot be read or written.
    """
    try:
        if arguments.write:
            return _write(arguments.write)
        if arguments.check:
            return _check(arguments.check)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise Invalid(
            Code.INVALID_FILE, "cannot be used", field=str(arguments.write or arguments.check), found=reason
        ) from None
    sys.stdout.write("---\n".join(definition.text() for definition in DEFINITIONS))
    return exits.PASS


def _write(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    for path in _unknown(folder):
        path.unlink()
    for definition in DEFINITIONS:
        (folder / definition.file_name).write_text(definition.text(), encoding="utf-8")
    return exits.PASS


def _check(folder: Path) -> int:
    stale = [f"{path}: no longer one of the resources" for path in _unknown(folder)]
    for definition in DEFINITIONS:
        path = folder / definition.file_name
        if not path.exists():
            stale.append(f"{path}: is missing")
        elif path.read_text(encoding="utf-8") != definition.text():
            stale.append(f"{path}: is not what the models say")
    for line in stale:
        note(line)
    return exits.REFUSED if stale else exits.PASS


def _unknown(folder: Path) -> list[Path]:
    """Definitions of ours that no resource has any more. Other people's files are not looked at."""
    known = {definition.file_name for definition in DEFINITIONS}
    return sorted(path for path in folder.glob("*.yaml") if path.name not in known and _is_ours(path))


def _is_ours(path: Path) -> bool:
    return path.read_text(encoding="utf-8").startswith(HEAD)
