"""Real servers on this machine: one that answers as told and remembers, one that only ever says its line."""

from __future__ import annotations

import re
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; `peer` is the port it came from."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: str
    peer: int


@dataclass(frozen=True)
class Said:
    """What to answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Origin:
    """A running server, and what it has been asked."""

    port: int
    seen: list[Seen]

    def url(self, path: str = "/", scheme: str = "http", host: str = "localhost") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


@contextmanager
def origin(
    answer: Callable[[Seen], Said] = lambda seen: Said(),
    *,
    tls: ssl.SSLContext | None = None,
    address: str = "127.0.0.1",
) -> Iterator[Origin]:
    """A server of HTTP, or of HTTPS with `tls`."""
    seen: list[Seen] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            call = Seen(self.command, self.path, {**self.headers}, body, self.client_address[1])
            seen.append(call)
            said = answer(call)
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body)

        do_GET = do_POST = do_CONNECT = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            connection, peer = super().get_request()
            return (tls.wrap_socket(connection, server_side=True) if tls else connection), peer

        def handle_error(self, request: object, client_address: object) -> None:
            """Clients of these tests hang up on purpose."""

    with Server((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Origin(server.server_address[1], seen)
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def saying(line: bytes, drip: bytes = b"") -> Iterator[int]:
    """The port of a server that reads what it is asked, says `line` to everybody, and hangs up.

    With a `drip` it never hangs up, but says that again and again.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:  # closed: the test is over
                    return
                with connection, suppress(ConnectionError):  # the other side has heard enough
                    connection.recv(65536)
                    connection.sendall(line)
                    while drip and not over.wait(0.02):
                        connection.sendall(drip)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            over.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def everywhere(tls: ssl.SSLContext) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """The port of a proxy that stands for all hosts of `tls`, and what each of them was sent; it answers nothing of
    use."""
    sent: list[tuple[str, str]] = []

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            head = self.request.recv(65536).decode("latin-1")
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with suppress(OSError), tls.wrap_socket(self.request, server_side=True) as inside:
                text = ""
                while "\r\n\r\n" not in text or len(text.partition("\r\n\r\n")[2]) < _length(text):
                    if not (piece := inside.recv(65536)):
                        break
                    text += piece.decode("latin-1")
                sent.append((head.split()[1].partition(":")[0], text))
                inside.sendall(b"HTTP/1.1 400 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1], sent
        finally:
            server.shutdown()
            thread.join()


def _length(request: str) -> int:
    found = re.search(r"(?i)^content-length: (\d+)", request, re.MULTILINE)
    return int(found[1]) if found else 0
