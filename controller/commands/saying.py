"""How every command speaks: results on standard output, failures and progress on standard error."""

import argparse
import sys

from controller.errors import Invalid, SigwardError
from controller.render import json, output
from controller.render.advice import next_step
from controller.render.clean import clean
from controller.render.tree import Style, write


def say(document: output.Document, text: str, arguments: argparse.Namespace) -> None:
    """Print the result, in the way that `--output` asks for."""
    write(json.encode(document) if arguments.output == "json" else text)


def fail(error: SigwardError, arguments: argparse.Namespace) -> int:
    """Say why the command could not do its work: as text on standard error, or as a document. Returns the exit status."""
    document = json.error(error)
    if getattr(arguments, "output", "text") == "json":
        write(json.encode(document))
        return document.exit_code
    note(f"error: {error}")
    step = next_step(error.reason.code, "", error.reason.expected)
    if not isinstance(error, Invalid):  # what is invalid says itself what to correct
        note(f"next: {step}")
    return document.exit_code


def note(text: str) -> None:
    """One line on standard error."""
    write(f"sigward: {clean(text)}", sys.stderr)


def style() -> Style:
    """How to draw on standard output."""
    return Style.of(sys.stdout)
