"""What people are shown of the logins that need them: links, and what to do with them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ecapipe.events import NoteKind
from ecapipe.login import plan as login_plan
from ecapipe.login.callbacks import PendingLogins
from ecapipe.login.deadline import SignInDeadline
from ecapipe.login.target import Target, WebPlan
from ecapipe.login.tracker import StageWork
from ecapipe.run.board import BoardPage, OpenLink, SignInBoard
from ecapipe.run.world import World


@dataclass(frozen=True, slots=True)
class WebLogin:
    """A login that waits for a person. `number` is its place among those of the run, counted from 1; `several`: there
    are others."""

    target: Target
    plan: WebPlan
    number: int
    several: bool
    link_shown: threading.Event = field(default_factory=threading.Event)
    """Its link is shown, or never will be."""
    wait_over: threading.Event = field(default_factory=threading.Event)
    """Nobody is waited for any more."""


@dataclass(frozen=True, slots=True)
class _BrowserLink:
    """A link that is shown in a browser when its turn comes, unless the login has ended by then."""

    link: str
    open: OpenLink
    wait_over: threading.Event


class SignInPrompts:
    """Shows links on the board where there is one, else in the terminal and the browser.

    `note` tells people something that concerns several logins, `start` runs a function on a thread of its own.
    """

    def __init__(
        self,
        world: World,
        *,
        board: SignInBoard,
        pending: PendingLogins,
        deadline: SignInDeadline,
        note: Callable[[NoteKind, str], None],
        start: Callable[[Callable[[], None]], None],
    ) -> None:
        self._world, self._board = world, board
        self._pending, self._deadline = pending, deadline
        self._note, self._start = note, start
        self._links: list[_BrowserLink] = []

    def show_link(self, login: WebLogin, link: str, work: StageWork) -> None:
        """Show the link of one login, and open it if that concerns nobody else."""
        open_link = login_plan.opener(login.target.org, self._world)
        if self._board.page is not None:
            self._offer(login, link, open_link, work)
        # The board shows links, but where no browser can be opened somebody has to find them in the terminal.
        if not self._world.stand_in and (self._board.page is None or open_link is None):
            self._print(login, link, work)
        opens = open_link is not None and self._board.page is None
        alone = self._world.stand_in or not login.several
        if open_link is not None and opens and not alone:
            self._links.append(_BrowserLink(link, open_link, login.wait_over))
        # The next login may be shown: opening a browser can take seconds.
        login.link_shown.set()
        self._world.ready()
        if open_link is not None and opens and alone and not open_link(link):
            work.note("hint", "No browser could be opened: open the link yourself.")

    def _offer(self, login: WebLogin, link: str, open_link: OpenLink | None, work: StageWork) -> None:
        self._board.offer(login.target.subject, link, open_link)
        browser = None
        if open_link is not None and open_link is not self._world.open and self._world.local_browser:
            browser = login.target.org.browser
        work.note("offer", link, pasted=login.plan.callback == "paste", browser=browser)

    def _print(self, login: WebLogin, link: str, work: StageWork) -> None:
        if login.several:
            work.note("hint", f"{login.number}. {login.target.subject}")
            work.note("link", link)
            return
        work.note("link", link)
        org, app = login.target.org.name, login.target.app.name
        if login.plan.callback == "listen":
            work.note(
                "waiting", f"Sign in to {org} and allow {app}: waiting up to {self._deadline} for the response."
            )
            self._doubt(work.note)
        else:
            work.note(
                "asking",
                f"Sign in to {org}, allow {app}, then paste the URL that the browser ends at (within "
                f"{self._deadline}):",
            )

    def announce(self, count: int) -> None:
        """Say once, below all links, what is to be done with the `count` of them."""
        if self._world.stand_in or count <= 1:
            return
        if self._board.page is not None:
            self._announce_board(self._board.page, count)
        else:
            self._ask_for_all()
            self._start(self._open_in_turn)

    def _announce_board(self, page: BoardPage, count: int) -> None:
        self._note("hint", f"Sign in on this page, for {count} logins, within {self._deadline}:")
        self._note("link", page.url)
        if not self._world.local_browser:
            port = urlsplit(page.url).port
            self._note(
                "hint",
                f"To open it on another machine, first run there: ssh -L {port}:127.0.0.1:{port} <this machine>",
            )
        self._start(lambda: self._open_board(page.url))

    def _open_board(self, url: str) -> None:
        if self._world.open is None or self._world.open(url):
            return
        self._note("hint", "No browser could be opened: open the page yourself.")
        # If not even one on this machine could be, there may be none, and each login has to do with its own link.
        if self._world.local_browser:
            for number, (subject, link) in enumerate(self._board.links(), 1):
                self._note("hint", f"{number}. {subject}")
                self._note("link", link)
            self._ask_for_all()

    def _open_in_turn(self) -> None:
        """Show one link after the other: many tabs at once are of no use, and one browser has one session a host."""
        for each in self._links:
            if not each.wait_over.is_set() and not each.open(each.link):
                self._note("hint", "No browser could be opened: open the links yourself.")
                return
            each.wait_over.wait()

    def _ask_for_all(self) -> None:
        if self._pending.pasting:
            self._note(
                "asking",
                "At each link, sign in and allow the app, then paste the URLs that the browser ends at, "
                f"in any order (within {self._deadline}):",
            )
        elif self._pending.waiting:
            self._note("waiting", f"At each link, sign in and allow the app: waiting up to {self._deadline}.")
            self._doubt(self._note)

    def _doubt(self, note: Callable[[NoteKind, str], None]) -> None:
        """Where the browser may be elsewhere, ask for the address as well."""
        if doubt := self._world.browser_doubt:
            note(
                "asking",
                f"If the browser ends at a page that can't be reached ({doubt}), paste the URL of that page here:",
            )
