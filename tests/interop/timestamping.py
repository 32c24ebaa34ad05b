"""A timestamp authority on the loopback address, for signers that ask one over HTTP (RFC 3161 section 3.4)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.fakes.timestamps import TimestampAuthority


@dataclass
class TimeService:
    """An authority that answers at `url` with the time `now` (POSIX seconds); `asked` counts its answers."""

    authority: TimestampAuthority
    now: float
    url: str = ""
    asked: int = field(default=0)


@contextmanager
def time_service(authority: TimestampAuthority, now: float) -> Iterator[TimeService]:
    """Serve `authority` in a thread until the block ends: the signers that ask it are waited for."""
    service = TimeService(authority, now)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            content = service.authority.answer(request, service.now)
            service.asked += 1
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the signature that http.server calls
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        service.url = f"http://127.0.0.1:{server.server_address[1]}/api/v1/timestamp"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()
