"""``ecapipe runs``: what the last runs did, and what is left of them."""

from __future__ import annotations

from typing import Annotated

import typer

from ecapipe.adapters.storage import journal
from ecapipe.cli.commands import Command, Group, with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import run_summary
from ecapipe.documents.report import Report
from ecapipe.render import listings

commands = typer.Typer(cls=Group, help="List and show recent runs.", rich_markup_mode=None)


@commands.command("list", cls=Command)
@with_flags(CommonFlags)
def list_runs(session: CommandSession, flags: CommonFlags) -> int:
    """List recorded runs, newest first, with their outcome and progress.

    Runs with logins are recorded, unless --no-journal is used. The last 50 are stored; set ECAPIPE_KEEP_RUNS to store
    more or fewer.
    """
    entries, failures = journal.entries(session.environment)
    summaries = [run_summary.summarize(entry.journal, going=entry.going) for entry in entries]
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

    With --json, the result has the same members as that of ecapipe run --json.
    """
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
