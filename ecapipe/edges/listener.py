"""The loopback site: the place an app's callback URL on this machine leads to."""

from __future__ import annotations

import errno
import html
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from ecapipe import problems
from ecapipe.problems import EcapipeError, Problem
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
def listen(callback_urls: Collection[str], land: Callable[[str], Landing]) -> Iterator[Mapping[str, Problem]]:
    """Serve exactly the hosts, ports and paths of `callback_urls`; see `ecapipe.world.Listen`.

    ``localhost`` means both address families, a literal address itself. After an answer the browser is sent on
    to a clean address, so that no code stays in its bar or history.
    """
    site = _Site(callback_urls, land)
    threads = [
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in site.servers.values()
    ]
    for thread in threads:
        thread.start()
    try:
        try:
            yield site.lost
        finally:  # also for a refusal, which is an error to whoever waited
            site.linger()
    finally:
        for server in site.servers.values():
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
        self.paths: set[str] = set()
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
    def __init__(self, callback_urls: Collection[str], land: Callable[[str], Landing]) -> None:
        self.servers: dict[tuple[str, int], _Server] = {}
        self.lost: dict[str, Problem] = {}
        self._land = land
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._owed = 0
        self._landings: dict[str, Landing] = {}
        for url in sorted(callback_urls):
            try:
                self._open(url)
            except EcapipeError as error:
                self.lost[url] = error.problem

    def land(self, query: str) -> tuple[Landing, str]:
        """Judge an answer; for one that fits, the path of the clean page that the browser is owed."""
        with self._lock:
            landing = self._land(query)
            path = _GRANTED if landing.granted else _REFUSED
            if landing.fits:
                path += f"/{len(self._landings) + 1}" if path in self._landings else ""
                self._landings[path] = landing
                self._owed += 1
        return landing, path

    def landed(self, path: str) -> Landing | None:
        """What the clean page at `path` tells of."""
        return self._landings.get(path)

    def shown(self) -> None:
        """A browser has its clean page."""
        with self._lock:
            self._owed -= 1
            self._changed.notify_all()

    def linger(self) -> None:
        """Wait a moment for browsers that have not fetched their clean page."""
        with self._lock:  # an answer that is being judged counts
            self._changed.wait_for(lambda: self._owed <= 0, _GRACE)

    def _open(self, callback_url: str) -> None:
        """Listen for `callback_url`, all of its addresses or none; raises `EcapipeError`."""
        parts = urlsplit(callback_url)
        host, port = parts.hostname or "", parts.port or 80
        opened: dict[tuple[str, int], _Server] = {}
        places = []
        for family, address in _addresses(host):
            place = address, port
            try:
                if place not in self.servers:
                    opened[place] = _Server(family, place, self)
            except OSError as error:
                if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and host == "localhost":
                    continue  # a machine without IPv6, or without IPv4
                for server in opened.values():
                    server.server_close()
                if error.errno == errno.EADDRINUSE:
                    raise EcapipeError(problems.port_in_use_error(host, port)) from None
                raise EcapipeError(problems.cannot_listen(callback_url, error.strerror or "unknown reason")) from None
            places.append(place)
        if not places:
            raise EcapipeError(problems.cannot_listen(callback_url, "this machine has no loopback address"))
        self.servers |= opened
        for place in places:
            self.servers[place].paths.add(parts.path or "/")


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
        if landed := site.landed(path):
            title = "You can close this page" if landed.granted else "Not authorized"
            self._page(HTTPStatus.OK, title, f"{landed.sentence} Go on in the terminal.")
            site.shown()
        elif path in self.server.paths and query:
            landing, clean = site.land(query)
            if landing.fits:
                self._send(HTTPStatus.SEE_OTHER, b"", Location=clean)
            else:
                self._page(HTTPStatus.BAD_REQUEST, "This answer fits no login", landing.sentence)
        else:
            self._page(HTTPStatus.NOT_FOUND, "Nothing here", "ecapipe waits for a login on another address.")

    def do_HEAD(self) -> None:
        self._send(HTTPStatus.NOT_FOUND if urlsplit(self.path).path not in self.server.paths else HTTPStatus.OK, b"")

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
