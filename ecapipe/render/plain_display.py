"""A run as lines that are only ever appended: for CI, pipes and simple terminals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TextIO, assert_never

from ecapipe.documents.report import Report
from ecapipe.events import (
    DRY_RUNS,
    FIND_CONSUMER,
    HAND_OVER,
    ROTATION_STAGES,
    AppDescribed,
    Event,
    LoginResult,
    Note,
    Outcome,
    RunEnded,
    RunPlanned,
    RunStarted,
    Stage,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.render import text
from ecapipe.render.problem_log import ProblemLog
from ecapipe.render.screen import PLAIN, Screen
from ecapipe.render.target_table import TargetTable

TITLE = "Authorizing External Client Apps"
ROTATING = "Rotating External Client Apps"


class PlainDisplay:
    """An `Emit`. Stages go to `out`; problems, links and questions to `err`.

    A success is one line, with the time of all its stages; each stage has a line of its own where it failed, or was
    skipped or passed with a warning, and when `verbose`. `report` has to receive each event before this does: the
    status at the end comes from it.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        report: Report,
        *,
        stages: bool = True,
        verbose: bool = False,
        screen: Screen = PLAIN,
    ) -> None:
        self._out, self._err, self._report = out, err, report
        self._stages, self._verbose = stages, verbose
        self._glyphs = text.glyphs(getattr(out, "encoding", None))
        self._screen = replace(screen, rule=self._glyphs.rule)
        self._table = TargetTable(report, self._glyphs)
        self._logins: list[LoginResult] = []
        self._last: Stage | None = None
        self._passed: dict[Subject, list[StageEnded]] = {}
        self._failed: set[Subject] = set()
        self._skipped: dict[Subject, StageEnded] = {}
        """The first stage that was skipped, of subjects that have no line about that yet."""
        self._retrieves = False
        self._problems = ProblemLog(report)

    def __call__(self, event: Event) -> None:
        self._table(event)
        self._show(event)
        self._warn(*self._problems.lines(event))

    def _show(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._last = next(reversed(event.stages), None)
                if self._stages:
                    self._start(event)
            case StageStarted():
                self._skipped.pop(event.subject, None)
                self._failed.discard(event.subject)
                if self._stages and self._verbose and event.subject.org:
                    self._print(f"{self._glyphs.current} {self._heading(event)}{self._glyphs.ellipsis}")
            case StageNoted():
                # Other progress is shown where something can move.
                if event.note.kind != "progress" or event.subject.org:
                    self._note(event.note)
            case StageEnded():
                self._end_stage(event)
            case SubjectFinished():
                self._finish(event)
            case RunEnded():
                self._end(event)
            case RunPlanned():
                pass
            case AppDescribed():
                self._finish_app(event.app.subject)
            case _:
                assert_never(event)

    def _start(self, event: RunStarted) -> None:
        rule = self._glyphs.rule * 5
        stages = (f"{number}. {stage.title}" for number, stage in enumerate(event.stages, 1))
        title = ROTATING if FIND_CONSUMER in event.stages else TITLE
        self._print(f"{rule} {title} {rule}")
        self._print("Stages:", *stages, "")

    def _finish(self, event: SubjectFinished) -> None:
        self._flush(event.subject)
        passed = self._passed.pop(event.subject, [])
        if event.login is None:
            return
        self._logins.append(event.login)
        line = text.success(self._report.name(event.subject), event.login, self._report.taken_from(event.subject))
        if self._stages:
            count = len(self._table.rows)
            place = f"[{self._table.done}/{count}] " if count > 1 else ""
            line = f"{place}{line} ({text.duration(sum(each.milliseconds for each in passed))})"
            line = f"{self._mark('passed')} {line}"
        self._print(line)
        if self._stages and not self._verbose:
            self._print(*(fact for each in passed if each.stage == HAND_OVER for fact in self._facts(each)))

    def _finish_app(self, app: Subject) -> None:
        """One line for the stages of an app that have passed."""
        passed = [each for each in self._passed.pop(app, []) if each.outcome == "passed"]
        # Where apps are retrieved from each org, that of an org is told of by its login.
        if self._stages and not self._verbose and not self._retrieves and passed and app not in self._failed:
            stages = ", ".join(f"{each.stage.title} {text.duration(each.milliseconds)}" for each in passed)
            self._print(f"{self._mark('passed')} {text.clean(self._report.name(app))}: {stages}")

    def _end(self, event: RunEnded) -> None:
        farewell = text.farewell(self._logins)
        for subject in tuple(self._skipped):
            self._flush(subject)
        self._warn(*self._problems.end())
        if tally := text.tally(self._report):
            if self._stages:
                self._print("", *self._table.lines(self._screen), "")
            self._print(tally)
        if self._stages:
            self._print("", f"Status: {text.status(self._report)}")
        self._print(*farewell)
        if self._stages:
            self._print(f"Elapsed time: {text.duration(event.milliseconds)}")

    def _end_stage(self, event: StageEnded) -> None:
        if self._stages:
            self._show_stage(event)
        # A login that has no other line.
        elif event.reason in DRY_RUNS:
            name = self._report.name(event.subject)
            variables = text.variables(event)
            line = f"{name}: {event.facts['flow']} at {event.facts['host']}"
            self._print(text.clean(f"{line}, with {variables}" if variables else line))
        if event.outcome == "warning":
            self._warn(f"Warning: {text.warning(self._report.name(event.subject), event.reason or '')}")

    def _show_stage(self, event: StageEnded) -> None:
        subject = event.subject
        # A rotation is one thing after the other for a few apps, each step a promise: all are shown.
        stepwise = event.stage in ROTATION_STAGES and event.outcome != "skipped"
        retrieved = subject.org is not None and not subject.app
        self._retrieves = self._retrieves or retrieved
        whole = not subject.app and not retrieved
        if self._verbose or stepwise or event.outcome in ("failed", "warning") or whole:
            self._print(*self._outcome(event))
        if event.outcome == "failed":
            self._failed.add(subject)
        elif event.outcome != "skipped":
            self._passed.setdefault(subject, []).append(event)
        elif subject not in self._failed and not self._verbose:
            # One line for all that is skipped; none where a flow does without a stage, and the next one starts.
            self._skipped.setdefault(subject, event)
            if event.stage == self._last:
                self._flush(subject)

    def _flush(self, subject: Subject) -> None:
        if skipped := self._skipped.pop(subject, None):
            self._print(*self._outcome(skipped))

    def _outcome(self, event: StageEnded) -> Iterator[str]:
        mark = self._mark(event.outcome)
        if event.outcome == "skipped":
            heading = self._heading(event, note="Skipped")
            yield f"{mark} {heading}: {text.clean(event.reason or '')}"
        else:
            yield f"{mark} {self._place(event)}{self._heading(event)} ({text.duration(event.milliseconds)})"
        # What a warning comes with is said again by its login.
        if self._verbose or event.outcome != "warning" or not event.subject.org:
            yield from self._facts(event)

    def _place(self, event: StageEnded) -> str:
        """Which of several rotations a stage is of: they are done one after the other."""
        count = len(self._table.rows)
        # The last stage of one has ended already.
        done = self._table.done + (event.subject not in self._table.ended)
        return f"[{done}/{count}] " if event.stage in ROTATION_STAGES and count > 1 else ""

    def _facts(self, event: StageEnded) -> Iterator[str]:
        for label, value in text.facts(event, self._verbose):
            yield f"   {label}: {value}"

    def _mark(self, outcome: Outcome) -> str:
        return self._screen.level(outcome, self._glyphs.of(outcome))

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
        text.write(self._out, self._screen.fitting(lines) if self._out.isatty() else lines)

    def _warn(self, *lines: str) -> None:
        if lines:
            text.write(self._err, self._screen.messages(lines, wrapped=self._err.isatty()))
