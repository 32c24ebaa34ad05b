"""`sigward batch`: verify the images and files that a manifest lists."""

import argparse
import asyncio
import itertools
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self, TextIO

from controller import keys
from controller.commands import batch_manifest, file_signature, options, session, trust
from controller.commands.batch_manifest import Container, Entry, File, Unusable
from controller.commands.saying import say, style
from controller.commands.session import Session
from controller.compile.compiled import Snapshot
from controller.decision.report import Report, Verdict
from controller.errors import Invalid, Reason, SigwardError, Undecided
from controller.reference import Reference
from controller.render import json, output
from controller.render.findings import refusals
from controller.render.tree import Branch, Field, Mark, Style, draw
from controller.settings import Limits, Settings

_EXAMPLES: Final = """\
  sigward batch artifacts.json
  sigward batch artifacts.json --parallel 16 --output json

artifacts.json (paths are relative to its folder):
  {"artifacts": [
    {"type": "container", "image": "registry.example.com/shop/web:1.4", "public_key": "cosign.pub"},
    {"type": "container", "image": "registry.example.com/shop/db:2", "policy": "policies/"},
    {"type": "container", "image": "registry.example.com/shop/api:3", "identity": "https://github.com/acme/…",
     "issuer": "https://token.actions.githubusercontent.com"},
    {"type": "file", "path": "dist/tool.tgz", "signature": "dist/tool.tgz.sig", "public_key": "cosign.pub"}
  ]}
A file's signature is raw (openssl dgst -sign) or base64 (cosign sign-blob).

exit status: 0 all passed, 1 at least one failed, 2 the manifest itself is wrong,
             3 none failed but at least one is undecided (ask again)
"""
_PARALLEL: Final = 8
_MOST_PARALLEL: Final = 256


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    options.describe(
        parser,
        "Verify the images and files that a JSON manifest lists, each by its own key or policy, several at once.",
        _EXAMPLES,
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST", help="JSON file")
    parser.add_argument(
        "--parallel", type=_parallel, default=_PARALLEL, metavar="N", help=f"artifacts at once (default {_PARALLEL})"
    )
    options.add_place(parser)
    options.add_registry(parser)
    options.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Verify everything; returns the exit status.

    Raises:
        SigwardError: The manifest or the settings cannot be used.
    """
    settings = options.settings(arguments)
    entries = batch_manifest.read(arguments.manifest)
    work = _Batch(arguments.manifest.parent, settings, arguments.namespace)
    with Progress(sys.stderr, len(entries)) as progress:
        results = asyncio.run(work.verify(entries, arguments.parallel, arguments.timeout, progress))
    document = _document(results)
    say(document, _text(document, style()), arguments)
    return document.exit_code


class _Batch:
    """One manifest's work: keys and policies are read once, all images share one gate."""

    def __init__(self, folder: Path, settings: Settings, namespace: str) -> None:
        self._folder = folder
        self._settings = settings
        self._namespace = namespace
        self._numbers = itertools.count(1)
        self._policies: dict[str, Snapshot] = {}
        self._roots = {"": trust.Root()}

    async def verify(
        self, entries: Sequence[Entry], parallel: int, patience: float, progress: "Progress"
    ) -> list[output.Artifact]:
        """One result per entry, in order."""
        free = asyncio.Semaphore(parallel)
        # Whoever lists an image in a batch names its registry literally.
        named: set[str] = set()
        for entry in entries:
            with suppress(Invalid):
                named |= {Reference.parse(entry.image).repository.registry} if isinstance(entry, Container) else set()
        async with session.session(self._settings, patience, named) as gate:

            async def one(entry: Entry) -> output.Artifact:
                async with free:
                    result = await self._verify(entry, gate)
                    progress.done(result.result)
                    return result

            return list(await asyncio.gather(*map(one, entries)))

    async def _verify(self, entry: Entry, gate: Session) -> output.Artifact:
        if isinstance(entry, Unusable):
            return _failed(entry.index, entry.type, entry.name, entry.reason)
        try:
            if isinstance(entry, Container):
                return await self._container(entry, gate)
            return await asyncio.to_thread(self._file, entry)
        except SigwardError as error:
            kind, name = ("container", entry.image) if isinstance(entry, Container) else ("file", entry.path)
            return _failed(entry.index, kind, name, error.reason, undecided=isinstance(error, Undecided))

    async def _container(self, entry: Container, gate: Session) -> output.Artifact:
        subjects = session.bare([entry.image], self._namespace)
        (report,) = await gate.judge(subjects, self._snapshot(entry, self._settings.limits))
        reason = refusals(report)[0].reason if report.verdict is Verdict.DENY else None
        return output.Artifact(
            index=entry.index,
            type="container",
            name=entry.image,
            result=json.result(report),
            signer=_signers(report) if reason is None else "",
            reason=json.reason(reason),
            image=json.image(report),
        )

    def _snapshot(self, entry: Container, limits: Limits) -> Snapshot:
        if entry.public_key:
            return self._by_flags(entry, trust.Trusted((self._key(entry.public_key),)))
        if entry.identity:
            return self._by_flags(entry, trust.Trusted(identity=self._identity(entry)))
        if entry.policy not in self._policies:
            self._policies[entry.policy] = session.by_policies(
                [self._folder / entry.policy], limits, number=next(self._numbers)
            )
        return self._policies[entry.policy]

    def _by_flags(self, entry: Container, own: trust.Trusted) -> Snapshot:
        images = [str(Reference.parse(entry.image).repository)]
        return session.by_flags(own, images, self._settings.limits, next(self._numbers))

    def _identity(self, entry: Container) -> trust.Identity:
        if entry.trusted_root not in self._roots:
            path = self._folder / entry.trusted_root
            self._roots[entry.trusted_root] = trust.read_root(path, self._settings.limits)
        root = self._roots[entry.trusted_root]
        return trust.Identity({"exact": entry.identity}, {"exact": entry.issuer}, root)

    def _file(self, entry: File) -> output.Artifact:
        key = keys.parse(self._key(entry.public_key).pem.encode())
        file_signature.verify(self._folder / entry.path, self._folder / entry.signature, key)
        return output.Artifact(entry.index, "file", entry.path, "Pass", f"key {key.fingerprint}", None, None)

    def _key(self, given: str) -> trust.Key:
        if given.lstrip().startswith("-----BEGIN"):
            return trust.given_key(given.encode(), Path("public_key"))
        return trust.read_key(self._folder / given)


def _failed(index: int, kind: str, name: str, reason: Reason, *, undecided: bool = False) -> output.Artifact:
    return output.Artifact(index, kind, name, "Undecided" if undecided else "Refused", "", json.given(reason), None)


def _signers(report: Report) -> str:
    """Who was proved to have signed, for people."""
    checks = [check for policy in report.policies for requirement in policy.requirements for check in requirement.checks]
    return ", ".join(dict.fromkeys(check.signer for check in checks if check.reason is None))


def _document(results: Sequence[output.Artifact]) -> output.Batch:
    outcomes = [result.result for result in results]
    overall = json.worst(outcomes)
    warned = sum(result.image is not None and result.image.verdict == "Warn" for result in results)
    return output.Batch(1, overall, json.exit_code(overall), json.summary(outcomes, warned), list(results))


def _text(document: output.Batch, drawing: Style) -> str:
    lines = [draw(_branch(artifact), drawing) for artifact in document.artifacts]
    count = document.summary
    parts = {"passed": count.passed, "failed": count.refused, "undecided": count.undecided}
    told = ", ".join(f"{number} {word}" for word, number in parts.items() if number)
    if count.warned:
        told += f" ({count.warned} with a warning)"
    return "\n".join([*lines, "", f"{count.total} artifact{'s' if count.total > 1 else ''}: {told}"])


def _branch(artifact: output.Artifact) -> Branch:
    marks = {"Pass": Mark.GOOD, "Refused": Mark.BAD, "Undecided": Mark.OPEN}
    mark = marks[artifact.result]
    if artifact.image and artifact.image.verdict == "Warn":
        mark = Mark.WARN
    title = f"{artifact.type} {artifact.name}".rstrip()
    if artifact.signer:
        return Branch(f"{title}: by {artifact.signer}", mark)
    if artifact.reason is None:
        return Branch(title, mark)
    return Branch(title, mark, tuple(_reason(artifact)))


def _reason(artifact: output.Artifact) -> list[Field]:
    reason = artifact.reason
    if reason is None:
        return []
    fields = [Field("why", f"{reason.message} ({reason.code})")]
    if reason.expected:
        fields.append(Field("expected", reason.expected))
    if reason.found:
        fields.append(Field("found", reason.found))
    if artifact.image and artifact.image.next:
        fields.append(Field("next", artifact.image.next))
    return fields


class Progress:
    """One line on a terminal that counts; nothing anywhere else."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream = stream
        self._total = total
        self._done = self._failed = 0
        self._shown = stream.isatty()

    def __enter__(self) -> Self:
        self._show()
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def done(self, result: output.Result) -> None:
        """Count one."""
        self._done += 1
        self._failed += result != "Pass"
        self._show()

    def _show(self) -> None:
        if self._shown:
            failed = f", {self._failed} failed or undecided" if self._failed else ""
            self._stream.write(f"\r\x1b[K{self._done}/{self._total} verified{failed}")
            self._stream.flush()


def _parallel(text: str) -> int:
    number = int(text)
    if not 1 <= number <= _MOST_PARALLEL:
        raise argparse.ArgumentTypeError(f"expected 1 to {_MOST_PARALLEL}")
    return number
