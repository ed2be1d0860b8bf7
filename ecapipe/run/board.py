"""The page for signing in to several orgs, as the logins see it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ecapipe.events import Subject
from ecapipe.login.callbacks import PendingLogins, SignInDeadline
from ecapipe.problems.oauth import sign_in_ended
from ecapipe.problems.problem import EcapipeError

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.events import Subject


class SignInBoard:
    """See `ecapipe.run.board.BoardActions`."""

    def __init__(self, flight: PendingLogins, patience: SignInDeadline) -> None:
        self.board: BoardPage | None = None
        self._flight, self._patience = flight, patience
        self._changed = threading.Condition()
        self._offered: dict[Subject, tuple[str, Callable[[str], bool] | None]] = {}
        self._failed: set[Subject] = set()
        self._wanted: set[Subject] = set()
        self._ended = False

    def paste(self, text: str) -> str | None:
        return self._flight.paste(text)

    def open(self, subject: Subject) -> bool:
        link, opening = self._offered.get(subject, ("", None))
        return opening is not None and opening(link)

    def offer(self, subject: Subject, link: str, opening: Callable[[str], bool] | None) -> None:
        """The link of a login, and what shows it in the browser of its org."""
        self._offered[subject] = link, opening

    def links(self) -> list[tuple[Subject, str]]:
        """What has been offered, in order."""
        return [(subject, link) for subject, (link, _) in tuple(self._offered.items())]

    def retry(self, subject: Subject) -> bool:
        with self._changed:
            possible = subject in self._failed and not self._ended
            if possible:
                self._wanted.add(subject)
                self._changed.notify_all()
        return possible

    def finish(self) -> None:
        self.end()
        self._flight.give_up(EcapipeError(sign_in_ended()))

    def left(self) -> float:
        return self._patience.left()

    def end(self) -> None:
        """Nothing begins again from now on."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def again(self, subject: Subject) -> bool:
        """Whether somebody wants the login, which failed, to begin again: waits for that while anyone may."""
        if self.board is None:
            return False
        with self._changed:
            self._failed.add(subject)
            while subject not in self._wanted:
                left = self._patience.left()
                if self._ended or not left or not (self._flight.waiting or self.board.watched()):
                    return False
                self._changed.wait(min(left, 1.0))
            self._wanted.discard(subject)
            self._failed.discard(subject)
        return True


class BoardActions(Protocol):
    """What people can do on the board. Used from any thread."""

    def paste(self, text: str) -> str | None:
        """Take a pasted address; the sentence that says why it fits no login, else None."""

    def open(self, subject: Subject) -> bool:
        """Show the link of a login in the browser of its org; False if that cannot be done."""

    def retry(self, subject: Subject) -> bool:
        """Begin a login that failed again, with a new link; False if there is nothing to begin."""

    def finish(self) -> None:
        """Nothing more will be tried again: the run may end."""

    def left(self) -> float:
        """Seconds that people are still waited for."""


class BoardPage(Protocol):
    """The page on which people sign in to several orgs."""

    @property
    def url(self) -> str: ...

    def watched(self) -> bool:
        """Whether a browser has shown it in the last seconds."""
