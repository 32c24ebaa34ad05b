"""Servers as processes of their own: the product as an operator starts it, and the echo it is compared with."""

import asyncio
import json
import re
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from bench.load import Order, encode
from controller.certificates import self_signed

_READY = 30.0


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, its process, the CA to trust, and how long it took to be ready (seconds)."""

    port: int
    pid: int
    ca: str
    started: float
    metrics_port: int = 0


def resident(pid: int) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found
    return int(found.group(1)) / 1024


@asynccontextmanager
async def sigward(folder: Path, policies: Sequence[Any], settings: dict[str, Any]) -> AsyncIterator[Server]:
    """`sigward serve` on free ports, ready."""
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    for number, document in enumerate(policies):
        (folder / "policies" / f"{number:03}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    (folder / "settings.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    certificate, key = self_signed(["localhost", "127.0.0.1"]).write(folder)
    port, metrics = _free_port(), _free_port()
    arguments = ["serve", "--policies", folder / "policies", "--config", folder / "settings.yaml"]
    arguments += ["--tls-cert", certificate, "--tls-key", key, "--host", "127.0.0.1"]
    arguments += ["--port", port, "--metrics-port", metrics]
    start = time.perf_counter()
    with _process([sys.executable, "-m", "controller", *map(str, arguments)], folder / "serve.log") as process:
        await _ready(f"http://127.0.0.1:{metrics}/readyz", process)
        yield Server(port, process.pid, str(certificate), time.perf_counter() - start, metrics)
        _stop(process)


@asynccontextmanager
async def echo(folder: Path) -> AsyncIterator[Server]:
    """The bare echo, listening. Its certificate stands apart: the product would pick up a new one beside its own."""
    folder = folder / "echo"
    folder.mkdir()
    certificate, key = self_signed(["localhost", "127.0.0.1"]).write(folder)
    port = _free_port()
    command = [sys.executable, "-m", "bench.echo", str(port), str(certificate), str(key)]
    with _process(command, folder / "echo.log") as process:
        await _listening(port)
        yield Server(port, process.pid, str(certificate), 0.0)
        _stop(process)


async def load(order: Order) -> dict[str, float]:
    """Run the load generator in its own process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.load", "-", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate(encode(order).encode())
    summary: dict[str, float] = json.loads(out)
    assert not summary["wrong"], f"{summary['wrong']} answers without {order.expect!r}"
    return summary


def _process(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as sink:
        return subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _ready(url: str, process: subprocess.Popen[bytes]) -> None:
    ends = time.perf_counter() + _READY
    async with aiohttp.ClientSession() as session:
        while time.perf_counter() < ends and process.poll() is None:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.01)
    process.kill()
    raise RuntimeError(f"{url} did not become ready")


async def _listening(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise RuntimeError(f"nothing listens on {port}")


def trusting(server: Server) -> ssl.SSLContext:
    """A client context for `server`."""
    return ssl.create_default_context(cafile=server.ca)
