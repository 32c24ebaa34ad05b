"""The commands as a person runs them: arguments in, exit code, output and errors out."""

import asyncio
import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.commands import main
from tests.fakes import jsonschema

SCHEMA: dict[str, Any] = json.loads(Path("docs/output.schema.json").read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Standard output."""
        return self.out.splitlines()

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as JSON, checked against the published schema and its own exit code."""
        document: dict[str, Any] = json.loads(self.out)
        assert jsonschema.problems(document, SCHEMA) == []
        assert document["exitCode"] == self.code
        return document


async def sigward(*arguments: object) -> Ran:
    """Run one command in a thread of its own, because it runs its own event loop."""
    return await asyncio.to_thread(run, *arguments)


def run(*arguments: object) -> Ran:
    """Run one command."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            code = int(error.code or 0)
    return Ran(code, *map(_written, (out, err)))


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
