"""How a recorded run stands, as ``ecapipe runs`` shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecapipe.documents.journal_lines import JournalRecord
from ecapipe.documents.recorded_runs import SubjectRecord
from ecapipe.documents.report import Json, Report


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run stands. `status` is the exit status it ended with, None if it has not, or was broken off; the counts
    are of targets; `open`: not reached, or not to their end."""

    run: str
    started_at: str
    state: Literal["going", "ended", "interrupted", "brokenOff"]
    status: int | None
    projects: tuple[str, ...]
    shard: str | None
    resumes: str | None
    planned: int
    finished: int
    failed: int
    skipped: int
    open: int

    @property
    def command(self) -> str | None:
        """What goes on with it; None if there is nothing left to do, or somebody is at work on it."""
        left = self.failed + self.open
        return f"ecapipe run --resume {self.run}" if left and self.state != "going" else None

    @property
    def json(self) -> Json:
        """A run of ``ecapipe runs list``, version 1."""
        return {
            "run": self.run,
            "startedAt": self.started_at,
            "state": self.state,
            "status": self.status,
            "projects": list(self.projects),
            "shard": self.shard,
            "resumes": self.resumes,
            "targets": {
                "planned": self.planned,
                "finished": self.finished,
                "failed": self.failed,
                "skipped": self.skipped,
                "open": self.open,
            },
            "command": self.command,
        }


def summarize(written: JournalRecord, *, going: bool) -> RunSummary:
    """How the run of a journal stands; `going`: somebody is at work on it."""
    run = written.recorded
    seen = Report()
    for event in run.events():
        seen(event)
    courses = [run.courses.get(target, SubjectRecord()) for target in run.targets]
    finished, failed = (
        sum(course.finished is not None for course in courses),
        sum(course.failed for course in courses),
    )
    skipped = sum(course.skipped for course in courses)
    ended = run.milliseconds is not None
    return RunSummary(
        run.run,
        run.started_at,
        "going" if going else "interrupted" if run.interrupted else "ended" if ended else "brokenOff",
        seen.status if ended else None,
        tuple(project.root for project in run.projects),
        run.shard,
        written.resumes,
        len(courses),
        finished,
        failed,
        skipped,
        len(courses) - finished - failed - skipped,
    )
