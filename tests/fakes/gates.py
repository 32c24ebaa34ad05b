"""A whole gate around running registries: policies as documents, a clock that tests turn, and counted requests."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from controller.admission.subject import Subject, Workload
from controller.compile import compile_policies
from controller.compile.compiled import Snapshot
from controller.decision.report import Report
from controller.demo.signingkeys import SigningKey
from controller.pipeline.gate import Gate
from controller.policy.store import Document
from controller.registry.client import RegistryClient
from controller.registry.transport import RegistryTransport
from controller.settings import RegistrySettings, Settings

START = 1_800_000_000.0
"""POSIX seconds at which every test's clock starts."""


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += seconds


def policy(name: str = "corp", *, kind: str = "ClusterTrustPolicy", namespace: str = "", **spec: Any) -> dict[str, Any]:
    """A policy document; `spec` is written as it will stand, with `match` for every image unless given."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    spec.setdefault("match", {"images": ["*/**"]})
    return {"apiVersion": "sigward.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def authority(name: str, *keys: SigningKey, **fields: Any) -> dict[str, Any]:
    """An authority with inline keys."""
    return {"name": name, "keys": [{"pem": key.public_pem} for key in keys], **fields}


def snapshot(*documents: Mapping[str, Any], number: int = 1, settings: Settings | None = None) -> Snapshot:
    """Compiled as the product compiles files."""
    return compile_policies([Document(value) for value in documents], number, (settings or Settings()).limits)


def local(*hosts: str, **changes: Any) -> Settings:
    """Settings that reach registries on this machine."""
    reach = RegistrySettings(insecure=True, private_address=True)
    return Settings(registries=dict.fromkeys(hosts, reach), **changes)


@dataclass
class House:
    """One process's gate, its transport and its clock."""

    settings: Settings
    clock: Clock = field(default_factory=Clock)

    async def __aenter__(self) -> Self:
        self.gate = Gate(self.settings, self.clock)
        self.transport = RegistryTransport(self.settings)
        self.source = RegistryClient(self.transport)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.gate.close()
        await self.transport.close()

    async def judge(
        self, image: object, policies: Snapshot, *, workload: Workload | None = None, within: float = 5.0
    ) -> Report:
        """One image's report."""
        return (await self.judge_all([image], policies, workload=workload, within=within))[0]

    async def judge_all(
        self, images: Sequence[object], policies: Snapshot, *, workload: Workload | None = None, within: float = 5.0
    ) -> tuple[Report, ...]:
        """One object's images."""
        place = workload or Workload()
        subjects = [
            Subject(str(image), f"/spec/containers/{number}/image", place, f"c{number}")
            for number, image in enumerate(images)
        ]
        deadline = asyncio.get_running_loop().time() + within
        return await self.gate.judge(subjects, policies, self.source, deadline)


def codes(report: Report) -> list[str]:
    """Every reason of the report, policy by policy, as codes."""
    found = [report.reason.code.value] if report.reason else []
    for result in report.policies:
        found += [result.reason.code.value] if result.reason else []
        found += [requirement.reason.code.value for requirement in result.requirements if requirement.reason]
    return found
