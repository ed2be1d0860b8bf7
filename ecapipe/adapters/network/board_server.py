"""The board's server: on this machine only, at an address that nobody can guess."""

from __future__ import annotations

import errno
import math
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hmac import compare_digest
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import parse_qs

from ecapipe.adapters.network import site
from ecapipe.adapters.network.opening import Key
from ecapipe.events import Subject
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.sign_in import board_cannot_listen
from ecapipe.run.board import BoardActions

_ADDRESS: Final = "127.0.0.1"
_LONGEST_POLL: Final = 10.0
_UNWATCHED: Final = 15.0
"""Seconds without a request after which nobody is taken to look any more."""
_BURST: Final = 0.1
"""Seconds; changes that come together are shown together."""
_GRACE: Final = (2.0, 6.0)
"""Seconds for the last page to be fetched: by the script, which waits for it, and by a page that reloads itself."""
_HURRY: Final = 1.0
"""Seconds for the same when the run is interrupted, or broke."""
_LARGEST: Final = 64 * 1024
_REFUSED: Final = {
    "open": "The browser couldn't be opened. Copy the link and open it there.",
    "retry": "This login can't be tried again now.",
}
_FORM: Final = "application/x-www-form-urlencoded"


class BoardServer(Protocol):
    """What the board shows. Used from any thread; the texts are HTML."""

    @property
    def policy(self) -> str:
        """The Content-Security-Policy that goes with the page."""

    def page(self, query: Mapping[str, str], seconds: float) -> str:
        """The page, by the fields of its query, so many seconds before people are waited for no more."""

    def parts(self, query: Mapping[str, str], seconds: float) -> str:
        """The parts of the page that change."""

    def wait(self, version: int, seconds: float) -> None:
        """Until the page has another version, or for so long."""

    def say(self, sentence: str) -> None:
        """Show what became of something that was done on the page."""

    def subject(self, number: str) -> Subject | None:
        """The login of a row, by its number."""

    def end(self) -> None:
        """Show for good that the run has ended."""


class Served:
    """The board as it is served. `url` leads a browser there, with the cookie that it needs."""

    def __init__(self, page: BoardServer, actions: BoardActions, port: int, seconds: Callable[[], float]) -> None:
        self.page, self.actions, self._seconds = page, actions, seconds
        self.token = secrets.token_urlsafe(24)
        self.server = _bound(port)
        self.server.served = self
        self.port = self.server.server_port
        self.entrance = secrets.token_urlsafe(24)
        self.key = Key(f"/{self.token}/")
        self.url = f"http://{_ADDRESS}:{self.port}/{self.entrance}"
        self._lock = threading.Condition()
        self._last_request = self._last_poll = -math.inf
        self._polling = 0
        self._ended = self._shown = False

    def watched(self) -> bool:
        """Whether somebody has the page open, as far as that can be told."""
        with self._lock:
            return bool(self._polling) or self._seconds() - self._last_request < _UNWATCHED

    @contextmanager
    def asking(self, *, poll: bool) -> Iterator[None]:
        """While a page, or the parts of one, is asked for and sent."""
        with self._lock:
            self._last_request = self._seconds()
            self._polling += poll
        try:
            yield
        finally:
            with self._lock:
                self._last_request = self._seconds()
                if poll:
                    self._last_poll = self._last_request
                self._polling -= poll
                self._lock.notify_all()

    def ended(self) -> bool:
        """Whether what is shown from now on is the end."""
        with self._lock:
            return self._ended

    def shown(self) -> None:
        """Somebody has been shown the end."""
        with self._lock:
            self._shown = True

    def farewell(self, longest: float) -> None:
        """Let whoever watches see the end, for at most so many seconds."""
        with self._lock:
            self.page.end()
            self._ended = True
            now, (script, reload) = self._seconds(), _GRACE
            if self._polling or now - self._last_poll < script:
                patience = script
            elif now - self._last_request < reload:
                patience = reload
            else:
                return
            self._lock.wait_for(lambda: self._shown and not self._polling, min(patience, longest))


@contextmanager
def serve(
    page: BoardServer, actions: BoardActions, port: int | None = None, seconds: Callable[[], float] = time.monotonic
) -> Iterator[Served]:
    """Serve `page` on `port`, or a free one; what people do there goes to `actions`.

    Raises `EcapipeError` (BoardCannotListen). When the context ends, whoever watches is shown that it did.
    """
    served = Served(page, actions, port or 0, seconds)
    thread = threading.Thread(target=served.server.serve_forever, args=(0.02,), name="ecapipe-board", daemon=True)
    thread.start()
    longest = _HURRY
    try:
        yield served
        longest = max(_GRACE)
    finally:
        try:
            served.farewell(longest)
        finally:
            served.server.shutdown()
            served.server.server_close()


def try_port(port: int) -> None:
    """Raises `EcapipeError` (BoardCannotListen) if no board can be served on `port`."""
    _bound(port).server_close()


def _bound(port: int) -> _BoardSocket:
    try:
        return _BoardSocket(socket.AF_INET, (_ADDRESS, port), _BoardHandler)
    except OSError as error:
        reason = error.strerror or "unknown reason"
        if error.errno == errno.EADDRINUSE:
            reason = "it is in use"
        raise EcapipeError(board_cannot_listen(port, reason)) from None


class _BoardSocket(site.Server):
    served: Served


class _BoardHandler(site.Handler):
    server: _BoardSocket
    always: Mapping[str, str] = {
        "Cache-Control": "no-store",
        # Under no-referrer a browser would say `Origin: null` of the page's own forms.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }

    def do_GET(self) -> None:
        name, query = self._target()
        if self._is(self.path[1:], self.server.served.entrance):
            self._let_in()
        elif self._is(self.path[1:], self.server.served.token):
            self.reply(HTTPStatus.SEE_OTHER, Location=self.server.served.key.path)
        elif name not in ("", "parts"):
            self._not_found()
        elif not self._comes_from_page(navigation=name == ""):
            self.reply(HTTPStatus.FORBIDDEN)
        else:
            self._show(query, poll=name == "parts")

    def _show(self, query: Mapping[str, str], *, poll: bool) -> None:
        """The page, or for a `poll` its parts, once they have changed."""
        served = self.server.served
        show = served.page.page
        with served.asking(poll=poll):
            if poll:
                show = served.page.parts
                self._wait(query.get("since", ""))
            # Before the page is made: one that was made before the end does not show it.
            last = served.ended()
            text = show(query, served.actions.left())
            self.reply(HTTPStatus.OK, text, **{"Content-Security-Policy": served.page.policy})
            if last:
                served.shown()

    def do_POST(self) -> None:
        name, _ = self._target()
        if name not in ("paste", "open", "retry", "finish"):
            self._not_found()
        elif not self._comes_from_page(navigation=False) or not self._has_own_origin():
            self.reply(HTTPStatus.FORBIDDEN)
        elif (self.one("Content-Type") or "").partition(";")[0].strip().lower() != _FORM:
            self.reply(HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        elif (length := self._length()) is None:
            self.reply(HTTPStatus.LENGTH_REQUIRED)
        elif length > _LARGEST:
            self.reply(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        elif (body := self._body(length)) is None:
            self.reply(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self._do(name, _fields(body))
            self.reply(HTTPStatus.SEE_OTHER, Location=self.server.served.key.path)

    def do_HEAD(self) -> None:
        self.reply(HTTPStatus.METHOD_NOT_ALLOWED, Allow="GET, POST")

    do_OPTIONS = do_PUT = do_DELETE = do_PATCH = do_HEAD

    def _do(self, name: str, fields: Mapping[str, str]) -> None:
        page, actions = self.server.served.page, self.server.served.actions
        match name:
            case "paste":
                page.say(" ".join(actions.paste(fields.get("pasted", "")).sentences))
            case "finish":
                actions.finish()
            case _:
                act = actions.open if name == "open" else actions.retry
                subject = page.subject(fields.get("row", ""))
                done = subject is not None and act(subject)
                page.say("" if done else _REFUSED[name])

    def _target(self) -> tuple[str | None, dict[str, str]]:
        """The name below the unguessable part of the path, None outside it, and without the cookie; and the fields of
        the query."""
        served = self.server.served
        path, _, query = self.path.partition("?")
        match path.split("/"):
            case ["", token, name] if self._is(token, served.token) and served.key.fits(self.one("Cookie")):
                return name, _fields(query)
            case _:
                return None, _fields(query)

    def _let_in(self) -> None:
        served = self.server.served
        self.reply(HTTPStatus.SEE_OTHER, Location=served.key.path, **{"Set-Cookie": served.key.cookie})

    def _is(self, token: str, expected: str) -> bool:
        # In constant time: whoever measures how long a refusal takes learns nothing of the token.
        return compare_digest(token.encode("utf-8", "replace"), expected.encode())

    def _has_own_origin(self) -> bool:
        """Whether a form was sent by a page of this server: pages elsewhere can send forms here, too."""
        return self.one("Origin") == f"http://{self.one('Host')}"

    def _comes_from_page(self, *, navigation: bool) -> bool:
        """Whether the request is the page's own, or, for a `navigation`, somebody opens the page."""
        origin, kind = self.one("Sec-Fetch-Site"), self.one("Sec-Fetch-Dest")
        return origin in (None, "same-origin") or (navigation and kind in (None, "document"))

    def _length(self) -> int | None:
        """The length of the body, if it is said, and in the one way that cannot be misread."""
        length = self.one("Content-Length") or ""
        if not (length.isascii() and length.isdecimal() and len(length) < 10):
            return None
        if "Transfer-Encoding" in self.headers:
            return None
        return int(length)

    def _body(self, length: int) -> str | None:
        """The body; None if it does not come in time."""
        try:
            body = self.rfile.read(length)
        except TimeoutError:
            return None
        return body.decode("utf-8", "replace") if len(body) == length else None

    def _wait(self, since: str) -> None:
        """Until the page has changed since a version."""
        if since.isascii() and since.isdecimal():
            self.server.served.page.wait(int(since[:18]), _LONGEST_POLL)
            time.sleep(_BURST)

    def _not_found(self) -> None:
        self.card(
            HTTPStatus.NOT_FOUND, "Page not found", "The address of the sign-in page is in the terminal.", "bad"
        )


def _fields(query: str) -> dict[str, str]:
    """The first value of each field; none of a query that has too many."""
    try:
        return {name: values[0] for name, values in parse_qs(query, max_num_fields=20).items()}
    except ValueError:
        return {}
