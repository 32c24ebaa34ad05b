"""Real signers and real registries. Without them the suite is skipped, or fails where SIGWARD_REQUIRE_INTEROP says so."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.interop import tools
from tests.interop.cosign import Cosign
from tests.interop.door import Stock
from tests.interop.tools import Product, RunningRegistry

_REQUIRED = os.environ.get("SIGWARD_REQUIRE_INTEROP", "") not in {"", "0"}


def missing(reason: str) -> None:
    """Skip, or fail where the tools are required."""
    if _REQUIRED:
        pytest.fail(f"SIGWARD_REQUIRE_INTEROP is set: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    for name in ("cosign2", "cosign3", "crane", "registry", "referrers-registry", "notation"):
        try:
            tools.find(name)
        except tools.ToolMissingError as error:
            missing(str(error))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interop")


@pytest.fixture(scope="session", params=[2, 3], ids=["cosign2", "cosign3"])
def cosign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return Cosign(request.param, tmp_path_factory.mktemp(f"cosign{request.param}"))


@pytest.fixture(scope="session")
def registries(folder: Path) -> Iterator[dict[Product, RunningRegistry]]:
    """Every product that this machine has; Debian's is the only one it may lack."""
    with ExitStack() as stack:
        running = {}
        for product in Product:
            if product is Product.DEBIAN and not _has_debian():
                continue
            running[product] = stack.enter_context(tools.running_registry(product, folder))
        yield running


@pytest.fixture(scope="session", params=list(Product), ids=str)
def peer(request: pytest.FixtureRequest, registries: dict[Product, RunningRegistry]) -> RunningRegistry:
    product: Product = request.param
    if product not in registries:
        missing("docker-registry, a Debian package, is neither in .build/tools nor on PATH")
    return registries[product]


@pytest.fixture(scope="session")
def stock() -> Stock:
    return Stock()


def _has_debian() -> bool:
    try:
        tools.find(tools.PROGRAMS[Product.DEBIAN])
    except tools.ToolMissingError:
        return False
    return True
