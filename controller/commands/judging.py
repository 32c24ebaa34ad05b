"""What `verify` and `explain` share: which images, by which policies, and the reports."""

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from controller.admission.pods import ImageTable
from controller.admission.subject import Subject
from controller.commands import manifests, options, session
from controller.commands.manifests import Workload
from controller.commands.saying import note
from controller.compile.compiled import Snapshot
from controller.decision.report import Report
from controller.errors import Code, Invalid
from controller.policy.store import Document
from controller.reference import Reference
from controller.render import json, output
from controller.render.text import branch, group, summary
from controller.render.tree import Branch, Style, draw
from controller.settings import Settings


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: subjects by the object that names them (None for the command line)."""

    groups: tuple[tuple[Workload | None, tuple[Subject, ...]], ...]
    namespaces: tuple[Document, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def subjects(self) -> tuple[Subject, ...]:
        """All of them, in order."""
        return tuple(subject for _, subjects in self.groups for subject in subjects)


@dataclass(frozen=True, slots=True)
class Answers:
    """The reports of one object, or of the images of the command line."""

    workload: Workload | None
    reports: tuple[Report, ...]


def add_images(parser: argparse.ArgumentParser) -> None:
    """`IMAGE…` and `-f`."""
    parser.add_argument("image", nargs="*", metavar="IMAGE", help="image reference, by tag or digest")
    parser.add_argument(
        "-f",
        "--filename",
        action="append",
        type=Path,
        metavar="FILE|DIR",
        help="judge every image of these Kubernetes manifests (YAML or JSON; - is standard input)",
    )


def question(arguments: argparse.Namespace, settings: Settings) -> Question:
    """What the command line asks.

    Raises:
        Invalid: Neither or both of IMAGE and `-f`; a name that is no image reference; a manifest that cannot be read.
    """
    if bool(arguments.image) == bool(arguments.filename):
        found = "both" if arguments.image else "neither"
        raise Invalid(Code.INVALID_REFERENCE, "which images?", expected="either IMAGE or -f", found=found)
    if arguments.image:
        return Question(((None, session.bare(arguments.image, arguments.namespace)),))
    table = ImageTable(settings.image_paths, settings.limits)
    read = manifests.read(arguments.filename, arguments.namespace, table, settings.limits)
    groups = tuple((workload, workload.subjects) for workload in read.workloads)
    return Question(groups, read.namespaces, read.others)


def snapshot(arguments: argparse.Namespace, asked: Question, settings: Settings) -> Snapshot:
    """The policies to judge by.

    Raises:
        Invalid: Nobody is trusted, or a key or policy cannot be used.
    """
    trusted = options.trusted(arguments, settings.limits)
    if trusted is None:
        return session.by_policies(arguments.policy, settings.limits, asked.namespaces)
    return session.by_flags(trusted, patterns(arguments.image), settings.limits)


def patterns(images: Sequence[str]) -> tuple[str, ...]:
    """The images that a policy made of flags is about: those typed; for manifests every image.

    A manifest is often written by somebody else: a registry that it names is not one that the user named literally.
    """
    return tuple(str(Reference.parse(image).repository) for image in images)


def answer(arguments: argparse.Namespace, asked: Question, policies: Snapshot, settings: Settings) -> tuple[Answers, ...]:
    """Judge everything, at once."""
    named = session.registries(arguments.image) | session.literal_registries(policies)
    reports = asyncio.run(_judge(asked.subjects, policies, settings, arguments.timeout, named))
    answers: list[Answers] = []
    start = 0
    for workload, subjects in asked.groups:
        answers.append(Answers(workload, reports[start : start + len(subjects)]))
        start += len(subjects)
    return tuple(answers)


async def _judge(
    subjects: Sequence[Subject], policies: Snapshot, settings: Settings, patience: float, named: frozenset[str]
) -> tuple[Report, ...]:
    async with session.session(settings, patience, named) as gate:
        return await gate.judge(subjects, policies)


def document(answers: Sequence[Answers]) -> output.Verification:
    """The answers as JSON."""
    return json.verification([json.image(report, _object(one.workload)) for one in answers for report in one.reports])


def text(answers: Sequence[Answers], drawing: Style, *, brief: bool) -> str:
    """The answers as trees, and a last line that counts where there is something to count."""
    parts = [draw(tree, drawing) for one in answers for tree in _trees(one, brief=brief)]
    reports = [report for one in answers for report in one.reports]
    return "\n\n".join([*parts, summary(reports)] if len(reports) > 1 else parts)


def tell_of_others(asked: Question) -> None:
    """Say which objects were not judged: a custom kind that runs images would be missed in silence."""
    if asked.others:
        listed = ", ".join(f"{count} {kind}" for kind, count in sorted(asked.others.items()))
        note(f"not judged, because no pod template is known in them (setting imagePaths): {listed}")


def tell_of_unmatched(answers: Sequence[Answers], arguments: argparse.Namespace) -> None:
    """Say that it was this command's own default that refused an image which no cluster policy is about."""
    reports = [report for one in answers for report in one.reports]
    refused = any(report.reason and report.reason.code is Code.UNMATCHED for report in reports)
    if refused and not arguments.config and not arguments.unmatched:
        note(
            "images that no cluster policy is about are refused here by default; in the cluster unmatchedImages of the "
            "settings decides: give them as --config, or say --unmatched"
        )


def _trees(one: Answers, *, brief: bool) -> tuple[Branch, ...]:
    if one.workload is None:
        return tuple(branch(report, brief=brief) for report in one.reports)
    own = one.workload
    return (group(f"{own.kind} {own.namespace}/{own.name} ({own.file})", one.reports, brief=brief),)


def _object(workload: Workload | None) -> output.Object | None:
    if workload is None:
        return None
    return output.Object(workload.file, workload.kind, workload.namespace, workload.name)
