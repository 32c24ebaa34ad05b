"""Asks Sigstore's JavaScript verifier, another implementation than sigstore-python, cosign and ourselves."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fakes.authorities import ISSUER, SUBJECT, b64
from tests.interop import tools
from tests.interop.tools import ToolMissingError

_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Question:
    """A bundle, and what it must hold under the trusted root.

    `keys` maps hints to public keys (DER); without any, the usual identity of the private Sigstore must have signed.
    """

    root: dict[str, Any]
    bundle: dict[str, Any]
    artifact: bytes | None = None
    keys: tuple[tuple[str, bytes], ...] = ()
    tlogs: int = 1
    timestamps: int = 1
    subject: str = SUBJECT
    issuer: str = ISSUER

    def document(self) -> dict[str, Any]:
        """What goes over to the script."""
        return {
            "root": self.root,
            "bundle": self.bundle,
            "artifact": None if self.artifact is None else b64(self.artifact),
            "keys": {hint: b64(key) for hint, key in self.keys} or None,
            "tlogs": self.tlogs,
            "timestamps": self.timestamps,
            "scts": 1,
            "subject": None if self.keys else self.subject,
            "issuer": None if self.keys else self.issuer,
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The other's verdict, with its own code where it refused."""

    accepted: bool
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JavaScriptVerifier:
    """The script, and the program that runs it."""

    node: str
    script: Path
    home: Path

    @classmethod
    def find(cls, home: Path) -> "JavaScriptVerifier":
        """Find Node and what `make tools` installed.

        Raises:
            ToolMissingError: One of them is not there.
        """
        node, script = shutil.which("node"), tools.BUILT / "sigstore-js" / "judge.mjs"
        if node is None:
            raise ToolMissingError("node is not on PATH")
        if not script.is_file():
            raise ToolMissingError("sigstore-js is not installed: run `make tools`")
        return cls(node, script, home)

    def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer every question, in order."""
        lines = "".join(json.dumps(question.document()) + "\n" for question in questions)
        done = subprocess.run(
            [self.node, str(self.script)],
            check=False,
            capture_output=True,
            text=True,
            input=lines,
            timeout=_SECONDS,
            env=tools.environment(self.home),
        )
        assert done.returncode == 0, done.stderr
        answers = [Answer(**json.loads(line)) for line in done.stdout.splitlines()]
        assert len(answers) == len(questions)
        return answers
