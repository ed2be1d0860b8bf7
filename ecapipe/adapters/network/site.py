"""Sites on this machine: what every server that a browser meets here has in common."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from ecapipe import page

_MOST: Final = 64
"""Connections, and with them threads, at the same time; a browser makes six."""
_LARGEST: Final = 128 * 1024
"""Bytes of a request, its body included."""
_USUAL_PORT: Final = 80


class Server(ThreadingHTTPServer):
    """A server on one loopback address, whose port no other program may share."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = False

    def __init__(
        self, family: socket.AddressFamily, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]
    ) -> None:
        self.address_family = family
        self._lock = threading.Lock()
        # Dicts for their order. The value: whether its request is still to come.
        self._connections: dict[object, bool] = {}
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection on a thread of its own; whoever has sent no request for the longest time makes way."""
        with self._lock:
            if len(self._connections) >= _MOST:
                silent = next((each for each, waits in self._connections.items() if waits), request)
                self._connections.pop(silent, None)
                _hang_up(silent)
            self._connections[request] = True
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def answering(self, request: object) -> None:
        """A connection has sent its request, and makes way for nobody."""
        with self._lock:
            if request in self._connections:
                self._connections[request] = False

    def names(self) -> list[str]:
        """What a Host header calls this server: a foreign name that was rebound to its address is none of them."""
        numeric = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        names = [f"{name}:{self.server_port}" for name in ("localhost", numeric)]
        return [*names, "localhost", numeric] if self.server_port == _USUAL_PORT else names

    def server_bind(self) -> None:
        # A port in TIME_WAIT may be taken again, one that is listened on may not; Windows says both the other way.
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        self.socket.setsockopt(socket.SOL_SOCKET, exclusive or socket.SO_REUSEADDR, 1)
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()[:2]
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no news."""


def _hang_up(connection: Any) -> None:
    with suppress(OSError):  # it has gone already
        connection.shutdown(socket.SHUT_RDWR)


class _Request(io.RawIOBase):
    """What a connection sends, for so many seconds in all: a drip ends with them, too."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection, self._room = connection, _LARGEST
        self._end = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        size = self._connection.recv_into(memoryview(buffer)[: self._room])
        self._room -= size
        return size


class Handler(BaseHTTPRequestHandler):
    """Answers one request and hangs up; repeats nothing of what it was sent, and logs nothing.

    A request that is meant for another host is answered with 421, and reaches nothing.
    """

    server: Server
    timeout = 10
    server_version, sys_version = "ecapipe", ""
    always: Mapping[str, str] = {}
    """Headers of every answer."""

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self.rfile = io.BufferedReader(_Request(self.connection, self.timeout))

    def parse_request(self) -> bool:
        if not super().parse_request():
            return False
        self.server.answering(self.connection)
        if (self.one("Host") or "").lower() in self.server.names():
            return True
        self.reply(HTTPStatus.MISDIRECTED_REQUEST)
        return False

    def one(self, name: str) -> str | None:
        """The value of a header that must not be repeated."""
        values = self.headers.get_all(name) or []
        return values[0] if len(values) == 1 else None

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For what no browser sends."""
        self.reply(HTTPStatus(code))

    def log_message(self, format: str, *args: object) -> None:
        """Requests hold codes."""

    def card(self, status: HTTPStatus, title: str, text: str, verdict: str = "") -> None:
        """A page that says one thing; see `ecapipe.page.card`."""
        self.reply(status, page.card(title, text, verdict), **{"Content-Security-Policy": page.policy()})

    def reply(self, status: HTTPStatus, body: str = "", **headers: str) -> None:
        """An answer, of HTML if it has a body."""
        content = body.encode("utf-8", "replace")
        self.connection.settimeout(self.timeout)
        self.send_response(status)
        for name, value in {**self.always, **headers}.items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
