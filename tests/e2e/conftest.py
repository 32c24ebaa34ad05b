"""One cluster for the suite, a namespace for each test. Without the programs it is skipped, or fails where it must run."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import PROGRAMS, Cluster, running_cluster
from tests.interop import tools

_REQUIRED = os.environ.get("SIGWARD_REQUIRE_E2E", "") not in {"", "0"}
_NUMBERS = itertools.count(1)
_CRDS = Path(__file__).parents[2] / "charts" / "sigward" / "crds"


def missing(reason: str) -> None:
    """Skip, or fail where the suite is required."""
    if _REQUIRED:
        pytest.fail(f"SIGWARD_REQUIRE_E2E is set: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster, with our resource definitions in it."""
    needed = ("kubectl",) if os.environ.get("KUBECONFIG") else PROGRAMS
    for name in needed:
        try:
            tools.find(name)
        except tools.ToolMissingError as error:
            missing(str(error))
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        running.kubectl("apply", "--server-side", "-f", str(_CRDS))
        running.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
        yield running


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace."""
    name = f"e2e-{os.getpid()}-{next(_NUMBERS)}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
