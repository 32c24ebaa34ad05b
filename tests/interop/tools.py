"""Finds the real tools and starts the real registries."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import yaml

BUILT: Final = Path(__file__).parents[2] / ".build" / "tools"
"""Where `make tools` puts what it builds."""

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 10.0


class ToolMissingError(Exception):
    """A program that the suite needs is neither built nor on PATH."""


def find(name: str) -> Path:
    """Return the program of that name: what `make tools` built, else what PATH has."""
    built = BUILT / name
    if os.access(built, os.X_OK):
        return built
    elsewhere = shutil.which(name)
    if elsewhere is None:
        raise ToolMissingError(f"{name} is neither in {BUILT.parent.name}/{BUILT.name} nor on PATH: run `make tools`")
    return Path(elsewhere)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which no program finds a person's credentials, caches or proxies."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "DOCKER_CONFIG": str(home),
        "TUF_ROOT": str(home / "tuf"),
        "COSIGN_PASSWORD": "",
        "OTEL_TRACES_EXPORTER": "none",  # distribution would send its traces to a collector on this machine
        **more,
    }


class Product(StrEnum):
    """A registry that other people wrote, and what it does with referrers."""

    DISTRIBUTION = "distribution"  # no referrers API: 404
    CRANE = "crane"  # no referrers API: 404, `crane registry serve` leaves it off
    REFERRERS = "referrers"  # the same registry with the API on; it lists the config's media type as artifactType
    DEBIAN = "docker-registry"  # distribution 2.8, no referrers API: 404


PROGRAMS: Final[Mapping[Product, str]] = {
    Product.DISTRIBUTION: "registry",
    Product.CRANE: "crane",
    Product.REFERRERS: "referrers-registry",
    Product.DEBIAN: "docker-registry",
}


@dataclass(frozen=True, slots=True)
class RunningRegistry:
    """A registry that answers at `host` (address and port)."""

    product: Product
    host: str

    @property
    def referrers_api(self) -> bool:
        """Whether it has the referrers API."""
        return self.product is Product.REFERRERS


@contextmanager
def running_registry(product: Product, folder: Path) -> Iterator[RunningRegistry]:
    """Run a registry on a free port of the loopback address until the block ends; it keeps everything in memory."""
    program = str(find(PROGRAMS[product]))
    listening = rf"(?:listening on|serving on(?: port)?) (?:{re.escape('127.0.0.1')}:)?(\d+)"
    with started(_command(product, program, folder), folder, listening) as port:
        yield RunningRegistry(product, f"127.0.0.1:{port}")


def _command(product: Product, program: str, folder: Path) -> list[str]:
    match product:
        case Product.CRANE:
            return [program, "registry", "serve", "--address", "127.0.0.1:0"]
        case Product.REFERRERS:
            return [program, "-address", "127.0.0.1:0"]
        case Product.DISTRIBUTION | Product.DEBIAN:
            settings = {
                "version": 0.1,
                "log": {"level": "info", "formatter": "text"},
                "storage": {"inmemory": {}, "delete": {"enabled": True}},
                "http": {"addr": "127.0.0.1:0", "secret": "nothing to hide"},
            }
            path = folder / f"{product}.yaml"
            path.write_text(yaml.safe_dump(settings))
            return [program, "serve", str(path)]


@contextmanager
def started(command: Sequence[str], folder: Path, says: str, **variables: str) -> Iterator[str]:
    """Run a server until the block ends.

    Args:
        command: Program and arguments.
        folder: Its home and where its output is kept.
        says: The pattern of the line by which it tells that it listens.
        variables: Further environment.

    Yields:
        The pattern's first group.
    """
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".log", delete=False) as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(folder, **variables)
        )
        try:
            yield _wait_for(process, Path(log.name), re.compile(says))
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen[bytes], log: Path, says: re.Pattern[str]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        output = log.read_text(errors="replace")
        found = says.search(output)
        if found:
            return found[1]
        if process.poll() is not None:
            raise AssertionError(f"ended with {process.returncode} before it listened:\n{output}")
        time.sleep(0.02)
    raise AssertionError(f"did not say that it listens within {_START_SECONDS} s:\n{log.read_text(errors='replace')}")
