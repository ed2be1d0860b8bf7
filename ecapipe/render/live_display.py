"""A run on a terminal: the stage list of `sf`, coloured and live; from four targets on a table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TextIO, assert_never

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.spinner import Spinner
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
from ecapipe.render.screen import Screen
from ecapipe.render.target_table import TargetTable

TABLE_FROM: Final = 4
"""Subjects; each of fewer is shown as a block."""

_STYLES: Final = {"passed": "green", "failed": "red", "skipped": "dim", "warning": "yellow"}


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
        self._report, self._err_stream, self._verbose = report, err, verbose
        self._out = _console(out, colour)
        self._err = _console(err, colour)
        self._glyphs = text.glyphs(getattr(out, "encoding", None))
        self._ascii = self._glyphs == text.ASCII
        self._colour = colour
        self._table = TargetTable(report, self._glyphs)
        self._since = time.monotonic()
        self._live: Live | None = None
        self._stages: tuple[Stage, ...] = ()
        self._rows: tuple[Subject, ...] = ()
        self._running: dict[Subject, _RunningStage] = {}
        self._asking = False
        self._block: Subject | None = None
        self._several = False
        self._buffers: dict[Subject, list[StageEnded]] = {}
        self._logins: dict[Subject, LoginResult] = {}
        self._problems = ProblemLog(report)

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
                self._begin(event)
                self._running[event.subject] = _RunningStage(event.stage, event.subject, time.monotonic())
                # The stages of logins that run at once come in any order, and are printed when a login is over.
                if not event.subject.org or (event.subject.app and not self._several):
                    self._head(event.subject)
            case StageNoted():
                self._note(event.note)
            case StageEnded():
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
        if self._live is None and self._running and not self._asking:
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
        self._out.print()
        self._out.print(Text(f" {TITLE} ".center(width, self._glyphs.rule)[:width], style="dim"))

    def _plan(self, event: RunPlanned) -> None:
        targets = tuple(subject for subject in event.subjects if subject.org)
        rows = targets or event.subjects
        self._several = len(targets) > 1
        if len(rows) >= TABLE_FROM:
            self._rows = rows

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
            self._out.print(Text(f" {text.success(name, event.login, earlier)}", style="bold green"))

    def _render(self) -> RenderableType:
        """The live part: the table around the rows that run, or the rest of the block."""
        # rich calls this from a thread of its own: the copy does not change while it is read.
        running = [*self._running.values()]
        if not running:
            return Group()
        if self._rows:
            return Group(*self._window(), "", self._progress(running[0]))
        if self._several or any(stage.subject.org and not stage.subject.app for stage in running):
            return Group(*(self._spinner(stage, name=stage.subject.org is not None) for stage in running))
        return Group(self._spinner(running[0], name=False), *self._pending(running[0]))

    def _spinner(self, running: _RunningStage, *, name: bool) -> RenderableType:
        elapsed = text.duration(round((time.monotonic() - running.since) * 1000))
        label = Text.assemble((running.stage.title, "default"), (f" {elapsed}", "dim"))
        if name:
            label.append(f"  {text.clean(self._report.name(running.subject))}", style="dim")
        return self._spin(label)

    def _spin(self, label: Text) -> RenderableType:
        # Under the glyphs of what has ended.
        return Padding(Spinner("line" if self._ascii else "dots2", label, style="magenta"), (0, 0, 0, 1))

    def _progress(self, running: _RunningStage) -> RenderableType:
        """How far all targets are; one spinner is enough to show that something moves."""
        elapsed = text.duration(round((time.monotonic() - self._since) * 1000))
        name = text.clean(self._report.name(running.subject))
        label = Text.assemble((self._table.progress, "default"), (f" {elapsed}  {running.stage.title} {name}", "dim"))
        label.no_wrap, label.overflow = True, "ellipsis"
        return self._spin(label)

    def _pending(self, running: _RunningStage) -> Iterator[Text]:
        """The stages of the block that are still to come."""
        pending = self._stages[self._stages.index(running.stage) + 1 :]
        if running.subject.org is None:
            pending = tuple(stage for stage in pending if running.subject.app and stage in APP_STAGES)
        for stage in pending:
            yield Text(f" {self._glyphs.pending} {stage.title}", style="dim")

    def _window(self) -> list[Text]:
        """As many rows as fit, those that ended last before those that come next."""
        # The spinner, the lines around it and that of the cursor.
        height = max(6, self._out.size.height - 4)
        last, screen = self._table.reached, self._screen()
        count = height - 2
        while True:
            start = max(0, min(last - count // 2, len(self._rows) - count))
            lines = self._table.lines(screen, self._rows[start : start + count], brief=True)
            if len(lines) <= height or count <= 1:
                return [Text.from_ansi(f" {line}") for line in lines]
            count -= max(1, (len(lines) - height) // 2)

    def _screen(self) -> Screen:
        # Each line begins with a space, as all of the live part.
        return Screen(self._out.width - 1, self._colour, self._glyphs.rule)

    def _head(self, subject: Subject) -> None:
        if not self._rows and subject != self._block:
            self._block = subject
            self._out.print()
            if str(subject):
                self._out.print(Text(f" {text.clean(self._report.name(subject))}", style="bold"))

    def _note(self, note: Note) -> None:
        if note.kind == "offer":
            return
        self._pause()
        self._asking = self._asking or note.kind == "asking"
        if note.kind == "link":
            # Whole and unstyled: people copy it, terminals make it clickable.
            text.write(self._err_stream, ["", note.text, ""])
        elif note.text:
            self._err.print(Text(text.clean(note.text)))

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
        self._head(event.subject)
        line = Text(f" {self._glyphs.of(event.outcome)} ", style=_STYLES[event.outcome])
        if event.outcome == "skipped":
            line.append(f"{event.stage.title} - Skipped: {text.clean(event.reason or '')}", style="dim")
        else:
            line.append(event.stage.title, style="default")
            line.append(f" {text.duration(event.milliseconds)}", style="dim")
        self._out.print(line)
        for label, value in text.facts(event, self._verbose):
            self._out.print(Text(f"   {self._glyphs.info} {label}: {value}"))

    def _end_stage(self, event: StageEnded) -> None:
        # The table shows how a stage ended; only its warnings and problems need lines of their own.
        if not self._rows:
            self._outcome(event)
        if event.outcome == "warning":
            self._pause()
            warning = Text("Warning: ", style="bold yellow")
            sentence = text.warning(self._report.name(event.subject), event.reason or "")
            self._err.print(warning.append(sentence, style="default"))
        self._tell(self._problems.lines(event))

    def _tell(self, lines: Sequence[str]) -> None:
        """Print what there is to say of problems: unbroken, for actions hold commands that people copy."""
        if lines:
            self._pause()
        for line in lines:
            if line.startswith("Error ("):
                head, _, message = line.partition(": ")
                text_line = Text(f"{head}: ", style="bold red").append(message, style="default")
            else:
                text_line = Text(line, style="dim")
            self._err.print(text_line, soft_wrap=True)

    def _end(self, event: RunEnded) -> None:
        self._pause()
        for subject in [*self._buffers]:
            self._flush(subject)
        self._out.print()
        self._tell(self._problems.end())
        if self._rows:
            for line in self._table.lines(self._screen()):
                self._out.print(Text.from_ansi(f" {line}"), soft_wrap=True)
            self._out.print()
        if tally := text.tally(self._report):
            self._out.print(Text(f" {tally}"))
        self._out.print(Text(" Status: ").append(text.status(self._report), style="bold"))
        for line in text.farewell(self._logins.values()):
            self._out.print(Text(f" {line}"))
        self._out.print(Text(f" Elapsed Time: {text.duration(event.milliseconds)}"))
        self._out.print()


def _console(stream: TextIO, colour: bool) -> Console:
    """Colours where the terminal has them and the user wants them; text as it is, without markup."""
    return Console(file=stream, no_color=not colour, highlight=False, emoji=False, markup=False)
