"""Programs that run beside the tests: started with a log file, waited for, and ended by their own process ID."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PATIENCE: Final = 40.0
_STOP: Final = 15.0


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens at now."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `command` until the block ends; what it says goes to `log`."""
    with (
        log.open("ab") as out,
        subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=env) as process,
    ):
        try:
            yield process
        finally:
            stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ask it to end, and end it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(condition: Callable[[], bool], what: str, log: Path | None = None, patience: float = _PATIENCE) -> None:
    """Wait until `condition` holds; else fail with the end of `log`."""
    ends = time.monotonic() + patience
    while not condition():
        if time.monotonic() > ends:
            said = log.read_text(encoding="utf-8", errors="replace")[-3000:] if log and log.exists() else ""
            raise AssertionError(f"{what}: not within {patience:.0f} s\n{said}")
        time.sleep(0.05)
