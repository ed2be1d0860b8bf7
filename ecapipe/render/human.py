"""A run on a terminal: the stage list, coloured and live."""

from __future__ import annotations

from typing import TextIO, assert_never

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from ecapipe.events import (
    AppSeen,
    Event,
    Finished,
    Login,
    Note,
    Planned,
    RunEnded,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
)
from ecapipe.problems import Problem
from ecapipe.render import text
from ecapipe.render.lines import TITLE
from ecapipe.report import Report

_STYLES = {"passed": "green", "failed": "red", "skipped": "dim", "warning": "yellow"}


class Human:
    """An `Emit`. What has ended is printed for good; below it, live, stands what runs now.

    The live part gives way to whatever is written on `err`, and to questions until their stage has ended.
    """

    def __init__(self, out: TextIO, err: TextIO, report: Report, *, colour: bool, verbose: bool = False) -> None:
        self._report, self._err_stream, self._verbose = report, err, verbose
        self._out = self._console(out, colour)
        self._err = self._console(err, colour)
        self._glyphs = text.glyphs(getattr(out, "encoding", None))
        self._live: Live | None = None
        self._running: Text | None = None
        self._asking = False
        self._subject: Subject | None = None
        self._logins: list[Login] = []

    def __call__(self, event: Event) -> None:
        self._pause()
        match event:
            case RunStarted():
                self._out.print()
                self._out.print(Text(f" {self._rule(TITLE)}", style="dim"))
            case StageStarted():
                self._head(event.subject)
                self._running = Text(event.stage.title)
            case StageNoted():
                self._note(event.note)
            case StageEnded():
                self._head(event.subject)
                self._ended(event)
            case Finished():
                if event.login:
                    self._logins.append(event.login)
                    self._out.print(Text(f" {text.success(event.subject, event.login)}", style="bold green"))
            case RunEnded():
                self._end(event)
            case Planned() | AppSeen():
                pass
            case _:
                assert_never(event)
        if self._running is not None and not self._asking:
            spinner = Spinner("dots2" if self._glyphs != text.ASCII else "line", self._running, style="magenta")
            self._live = Live(spinner, console=self._out, transient=True, refresh_per_second=12)
            self._live.start()

    def close(self) -> None:
        """Take the live part away, whatever has happened."""
        self._pause()

    def _pause(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _head(self, subject: Subject) -> None:
        if subject != self._subject:
            self._subject = subject
            self._out.print()
            if str(subject):
                self._out.print(Text(f" {text.clean(str(subject))}", style="bold"))

    def _note(self, note: Note) -> None:
        self._asking = self._asking or note.kind == "asking"
        if note.kind == "link":
            # Whole and unstyled: people copy it, terminals make it clickable.
            text.write(self._err_stream, ["", note.text, ""])
        elif note.text:
            self._err.print(Text(text.clean(note.text)))

    def _ended(self, event: StageEnded) -> None:
        self._running, self._asking = None, False
        style = _STYLES[event.outcome]
        line = Text(f" {self._glyphs.of(event.outcome)} ", style=style)
        if event.outcome == "skipped":
            line.append(f"{event.stage.title} - Skipped: {text.clean(event.reason or '')}", style="dim")
        else:
            line.append(event.stage.title, style="default")
            line.append(f" {text.duration(event.milliseconds)}", style="dim")
        self._out.print(line)
        for label, value in text.facts(event, self._verbose):
            self._out.print(Text(f"   {self._glyphs.info} {label}: {value}"))
        if event.outcome == "warning":
            warning = Text("Warning: ", style="bold yellow")
            self._err.print(warning.append(text.clean(event.reason or ""), style="default"))
        if event.problem:
            self._problem(event.problem)

    def _problem(self, problem: Problem) -> None:
        error, *rest = text.problem(problem)
        head, _, message = error.partition(": ")
        self._err.print(Text(f"{head}: ", style="bold red").append(message, style="default"))
        for line in rest:
            self._err.print(Text(line, style="dim"))

    def _end(self, event: RunEnded) -> None:
        self._out.print()
        self._out.print(Text(" Status: ").append(text.status(self._report), style="bold"))
        for line in text.farewell(self._logins):
            self._out.print(Text(f" {line}"))
        self._out.print(Text(f" Elapsed Time: {text.duration(event.milliseconds)}"))
        self._out.print()

    def _rule(self, title: str) -> str:
        return f" {title} ".center(50, self._glyphs.rule)

    @staticmethod
    def _console(stream: TextIO, colour: bool) -> Console:
        return Console(file=stream, no_color=not colour, highlight=False, emoji=False, markup=False, soft_wrap=True)
