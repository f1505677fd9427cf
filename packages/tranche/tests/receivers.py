"""Systems on loopback that the engine talks to in tests: they keep what they were sent, and answer as told."""

import base64
import contextlib
import datetime as dt
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A mail that arrived, over TLS or not, and who had logged in."""

    sender: str
    to: list[str]
    text: str
    tls: bool
    login: tuple[str, str] | None


@dataclass
class MailServer:
    """An SMTP server that speaks STARTTLS and AUTH PLAIN. `replies` are answers instead of 250, by command."""

    port: int
    ca: Path
    letters: list[Letter] = field(default_factory=list)
    replies: dict[str, str] = field(default_factory=dict)
    offers_tls: bool = True


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for localhost that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "certificate.pem", folder / "key.pem"


@contextlib.contextmanager
def receiving_mail(folder: Path) -> Iterator[MailServer]:
    ca, key = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    made = MailServer(port=0, ca=ca)

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                with contextlib.suppress(OSError):
                    self.converse()
            finally:
                self.request.close()  # the server knows only the connection before TLS

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def converse(self) -> None:
            tls, login, sender, to = False, None, "", []
            self.say("220 localhost")
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                verb = line.split(" ", 1)[0].upper()
                if verb in made.replies:
                    self.say(made.replies[verb])
                    continue
                if verb == "EHLO":
                    offers = ["localhost", "AUTH PLAIN"]
                    offers += ["STARTTLS"] if made.offers_tls and not tls else []
                    self.wfile.write(b"".join(f"250-{offer}\r\n".encode() for offer in offers))
                    self.say("250 8BITMIME")
                elif verb == "STARTTLS":
                    self.say("220 go on")
                    self.request = context.wrap_socket(self.request, server_side=True)
                    self.setup()
                    tls = True
                elif verb == "AUTH":
                    _, user, password = base64.b64decode(line.split()[2]).decode().split("\0")
                    login = (user, password)
                    self.say("235 welcome")
                elif verb == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (text := self.rfile.readline().decode()) != ".\r\n":
                        lines.append(text)
                    made.letters.append(
                        Letter(sender=sender, to=to, text="".join(lines), tls=tls, login=login)
                    )
                    self.say("250 taken")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    sender = line[10:] if verb == "MAIL" else sender
                    to = [*to, line[8:]] if verb == "RCPT" else to
                    self.say("250 ok")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

        def handle_error(self, *_: object) -> None:
            """A handshake that is refused is what some tests are about."""

    with Server(("127.0.0.1", 0), Session) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        made.port = server.server_address[1]
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
