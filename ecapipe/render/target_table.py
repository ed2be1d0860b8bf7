"""The targets of a run as a table: what became of each stage, and the result."""

from __future__ import annotations

from collections.abc import Sequence
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

_RESULT: Final = 12
"""The least width of the result."""

_OUTCOMES: Final[dict[Outcome, Role]] = {
    "passed": "good",
    "failed": "bad",
    "skipped": "quiet",
    "warning": "caution",
}


class TargetTable:
    """A fold over events. `report` has to receive each event before this does. Without targets, its rows are apps."""

    def __init__(self, report: Report, glyphs: text.Glyphs) -> None:
        self._report, self._glyphs = report, glyphs
        self.rows: tuple[Subject, ...] = ()
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
        heads = [stage.name.capitalize() for stage in self._stages]
        wide = screen.width >= WIDE
        marks = sum(map(len, heads)) + 2 * (len(heads) - 1) if wide else max(len("Stages"), len(heads))
        names = [text.clean(self._report.name(row)) for row in rows]
        room, rest = self._widths(names, rows, screen.width - marks - 4)
        first = "App@Org" if self.rows and self.rows[0].org else "App"
        head = f"{first:{room}}  {'  '.join(heads) if wide else 'Stages':{marks}}  Result"
        lines = [screen.paint(head, "heading"), screen.paint(screen.rule * (room + marks + 4 + rest), "quiet")]
        for row, name in zip(rows, names, strict=True):
            result, role = self._result(row)
            if brief and len(result) > rest:
                result = result[: rest - len(self._glyphs.ellipsis)] + self._glyphs.ellipsis
            short = text.shorten(name, text.clean(row.app or ""), room, self._glyphs.ellipsis)
            cells = [self._mark(stage, row, len(stage.name) if wide else 1, screen) for stage in self._stages]
            middle = "  ".join(cells) if wide else "".join(cells) + " " * (marks - len(cells))
            lines += _row(fold(short, room), middle, fold(result, rest), (room, marks), role, screen)
        if not wide and heads:
            lines += screen.wrap(f"Stages: {', '.join(heads)}")
        return lines

    def _widths(self, names: Sequence[str], rows: Sequence[Subject], room: int) -> tuple[int, int]:
        """The widths of name and result. What follows the app is never cut: it is folded if it does not fit beside a
        little of the result."""
        longest = max(map(len, names), default=0)
        least = [len(name) - len(row.app or "") + 8 for name, row in zip(names, rows, strict=True)]
        width = min(max(room // 2, *least, 7) if least else 7, room - _RESULT)
        width = max(min(longest, width), 7)
        results = max((len(self._result(row)[0]) for row in rows), default=0)
        # Where results are short, names have the rest.
        width = max(width, min(longest, room - max(results, _RESULT)))
        return width, max(_RESULT, min(results, room - width))

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
        return ("succeeded", "good") if row in self._finished and not reason else (text.clean(reason), "quiet")

    def _ends(self, row: Subject) -> list[StageEnded]:
        return [end for stage in self._stages if (end := self._end_of(stage, row))]

    def _end_of(self, stage: Stage, row: Subject) -> StageEnded | None:
        """How `stage` ended for the row: its own, or its app's."""
        return self._ended.get((stage, row)) or self._ended.get((stage, row.whole_app))


def _row(
    name: Sequence[str], middle: str, result: Sequence[str], widths: tuple[int, int], role: Role, screen: Screen
) -> list[str]:
    """The lines of a row: what is too long goes on below."""
    room, marks = widths
    lines = []
    for number in range(max(len(name), len(result))):
        left = name[number] if number < len(name) else ""
        right = screen.paint(result[number], role) if number < len(result) else ""
        lines.append(f"{left:{room}}  {middle if number == 0 else ' ' * marks}  {right}".rstrip())
    return lines
