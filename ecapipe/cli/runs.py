"""``ecapipe runs``: what the last runs did, and what is left of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ecapipe.adapters import rotation_tools
from ecapipe.adapters.storage import journal
from ecapipe.cli.commands import Command, Group, with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import run_summary
from ecapipe.documents.report import Report
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import run_ambiguous
from ecapipe.render import listings

if TYPE_CHECKING:
    from ecapipe.documents.results import AppRotate
    from ecapipe.documents.run_summary import RunSummary

_SECOND: Final = len("20260131T120000Z")

commands = typer.Typer(cls=Group, help="List and show recent runs.", rich_markup_mode=None)


@commands.command("list", cls=Command)
@with_flags(CommonFlags)
def list_runs(session: CommandSession, flags: CommonFlags) -> int:
    """List recorded runs and rotations, newest first, with their outcome and progress.

    Runs with logins are recorded, unless --no-journal is used. The last 50 are stored; set ECAPIPE_KEEP_RUNS to store
    more or fewer. The last 50 rotations are stored as well.
    """
    entries, failures = journal.entries(session.environment)
    summaries = [run_summary.summarize(entry.journal, going=entry.going) for entry in entries]
    for name in rotation_tools.run_names(session.environment):
        try:
            summaries.append(_rotation(session, name)[0])
        except EcapipeError as error:
            failures.append(error.problem)
    summaries.sort(key=lambda summary: summary.started_at, reverse=True)
    # A record that cannot be read keeps no other from being listed.
    warnings = [problem.message for problem in failures]
    return session.finish(
        lambda: results.RunsList.of(summaries),
        listings.runs(summaries, flags.length, session.screen),
        warnings=warnings,
    )


@command_flags
class ShowFlags(CommonFlags):
    """What ``ecapipe runs show`` takes."""

    run: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Name of a run from runs list, or the start of its name.")
    ] = None


@commands.command("show", cls=Command)
@with_flags(ShowFlags)
def show_run(session: CommandSession, flags: ShowFlags) -> int:
    """Show a recorded run: each login, what is left, and how to resume. Without RUN, show the latest.

    With --json, the result has the same members as that of ecapipe run --json, or of ecapipe app rotate --json.
    """
    if name := _named_rotation(session, flags.run):
        rotation, result = _rotation(session, name)
        return session.finish(
            lambda: results.RotationShow.of(rotation, result),
            listings.rotation(rotation, result, flags.length, session.screen),
        )
    entry = journal.find(session.environment, flags.run)
    # The record is told like a run, so that both have the same result.
    run_report = Report()
    for event in entry.journal.recorded.events():
        run_report(event)
    summary = run_summary.summarize(entry.journal, going=entry.going)
    return session.finish(
        lambda: results.RunsShow.of(summary, run_report),
        listings.run(summary, run_report, flags.length, session.screen),
    )


def _named_rotation(session: CommandSession, name: str | None) -> str | None:
    """The rotation that a name, or its start, means, or None for the latest of all runs; None if it is none.

    Raises `EcapipeError` (RunAmbiguous).
    """
    rotations, others = rotation_tools.run_names(session.environment), journal.names(session.environment)
    if name is None:
        return _latest_rotation(session, max(others, default="")) if rotations else None
    candidates = [run for run in (*rotations, *others) if run.startswith(name)]
    if len(candidates) > 1:
        raise EcapipeError(run_ambiguous(name, candidates))
    return next((run for run in candidates if run in rotations), None)


def _latest_rotation(session: CommandSession, run: str) -> str | None:
    """The latest rotation, unless `run`, the latest other run, is later."""
    rotation = rotation_tools.read_run(session.environment, "").recorded
    second, other = rotation.run[:_SECOND], run[:_SECOND]
    if second != other:
        return rotation.run if second > other else None
    # Names are of the second of the start.
    started = journal.find(session.environment, None).journal.recorded.started_at
    return rotation.run if rotation.started_at > started else None


def _rotation(session: CommandSession, name: str) -> tuple[RunSummary, AppRotate]:
    """How a recorded rotation stands, and its result. Raises `EcapipeError`."""
    rotation = rotation_tools.read_run(session.environment, name)
    going = rotation_tools.is_going_on(session.environment, name)
    return run_summary.of_rotation(rotation, going=going), rotation.result
