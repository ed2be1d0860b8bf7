"""Sites on this machine: what every server that a browser meets here has in common."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


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
        super().__init__(address, handler)

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


class Handler(BaseHTTPRequestHandler):
    """Answers one request and hangs up; repeats nothing of what it was sent, and logs nothing."""

    timeout = 10
    server_version, sys_version = "ecapipe", ""
    always: Mapping[str, str] = {}
    """Headers of every answer."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For what no browser sends."""
        self.reply(HTTPStatus(code))

    def log_message(self, format: str, *args: object) -> None:
        """Requests hold codes."""

    def reply(self, status: HTTPStatus, body: str = "", **headers: str) -> None:
        """An answer, of HTML if it has a body."""
        content = body.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in {**self.always, **headers}.items():
            self.send_header(name, value)
        if content:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)
