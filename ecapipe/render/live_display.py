"""A run on a terminal: the stage list of `sf`, coloured and live; from four targets on a table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TextIO, assert_never

from rich.box import ASCII as ASCII_BOX
from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ecapipe.documents.report import Report
from ecapipe.events import (
    APP_STAGES,
    DISCOVER,
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

TABLE_FROM: Final = 4
"""Subjects; each of fewer is shown as a block."""

_STYLES: Final = {"passed": "green", "failed": "red", "skipped": "dim", "warning": "yellow"}


@dataclass(frozen=True, slots=True)
class _RunningStage:
    """A stage that runs. `since` is of the monotonic clock, in seconds."""

    stage: Stage
    subject: Subject
    since: float


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
        self._live: Live | None = None
        self._stages: tuple[Stage, ...] = ()
        self._rows: tuple[Subject, ...] = ()
        self._ended: dict[tuple[str, Subject], StageEnded] = {}
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
                self._ended[event.stage.name, event.subject] = event
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
            self._live = Live(get_renderable=self._render, console=self._out, transient=True, refresh_per_second=12)
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
            # One spinner under the table is enough to show that something moves.
            return Group(self._table(self._window()), self._spinner(running[0], name=True))
        if self._several or any(stage.subject.org and not stage.subject.app for stage in running):
            return Group(*(self._spinner(stage, name=stage.subject.org is not None) for stage in running))
        return Group(self._spinner(running[0], name=False), *self._pending(running[0]))

    def _spinner(self, running: _RunningStage, *, name: bool) -> Spinner:
        elapsed = text.duration(round((time.monotonic() - running.since) * 1000))
        label = Text.assemble((running.stage.title, "default"), (f" {elapsed}", "dim"))
        if name:
            label.append(f"  {text.clean(self._report.name(running.subject))}", style="dim")
        return Spinner("line" if self._ascii else "dots2", label, style="magenta")

    def _pending(self, running: _RunningStage) -> Iterator[Text]:
        """The stages of the block that are still to come."""
        pending = self._stages[self._stages.index(running.stage) + 1 :]
        if running.subject.org is None:
            pending = tuple(stage for stage in pending if running.subject.app and stage in APP_STAGES)
        for stage in pending:
            yield Text(f" {self._glyphs.pending} {stage.title}", style="dim")

    def _window(self) -> tuple[Subject, ...]:
        """As many rows as fit, those that ended last before those that come next."""
        # The head and the frame of the table, the spinner and the line of the cursor take six lines.
        height = max(3, self._out.size.height - 6)
        started = {subject for _, subject in list(self._ended)}
        last = max((number for number, row in enumerate(self._rows) if row in started), default=0)
        start = max(0, min(last - height // 2, len(self._rows) - height))
        return self._rows[start : start + height]

    def _table(self, rows: tuple[Subject, ...]) -> Table:
        """A row per subject, a column per stage."""
        stages = [stage for stage in self._stages if stage != DISCOVER]
        heads = [self._column(stage) for stage in stages]
        # Each column has a frame and two spaces beside its content; so have the first and the last.
        width = max(16, self._out.width - sum(len(head) + 3 for head in heads) - 7)
        table = Table(box=ASCII_BOX if self._ascii else ROUNDED, border_style="dim", header_style="bold")
        names = [text.clean(self._report.name(row)) for row in rows]
        apps = [text.clean(row.app or "") for row in rows]
        # What follows the app is never cut: it is folded if it does not fit beside a little of the result.
        least = [len(name) - len(app) + 8 for name, app in zip(names, apps, strict=True)]
        room = min(max(width // 2, *least), width - 12)
        table.add_column("App@Org" if rows and rows[0].org else "App", overflow="fold", width=room)
        for head in heads:
            table.add_column(head, no_wrap=True, justify="center", width=len(head))
        table.add_column("Result", no_wrap=True, width=width - room)
        for row, name, app in zip(rows, names, apps, strict=True):
            cells = [self._cell(stage, row) for stage in stages]
            table.add_row(Text(text.shorten(name, app, room, self._glyphs.ellipsis)), *cells, self._result(row))
        return table

    def _column(self, stage: Stage) -> str:
        """The head of a column: on a narrow terminal only a letter."""
        name = stage.name.capitalize()
        return name if self._out.width >= 100 else name[0]

    def _cell(self, stage: Stage, row: Subject) -> Text:
        if ended := self._end_of(stage, row):
            return Text(self._glyphs.of(ended.outcome), style=_STYLES[ended.outcome])
        if row in self._running and self._running[row].stage == stage:
            return Text(self._glyphs.current, style="magenta")
        return Text(self._glyphs.pending, style="dim")

    def _result(self, row: Subject) -> Text:
        if row in self._logins:
            return Text(text.clean(self._logins[row].username or "done"), style="green")
        ends = [end for stage in self._stages if (end := self._end_of(stage, row))]
        for end in ends:
            if end.problem:
                return Text(end.problem.name, style="red")
        reason = next((end.reason for end in ends if end.outcome == "skipped" and end.reason), "")
        return Text(text.clean(reason), style="dim")

    def _end_of(self, stage: Stage, row: Subject) -> StageEnded | None:
        """How `stage` ended for the row: its own, or its app's."""
        return self._ended.get((stage.name, row)) or self._ended.get((stage.name, row.whole_app))

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
            self._out.print(self._table(self._rows))
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
