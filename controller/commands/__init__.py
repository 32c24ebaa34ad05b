"""One file per command; only the one that runs is imported, so that `sigward --help` is instant."""

import argparse
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NoReturn, Protocol, cast

from controller import __version__
from controller.commands import exits
from controller.errors import Code, Invalid, SigwardError

COMMANDS: Final[Mapping[str, str]] = {
    "verify": "judge images, or every image of Kubernetes manifests, by keys or by policies",
    "explain": "show why an image is admitted or refused, down to each check",
    "tree": "show everything attached to an image, proved or not",
    "verify-bundle": "judge one Sigstore bundle over a file or a digest, without a registry",
    "batch": "verify the images and files that a JSON manifest lists",
    "demo": "see it work: a registry and the webhook in one process, images signed well and badly",
    "crds": "print the definitions of the policy resources, for an API server",
    "serve": "answer a cluster's admission requests",
}
"""Name of the module in this package (with `_` for `-`), and one line of help."""


class Command(Protocol):
    """What a command's module offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Add the arguments."""

    def run(self, arguments: argparse.Namespace) -> int:
        """Do it; returns the exit code.

        Raises:
            SigwardError: The work could not be done; told by `saying.fail`.
        """


_EXAMPLES: Final = """\
examples:
  sigward demo                                              see it work, without a cluster
  sigward verify registry.example.com/shop/web:1.4 --key cosign.pub
  sigward verify -f manifests/ --policy policies/           judge rendered manifests, as in CI
  sigward explain registry.example.com/shop/web:1.4 --policy policies/
  sigward serve --policies policies/ --tls-cert tls.crt --tls-key tls.key

exit status: 0 pass, 1 refused, 2 wrong usage or input, 3 undecided (ask again)
`sigward COMMAND --help` says more.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code (`exits`).

    What argparse finds wrong raises `SystemExit(2)`, after an `Error` document where JSON was asked for; `--help` and
    `--version` raise it with 0.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed = _parser(given).parse_args(given)
    try:
        code = int(parsed.run(parsed))
        sys.stdout.flush()
    except SigwardError as error:
        saying = importlib.import_module(f"{__name__}.saying")
        return int(saying.fail(error, parsed))
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except BrokenPipeError:
        # `| head` has seen enough. What is still buffered goes nowhere, or Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.BROKEN_PIPE
    return code


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage in the way that the rest of the command line asks for."""

    as_json = False

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end."""
        if not self.as_json:
            super().error(message)
        named, _, rest = message.removeprefix("argument ").partition(": ")
        reason, field = (rest, named) if message.startswith("argument ") else (message, "")
        saying = importlib.import_module(f"{__package__}.saying")
        saying.fail(Invalid(Code.INVALID_USAGE, reason, field=field), argparse.Namespace(output="json"))
        raise SystemExit(exits.USAGE)


def _asks_for_json(given: Sequence[str]) -> bool:
    after_flag = any(pair in {("-o", "json"), ("--output", "json")} for pair in pairwise(given))
    return after_flag or not {"-ojson", "--output=json"}.isdisjoint(given)


def _parser(given: Sequence[str]) -> argparse.ArgumentParser:
    """The command line, whole for the command that was chosen."""
    chosen = next((word for word in given if not word.startswith("-")), "")
    parser = _Parser(
        prog="kubectl sigward" if Path(sys.argv[0]).name == "kubectl-sigward" else "sigward",
        description="Admit only images that carry the signatures and attestations your policies demand.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.as_json = _asks_for_json(given)
    parser.add_argument("--version", action="version", version=f"sigward {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        own = commands.add_parser(name, help=summary, description=summary)
        own.as_json = parser.as_json
        if name == chosen:
            command = cast("Command", importlib.import_module(f"{__name__}.{name.replace('-', '_')}"))
            command.configure(own)
            own.set_defaults(run=command.run)
    return parser
