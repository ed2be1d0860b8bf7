"""``ecapipe app check``: the apps of a project before a login, a deploy or a commit."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.check.findings import Finding, at_least
from ecapipe.check.options import CheckOptions
from ecapipe.cli import options
from ecapipe.cli import reports as report_files
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import ProjectFlags, ReportFiles, command_flags
from ecapipe.cli.reports import Reports
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.render import listings
from ecapipe.render.progress import Progress

if TYPE_CHECKING:
    from ecapipe.check.inspection import CheckResult
    from ecapipe.render.report_data import ReportData

COMMAND = "ecapipe app check"


class Purpose(StrEnum):
    login = "login"
    deploy = "deploy"
    commit = "commit"


class FailOn(StrEnum):
    error = "error"
    warning = "warning"
    note = "note"


@command_flags
class CheckFlags(ProjectFlags):
    """What ``ecapipe app check`` takes."""

    purpose: Annotated[
        Purpose, typer.Option("--for", metavar="|".join(Purpose), help="What is to come: it decides the levels.")
    ] = Purpose.login
    target_org: Annotated[
        str | None,
        typer.Option(
            "--target-org", "-o", metavar="ORG", help="Org of the deploy; its id comes from orgId in the project."
        ),
    ] = None
    staged: Annotated[
        bool, typer.Option("--staged", help="Check what git's index holds: what a commit would take.")
    ] = False
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REF", help="Check only apps of which a file differs from this revision."),
    ] = None
    history: Annotated[bool, typer.Option("--history", help="Look for the consumer secrets in all commits, too.")] = (
        False
    )
    project_config_from: Annotated[
        str | None,
        typer.Option(
            "--project-config-from",
            metavar="REF",
            help="Read plugins.ecapipe and the baseline from this commit: what a pull request changes there waits.",
        ),
    ] = None
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", metavar="|".join(FailOn), help="The mildest level that ends with 1.")
    ] = FailOn.error
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Accept all findings: write them to the project's baseline.")
    ] = False
    report_to: ReportFiles = None

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        if self.project_config_from is not None and self.no_project_config:
            yield "--project-config-from reads the configuration that --no-project-config ignores."
        if self.project_config_from is not None and self.update_baseline:
            yield "--update-baseline writes the baseline of the tree, and --project-config-from reads another."


@with_flags(CheckFlags)
def check_apps(session: CommandSession, flags: CheckFlags) -> int:
    """Check the apps before a login, a deploy or a commit: files, credentials, policies, and who can see secrets.

    Offline. Ends with 1 if there is a finding at the level of --fail-on.

    The levels depend on --for; plugins.ecapipe.rules of sfdx-project.json gives rules other levels, or switches them
    off. Findings in the baseline, the file that plugins.ecapipe.baseline names, are shown as accepted and do not
    count. ecapipe explain RULE says why a rule matters and what to do.

    --project-config-from takes both, plugins.ecapipe and the baseline, from a commit, such as the one that a pull
    request starts from, and tells of a change as check-config-changed.

    Files that git ignores or does not track always count as changed for --since.
    """
    # Imported here: the other commands about apps need no rules.
    from ecapipe.check import inspection

    # What is read lives until the end: looking for garbage in it costs a sixth of the time.
    gc.disable()
    environment = session.environment
    project = flags.select_project(environment, flags.name)
    progress = _progress(session, flags.no_progress)
    check_options = CheckOptions(
        purpose=flags.purpose.value,
        target=flags.target_org,
        allowed=options.allowed_hosts(environment),
        staged=flags.staged,
        since=flags.since,
        history=flags.history,
        config_from=flags.project_config_from,
        update=flags.update_baseline,
        tell=progress.tell,
    )
    world = composition.real_world(environment)
    reports = report_files.parse(session, COMMAND, flags.report_to, project, world.tree)
    with reports.covering(), progress:
        result = inspection.inspect(project, check_options, world)
    return _finish(session, result, reports, flags)


def _progress(session: CommandSession, no_progress: bool) -> Progress:
    """A line on standard error that says what takes long; silent where it would be in the way."""
    moves = session.live and session.err.isatty() and not session.json and not no_progress
    return Progress(session.err if moves else None)


def _finish(session: CommandSession, result: CheckResult, reports: Reports, flags: CheckFlags) -> int:
    """Write the reports, and print what the check came to; the exit status."""

    def fails(finding: Finding) -> bool:
        return not finding.accepted and at_least(finding.level, flags.fail_on.value)

    status = int(any(map(fails, result.findings)))
    document = cache(lambda: results.AppCheck.of(result.found.facts, result.apps, result.findings))

    def report_data() -> ReportData:
        from ecapipe.check.rules.registry import RULES
        from ecapipe.documents import codec
        from ecapipe.render.report_data import of_check

        return of_check(
            result.found.facts,
            result.apps,
            result.findings,
            [rule for name, rule in RULES.items() if name in result.rules],
            report.success(codec.builtins(document()), result.notices, status),
            reports.place(result.found.facts),
            command=COMMAND,
            fails=fails,
        )

    unwritten = reports.write(report_data)
    warnings = [*result.notices]
    # Standard error has told of lost reports already; the JSON document has not.
    if session.json:
        warnings += unwritten
    lines = listings.findings(result.findings, len(result.apps), flags.length, session.screen)
    return session.finish(document, lines, status or int(bool(unwritten)), warnings)
