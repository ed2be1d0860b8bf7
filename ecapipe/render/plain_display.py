"""A run as lines that are only ever appended: for CI, pipes and simple terminals."""

from __future__ import annotations

from typing import TextIO, assert_never

from ecapipe.documents.report import Report
from ecapipe.events import (
    AppDescribed,
    Event,
    LoginResult,
    Note,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    SubjectFinished,
)
from ecapipe.login.tracker import DRY_RUN
from ecapipe.render import text

TITLE = "Authorizing External Client Apps"


class PlainDisplay:
    """An `Emit`. Stages go to `out`; problems, links and questions to `err`.

    `report` has to be told of each event before this is.
    """

    def __init__(
        self, out: TextIO, err: TextIO, report: Report, *, stages: bool = True, verbose: bool = False
    ) -> None:
        self._out, self._err, self._report, self._stages, self._verbose = out, err, report, stages, verbose
        self._glyphs = text.glyphs(getattr(out, "encoding", None))
        self._logins: list[LoginResult] = []

    def __call__(self, event: Event) -> None:
        mark = self._glyphs
        match event:
            case RunStarted():
                if self._stages:
                    self._say(f"{mark.rule * 5} {TITLE} {mark.rule * 5}")
                    self._say("Stages:", *(f"{n}. {stage.title}" for n, stage in enumerate(event.stages, 1)), "")
            case StageStarted():
                if self._stages and event.subject.org:
                    self._say(f"{mark.current} {event.stage.title}{self._of(event)}{mark.ellipsis}")
            case StageNoted():
                self._note(event.note)
            case StageEnded():
                self._ended(event)
            case SubjectFinished():
                if event.login:
                    self._logins.append(event.login)
                    self._say(text.success(event.subject, event.login))
            case RunEnded():
                if self._stages:
                    self._say("", f"Status: {text.status(self._report)}")
                self._say(*text.farewell(self._logins))
                if self._stages:
                    self._say(f"Elapsed time: {text.duration(event.milliseconds)}")
            case RunPlanned() | AppDescribed():
                pass
            case _:
                assert_never(event)

    def _ended(self, event: StageEnded) -> None:
        mark = self._glyphs.of(event.outcome)
        if self._stages and event.outcome == "skipped":
            self._say(f"{mark} {event.stage.title} - Skipped{self._of(event)}: {text.clean(event.reason or '')}")
        elif self._stages:
            self._say(f"{mark} {event.stage.title}{self._of(event)} ({text.duration(event.milliseconds)})")
        elif event.reason == DRY_RUN:  # a login that has no other line
            self._say(text.clean(f"{event.subject}: {event.facts['flow']} at {event.facts['host']}"))
        for label, value in text.facts(event, self._verbose) if self._stages else ():
            self._say(f"   {label}: {value}")
        if event.outcome == "warning":
            self._tell(f"Warning: {text.clean(event.reason or '')}")
        if event.problem:
            self._tell(*text.problem(event.problem))

    def _note(self, note: Note) -> None:
        if note.kind == "offer":
            return
        # A URL of our own making is never altered: people and programs copy it.
        self._tell(*([note.text] if note.kind == "link" else [text.clean(note.text)] if note.text else []))

    def _of(self, event: StageStarted | StageEnded) -> str:
        return f" - {text.clean(str(event.subject))}" if str(event.subject) else ""

    def _say(self, *lines: str) -> None:
        text.write(self._out, lines)

    def _tell(self, *lines: str) -> None:
        text.write(self._err, lines)
