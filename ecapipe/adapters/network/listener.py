"""The loopback site: the place an app's callback URL on this machine leads to."""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

from ecapipe import page
from ecapipe.adapters.network import opening, site
from ecapipe.adapters.network.opening import Openings
from ecapipe.login.callbacks import CallbackReply
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.sign_in import cannot_listen, port_in_use_error

_GRACE = 1.0
"""Seconds that a browser has to fetch the clean page before the site closes."""

_MOST_WAITING = 32
"""Pages that wait for the end of their login at the same time: half of the connections that `site.Server` takes, so
that other callbacks get through."""

_GRANTED, _REFUSED = "/ecapipe/signed-in", "/ecapipe/not-authorized"

_ELSEWHERE = (
    "ecapipe opened a browser for this login and accepts the response only from there. Continue in that browser, or "
    "paste the URL of this page into the terminal."
)


@contextmanager
def listen(
    callback_urls: Collection[str], land: Callable[[str], CallbackReply], openings: Openings | None = None
) -> Iterator[Mapping[str, Problem]]:
    """Serve exactly the hosts, ports and paths of `callback_urls`; see `ecapipe.login.callbacks.CallbackListener`.

    ``localhost`` means both address families, a literal address itself. After an answer the browser is sent on
    to a clean address, so that no code stays in its bar or history.
    """
    callbacks = _Callbacks(callback_urls, land, openings or Openings())
    servers = callbacks.servers.values()
    threads = [threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True) for server in servers]
    for thread in threads:
        thread.start()
    try:
        try:
            yield callbacks.lost
        finally:  # also for a refusal, which is an error to whoever waited
            callbacks.linger()
    finally:
        callbacks.openings.listen(set())
        for server in servers:
            server.shutdown()
            server.server_close()


class _CallbackSocket(site.Server):
    def __init__(self, family: socket.AddressFamily, place: tuple[str, int], callbacks: _Callbacks) -> None:
        self.callbacks = callbacks
        self.paths: set[str] = set()
        super().__init__(family, place, _CallbackHandler)


class _Callbacks:
    def __init__(
        self, callback_urls: Collection[str], land: Callable[[str], CallbackReply], openings: Openings
    ) -> None:
        self.openings = openings
        self.servers: dict[tuple[str, int], _CallbackSocket] = {}
        self.lost: dict[str, Problem] = {}
        self._land = land
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._owed = 0
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._landings: dict[str, CallbackReply] = {}
        for url in sorted(callback_urls):
            try:
                self._open(url)
            except EcapipeError as error:
                self.lost[url] = error.problem
        openings.listen(set(callback_urls) - self.lost.keys())

    def land(self, query: str) -> tuple[CallbackReply, str]:
        """Judge an answer; for one that fits, the path of the clean page that the browser is owed."""
        with self._lock:
            landing = self._land(query)
            path = _GRANTED if landing.granted else _REFUSED
            if landing.fits:
                # Each answer has its own page, as each may have its own sentence.
                if path in self._landings:
                    path += f"/{len(self._landings) + 1}"
                self._landings[path] = landing
                self._owed += 1
        return landing, path

    def landed(self, path: str) -> CallbackReply | None:
        """What the clean page at `path` tells of."""
        return self._landings.get(path)

    def settle(self, landed: CallbackReply) -> CallbackReply:
        """What became of a login; unless too many pages wait to hear that."""
        if not self._waiting.acquire(blocking=False):
            return landed
        try:
            return landed.settled()
        finally:
            self._waiting.release()

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
        opened: dict[tuple[str, int], _CallbackSocket] = {}
        places = []
        for family, address in _addresses(host):
            place = address, port
            try:
                if place not in self.servers:
                    opened[place] = _CallbackSocket(family, place, self)
            except OSError as error:
                if error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL) and host == "localhost":
                    continue  # a machine without IPv6, or without IPv4
                for server in opened.values():
                    server.server_close()
                if error.errno == errno.EADDRINUSE:
                    raise EcapipeError(port_in_use_error(host, port)) from None
                raise EcapipeError(cannot_listen(callback_url, error.strerror or "unknown reason")) from None
            places.append(place)
        if not places:
            raise EcapipeError(cannot_listen(callback_url, "this machine has no loopback address"))
        self.servers |= opened
        for place in places:
            self.servers[place].paths.add(parts.path or "/")


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    v4, v6 = (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")
    return {"localhost": [v4, v6], "127.0.0.1": [v4], "::1": [v6]}[host]


class _CallbackHandler(site.Handler):
    server: _CallbackSocket
    always: Mapping[str, str] = {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "Content-Security-Policy": page.policy(),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }

    def do_GET(self) -> None:
        callbacks = self.server.callbacks
        path, _, query = self.path.partition("?")
        if landed := callbacks.landed(path):
            try:
                # On a thread of its own: other requests are answered meanwhile.
                landed = callbacks.settle(landed)
                self.card(HTTPStatus.OK, landed.title, landed.sentence, landed.verdict)
            finally:
                callbacks.shown()
        elif path.startswith(opening.FOLDER):
            self._open()
        elif path in self.server.paths and query and not callbacks.openings.admit(query, self.one("Cookie")):
            self.card(HTTPStatus.FORBIDDEN, "This login was opened in another browser", _ELSEWHERE, "bad")
        elif path in self.server.paths and query:
            landing, clean = callbacks.land(query)
            if landing.fits:
                self.reply(HTTPStatus.SEE_OTHER, Location=clean)
            else:
                self.card(HTTPStatus.BAD_REQUEST, "No sign-in is waiting for this response", landing.sentence, "bad")
        else:
            self.card(HTTPStatus.NOT_FOUND, "Page not found", "ecapipe is waiting for a sign-in at another address.")

    def _open(self) -> None:
        """Lead the browser that we opened to its login."""
        if onward := self.server.callbacks.openings.enter(self.path):
            self.reply(HTTPStatus.SEE_OTHER, **onward)
        else:
            self.card(HTTPStatus.GONE, "Already opened", opening.SPENT)

    def do_HEAD(self) -> None:
        # An answer is judged by GET alone: what only looks at a link uses up no code.
        if urlsplit(self.path).path in self.server.paths:
            self.reply(HTTPStatus.OK)
        else:
            self.reply(HTTPStatus.NOT_FOUND)

    def do_OPTIONS(self) -> None:
        headers = {"Allow": "GET, HEAD, OPTIONS"}
        # Chrome asks before a public page, Salesforce's redirect, leads to an address on this machine.
        if "Access-Control-Request-Private-Network" in self.headers:
            headers["Access-Control-Allow-Private-Network"] = "true"
        self.reply(HTTPStatus.NO_CONTENT, **headers)

    def do_POST(self) -> None:
        self.reply(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, HEAD, OPTIONS")

    do_PUT = do_DELETE = do_PATCH = do_POST
