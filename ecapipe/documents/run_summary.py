"""How a recorded run stands, as ``ecapipe runs`` shows it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ecapipe.documents.journal_lines import JournalRecord
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.documents.report import Report
from ecapipe.documents.run_states import RunState
from ecapipe.problems.problem import command


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

    @property
    def command(self) -> str | None:
        """The command that resumes the run; None if there is nothing left to do, or another process is at it."""
        if self.state == "going" or not self.failed + self.open:
            return None
        return command("ecapipe run", resume=self.run)


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
