"""A replica's life: started with what is there, reloaded while it serves, drained without failing anybody."""

import asyncio
import contextlib
import shutil
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from controller.app import App, Options
from controller.certificates import self_signed
from controller.demo.images import ImageBuilder
from controller.demo.registry import EmbeddedRegistry
from controller.demo.signer import Signer
from controller.errors import Code, Invalid
from controller.server.tls import CertificateFiles, ServingCertificate
from controller.settings import Limits, Settings
from tests.fakes.gates import authority, local, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import body, pod, review
from tests.fakes.tls import Authority
from tests.fakes.webhook import Webhook

RELEASE = signing_key("release")
OTHER = signing_key("other")
CORP = policy(authorities=[authority("release", RELEASE)])
QUICK = Limits(lame_duck=0, drain=5)


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.app._LOOK", 0.02)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - what is waited for is another process's view
            await asyncio.sleep(0.02)


@pytest.fixture
async def signed(
    tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
) -> AsyncIterator[tuple[Webhook, dict[str, Any]]]:
    image = images.image("shop/web", "1")
    signer.sign(image, RELEASE)
    async with Webhook(tmp_path / "app", {"corp": CORP}, local(registry.host, limits=QUICK)) as webhook:
        yield webhook, review(pod(str(image.reference)))


class TestPolicies:
    async def test_an_edited_policy_is_in_force_at_the_next_look(self, signed: tuple[Webhook, dict[str, Any]]) -> None:
        webhook, asked = signed
        assert (await webhook.validate(asked)).allowed
        webhook.write_policy("corp", policy(authorities=[authority("release", OTHER)]))
        await until(lambda: verdict_is(webhook, asked, allowed=False))
        assert "release" in (await webhook.validate(asked)).message
        webhook.write_policy("corp", CORP)
        await until(lambda: verdict_is(webhook, asked, allowed=True))

    @pytest.mark.parametrize(
        "broken", ["kind: [", "kind: Pod", "apiVersion: sigward.dev/v1alpha1\nkind: ClusterTrustPolicy"]
    )
    async def test_a_broken_file_keeps_the_last_good_set_and_alerts(
        self, signed: tuple[Webhook, dict[str, Any]], broken: str
    ) -> None:
        webhook, asked = signed
        webhook.write_policy("broken", broken)
        await until(lambda: metric_is(webhook, 'sigward_reload_failing{what="policies"}', 1))
        assert (await webhook.validate(asked)).allowed
        assert (await webhook.get("/readyz")).status == 200
        assert not (await webhook.validate(review(pod("registry.example.com/x:1")))).allowed
        (webhook.policies / "broken.yaml").unlink()
        await until(lambda: metric_is(webhook, 'sigward_reload_failing{what="policies"}', 0))

    async def test_an_emptied_folder_is_no_empty_set(self, signed: tuple[Webhook, dict[str, Any]]) -> None:
        webhook, asked = signed
        shutil.rmtree(webhook.policies)
        await until(lambda: metric_is(webhook, 'sigward_reload_failing{what="policies"}', 1))
        webhook.policies.mkdir()
        await until(lambda: metric_is(webhook, 'sigward_reload_errors_total{what="policies"}', 2))
        assert (await webhook.validate(asked)).allowed
        answer = await webhook.validate(review(pod("127.0.0.1:1/unsigned:1")))
        assert not answer.allowed

    async def test_a_policy_that_does_not_compile_refuses_what_it_matches(
        self, signed: tuple[Webhook, dict[str, Any]]
    ) -> None:
        webhook, asked = signed
        webhook.write_policy("more", policy("more", authorities=[{"name": "a", "keys": [{"pem": "none"}]}]))
        await until(lambda: verdict_is(webhook, asked, allowed=False))
        assert "policy more" in (await webhook.validate(asked)).message
        await until(lambda: metric_is(webhook, 'sigward_policies{state="broken"}', 1))

    @pytest.mark.parametrize("content", ["kind: [", ""])
    async def test_a_start_with_a_broken_file_is_never_ready_and_never_admits(self, tmp_path: Path, content: str) -> None:
        async with Webhook(tmp_path / "app", {"corp": content}, Settings(limits=QUICK)) as webhook:
            for _ in range(3):
                await asyncio.sleep(0.05)
                ready = await webhook.get("/readyz")
                assert ready.status == 503
                assert "policies" in ready.text
            answer = await webhook.validate(review(pod("nginx")))
            assert answer.message == "not judged: the policies are not loaded yet"
            assert answer.response["auditAnnotations"] == {"code": Code.POLICIES_UNKNOWN}
            assert (await webhook.get("/healthz")).status == 200
            webhook.write_policy("corp", CORP)
            await until(lambda: is_ready(webhook))

    async def test_a_mounted_folder_is_swapped_through_its_link(self, signed: tuple[Webhook, dict[str, Any]]) -> None:
        """As the kubelet writes ConfigMaps: files are links through `..data` to a folder that is replaced whole."""
        webhook, asked = signed
        text = (webhook.policies / "corp.yaml").read_text()
        first, second = webhook.policies / "..1", webhook.policies / "..2"
        for folder, keyed in ((first, text), (second, None)):
            folder.mkdir()
            (folder / "mounted.yaml").write_text(keyed.replace("corp", "mounted") if keyed else "kind: [")
        (webhook.policies / "..data").symlink_to("..1")
        (webhook.policies / "mounted.yaml").symlink_to("..data/mounted.yaml")
        await until(lambda: metric_is(webhook, 'sigward_policies{state="ready"}', 2))
        assert (await webhook.validate(asked)).allowed
        (webhook.policies / "..new").symlink_to("..2")
        (webhook.policies / "..new").rename(webhook.policies / "..data")
        await until(lambda: metric_is(webhook, 'sigward_reload_failing{what="policies"}', 1))


class TestCertificates:
    async def test_a_new_certificate_serves_new_connections_and_old_ones_stay(
        self, signed: tuple[Webhook, dict[str, Any]]
    ) -> None:
        webhook, asked = signed
        assert (await webhook.validate(asked)).allowed
        old = await served(webhook)
        self_signed(["127.0.0.1"]).write(webhook.folder)
        await until(lambda: serves_another(webhook, old))
        assert (await webhook.validate(asked)).allowed  # the kept connection, which knew the old one
        expires = x509.load_pem_x509_certificate(webhook.certificate.read_bytes()).not_valid_after_utc.timestamp()
        assert await metric_is(webhook, "sigward_certificate_expiry_timestamp_seconds", expires)

    @pytest.mark.parametrize("part", ["certificate", "key", "both", "mismatch", "gone"])
    async def test_a_broken_one_keeps_the_old_and_alerts(self, signed: tuple[Webhook, dict[str, Any]], part: str) -> None:
        webhook, asked = signed
        old = await served(webhook)
        if part in {"certificate", "both"}:
            webhook.certificate.write_text("-----BEGIN CERTIFICATE-----\n")
        if part in {"key", "both"}:
            webhook.key.write_text("")
        if part == "mismatch":
            webhook.key.write_bytes(self_signed(["127.0.0.1"]).key)
        if part == "gone":
            webhook.key.unlink()
        await until(lambda: metric_is(webhook, 'sigward_reload_failing{what="certificate"}', 1))
        assert await served(webhook) == old
        assert (await webhook.validate(asked)).allowed
        self_signed(["127.0.0.1"]).write(webhook.folder)
        await until(lambda: serves_another(webhook, old))
        assert await metric_is(webhook, 'sigward_reload_failing{what="certificate"}', 0)

    async def test_only_callers_with_the_clients_certificate_where_a_ca_is_given(self, tmp_path: Path) -> None:
        ca_folder, other_folder = tmp_path / "ca", tmp_path / "other"
        ca_folder.mkdir()
        other_folder.mkdir()
        authority_, stranger = Authority.create(ca_folder), Authority.create(other_folder)
        settings = Settings(limits=QUICK, client_ca_file=authority_.certificate)
        async with Webhook(tmp_path / "app", {"corp": CORP}, settings) as webhook:
            with pytest.raises((ClientError, ConnectionError, ssl.SSLError)):
                await webhook.validate(review(pod("nginx")))
            for issuer, accepted in ((stranger, False), (authority_, True)):
                shown = issuer.issue("apiserver", file="client")
                context = ssl.create_default_context(cafile=str(webhook.certificate))
                context.load_cert_chain(shown.certificate, shown.key)
                assert await answers(webhook, context) is accepted

    async def test_tls_is_1_2_or_later(self, signed: tuple[Webhook, dict[str, Any]]) -> None:
        webhook, _ = signed
        context = ssl.create_default_context(cafile=str(webhook.certificate))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert await answers(webhook, context)
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        assert not await answers(webhook, context)

    async def test_without_a_certificate_it_does_not_start(self, tmp_path: Path) -> None:
        webhook = Webhook(tmp_path / "app", {"corp": CORP})
        webhook.key.write_text("none")
        with pytest.raises(Invalid, match=r"tls\.key cannot be used") as caught:
            await webhook.app.start()
        assert caught.value.reason.code is Code.INVALID_FILE

    async def test_an_encrypted_key_is_refused_and_nobody_is_asked_for_its_password(self, tmp_path: Path) -> None:
        certificate, key = self_signed(["127.0.0.1"]).write(tmp_path)
        plain = load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
        with pytest.raises(Invalid) as caught:
            ServingCertificate.load(CertificateFiles(certificate, key))
        assert caught.value.reason.code is Code.INVALID_FILE


class TestConnections:
    async def test_a_connection_is_kept_and_closed_once_it_is_old(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("controller.server.connections._SPREAD", 0)
        async with Webhook(
            tmp_path / "app", {"corp": CORP}, Settings(limits=Limits(connection_age=0.3, lame_duck=0))
        ) as webhook:
            assert "Connection" not in (await webhook.validate(review(None, operation="DELETE"))).headers
            assert "Connection" not in (await webhook.validate(review(None, operation="DELETE"))).headers
            await asyncio.sleep(0.35)
            assert (await webhook.validate(review(None, operation="DELETE"))).headers["Connection"] == "close"
            assert "Connection" not in (await webhook.validate(review(None, operation="DELETE"))).headers

    async def test_a_connection_that_asks_nothing_is_closed(
        self, signed: tuple[Webhook, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        webhook, _ = signed
        monkeypatch.setattr("controller.server.connections._FIRST_REQUEST", 0.05)
        reader, writer = await asyncio.open_connection("127.0.0.1", webhook.app.port, ssl=webhook.client)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


class TestStop:
    async def test_draining_under_load_fails_no_admission(
        self, tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder, signer: Signer
    ) -> None:
        """Clients go on, as API servers do, until the news of readiness reaches them; each gets its verdict."""
        image = images.image("shop/web", "1")
        signer.sign(image, RELEASE)
        asked = review(pod(str(image.reference)))
        limits = Limits(lame_duck=2.5, drain=5)  # long enough for the slowest client of a busy machine
        answered = 0
        async with Webhook(tmp_path / "app", {"corp": CORP}, local(registry.host, limits=limits)) as webhook:
            stopping: asyncio.Task[None] | None = None

            async def client() -> None:
                nonlocal answered
                while (await webhook.get("/readyz")).status == 200:
                    assert (await webhook.validate(asked)).allowed
                    answered += 1
                for _ in range(5):  # those who have not heard yet
                    answer = await webhook.validate(asked)
                    assert answer.allowed
                    assert answer.headers["Connection"] == "close"
                    answered += 1

            clients = [asyncio.create_task(client()) for _ in range(8)]
            await asyncio.sleep(0.2)
            stopping = asyncio.create_task(webhook.app.stop())
            await asyncio.gather(*clients)
            before = answered
            await stopping
            assert before >= 8 * 5  # everybody asked while it was stopping
            with pytest.raises(ClientError):
                await webhook.validate(asked)

    async def test_what_is_under_way_is_finished(
        self, tmp_path: Path, registry: EmbeddedRegistry, images: ImageBuilder
    ) -> None:
        image = images.image("shop/web", "1")
        async with Webhook(tmp_path / "app", {"corp": CORP}, local(registry.host, limits=QUICK)) as webhook:
            gate, reached = asyncio.Event(), asyncio.Event()
            judge = webhook.app._gate.judge

            async def slowly(*arguments: Any) -> Any:
                reached.set()
                await gate.wait()
                return await judge(*arguments)

            webhook.app._gate.judge = slowly  # type: ignore[method-assign, assignment]
            asked = asyncio.create_task(webhook.validate(review(pod(str(image.reference)))))
            await reached.wait()
            stopping = asyncio.create_task(webhook.app.stop(wait=False))
            await asyncio.sleep(0.1)
            assert not stopping.done()
            gate.set()
            answer = await asked
            assert "policy corp" in answer.message
            assert answer.headers["Connection"] == "close"
            await stopping


async def test_an_address_in_use_is_said_plainly(tmp_path: Path) -> None:
    async with Webhook(tmp_path / "one", {"corp": CORP}) as webhook:
        certificate = CertificateFiles(webhook.certificate, webhook.key)
        options = Options(webhook.policies, certificate, "127.0.0.1", webhook.app.port, "127.0.0.1", 0)
        with pytest.raises(Invalid, match=f"cannot listen on 127.0.0.1:{webhook.app.port}"):
            await App(Settings(), options).start()


async def verdict_is(webhook: Webhook, asked: dict[str, Any], *, allowed: bool) -> bool:
    return (await webhook.validate(asked)).allowed is allowed


async def is_ready(webhook: Webhook) -> bool:
    return (await webhook.get("/readyz")).status == 200


async def metric_is(webhook: Webhook, name: str, value: float) -> bool:
    lines = (await webhook.get("/metrics")).text.splitlines()
    return any(line.startswith(f"{name} ") and float(line.rpartition(" ")[2]) == value for line in lines)


async def served(webhook: Webhook) -> bytes:
    """The certificate that a new connection is shown, DER."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", webhook.app.port, ssl=context)
    shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return shown


async def serves_another(webhook: Webhook, old: bytes) -> bool:
    return await served(webhook) != old


async def answers(webhook: Webhook, context: ssl.SSLContext) -> bool:
    url = f"https://127.0.0.1:{webhook.app.port}/validate"
    async with ClientSession(connector=TCPConnector(ssl=context)) as session:
        try:
            async with session.post(url, data=body(review(None, operation="DELETE"))) as answer:
                return answer.status == 200
        except (ClientError, ConnectionError, ssl.SSLError):
            return False
