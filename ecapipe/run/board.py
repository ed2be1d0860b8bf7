"""The page for signing in to several orgs, as the logins see it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ecapipe.login.callbacks import PasteReply, PendingLogins
from ecapipe.login.deadline import SignInDeadline
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.sign_in import sign_in_ended

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.events import Subject

OpenLink = Callable[[str], bool]
"""Shows a link in a browser; False if that failed."""


class SignInBoard:
    """See `ecapipe.run.board.BoardActions`. `page` is None while there is none: then nothing begins again."""

    def __init__(self, pending: PendingLogins, deadline: SignInDeadline) -> None:
        self.page: BoardPage | None = None
        self._pending, self._deadline = pending, deadline
        self._changed = threading.Condition()
        self._links: dict[Subject, tuple[str, OpenLink | None]] = {}
        self._failed: set[Subject] = set()
        self._retries: set[Subject] = set()
        self._ended = False

    def paste(self, text: str) -> PasteReply:
        return self._pending.paste(text)

    def open(self, subject: Subject) -> bool:
        link, open_link = self._links.get(subject, ("", None))
        return open_link is not None and open_link(link)

    def offer(self, subject: Subject, link: str, open_link: OpenLink | None) -> None:
        """The link of a login, and what shows it in the browser of its org."""
        self._links[subject] = link, open_link

    def links(self) -> list[tuple[Subject, str]]:
        """The link of each login, in order."""
        # A copy first: logins offer theirs meanwhile.
        return [(subject, link) for subject, (link, _) in tuple(self._links.items())]

    def retry(self, subject: Subject) -> bool:
        with self._changed:
            possible = subject in self._failed and not self._ended
            if possible:
                self._retries.add(subject)
                self._changed.notify_all()
        return possible

    def finish(self) -> None:
        # In this order: a login that is given up must not wait to begin again.
        self.end()
        self._pending.give_up(EcapipeError(sign_in_ended()))

    def left(self) -> float:
        return self._deadline.left()

    def end(self) -> None:
        """Nothing begins again from now on."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def again(self, subject: Subject) -> bool:
        """Whether somebody asks for the login, which failed, to begin again: waits for that while anyone may."""
        if self.page is None:
            return False
        with self._changed:
            self._failed.add(subject)
            while subject not in self._retries:
                left = self._deadline.left()
                # Nobody is there who could ask: no other login waits for its person, and no browser shows the page.
                if self._ended or not left or not (self._pending.waiting or self.page.watched()):
                    return False
                # Nothing notifies of a page that is closed, so that it is looked at every second.
                self._changed.wait(min(left, 1.0))
            self._retries.discard(subject)
            self._failed.discard(subject)
        return True


class BoardActions(Protocol):
    """What people can do on the board. Used from any thread."""

    def paste(self, text: str) -> PasteReply:
        """Accept pasted addresses."""

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
