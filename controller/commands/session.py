"""A gate for one command: the same pipeline, registry client and policies as behind the webhook."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.admission.subject import Subject, Workload
from controller.commands import trust
from controller.compile import Roots, check_root, compile_one, compile_policies
from controller.compile.compiled import Snapshot
from controller.decision.report import Report
from controller.errors import Code, Invalid
from controller.pipeline.gate import Gate
from controller.policy.store import POLICY_KINDS, TRUST_ROOT, Document, read_directory
from controller.reference import Reference
from controller.registry.client import RegistryClient
from controller.registry.credentials import Credentials, DockerConfigFile
from controller.registry.source import Source
from controller.registry.transport import RegistryTransport
from controller.settings import Limits, Settings


@dataclass(frozen=True, slots=True)
class Session:
    """What a command asks. `patience` in seconds bounds each call of `judge`."""

    settings: Settings
    gate: Gate
    source: Source
    patience: float

    async def judge(self, subjects: Sequence[Subject], snapshot: Snapshot) -> tuple[Report, ...]:
        """One report per subject, in order."""
        deadline = asyncio.get_running_loop().time() + self.patience
        return await self.gate.judge(subjects, snapshot, self.source, deadline)


@asynccontextmanager
async def session(settings: Settings, patience: float, named: AbstractSet[str]) -> AsyncIterator[Session]:
    """Open a gate.

    Args:
        settings: Registries, limits and the rest.
        patience: Seconds one judgement may take.
        named: Registries that the user, or a cluster policy, named literally: they may have private addresses (rule 11).
    """
    gate = Gate(settings)
    async with RegistryTransport(settings, private_allowed=named.__contains__) as transport:
        try:
            yield Session(settings, gate, RegistryClient(transport, _credentials(settings)), patience)
        finally:
            await gate.close()


def by_flags(trusted: trust.Trusted, images: Sequence[str], limits: Limits, number: int = 1) -> Snapshot:
    """The snapshot of the one policy that `trusted` says, about `images` (patterns).

    Raises:
        Invalid: Naming the file or flag at fault.
    """
    documents = [Document(document, "command line") for document in trust.documents(trusted, images)]
    return compiled(documents, limits, number)


def by_policies(paths: Iterable[Path], limits: Limits, others: Iterable[Document] = (), number: int = 1) -> Snapshot:
    """The snapshot of the policies in `paths`, files or folders; `others` are Namespaces that the policies do not speak of.

    Raises:
        Invalid: A policy that does not compile stops a command: whoever asks here is to learn of it, not of its refusals.
    """
    documents = [document for path in paths for document in read_directory(path, limits).documents]
    known = {document.name for document in documents if document.kind == "Namespace"}
    return compiled([*documents, *(other for other in others if other.name not in known)], limits, number)


def compiled(documents: Sequence[Document], limits: Limits, number: int = 1) -> Snapshot:
    """Compile every policy, or raise `Invalid` saying where the first broken one stands.

    Args:
        documents: Policies, TrustRoots and Namespaces.
        limits: Counts and sizes.
        number: Of the snapshot. A gate remembers reports under it: who shows one gate several snapshots must number them.
    """
    if not any(document.kind in POLICY_KINDS for document in documents):
        raise Invalid(Code.INVALID_POLICY, "there is no policy to judge by", expected="at least one")
    seen: set[tuple[str, str, str]] = set()
    roots = Roots.read(documents, limits)
    for document in documents:
        try:
            if document.kind in POLICY_KINDS:
                compile_one(document, limits, roots)
            elif document.kind == TRUST_ROOT:
                check_root(document, limits)
            else:
                continue
        except Invalid as error:
            raise _placed(error, document.origin) from None
        identity = (document.kind, document.namespace, document.name)
        if identity in seen:
            raise Invalid(Code.INVALID_POLICY, f"{document.origin}: {document.kind} {document.name} stands twice")
        seen.add(identity)
    return compile_policies(documents, number, limits)


def literal_registries(snapshot: Snapshot) -> frozenset[str]:
    """Registries that a cluster policy names without a wildcard."""
    patterns = [pattern for policy in snapshot.policies if policy.is_cluster for pattern in policy.scope.images or ()]
    return frozenset(host for host in (pattern.text.partition("/")[0] for pattern in patterns) if "*" not in host)


def bare(images: Sequence[str], namespace: str) -> tuple[Subject, ...]:
    """Images as they stand on a command line.

    Raises:
        Invalid: `InvalidReference`: what a person just typed is usage, not a refusal.
    """
    for image in images:
        Reference.parse(image)
    return tuple(Subject(image, "", Workload(namespace)) for image in images)


def registries(images: Iterable[str]) -> frozenset[str]:
    """The registries that readable image names are in."""
    return frozenset(Reference.parse(image).repository.registry for image in images)


def _credentials(settings: Settings) -> Credentials | None:
    """Those of the settings, else those that `docker login` left for this user."""
    if settings.docker_config:
        return DockerConfigFile(settings.docker_config)
    folder = os.environ.get("DOCKER_CONFIG")
    path = (Path(folder) if folder else Path.home() / ".docker") / "config.json"
    return DockerConfigFile(path) if path.is_file() else None


def _placed(error: Invalid, origin: str) -> Invalid:
    reason = error.reason
    message = reason.message.removeprefix(f"{error.field}: ") if error.field else reason.message
    field = f"{origin}: {error.field}" if error.field else origin
    return Invalid(reason.code, message, field=field, expected=reason.expected, found=reason.found)


def namespace_document(name: str, labels: Mapping[str, Any], origin: str) -> Document:
    """A Namespace as policies see it."""
    return Document({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}, origin)
