"""How a recorded run stands, as ``ecapipe runs`` shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecapipe.documents.journal_lines import JournalRecord
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.documents.report import Report
from ecapipe.documents.run_states import RunCommand, RunState
from ecapipe.problems.problem import command

if TYPE_CHECKING:
    from ecapipe.documents.rotation_record import RecordedRotation


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run stands.

    `status` is its exit status, None while it has none: the run is going on, or was broken off. The counts are of
    targets; `open` ones were not reached, or not to their end.
    """

    run: str
    started_at: str
    state: RunState
    status: int | None
    projects: tuple[str, ...]
    shard: str | None
    resumes: str | None
    planned: int
    finished: int
    failed: int
    skipped: int
    open: int
    command_name: RunCommand = "ecapipe run"
    repeatable: bool = True
    """Whether the command line is recorded, so that the run is resumed by its name alone."""

    @property
    def resumable(self) -> bool:
        """Whether something is left to do, and no other process is at it."""
        return self.state != "going" and self.failed + self.open > 0

    @property
    def command(self) -> str | None:
        """The command that resumes the run, if it needs nothing else."""
        return command(self.command_name, resume=self.run) if self.resumable and self.repeatable else None


def summarize(journal: JournalRecord, *, going: bool) -> RunSummary:
    """How the run of a journal stands; `going`: a process is at work on it."""
    run = journal.recorded
    count = Counter(map(run.outcome, run.targets))
    return RunSummary(
        run=run.run,
        started_at=run.started_at,
        state=_state(run, going),
        status=_exit_status(run),
        projects=tuple(project.root for project in run.projects),
        shard=run.shard,
        resumes=journal.resumes,
        planned=count.total(),
        finished=count["finished"],
        failed=count["failed"],
        skipped=count["skipped"],
        open=count["open"],
    )


def summarize_rotation(report: Report, *, ended: bool, repeatable: bool) -> RunSummary:
    """How a rotation stands, of which `report` is told while it goes on."""
    count = Counter(end.word for end in report.conclusions().values())
    state: RunState = "interrupted" if report.interrupted else "ended"
    return RunSummary(
        run=report.run,
        started_at=report.started_at,
        state=state if ended else "going",
        status=report.status if ended else None,
        projects=tuple(project.root for project in report.projects),
        shard=None,
        resumes=None,
        planned=count.total(),
        finished=count["succeeded"],
        failed=count["failed"],
        skipped=count["skipped"],
        open=count.total() - count["succeeded"] - count["failed"] - count["skipped"],
        command_name="ecapipe app rotate",
        repeatable=repeatable,
    )


def of_rotation(rotation: RecordedRotation, *, going: bool) -> RunSummary:
    """The same, read back; one that no process is at was broken off, if it did not end."""
    recorded = rotation.recorded
    state = "brokenOff" if recorded.state == "going" and not going else recorded.state
    counts = {name: getattr(recorded.targets, name) for name in ("planned", "finished", "failed", "skipped", "open")}
    return RunSummary(
        run=recorded.run,
        started_at=recorded.started_at,
        state=state,
        status=recorded.status,
        projects=tuple(recorded.projects),
        shard=None,
        resumes=None,
        **counts,
        command_name=recorded.command_name,
        repeatable=rotation.arguments is not None,
    )


def _state(run: RecordedRun, going: bool) -> RunState:
    if going:
        return "going"
    if run.interrupted:
        return "interrupted"
    if run.milliseconds is None:
        # Neither a lock nor an end: the process was killed, or the disk was full.
        return "brokenOff"
    return "ended"


def _exit_status(run: RecordedRun) -> int | None:
    if run.milliseconds is None:
        return None
    # The same fold over events that decided it then, so that the two cannot differ.
    report = Report()
    for event in run.events():
        report(event)
    return report.status
