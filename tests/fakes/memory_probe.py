"""A process of its own that asks a hostile registry and says what that cost in memory.

The highest resident memory of a process never goes down, so the test's own process, which also plays the registry, cannot be
the one that is measured.

Arguments of `python -m tests.fakes.memory_probe`: the registry's host, a case to warm up with, then cases: `manifest PATH`,
`blob PATH DIGEST SIZE`, `image PATH DIGEST`. Prints one JSON object a case: the reasons met (code and text), and the growth
in MiB since the warm-up.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

from controller.errors import SigwardError
from controller.reference import Digest, Repository
from controller.registry.client import RegistryClient
from controller.registry.discovery import Want, discover
from controller.registry.source import Descriptor
from controller.registry.transport import RegistryTransport
from controller.settings import Limits, RegistrySettings, Settings

LIMITS = Limits(retry_base=0.001, retries=1, read_timeout=5, connect_timeout=5, lookup_timeout=30)


def highest() -> float:
    """Highest resident memory so far, MiB. (`ru_maxrss` would start at what the test's process had when it forked.)"""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


async def ask(client: RegistryClient, host: str, case: str) -> list[tuple[str, str]]:
    """Put one question; returns the reasons for which nothing came of it."""
    kind, path, *rest = case.split(" ")
    repository = Repository(host, path)
    try:
        if kind == "manifest":
            await client.manifest(repository, "latest")
        elif kind == "blob":
            descriptor = Descriptor("application/x", Digest.parse(rest[0]), int(rest[1]))
            await client.blob(repository, descriptor, limit=LIMITS.signature_bytes)
        else:
            found = await discover(
                client, [repository], Digest.parse(rest[0]), frozenset({Want.SIGNATURES, Want.ATTESTATIONS}), LIMITS
            )
            return [(gap.reason.code, str(gap.reason)) for gap in found.gaps]
    except SigwardError as error:
        return [(error.reason.code, str(error.reason))]
    return []


async def main(host: str, warm_up: str, *cases: str) -> None:
    """Ask all, in turn."""
    settings = Settings(limits=LIMITS, registries={host: RegistrySettings(insecure=True, private_address=True)})
    async with RegistryTransport(settings) as connections:
        client = RegistryClient(connections)
        print(json.dumps({"case": warm_up, "reasons": await ask(client, host, warm_up), "growth": 0.0}), flush=True)  # noqa: T201
        before = highest()
        for case in cases:
            reasons = await ask(client, host, case)
            print(json.dumps({"case": case, "reasons": reasons, "growth": highest() - before}), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
