"""Systems on loopback that the engine talks to in tests: they keep what they were sent, and answer as told."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One that arrived; the names of headers are in small letters."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered; `waits_for` is set when the answer may go. It may come byte by byte, one `every_s`."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    waits_for: threading.Event | None = None
    every_s: float = 0.0


@dataclass
class Receiver:
    """An HTTP server. `answer` makes the reply; `requests` holds what came, and `came` counts it."""

    answer: Callable[[Request], Reply] = lambda request: Reply()
    requests: list[Request] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    url: str = ""

    def wait(self, count: int = 1, *, within_s: float = 10.0) -> None:
        """Until so many more have come."""
        for _ in range(count):
            assert self.came.acquire(timeout=within_s), f"only {len(self.requests)} requests came"


@contextlib.contextmanager
def receiving(answer: Callable[[Request], Reply] | None = None) -> Iterator[Receiver]:
    receiver = Receiver()
    if answer is not None:
        receiver.answer = answer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(
                method=self.command, path=self.path, headers=headers, body=self.rfile.read(length)
            )
            receiver.requests.append(request)
            reply = receiver.answer(request)
            receiver.came.release()
            if reply.waits_for is not None:
                reply.waits_for.wait(20)
            with contextlib.suppress(OSError):
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                for part in [reply.body] if not reply.every_s else [bytes([byte]) for byte in reply.body]:
                    self.wfile.write(part)
                    threading.Event().wait(reply.every_s)

        do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names the server looks for

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        receiver.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
