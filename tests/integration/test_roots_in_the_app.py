"""Built-in trusted roots in a running webhook: followed while a policy names them, kept when their mirror fails."""

import asyncio
import importlib
import json
import logging
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from controller.compile import roots as compiled_roots
from controller.errors import Code, Invalid
from controller.settings import Limits, RootSettings, Settings
from tests.fakes.authorities import ISSUER, SUBJECT
from tests.fakes.gates import Clock, authority, local, policy
from tests.fakes.keyless import SHAPES
from tests.fakes.keys import signing_key
from tests.fakes.reviews import pod, review
from tests.fakes.sigstore import PrivateSigstore
from tests.fakes.tuf import TufRepository
from tests.fakes.webhook import Webhook, reasons

OLD = PrivateSigstore("old")
NEW = PrivateSigstore("new")
IDENTITY = {"issuer": {"exact": ISSUER}, "subject": {"exact": SUBJECT}}
NAMING = policy(authorities=[{"name": "ci", "keyless": {"trustRoot": "public-good", "identities": [IDENTITY]}}])
BUILTIN = importlib.import_module("controller.roots.builtin")  # its package has a function of the same name
SOON = 0.05
"""Seconds between refreshes."""


def raw(instance: PrivateSigstore) -> bytes:
    return json.dumps(instance.document()).encode()


@dataclass
class Mirror:
    """A TUF repository over HTTP that writes down what it is asked, and breaks when told."""

    repository: TufRepository
    broken: bool = False
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        path = self.repository.folder / request.match_info["path"]
        if self.broken:
            raise web.HTTPServiceUnavailable
        if not path.is_file():
            raise web.HTTPNotFound
        return web.Response(body=path.read_bytes())

    async def asked_again(self) -> None:
        """Return after a whole refresh that began after this call."""
        for _ in range(2):
            before = self.asked.count("/timestamp.json")
            await until(lambda before=before: self.asked.count("/timestamp.json") > before)  # type: ignore[misc]


@pytest.fixture
async def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Mirror]:
    """The built-in roots are the old private instance's, and its repository is their mirror."""
    found = Mirror(TufRepository(tmp_path / "repository"))
    found.repository.publish(raw(OLD))
    data = tmp_path / "data"
    shutil.copytree(Path(str(BUILTIN.DATA)), data)
    (data / "public-good.trusted_root.json").write_bytes(raw(OLD))
    (data / "public-good.root.json").write_bytes(found.repository.first)
    monkeypatch.setattr(BUILTIN, "DATA", data)
    compiled_roots._built_in.cache_clear()
    application = web.Application()
    application.router.add_get("/{path:.*}", found.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    found.url = f"http://{host}:{port}"
    yield found
    await runner.cleanup()
    compiled_roots._built_in.cache_clear()


@dataclass
class Cluster:
    """An image signed under the new instance, and the webhook that is asked about it."""

    host: str
    image: str
    folder: Path
    mirror: Mirror
    clock: Clock = field(default_factory=Clock)

    def settings(self, **roots: Any) -> Settings:
        written = {"refresh": SOON, "mirrors": {"public-good": self.mirror.url}, **roots}
        return local(self.host, limits=Limits(lame_duck=0), roots=RootSettings.model_validate(written))

    @asynccontextmanager
    async def webhook(self, document: Any = NAMING, **roots: Any) -> AsyncIterator[Webhook]:
        async with Webhook(self.folder / "app", {"corp": document}, self.settings(**roots), self.clock) as running:
            yield running

    async def ask(self, webhook: Webhook) -> tuple[bool, list[str]]:
        answer = await webhook.validate(review(pod(self.image)))
        return answer.allowed, reasons(webhook, answer)


@pytest.fixture
def cluster(registry: Any, images: Any, tmp_path: Path, mirror: Mirror) -> Cluster:
    image = images.image("shop/web", "1", content=b"web")
    SHAPES["bundle, Rekor 1"](registry, image, NEW, NEW.holder())
    return Cluster(registry.host, str(image.reference), tmp_path, mirror)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - nothing else says that another thread is done
            await asyncio.sleep(0.01)


def number(webhook: Webhook) -> int:
    assert webhook.app.policies.current is not None
    return webhook.app.policies.current.number


def metric(webhook: Webhook, name: str, **labels: str) -> float | None:
    return webhook.app.telemetry.registry.get_sample_value(name, {"root": "public-good", **labels})


async def test_a_new_log_and_authority_admit_without_a_restart(cluster: Cluster) -> None:
    async with cluster.webhook() as webhook:
        assert await cluster.ask(webhook) == (False, ["LogUntrusted"])
        assert await cluster.ask(webhook) == (False, ["LogUntrusted"]), "from memory"
        before, fingerprint = number(webhook), webhook.app.policies.current.fingerprint  # type: ignore[union-attr]
        cluster.mirror.repository.publish(raw(NEW))
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (True, [])
        assert webhook.app.policies.current.fingerprint != fingerprint  # type: ignore[union-attr]
        cluster.mirror.repository.publish(raw(OLD))
        before = number(webhook)
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (False, ["LogUntrusted"]), (
            "what was remembered under the other root must not act"
        )
        assert metric(webhook, "sigward_trusted_root_refreshes_total", outcome="changed") == 2
        assert metric(webhook, "sigward_trusted_root_refresh_failing") == 0


async def test_what_is_confirmed_compiles_nothing_anew(cluster: Cluster) -> None:
    async with cluster.webhook() as webhook:
        await cluster.mirror.asked_again()
        await webhook.app._judge_by_current_roots()
        assert number(webhook) == 1
        assert metric(webhook, "sigward_trusted_root_age_seconds") == 0


async def test_a_broken_mirror_leaves_the_last_good_root(cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sigward.roots")
    cluster.mirror.repository.publish(raw(NEW))
    async with cluster.webhook() as webhook:
        await until(lambda: number(webhook) > 1)
        cluster.mirror.broken = True
        await until(lambda: metric(webhook, "sigward_trusted_root_refresh_failing") == 1)
        cluster.clock.pass_(1e6)
        assert await cluster.ask(webhook) == (True, [])
        assert metric(webhook, "sigward_trusted_root_age_seconds") == 1e6
        assert metric(webhook, "sigward_trusted_root_refreshes_total", outcome="failed")
        assert (await webhook.get("/readyz")).status == 200
        cluster.mirror.broken = False
        await until(lambda: metric(webhook, "sigward_trusted_root_refresh_failing") == 0)
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any("the last good trusted root stays" in line and "503" in line for line in said)


async def test_max_stale_leaves_the_question_open_until_a_mirror_answers(cluster: Cluster) -> None:
    cluster.mirror.repository.publish(raw(NEW))
    async with cluster.webhook(max_stale=3600) as webhook:
        await until(lambda: number(webhook) > 1)
        cluster.mirror.broken = True
        await until(lambda: metric(webhook, "sigward_trusted_root_refresh_failing") == 1)
        assert await cluster.ask(webhook) == (True, [])
        before = number(webhook)
        webhook.write_policy("broken", "kind: [")  # must not keep an old root in force
        cluster.clock.pass_(3601)
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (False, ["TrustedRootUnavailable"])
        assert (await webhook.get("/readyz")).status == 200, "the process does not stop"
        before, cluster.mirror.broken = number(webhook), False
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (True, [])


async def test_nobody_is_asked_while_no_policy_names_a_root(cluster: Cluster) -> None:
    keyed = policy(authorities=[authority("release", signing_key("release"))])
    async with cluster.webhook(keyed) as webhook:
        assert await cluster.ask(webhook) == (False, ["WrongKey"])
        assert cluster.mirror.asked == []
        webhook.write_policy("corp", NAMING)
        assert await webhook.app.policies.refresh()
        await cluster.mirror.asked_again()
        webhook.write_policy("corp", keyed)
        assert await webhook.app.policies.refresh()
        await webhook.app._roots.close()  # lets what was under way end
        before = len(cluster.mirror.asked)
        await asyncio.sleep(4 * SOON)
        assert len(cluster.mirror.asked) == before
        assert metric(webhook, "sigward_trusted_root_age_seconds") is None


async def test_air_gapped_nobody_is_asked_and_the_shipped_root_stays(cluster: Cluster) -> None:
    async with cluster.webhook(refresh=0, max_stale=1) as webhook:
        cluster.clock.pass_(1e6)
        await webhook.app._judge_by_current_roots()
        assert await cluster.ask(webhook) == (False, ["LogUntrusted"])
        assert (cluster.mirror.asked, number(webhook)) == ([], 1)


async def test_a_mirror_that_never_ends_does_not_keep_the_replica(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        asked.set()
        await asyncio.sleep(30)
        raise web.HTTPNotFound

    monkeypatch.setattr("controller.roots.keeper._CLOSING", 0.05)
    application = web.Application()
    application.router.add_get("/{path:.*}", hang)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    async with asyncio.timeout(10):
        async with cluster.webhook(mirrors={"public-good": f"http://{host}:{port}"}):
            await asked.wait()
        await runner.cleanup()


@pytest.mark.parametrize(
    "mirrors", [{"public-god": "https://mirror.example.com"}, {"github": "ftp://mirror.example.com"}, {"github": ""}]
)
def test_a_mirror_that_can_be_none_is_said(tmp_path: Path, mirrors: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        Webhook(tmp_path / "app", {}, Settings(roots=RootSettings(mirrors=mirrors)))
    assert (caught.value.reason.code, caught.value.field) == (Code.INVALID_SETTINGS, f"roots.mirrors.{next(iter(mirrors))}")


def test_the_library_is_loaded_only_for_a_root_that_is_named() -> None:
    code = "import sys, controller.app; print(sorted(name for name in sys.modules if name.partition('.')[0] == 'tuf'))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert ran.stdout.strip() == "[]"


OWN_NAMING = policy(authorities=[{"name": "ci", "keyless": {"trustRoot": "own", "identities": [IDENTITY]}}])


def own(repository: TufRepository, url: str) -> dict[str, Any]:
    spec = {"tuf": {"url": url, "root": repository.first.decode()}}
    return {"apiVersion": "sigward.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "own"}, "spec": spec}


async def test_a_trust_root_that_a_repository_publishes(cluster: Cluster) -> None:
    """Undecided until it was fetched, then believed; a rollback is refused; another address is another root."""
    repository = cluster.mirror.repository
    repository.publish(raw(NEW))
    cluster.mirror.broken = True
    async with cluster.webhook(OWN_NAMING) as webhook:
        assert await cluster.ask(webhook) == (False, ["TrustedRootUnavailable"])  # no such TrustRoot
        webhook.write_policy("own", own(repository, cluster.mirror.url))
        await until(lambda: "own" in webhook.app.policies.current.mirrored_roots)  # type: ignore[union-attr]
        assert await cluster.ask(webhook) == (False, ["TrustedRootUnavailable"])
        cluster.mirror.broken, before = False, number(webhook)
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (True, [])
        repository.publish(raw(OLD), version=1)  # older than what was seen
        await until(lambda: (sample(webhook, "sigward_trusted_root_refresh_failing") or 0) == 1)
        assert await cluster.ask(webhook) == (True, [])
        before = number(webhook)
        webhook.write_policy("own", own(repository, f"{cluster.mirror.url}/nowhere"))
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (False, ["TrustedRootUnavailable"])


def sample(webhook: Webhook, name: str) -> float | None:
    return webhook.app.telemetry.registry.get_sample_value(name, {"root": "own"})


async def test_the_last_good_root_outlives_a_restart(cluster: Cluster, tmp_path: Path) -> None:
    repository, kept = cluster.mirror.repository, tmp_path / "kept"
    repository.publish(raw(NEW))
    documents = {"corp": OWN_NAMING, "own": own(repository, cluster.mirror.url)}
    async with Webhook(tmp_path / "first", documents, cluster.settings(folder=kept)) as webhook:
        before = number(webhook)
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (True, [])
    cluster.mirror.broken = True
    async with Webhook(tmp_path / "second", documents, cluster.settings(folder=kept)) as webhook:
        assert await cluster.ask(webhook) == (True, [])
    (folder,) = kept.glob("own-*")
    (folder / "trusted_root.json").write_text("{", encoding="utf-8")
    async with Webhook(tmp_path / "third", documents, cluster.settings(folder=kept)) as webhook:
        assert await cluster.ask(webhook) == (False, ["TrustedRootUnavailable"])


async def test_a_built_in_root_that_was_refreshed_outlives_a_restart_and_an_older_release(
    cluster: Cluster, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    cluster.mirror.repository.publish(raw(NEW))
    async with cluster.webhook(folder=kept) as webhook:
        await until(lambda: number(webhook) > 1)
    cluster.mirror.broken = True
    settings = cluster.settings(folder=kept, max_stale=3600)
    clock = Clock((kept / "public-good" / "trusted_root.json").stat().st_mtime)
    async with Webhook(tmp_path / "again", {"corp": NAMING}, settings, clock) as webhook:
        assert await cluster.ask(webhook) == (True, [])
        before = number(webhook)
        clock.pass_(3601)  # counted from when it was fetched, not from the start of this process
        await until(lambda: number(webhook) > before)
        assert await cluster.ask(webhook) == (False, ["TrustedRootUnavailable"])
