"""Refreshing trusted roots over HTTP: a mirror that answers, one that drips, one that is not there."""

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from controller.errors import Code
from controller.roots.keeper import RootKeeper
from controller.roots.mirror import Mirror
from controller.settings import RootSettings
from controller.verify.keyless import KeylessAuthority
from tests.fakes.evidence import IMAGE, LIMITS
from tests.fakes.sigstore import NOW, PrivateSigstore, evidence, trusted
from tests.fakes.tuf import TufRepository


async def served(handler: web.Application, call: object) -> str:
    runner = web.AppRunner(handler)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        return str(await call(f"http://{host}:{port}"))  # type: ignore[operator] # a coroutine function
    finally:
        await runner.cleanup()


async def refresh(url: str, repository: TufRepository, folder: Path, timeout: float) -> RootKeeper:  # noqa: ASYNC109 - a setting
    settings = RootSettings(folder=folder, timeout=timeout)
    kept = RootKeeper([], [Mirror("private", url, repository.first)], settings, LIMITS)
    await kept.refresh()
    return kept


@pytest.fixture
def repository(tmp_path: Path) -> TufRepository:
    return TufRepository(tmp_path / "repository")


async def test_a_root_from_a_mirror_judges(repository: TufRepository, tmp_path: Path) -> None:
    sigstore = PrivateSigstore()
    repository.publish(json.dumps(sigstore.document()).encode())
    application = web.Application()
    application.router.add_static("/tuf", repository.folder)

    async def call(url: str) -> str:
        kept = await refresh(f"{url}/tuf", repository, tmp_path / "seen", 10)
        assert kept.failures() == {}
        judge = KeylessAuthority("ci", kept.current("private"), [trusted()])
        (fact,) = judge.judge(evidence(sigstore.sign_statement()), IMAGE, NOW)
        return fact.signer.name

    assert "acme/shop" in await served(application, call)


async def test_a_mirror_that_drips_is_left_in_time(repository: TufRepository, tmp_path: Path) -> None:
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" ")
            await asyncio.sleep(0.02)
        return response

    application = web.Application()
    application.router.add_get("/{path:.*}", drip)

    async def call(url: str) -> str:
        kept = RootKeeper([], [Mirror("private", url, repository.first)], RootSettings(folder=tmp_path, timeout=0.2), LIMITS)
        async with asyncio.timeout(10):
            (refreshed,) = await kept.refresh()
        assert refreshed.failure is not None
        assert refreshed.failure.code is Code.ROOT_UNAVAILABLE
        return refreshed.failure.found

    assert "SlowRetrievalError" in await served(application, call)


async def test_a_mirror_that_is_not_there(repository: TufRepository, tmp_path: Path) -> None:
    kept = RootKeeper([], [Mirror("private", "http://127.0.0.1:1", repository.first)], RootSettings(folder=tmp_path), LIMITS)
    (refreshed,) = await kept.refresh()
    assert refreshed.failure is not None
    assert "NewConnectionError" in refreshed.failure.found
