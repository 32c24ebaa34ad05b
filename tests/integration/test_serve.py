"""The command as a process: started, spoken to, told to stop; and told nonsense."""

import asyncio
import json
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, TCPConnector

from controller.certificates import self_signed
from controller.commands import main
from tests.fakes.gates import authority, policy
from tests.fakes.keys import signing_key
from tests.fakes.reviews import UID, body, pod, review


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    certificate, key = self_signed(["127.0.0.1"]).write(tmp_path)
    policies, config = tmp_path / "policies", tmp_path / "settings.yaml"
    policies.mkdir()
    (policies / "corp.yaml").write_text(yaml.safe_dump(policy(authorities=[authority("release", signing_key())])))
    config.write_text("limits: {lameDuck: 100ms, drain: 5s}\n")
    named = {"--policies": policies, "--config": config, "--tls-cert": certificate, "--tls-key": key}
    return ["serve", *(str(part) for pair in named.items() for part in pair)]


@asynccontextmanager
async def running(arguments: list[str]) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    ports = ["--host", "127.0.0.1", "--port", "0", "--metrics-port", "0"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "controller",
        *arguments,
        *ports,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(20):
            line: dict[str, Any] = {}
            while line.get("message") != "serving":
                line = json.loads(await process.stderr.readline())
        yield process, line
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_until_it_is_told_to_stop(arguments: list[str], number: signal.Signals) -> None:
    async with running(arguments) as (process, line):
        assert line["ready"] == "yes"
        context = ssl.create_default_context(cafile=arguments[arguments.index("--tls-cert") + 1])
        async with ClientSession(connector=TCPConnector(ssl=context)) as session:
            url = f"https://127.0.0.1:{line['port']}/validate?timeout=3s"
            async with session.post(url, data=body(review(pod("127.0.0.1:1/web:1")))) as answer:
                response = (await answer.json())["response"]
            assert (response["uid"], response["allowed"]) == (UID, False)
            assert "127.0.0.1:1/web:1 (container c0, /spec/containers/0/image)" in response["status"]["message"]
            async with session.get(f"http://127.0.0.1:{line['metricsPort']}/readyz") as ready:
                assert ready.status == 200
        process.send_signal(number)
        output, errors = await asyncio.wait_for(process.communicate(), 20)
        assert (process.returncode, errors) == (0, b"")
        assert json.loads(output)["uid"] == UID


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--policies": "/nowhere"}, "--policies: /nowhere is not there"),
        ({"--config": "/nowhere.yaml"}, "settings file /nowhere.yaml cannot be read: found No such file"),
        ({"--config": "{folder}/corp.yaml"}, "apiVersion"),
        ({"--tls-key": "{folder}/corp.yaml"}, "corp.yaml cannot be used"),
        ({"--tls-cert": "/nowhere.crt"}, "certificate /nowhere.crt with key"),
    ],
)
def test_wrong_input_is_one_clear_line_and_exit_code_2(
    arguments: list[str],
    changes: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("controller.commands.serve.log_to", lambda _: None)
    folder = arguments[arguments.index("--policies") + 1]
    for name, value in changes.items():
        arguments[arguments.index(name) + 1] = value.format(folder=folder)
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("sigward: error: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize("given", [[], ["nonsense"], ["serve", "--port", "x"], ["serve", "--port", "70000"]])
def test_a_wrong_command_line_is_exit_code_2(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(given)
    assert caught.value.code == 2
    assert "usage: sigward" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([], "--tls-cert"),
        (["--tls-cert", "a.pem"], "--tls-cert"),
        (["--tls-cert", "a.pem", "--tls-key", "b.pem", "--tls-secret", "tls"], "--tls-cert"),
        (["--policies", "/", "--tls-secret", "tls"], "--tls-secret"),
        (["--policies", "/", "--tls-cert", "a.pem", "--tls-key", "b.pem", "--kubeconfig", "x"], "--kubeconfig"),
        (["--kubeconfig", "/nowhere", "--tls-secret", "tls"], "kubeconfig /nowhere cannot be used"),
    ],
)
def test_a_place_that_is_not_said_or_said_twice_is_exit_code_2(
    given: list[str], field: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.commands.serve.log_to", lambda _: None)
    assert main(["serve", *given]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"sigward: error: {field}")
    assert printed.count("\n") == 1


def test_help_imports_no_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.commands.importlib.import_module", None)  # would fail if called
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "serve" in capsys.readouterr().out
