"""A run as lines that are only ever appended: for CI, pipes and simple terminals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO, assert_never

from ecapipe.documents.report import Report
from ecapipe.events import (
    DRY_RUN,
    FIND_CONSUMER,
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
    Subject,
    SubjectFinished,
)
from ecapipe.render import text
from ecapipe.render.problem_log import ProblemLog

TITLE = "Authorizing External Client Apps"
ROTATING = "Rotating External Client Apps"


class PlainDisplay:
    """An `Emit`. Stages go to `out`; problems, links and questions to `err`.

    `report` has to receive each event before this does: the status at the end comes from it.
    """

    def __init__(
        self, out: TextIO, err: TextIO, report: Report, *, stages: bool = True, verbose: bool = False
    ) -> None:
        self._out, self._err, self._report = out, err, report
        self._stages, self._verbose = stages, verbose
        self._glyphs = text.glyphs(getattr(out, "encoding", None))
        self._logins: list[LoginResult] = []
        self._problems = ProblemLog(report)

    def __call__(self, event: Event) -> None:
        self._show(event)
        self._warn(*self._problems.lines(event))

    def _show(self, event: Event) -> None:
        match event:
            case RunStarted():
                if self._stages:
                    self._start(event)
            case StageStarted():
                # The stages of an app end at once; those of a target may wait for an org or a person.
                if self._stages and event.subject.org:
                    self._print(f"{self._glyphs.current} {self._heading(event)}{self._glyphs.ellipsis}")
            case StageNoted():
                self._note(event.note)
            case StageEnded():
                self._end_stage(event)
            case SubjectFinished():
                if event.login:
                    self._logins.append(event.login)
                    self._print(self._success(event.subject, event.login))
            case RunEnded():
                self._end(event)
            case RunPlanned() | AppDescribed():
                pass
            case _:
                assert_never(event)

    def _success(self, subject: Subject, login: LoginResult) -> str:
        return text.success(self._report.name(subject), login, self._report.taken_from(subject))

    def _start(self, event: RunStarted) -> None:
        rule = self._glyphs.rule * 5
        stages = (f"{number}. {stage.title}" for number, stage in enumerate(event.stages, 1))
        title = ROTATING if FIND_CONSUMER in event.stages else TITLE
        self._print(f"{rule} {title} {rule}")
        self._print("Stages:", *stages, "")

    def _end(self, event: RunEnded) -> None:
        farewell = text.farewell(self._logins)
        self._warn(*self._problems.end())
        if tally := text.tally(self._report):
            if self._stages:
                self._print("", *text.conclusions(self._report, self._glyphs), "")
            self._print(tally)
        if self._stages:
            self._print("", f"Status: {text.status(self._report)}")
        self._print(*farewell)
        if self._stages:
            self._print(f"Elapsed time: {text.duration(event.milliseconds)}")

    def _end_stage(self, event: StageEnded) -> None:
        if self._stages:
            self._print(*self._outcome(event))
        # A login that has no other line.
        elif event.reason == DRY_RUN:
            name = self._report.name(event.subject)
            variables = text.variables(event)
            line = f"{name}: {event.facts['flow']} at {event.facts['host']}"
            self._print(text.clean(f"{line}, with {variables}" if variables else line))
        if event.outcome == "warning":
            self._warn(f"Warning: {text.warning(self._report.name(event.subject), event.reason or '')}")

    def _outcome(self, event: StageEnded) -> Iterator[str]:
        mark = self._glyphs.of(event.outcome)
        if event.outcome == "skipped":
            heading = self._heading(event, note="Skipped")
            yield f"{mark} {heading}: {text.clean(event.reason or '')}"
        else:
            yield f"{mark} {self._heading(event)} ({text.duration(event.milliseconds)})"
        for label, value in text.facts(event, self._verbose):
            yield f"   {label}: {value}"

    def _heading(self, event: StageStarted | StageEnded, note: str = "") -> str:
        """The title of a stage, a note of how it ended, and its subject unless that is the whole project."""
        name = text.clean(self._report.name(event.subject))
        return " - ".join(filter(None, (event.stage.title, note, name)))

    def _note(self, note: Note) -> None:
        # An offer is shown on the board.
        if note.kind == "offer" or not note.text:
            return
        if note.kind == "link":
            # A URL of our own making is never altered: people and programs copy it.
            self._warn(note.text)
        else:
            self._warn(text.clean(note.text))

    def _print(self, *lines: str) -> None:
        text.write(self._out, lines)

    def _warn(self, *lines: str) -> None:
        if lines:
            text.write(self._err, lines)
