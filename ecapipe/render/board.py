"""The board: a row for each login that people do in a browser, and the page of them."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from ecapipe.events import (
    AppDescribed,
    Event,
    Note,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import INTERRUPTED
from ecapipe.render import board_page
from ecapipe.render.board_page import BoardSnapshot
from ecapipe.render.board_row import BoardRow


class BoardView:
    """An `Emit` that has a row for each login with a link, and renders the page of them; see
    `ecapipe.adapters.network.board_server.BoardServer`.

    One thread emits to it; any thread may read.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._rows: dict[Subject, BoardRow] = {}
        self._message = ""
        self._ended = False

    def __call__(self, event: Event) -> None:
        with self._changed:
            if self._fold(event):
                self._publish()

    @property
    def rows(self) -> tuple[BoardRow, ...]:
        """In the order in which the links came."""
        with self._changed:
            return tuple(self._rows.values())

    @property
    def policy(self) -> str:
        """The Content-Security-Policy of the page."""
        return board_page.content_security_policy()

    def wait(self, version: int, seconds: float) -> None:
        """Until the page has another version than `version`, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, seconds)

    def say(self, sentence: str) -> None:
        """Show what became of something that somebody did on the page."""
        with self._changed:
            self._message = sentence
            self._publish()

    def end(self) -> None:
        """Say for good that nothing more will happen."""
        self(RunEnded(False, 0))

    def subject(self, number: str) -> Subject | None:
        """The login of the row with this number."""
        return next((row.subject for row in self.rows if str(row.number) == number), None)

    def page(self, query: Mapping[str, str], seconds: float) -> str:
        """The page, so many seconds before the last login is given up; for `query` see `BoardSnapshot`."""
        return board_page.render(self._snapshot(query, seconds))

    def parts(self, query: Mapping[str, str], seconds: float) -> str:
        """What of the page changes, for its script."""
        return board_page.parts(self._snapshot(query, seconds))

    def _snapshot(self, query: Mapping[str, str], seconds: float) -> BoardSnapshot:
        # Version and rows at once: a page whose version is newer than its rows would miss a change.
        with self._changed:
            return BoardSnapshot(
                tuple(self._rows.values()),
                self._message,
                ended=self._ended,
                version=self._version,
                query=query,
                seconds=seconds,
            )

    def _publish(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def _fold(self, event: Event) -> bool:
        """Take an event in; whether the page shows anything of it."""
        match event:
            case StageNoted():
                return self._note(event.subject, event.note)
            case StageStarted():
                return self._change(event.subject, state="working", words=event.stage.title, problem=None)
            case StageEnded():
                return self._end_stage(event)
            case SubjectFinished():
                user = event.login and (event.login.username or event.login.user_id)
                return self._change(event.subject, state="done", words=user or "")
            case RunEnded():
                self._end_run()
                return True
            case RunStarted() | RunPlanned() | AppDescribed():
                return False
            case _:
                assert_never(event)

    def _note(self, subject: Subject, note: Note) -> bool:
        row = self._rows.get(subject)
        if note.kind in ("link", "offer") and subject.app and subject.org:
            # A retry brings a new link into the row that the login has, under the same number.
            number = row.number if row else len(self._rows) + 1
            self._rows[subject] = BoardRow(number, subject, note.text, pasted=note.pasted, browser=note.browser)
            return True
        if note.kind == "asking":
            return self._change(subject, pasted=True)
        return row is not None and row.state == "working" and self._change(subject, words=note.text)

    def _end_stage(self, event: StageEnded) -> bool:
        # Interrupted is what the person wanted, not a failure to explain.
        if event.problem and event.problem.exit_code == INTERRUPTED:
            return self._change(event.subject, state="left", words="")
        if event.problem:
            return self._change(event.subject, state="failed", words="", problem=event.problem)
        if event.outcome == "warning":
            return self._change(event.subject, warning=event.reason or "")
        return False

    def _end_run(self) -> None:
        self._ended = True
        for row in self._rows.values():
            if row.state in ("waiting", "working"):
                self._change(row.subject, state="left", words="")

    def _change(self, subject: Subject, **changes: object) -> bool:
        """Change the row of a login, if it has one."""
        if row := self._rows.get(subject):
            self._rows[subject] = replace(row, **changes)  # type: ignore[arg-type]  # names of its fields
        return row is not None
