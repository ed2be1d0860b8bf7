"""A row of the board: one web login that a person has to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from ecapipe.events import Subject
from ecapipe.problems.problem import Problem

State = Literal["waiting", "working", "failed", "done", "left"]
"""``left``: the run ended before somebody signed in."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A web login as the page shows it. Host, user and callback are read from `link`, the authorize URL."""

    number: int
    subject: Subject
    link: str
    state: State = "waiting"
    pasted: bool = False
    """The address that the browser ends at has to be pasted."""
    browser: str | None = None
    """The browser that is meant for it, and can be opened here."""
    words: str = ""
    warning: str = ""
    problem: Problem | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.link).netloc

    @property
    def user(self) -> str | None:
        """Who is expected to sign in."""
        return self._parameter("login_hint")

    @property
    def ends_at(self) -> str | None:
        """Host or scheme of the callback, if that is no address of this machine."""
        callback = urlsplit(self._parameter("redirect_uri") or "")
        if callback.hostname in _LOOPBACK:
            return None
        # A custom scheme, as of a mobile app, has no host.
        return callback.netloc or callback.scheme

    def _parameter(self, name: str) -> str | None:
        return parse_qs(urlsplit(self.link).query).get(name, [None])[0]
