"""One file per command; only the one that runs is imported, so that `sigward --help` is instant."""

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

from controller import __version__
from controller.commands import exits
from controller.errors import Invalid

COMMANDS: Final[Mapping[str, str]] = {
    "serve": "answer a cluster's admission requests",
}
"""Name of the module in this package, and one line of help."""


class Command(Protocol):
    """What a command's module offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; returns the exit code.

        Raises:
            Invalid: The input is wrong; printed on one line, exit code 2.
        """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (`exits`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    chosen = next((word for word in given if not word.startswith("-")), "")
    parser = argparse.ArgumentParser(
        prog="sigward", description="Admit only images that carry the signatures and attestations your policies demand."
    )
    parser.add_argument("--version", action="version", version=f"sigward {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        sub = commands.add_parser(name, help=summary, description=summary)
        if name == chosen:
            command = cast("Command", importlib.import_module(f"{__name__}.{name}"))
            command.configure(sub)
            sub.set_defaults(run=command.run)
    parsed = parser.parse_args(given)
    try:
        return int(parsed.run(parsed))
    except Invalid as error:
        print(f"sigward {parsed.command}: {error}", file=sys.stderr)
        return exits.USAGE
    except KeyboardInterrupt:
        return exits.INTERRUPTED
