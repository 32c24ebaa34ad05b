"""A load generator in a process of its own: HTTP/1.1 over TLS keep-alive, one request under way per connection.

Runs as `python -m bench.load JSON` and prints one JSON line. It writes prepared bytes and reads by Content-Length, so that
what is measured is the server and not the client. Bounded in count and time, loopback only.
"""

import asyncio
import json
import ssl
import sys
import time
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Order:
    """What to send. `rate` in requests per second, 0 = as fast as answers come; `seconds` bounds the run."""

    port: int
    path: str
    body: str
    ca: str
    connections: int = 8
    seconds: float = 3.0
    rate: float = 0.0
    expect: str = ""


@dataclass
class Tally:
    """What came back: answers, wrong ones, and the time each took, in seconds."""

    answers: int = 0
    wrong: int = 0
    elapsed: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Rate and percentiles."""
        ordered = sorted(self.latencies) or [0.0]
        return {
            "answers": self.answers,
            "wrong": self.wrong,
            "rate": self.answers / self.elapsed if self.elapsed else 0.0,
            "p50": ordered[len(ordered) // 2],
            "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        }


async def run(order: Order) -> Tally:
    """Drive the server and count."""
    context = ssl.create_default_context(cafile=order.ca)
    body = order.body.encode()
    head = f"POST {order.path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    tally = Tally()
    start = time.perf_counter()
    ends = start + order.seconds
    workers = (
        _worker(order, context, head.encode() + body, tally, start, ends, number) for number in range(order.connections)
    )
    await asyncio.gather(*workers)
    tally.elapsed = time.perf_counter() - start
    return tally


async def _worker(
    order: Order, context: ssl.SSLContext, request: bytes, tally: Tally, start: float, ends: float, number: int
) -> None:
    """One connection. With a rate, requests are due on a fixed beat and waiting for a late answer counts as latency."""
    expect = order.expect.encode()
    beat = order.connections / order.rate if order.rate else 0.0
    due = start + beat * number / order.connections
    reader = writer = None
    while (now := time.perf_counter()) < ends:
        if reader is None or writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", order.port, ssl=context, server_hostname="localhost")
        if beat:
            if due > now:
                await asyncio.sleep(due - now)
            begun = due
            due += beat
        else:
            begun = now
        writer.write(request)
        answer, keep = await _answer(reader)
        tally.latencies.append(time.perf_counter() - begun)
        tally.answers += 1
        tally.wrong += expect not in answer
        if not keep:
            writer.close()
            reader = writer = None
    if writer is not None:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[bytes, bool]:
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    length = int(lowered.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
    return await reader.readexactly(length), b"connection: close" not in lowered


def main() -> None:
    """Read the order from the first argument, or from standard input where it is `-`."""
    text = sys.stdin.read() if sys.argv[1] == "-" else sys.argv[1]
    tally = asyncio.run(run(Order(**json.loads(text))))
    sys.stdout.write(json.dumps(tally.summary()) + "\n")


def encode(order: Order) -> str:
    """The order as this program reads it."""
    return json.dumps(asdict(order))


if __name__ == "__main__":
    main()
