"""The loopback site: the place an app's callback URL on this machine leads to."""

from __future__ import annotations

import errno
import html
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from ecapipe import problems
from ecapipe.problems import EcapipeError
from ecapipe.world import Landing

_GRACE = 1.0
"""Seconds that a browser has to fetch the clean page before the site closes."""

_GRANTED, _REFUSED = "/ecapipe/signed-in", "/ecapipe/not-authorized"

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1.5rem}}</style></head>
<body><main><h1>{title}</h1><p>{sentence}</p></main></body></html>
"""

_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@contextmanager
def listen(callback_url: str, land: Callable[[str], Landing]) -> Iterator[None]:
    """Serve exactly the host, port and path of `callback_url`; see `ecapipe.world.Listen`.

    ``localhost`` means both address families, a literal address itself. After an answer the browser is sent on
    to a clean address, so that no code stays in its bar or history.
    """
    site = _Site(callback_url, land)
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in site.servers]
    for thread in threads:
        thread.start()
    try:
        try:
            yield
        finally:  # also for a refusal, which is an error to whoever waited
            with site.landing:  # an answer that is being judged counts
                landed = site.landed
            if landed:
                site.shown.wait(_GRACE)
    finally:
        for server in site.servers:
            server.shutdown()
            server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    allow_reuse_address = False

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int], site: _Site) -> None:
        self.address_family = family
        self.site = site
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # A port in TIME_WAIT may be taken again, one that is listened on may not; Windows says both the other way.
        exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
        self.socket.setsockopt(socket.SOL_SOCKET, exclusive or socket.SO_REUSEADDR, 1)
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away is no news."""


class _Site:
    def __init__(self, callback_url: str, land: Callable[[str], Landing]) -> None:
        parts = urlsplit(callback_url)
        self.path = parts.path or "/"
        self.land = land
        self.landing = threading.Lock()
        self.landed: Landing | None = None
        self.shown = threading.Event()
        self.servers: list[_Server] = []
        host, port = parts.hostname or "", parts.port or 80
        for family, address in _addresses(host):
            try:
                self.servers.append(_Server(family, (address, port), self))
            except OSError as error:
                if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and host == "localhost":
                    continue  # a machine without IPv6, or without IPv4
                self._close()
                if error.errno == errno.EADDRINUSE:
                    raise EcapipeError(problems.port_in_use_error(host, port)) from None
                raise EcapipeError(problems.cannot_listen(callback_url, error.strerror or "unknown reason")) from None
        if not self.servers:
            raise EcapipeError(problems.cannot_listen(callback_url, "this machine has no loopback address"))

    def _close(self) -> None:
        for server in self.servers:
            server.server_close()


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    v4, v6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
    return {"localhost": [v4, v6], "127.0.0.1": [v4], "::1": [v6]}[host]


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    server_version, sys_version = "ecapipe", ""

    def do_GET(self) -> None:
        site = self.server.site
        path, _, query = self.path.partition("?")
        if path in (_GRANTED, _REFUSED) and site.landed:
            title = "You can close this page" if path == _GRANTED else "Not authorized"
            self._page(HTTPStatus.OK, title, f"{site.landed.sentence} Go on in the terminal.")
            site.shown.set()
        elif path == site.path and query:
            with site.landing:
                landing = site.land(query)
                site.landed = landing if landing.fits else site.landed
            if landing.fits:
                self._send(HTTPStatus.SEE_OTHER, b"", Location=_GRANTED if landing.granted else _REFUSED)
            else:
                self._page(HTTPStatus.BAD_REQUEST, "This answer fits no login", landing.sentence)
        else:
            self._page(HTTPStatus.NOT_FOUND, "Nothing here", "ecapipe waits for a login on another address.")

    def do_HEAD(self) -> None:
        self._send(HTTPStatus.NOT_FOUND if urlsplit(self.path).path != self.server.site.path else HTTPStatus.OK, b"")

    def do_OPTIONS(self) -> None:
        private = "Access-Control-Request-Private-Network" in self.headers
        allow = {"Access-Control-Allow-Private-Network": "true"} if private else {}
        self._send(HTTPStatus.NO_CONTENT, b"", Allow="GET, HEAD, OPTIONS", **allow)

    def do_POST(self) -> None:
        self._send(HTTPStatus.METHOD_NOT_ALLOWED, b"", Allow="GET, HEAD, OPTIONS")

    do_PUT = do_DELETE = do_PATCH = do_POST

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """For what no browser sends; nothing of it is repeated."""
        self._send(HTTPStatus(code), b"")

    def log_message(self, format: str, *args: object) -> None:
        """Requests hold codes: nothing is logged."""

    def _page(self, status: HTTPStatus, title: str, sentence: str) -> None:
        page = _PAGE.format(title=html.escape(title), sentence=html.escape(sentence))
        self._send(status, page.encode("utf-8", "replace"))

    def _send(self, status: HTTPStatus, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**_HEADERS, **headers}.items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
