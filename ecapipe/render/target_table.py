"""The targets of a run as a table: what became of each stage, and the result."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from ecapipe.documents.report import Report
from ecapipe.events import (
    DISCOVER,
    DRY_RUNS,
    Event,
    LoginResult,
    Outcome,
    RunPlanned,
    RunStarted,
    Stage,
    StageEnded,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import WAITING
from ecapipe.render import text
from ecapipe.render.screen import Role, Screen, fold

WIDE: Final = 100
"""The width from which each stage has a column with its name."""

NARROW: Final = 60
"""The width below which a row whose name does not fit has two lines: the name, then the rest."""

_RESULT: Final = 12
"""The least width of the result."""

_OUTCOMES: Final[dict[Outcome, Role]] = {
    "passed": "good",
    "failed": "bad",
    "skipped": "quiet",
    "warning": "caution",
}


@dataclass(frozen=True, slots=True)
class _Layout:
    """The widths of the columns; `stacked`: the name is above the rest of a row."""

    name: int
    marks: int
    result: int
    wide: bool
    stacked: bool = False

    @property
    def width(self) -> int:
        return self.name if self.stacked else self.name + self.marks + self.result + 4

    def place(self, name: Sequence[str], marks: str, result: Sequence[str]) -> list[str]:
        """The lines of a row: what is too long goes on below."""
        rest = [f"{marks if number == 0 else ' ' * self.marks}  {line}" for number, line in enumerate(result)]
        if self.stacked:
            return [*name, *(f"  {line}".rstrip() for line in rest)]
        pairs = zip_longest(name, rest, fillvalue="")
        return [f"{left:{self.name}}  {right}".rstrip() for left, right in pairs]


class TargetTable:
    """A fold over events. `report` has to receive each event before this does. Without targets, its rows are apps."""

    def __init__(self, report: Report, glyphs: text.Glyphs) -> None:
        self._report, self._glyphs = report, glyphs
        self.rows: tuple[Subject, ...] = ()
        self._longest = 0
        self._stages: tuple[Stage, ...] = ()
        self._ended: dict[tuple[Stage, Subject], StageEnded] = {}
        self._running: dict[Subject, Stage] = {}
        self._finished: dict[Subject, LoginResult | None] = {}
        self._done: dict[Subject, bool] = {}
        """Whether each row that is done has failed."""

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._stages = tuple(stage for stage in event.stages if stage != DISCOVER)
            case RunPlanned():
                targets = tuple(subject for subject in event.subjects if subject.org)
                self.rows = targets or event.subjects
                self._longest = max((len(text.clean(self._report.name(row))) for row in self.rows), default=0)
            case StageStarted(stage, subject):
                self._begin(stage, subject)
            case StageEnded():
                self._end(event)
            case SubjectFinished(subject, login):
                self._finished[subject] = login
            case _:
                pass

    def _begin(self, stage: Stage, subject: Subject) -> None:
        # What starts again replaces all that came of it before.
        if (stage, subject) in self._ended:
            for each in self._stages:
                self._ended.pop((each, subject), None)
        self._done.pop(subject, None)
        self._running[subject] = stage

    def _end(self, event: StageEnded) -> None:
        self._running.pop(event.subject, None)
        self._ended[event.stage, event.subject] = event
        if self._stages and (event.outcome == "failed" or event.stage == self._stages[-1]):
            self._done[event.subject] = any(end.problem for end in self._ends(event.subject))

    @property
    def progress(self) -> str:
        """How many rows are done, and how many of those failed: 68 of 300 done, 2 failed."""
        ends = [failed for row in self.rows if (failed := self._done.get(row)) is not None]
        counts = f"{len(ends)} of {len(self.rows)} done"
        return f"{counts}, {sum(ends)} failed" if any(ends) else counts

    @property
    def ended(self) -> Collection[Subject]:
        """The rows that are done."""
        return self._done.keys()

    @property
    def done(self) -> int:
        return sum(row in self._done for row in self.rows)

    @property
    def reached(self) -> int:
        """The place of the last row that has begun."""
        begun = {subject for _, subject in tuple(self._ended)} | set(tuple(self._running))
        return max((number for number, row in enumerate(self.rows) if row in begun), default=0)

    def lines(self, screen: Screen, rows: Sequence[Subject] | None = None, *, brief: bool = False) -> list[str]:
        """The table under its heads, with a legend where a stage has no column of its own. `brief`: a result that is
        too long is cut, so that the row keeps its height."""
        rows = self.rows if rows is None else rows
        names = [text.clean(self._report.name(row)) for row in rows]
        layout = self._layout(names, rows, screen)
        lines = [screen.paint(head, "heading") for head in self._heads(layout)]
        lines.append(screen.paint(screen.rule * layout.width, "quiet"))
        for row, name in zip(rows, names, strict=True):
            lines += self._row(row, name, layout, screen, brief=brief)
        if not layout.wide and self._stages:
            lines += screen.wrap(f"Stages: {', '.join(self._titles)}")
        return lines

    @property
    def _titles(self) -> list[str]:
        return [stage.name.capitalize() for stage in self._stages]

    def _heads(self, layout: _Layout) -> list[str]:
        first = "App@Org" if self.rows and self.rows[0].org else "App"
        marks = "  ".join(self._titles) if layout.wide else f"{'Stages':{layout.marks}}"
        return layout.place([first], marks, ["Result"])

    def _row(self, row: Subject, name: str, layout: _Layout, screen: Screen, *, brief: bool) -> list[str]:
        ellipsis = self._glyphs.ellipsis
        result, role = self._result(row)
        if brief and len(result) > layout.result:
            result = result[: layout.result - len(ellipsis)] + ellipsis
        short = text.shorten(name, text.clean(row.app or ""), layout.name, ellipsis)
        cells = [self._mark(stage, row, len(stage.name) if layout.wide else 1, screen) for stage in self._stages]
        # Marks may be painted, and have no width that a format knows.
        marks = "  ".join(cells) if layout.wide else "".join(cells) + " " * (layout.marks - len(cells))
        results = [screen.paint(line, role) for line in fold(result, layout.result)]
        return layout.place(fold(short, layout.name), marks, results)

    def _layout(self, names: Sequence[str], rows: Sequence[Subject], screen: Screen) -> _Layout:
        titles, wide = self._titles, screen.width >= WIDE
        marks = sum(map(len, titles)) + 2 * (len(titles) - 1) if wide else max(len("Stages"), len(titles))
        room = screen.width - marks - 4
        # The same for whatever rows are shown, so that a live table keeps its form.
        if screen.width < NARROW and self._longest > room // 2:
            return _Layout(screen.width, marks, room, wide=wide, stacked=True)
        return _Layout(*self._widths(names, rows, room, marks), wide=wide)

    def _widths(self, names: Sequence[str], rows: Sequence[Subject], room: int, marks: int) -> tuple[int, int, int]:
        """The widths of name, marks and result. What follows the app is never cut: it is folded if it does not fit
        beside a little of the result."""
        longest = max(map(len, names), default=0)
        least = [len(name) - len(row.app or "") + 8 for name, row in zip(names, rows, strict=True)]
        width = min(max(room // 2, *least, 7) if least else 7, room - _RESULT)
        width = max(min(longest, width), 7)
        results = max((len(self._result(row)[0]) for row in rows), default=0)
        # Where results are short, names have the rest.
        width = max(width, min(longest, room - max(results, _RESULT)))
        return width, marks, max(_RESULT, min(results, room - width))

    def _mark(self, stage: Stage, row: Subject, width: int, screen: Screen) -> str:
        if ended := self._end_of(stage, row):
            mark, role = self._glyphs.of(ended.outcome), _OUTCOMES[ended.outcome]
        elif self._running.get(row) == stage:
            mark, role = self._glyphs.current, "active"
        else:
            mark, role = self._glyphs.pending, "quiet"
        before = (width - 1) // 2
        return " " * before + screen.paint(mark, role) + " " * (width - 1 - before)

    def _result(self, row: Subject) -> tuple[str, Role]:
        if login := self._finished.get(row):
            return text.clean(login.username or login.user_id or "done"), "good"
        ends = self._ends(row)
        for end in ends:
            if end.problem:
                return end.problem.name, "caution" if end.problem.exit_code == WAITING else "bad"
        if stage := self._running.get(row):
            return stage.title, "active"
        reason = next((end.reason for end in ends if end.outcome == "skipped" and end.reason), "")
        if reason in DRY_RUNS:
            return "planned", "good"
        return ("succeeded", "good") if row in self._finished else (text.clean(reason), "quiet")

    def _ends(self, row: Subject) -> list[StageEnded]:
        return [end for stage in self._stages if (end := self._end_of(stage, row))]

    def _end_of(self, stage: Stage, row: Subject) -> StageEnded | None:
        """How `stage` ended for the row: its own, or its app's."""
        return self._ended.get((stage, row)) or self._ended.get((stage, row.whole_app))
