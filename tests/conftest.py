"""What every test stands on: where it may connect to, and a running registry."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import hypothesis
import pytest
import pytest_socket

from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from tests.fakes.registry import FaultyRegistry

# A property is about answers: how long one example takes on a busy machine is no part of it.
# The same examples every time, so that a red test is red for everybody; `make test-long` looks for new ones.
_QUIET = [hypothesis.HealthCheck.too_slow]  # says how busy the machine is
hypothesis.settings.register_profile("answers", deadline=None, derandomize=True, suppress_health_check=_QUIET)
hypothesis.settings.register_profile("long", deadline=None, suppress_health_check=_QUIET)
hypothesis.settings.load_profile("long" if os.environ.get("SIGWARD_LONG") else "answers")

_WITHOUT_NETWORK = frozenset({"unit", "property"})
_ROOT = Path(__file__).parent


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Unit and property tests open no socket; the others reach this machine only. pytest-socket lifts it after each test."""
    if item.path.relative_to(_ROOT).parts[0] in _WITHOUT_NETWORK:
        # asyncio's own wake-up pair is a Unix socket.
        pytest_socket.disable_socket(allow_unix_socket=True)
    else:
        pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)


@pytest.fixture
async def registry() -> AsyncIterator[EmbeddedRegistry]:
    async with EmbeddedRegistry() as running:
        yield running


@pytest.fixture
def images(registry: EmbeddedRegistry) -> ImageBuilder:
    return ImageBuilder(registry)


@pytest.fixture
def signer(registry: EmbeddedRegistry) -> Signer:
    return Signer(registry)


@pytest.fixture
async def faulty_registry() -> AsyncIterator[FaultyRegistry]:
    async with FaultyRegistry() as running:
        yield running
