"""A run on a terminal: the stage list of `sf`, coloured and live; from four targets on a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TextIO, assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from ecapipe.documents.report import Report
from ecapipe.events import (
    APP_STAGES,
    AppDescribed,
    Event,
    LoginResult,
    Note,
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
from ecapipe.render.plain_display import TITLE
from ecapipe.render.problem_log import ProblemLog
from ecapipe.render.screen import Role, Screen
from ecapipe.render.target_table import TargetTable

TABLE_FROM: Final = 4
"""Subjects; each of fewer is shown as a block."""

_SPINNER: Final = "⣾⣽⣻⢿⡿⣟⣯⣷"
_ASCII_SPINNER: Final = "-\\|/"


@dataclass(frozen=True, slots=True)
class _RunningStage:
    """A stage that runs. `since` is of the monotonic clock, in seconds."""

    stage: Stage
    subject: Subject
    since: float


@dataclass(frozen=True, slots=True)
class _Dynamic:
    """The live part as it is at the moment. rich would print a finished stage above a live part that still has it."""

    render: Callable[[], RenderableType]

    def __rich__(self) -> RenderableType:
        return self.render()


class LiveDisplay:
    """An `Emit`. What has ended is printed for good; below it a live part shows what runs and what is to come.

    The live part makes way for whatever is written to `err`, and for questions until their stage has ended.
    """

    def __init__(self, out: TextIO, err: TextIO, report: Report, *, colour: bool, verbose: bool = False) -> None:
        self._report, self._err, self._verbose = report, err, verbose
        self._out = _console(out, colour)
        self._glyphs = text.glyphs(getattr(out, "encoding", None))
        self._spinner = _ASCII_SPINNER if self._glyphs == text.ASCII else _SPINNER
        self._colour = colour
        self._table = TargetTable(report, self._glyphs)
        self._since = time.monotonic()
        self._live: Live | None = None
        self._stages: tuple[Stage, ...] = ()
        self._rows: tuple[Subject, ...] = ()
        self._running: dict[Subject, _RunningStage] = {}
        self._asking = False
        self._doing = ""
        """How far long work is that has no stages of its own."""
        self._block: Subject | None = None
        self._several = False
        self._buffers: dict[Subject, list[StageEnded]] = {}
        self._logins: dict[Subject, LoginResult] = {}
        self._problems = ProblemLog(report)
        self._gap = False
        """Whether the last line is an empty one."""

    def __call__(self, event: Event) -> None:
        if not isinstance(event, StageEnded):
            self._problems.lines(event)
        self._table(event)
        match event:
            case RunStarted():
                self._start(event)
            case RunPlanned():
                self._plan(event)
            case StageStarted():
                self._doing = ""
                self._begin(event)
                self._running[event.subject] = _RunningStage(event.stage, event.subject, time.monotonic())
                # The stages of logins that run at once come in any order, and are printed when a login is over.
                if not event.subject.org or (event.subject.app and not self._several):
                    self._head(event.subject)
            case StageNoted():
                self._note(event.note)
            case StageEnded():
                self._doing = ""
                self._running.pop(event.subject, None)
                self._asking = self._asking and bool(self._running)
                self._buffer(event)
            case SubjectFinished():
                self._finish(event)
            case RunEnded():
                self._end(event)
            case AppDescribed():
                pass
            case _:
                assert_never(event)
        if self._live is None and (self._running or self._doing) and not self._asking:
            self._live = Live(_Dynamic(self._render), console=self._out, transient=True, refresh_per_second=12)
            self._live.start()

    def close(self) -> None:
        """Take the live part away, whatever has happened."""
        self._pause()

    def _pause(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _start(self, event: RunStarted) -> None:
        self._stages = event.stages
        width = min(50, self._out.width - 1)
        self._blank()
        self._print([self._screen.paint(f" {TITLE} ".center(width, self._glyphs.rule)[:width], "quiet")])

    def _plan(self, event: RunPlanned) -> None:
        targets = tuple(subject for subject in event.subjects if subject.org)
        rows = targets or event.subjects
        self._several = len(targets) > 1
        if len(rows) >= TABLE_FROM:
            self._rows = rows
            self._blank()

    def _begin(self, event: StageStarted) -> None:
        """What failed of a login that begins again is forgotten."""
        if any(end.stage == event.stage for end in self._buffers.get(event.subject, ())):
            del self._buffers[event.subject]

    def _finish(self, event: SubjectFinished) -> None:
        self._flush(event.subject)
        if event.login is None:
            return
        self._logins[event.subject] = event.login
        if not self._rows:
            name = self._report.name(event.subject)
            earlier = self._report.taken_from(event.subject)
            self._say(text.success(name, event.login, earlier), "good")

    def _render(self) -> RenderableType:
        """The live part: the table around the rows that run, or the rest of the block."""
        # rich calls this from a thread of its own: the copy does not change while it is read.
        running = [*self._running.values()]
        if self._doing:
            named = (self._running_stage(stage, name=True) for stage in running if stage.subject.org)
            return Group(*named, self._spin(self._doing, self._elapsed()))
        if not running:
            return Group()
        if self._rows:
            return Group(*self._window(), "", self._progress(running[0]))
        if self._several or any(stage.subject.org and not stage.subject.app for stage in running):
            return Group(*(self._running_stage(stage, name=stage.subject.org is not None) for stage in running))
        return Group(self._running_stage(running[0], name=False), *self._pending(running[0]))

    def _running_stage(self, running: _RunningStage, *, name: bool) -> Text:
        elapsed = text.duration(round((time.monotonic() - running.since) * 1000))
        subject = text.clean(self._report.name(running.subject)) if name else ""
        return self._spin(running.stage.title, f"{elapsed}  {subject}")

    def _progress(self, running: _RunningStage) -> Text:
        """How far all targets are; one spinner is enough to show that something moves."""
        name = text.clean(self._report.name(running.subject))
        return self._spin(self._table.progress, f"{self._elapsed()}  {running.stage.title} {name}")

    def _elapsed(self) -> str:
        return text.duration(round((time.monotonic() - self._since) * 1000))

    def _spin(self, label: str, details: str) -> Text:
        """One line, however narrow the screen: what is live has a known height."""
        frame = self._spinner[int(time.monotonic() * 12) % len(self._spinner)]
        room, ellipsis = self._screen.width - 2, self._glyphs.ellipsis
        line = f"{label} {details.rstrip()}"
        if len(line) > room:
            line = line[: room - len(ellipsis)] + ellipsis
        paint = self._screen.paint
        label, details = line[: len(label)], line[len(label) :]
        return Text.from_ansi(f" {paint(frame, 'active')} {label}{paint(details, 'quiet')}")

    def _pending(self, running: _RunningStage) -> Iterator[Text]:
        """The stages of the block that are still to come."""
        pending = self._stages[self._stages.index(running.stage) + 1 :]
        if running.subject.org is None:
            pending = tuple(stage for stage in pending if running.subject.app and stage in APP_STAGES)
        for stage in pending:
            yield Text.from_ansi(self._screen.paint(f" {self._glyphs.pending} {stage.title}", "quiet"))

    def _window(self) -> list[Text]:
        """As many rows as fit, those that ended last before those that come next."""
        # The spinner, the lines around it and that of the cursor.
        height = max(6, self._out.size.height - 4)
        last, screen = self._table.reached, self._screen
        count = height - 2
        while True:
            start = max(0, min(last - count // 2, len(self._rows) - count))
            lines = self._table.lines(screen, self._rows[start : start + count], brief=True)
            if len(lines) <= height or count <= 1:
                return [Text.from_ansi(f" {line}") for line in lines]
            count -= max(1, (len(lines) - height) // 2)

    @property
    def _screen(self) -> Screen:
        # Each line begins with a space, as all of the live part.
        return Screen(self._out.width - 1, self._colour, self._glyphs.rule)

    def _print(self, lines: Sequence[str]) -> None:
        """Print lines, which may be painted, above the live part."""
        for line in lines:
            # As they are: what people copy is not broken.
            self._out.print(Text.from_ansi(line), soft_wrap=True)
            self._gap = not line

    def _blank(self) -> None:
        """Leave one line empty, however many ask for it."""
        if not self._gap:
            self._print([""])

    def _say(self, sentence: str, role: Role | None = None, indent: str = " ", later: str | None = None) -> None:
        """Print a sentence that is not to be copied, in lines that fit."""
        lines = self._screen.folded(sentence, indent, later)
        self._print([self._screen.paint(line, role) if role else line for line in lines])

    def _warn(self, lines: Sequence[str]) -> None:
        """Print errors, warnings and questions, for which the live part makes way."""
        if lines:
            self._pause()
            screen, wrapped = Screen(self._out.width, self._colour), self._err.isatty()
            text.write(self._err, screen.messages(lines, wrapped=wrapped))
            self._gap = not lines[-1]

    def _head(self, subject: Subject) -> None:
        if not self._rows and subject != self._block:
            self._block = subject
            self._blank()
            if str(subject):
                self._say(text.clean(self._report.name(subject)), "heading")

    def _note(self, note: Note) -> None:
        if note.kind == "offer":
            return
        if note.kind == "progress":
            self._doing = text.clean(note.text)
            return
        self._asking = self._asking or note.kind == "asking"
        if note.kind == "link":
            # Whole: people copy it, terminals make it clickable.
            self._warn(["", note.text, ""])
        elif note.text:
            self._warn([text.clean(note.text)])
        else:
            self._pause()

    def _buffer(self, event: StageEnded) -> None:
        """Print the end of a stage; of several logins that run at once, each whole when it is over."""
        if self._rows or not (self._several and event.subject.org):
            self._end_stage(event)
            return
        self._buffers.setdefault(event.subject, []).append(event)
        # What fails may begin again; what succeeds is flushed then.
        if event.stage == self._stages[-1] and not self._problems.may_return(event.subject):
            self._flush(event.subject)

    def _flush(self, subject: Subject) -> None:
        for end in self._buffers.pop(subject, ()):
            self._end_stage(end)

    def _outcome(self, event: StageEnded) -> None:
        title, paint = event.stage.title, self._screen.paint
        mark = self._screen.level(event.outcome, self._glyphs.of(event.outcome))
        if event.subject.org and not event.subject.app and event.outcome == "passed":
            # One of many retrieves.
            name = text.clean(self._report.name(event.subject))
            self._print([f" {mark} {title} {paint(f'{text.duration(event.milliseconds)}  {name}', 'quiet')}"])
            return
        self._head(event.subject)
        if event.outcome == "skipped":
            first, *rest = self._screen.folded(f"{title} - Skipped: {text.clean(event.reason or '')}", "   ")
            self._print([f" {mark} {paint(first[3:], 'quiet')}", *(paint(line, "quiet") for line in rest)])
        else:
            self._print([f" {mark} {title} {paint(text.duration(event.milliseconds), 'quiet')}"])
        for label, value in text.facts(event, self._verbose):
            self._say(f"{self._glyphs.info} {label}: {value}", indent="   ", later="     ")

    def _end_stage(self, event: StageEnded) -> None:
        # The table shows how a stage ended; only its warnings and problems need lines of their own.
        if not self._rows:
            self._outcome(event)
        if event.outcome == "warning":
            self._warn([f"Warning: {text.warning(self._report.name(event.subject), event.reason or '')}"])
        self._warn(self._problems.lines(event))

    def _end(self, event: RunEnded) -> None:
        self._pause()
        for subject in [*self._buffers]:
            self._flush(subject)
        self._warn(self._problems.end())
        self._blank()
        if self._rows:
            self._print([f" {line}" for line in self._table.lines(self._screen)])
            self._blank()
        if tally := text.tally(self._report):
            self._say(tally)
        self._print([f" Status: {self._screen.paint(text.status(self._report), 'heading')}"])
        for line in text.farewell(self._logins.values()):
            self._say(line)
        self._print([f" Elapsed Time: {text.duration(event.milliseconds)}"])
        self._blank()


def _console(stream: TextIO, colour: bool) -> Console:
    """Colours where the terminal has them and the user wants them; text as it is, without markup."""
    return Console(file=stream, no_color=not colour, highlight=False, emoji=False, markup=False)
