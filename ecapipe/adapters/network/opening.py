"""Addresses that work once, for the browser that we open: every user of the machine can read its command line."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from ecapipe.adapters.network import site

FOLDER: Final = "/ecapipe/open/"
"""Where the addresses lie, on the site of a callback as well."""

SPENT: Final = (
    "This address works only once. Continue in the tab where it was opened, or open the link from the terminal."
)


@dataclass(frozen=True, slots=True)
class Key:
    """A cookie that lets a browser in at `path`: out of reach of scripts, and sent when an org redirects it there."""

    path: str
    # Each has a name of its own: a browser may hold those of several logins at one callback.
    name: str = field(default_factory=lambda: f"ecapipe-{secrets.token_hex(4)}")
    value: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def cookie(self) -> str:
        """The value of Set-Cookie."""
        return f"{self.name}={self.value}; Path={self.path}; HttpOnly; SameSite=Lax"

    def fits(self, cookies: str | None) -> bool:
        """Whether it is in a Cookie header."""
        expected, given = f"{self.name}={self.value}".encode(), (cookies or "").split(";")
        return any(compare_digest(each.strip().encode("utf-8", "replace"), expected) for each in given)


class Openings:
    """The addresses of one process, and the logins whose callback is answered only with the cookie that it got there.

    Cookies know hosts, not ports. So a login whose callback is listened on is opened there; all else, a login that
    ends elsewhere or the board, is opened at a server of its own, and gets no cookie.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: set[str] = set()
        self._urls: dict[str, str] = {}
        self._by_state: dict[str, Key] = {}
        self._required: set[str] = set()
        self._server: _OpeningSocket | None = None

    def listen(self, callback_urls: set[str]) -> None:
        """These callback URLs are served, and nothing else."""
        with self._lock:
            self._callbacks = callback_urls

    def address(self, url: str) -> str:
        """An address that leads to `url` once. Raises OSError if there is no place for it."""
        path = FOLDER + secrets.token_urlsafe(24)
        fields = parse_qs(urlsplit(url).query)
        callback, state = fields.get("redirect_uri", [""])[0], fields.get("state", [""])[0]
        with self._lock:
            self._urls[path] = url
            if callback in self._callbacks:
                parts = urlsplit(callback)
                self._by_state.setdefault(state, Key(parts.path or "/"))
                return f"http://{parts.netloc}{path}"
            self._server = self._server or _serve(self)
            return f"http://127.0.0.1:{self._server.server_port}{path}"

    def require(self, url: str) -> None:
        """A browser was opened for `url`: from now on the callback needs its cookie."""
        with self._lock:
            self._required |= self._by_state.keys() & set(parse_qs(urlsplit(url).query).get("state", ()))

    def enter(self, path: str) -> dict[str, str]:
        """The headers that lead a browser on, the first time that it comes to `path`; none after that."""
        with self._lock:
            url = self._urls.pop(path, None)
        if url is None:
            return {}
        self.require(url)
        headers = {"Location": url}
        for state in _values(urlsplit(url).query) & self._by_state.keys():
            headers["Set-Cookie"] = self._by_state[state].cookie
        return headers

    def admit(self, query: str, cookies: str | None) -> bool:
        """Whether the answer in `query` comes from the browser that its login was opened in, if one was."""
        with self._lock:
            opened = [self._by_state[state] for state in _values(query) & self._required]
        return all(key.fits(cookies) for key in opened)


def _values(query: str) -> set[str]:
    """Every value of a query, whatever its name: a state that is hidden somewhere else in it counts, too."""
    return {value for _, value in parse_qsl(query)}


def _serve(openings: Openings) -> _OpeningSocket:
    """A server for as long as the process lives: it is not known how long a browser takes to start."""
    server = _OpeningSocket(socket.AF_INET, ("127.0.0.1", 0), _OpeningHandler)
    server.openings = openings
    threading.Thread(target=server.serve_forever, args=(0.1,), name="ecapipe-opening", daemon=True).start()
    return server


class _OpeningSocket(site.Server):
    openings: Openings


class _OpeningHandler(site.Handler):
    server: _OpeningSocket
    always: Mapping[str, str] = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}

    def do_GET(self) -> None:
        if onward := self.server.openings.enter(self.path):
            self.reply(HTTPStatus.SEE_OTHER, **onward)
        else:
            self.card(HTTPStatus.GONE, "Already opened", SPENT)
