"""``ecapipe report``: results of runs, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ecapipe.adapters import composition
from ecapipe.adapters.storage import files
from ecapipe.cli import reports as report_files
from ecapipe.cli.commands import Command, Group, with_flags
from ecapipe.cli.options import CommonFlags, ReportFiles, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report, run_results
from ecapipe.documents.report import Json, Report
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render import json as json_output
from ecapipe.render.plain_display import PlainDisplay
from ecapipe.run import merge

if TYPE_CHECKING:
    from ecapipe.render.report_data import ReportData

MERGE = "ecapipe report merge"

MAX_RESULT: Final = 512 * 2**20
"""Bytes of a result; 100,000 logins take half of that."""

commands = typer.Typer(cls=Group, help="Merge run results.", rich_markup_mode=None)


@commands.callback()
def topic() -> None:
    """Merge run results."""


@command_flags
class MergeFlags(CommonFlags):
    """What ``ecapipe report merge`` takes."""

    file: Annotated[list[str], typer.Argument(metavar="FILE...", help="JSON result of ecapipe run.")]
    report_to: ReportFiles = None
    concise: Annotated[bool, typer.Option("--concise", help="Print only logins and problems.")] = False
    verbose: Annotated[bool, typer.Option("--verbose", help="Print the details of every stage.")] = False


@commands.command("merge", cls=Command)
@with_flags(MergeFlags)
def merge_results(session: CommandSession, flags: MergeFlags) -> int:
    """Merge the results of shards, or of a run and its resumed runs, into one result with one exit code.

    Each FILE is the output of ecapipe run --json, or a report of --report json=FILE. If a login appears in several
    files, the run that started last counts. A missing shard is a failure.
    """
    tree = composition.real_world(session.environment).tree
    reports = report_files.parse(session, MERGE, flags.report_to, ProjectSelection(), tree)
    with reports.covering():
        merged = merge.merge([run_results.load(files.read(path, MAX_RESULT), path) for path in flags.file])
    # What came of the runs is told as events once more, and shown as one run would be.
    result = Report()
    display = PlainDisplay(session.out, session.err, result, stages=not flags.concise, verbose=flags.verbose)
    for event in merged.events():
        result(event)
        if not session.json:
            display(event)

    def report_data() -> ReportData:
        from ecapipe.render.report_data import of_run

        return of_run(result, _document(result), reports.place(result.projects), MERGE)

    unwritten = reports.write(report_data)
    status = result.status or int(bool(unwritten))
    if session.json:
        json_output.write(session.out, {**_document(result, unwritten), "status": status})
    return status


def _document(result: Report, warnings: Sequence[str] = ()) -> Json:
    """The merged result, or a failure where no run got as far as to an app or a login."""
    if result.fatal and not result.subjects:
        return report.failure(result.fatal, MERGE, warnings)
    return report.success(result.result(), [*result.warnings, *warnings], result.status)
