"""``ecapipe app check``: the apps of a project before a login, a deploy or a commit, and for hosted MCP servers."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition, origin
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
from ecapipe.problems.problem import EcapipeError
from ecapipe.render import finding_list

if TYPE_CHECKING:
    from ecapipe.check.inspection import CheckResult
    from ecapipe.render.report_data import ReportData
    from ecapipe.run.world import World

COMMAND = "ecapipe app check"


class Purpose(StrEnum):
    login = "login"
    deploy = "deploy"
    commit = "commit"
    mcp = "mcp"


class FailOn(StrEnum):
    error = "error"
    warning = "warning"
    note = "note"


@command_flags
class CheckFlags(ProjectFlags):
    """What ``ecapipe app check`` takes."""

    purpose: Annotated[
        Purpose, typer.Option("--for", metavar="|".join(Purpose), help="What to check for; sets the severities.")
    ] = Purpose.login
    target_org: Annotated[
        str | None,
        typer.Option(
            "--target-org",
            "-o",
            metavar="ORG",
            help="Org that the apps are for: an alias, a URL, or ALIAS=URL.",
        ),
    ] = None
    staged: Annotated[
        bool, typer.Option("--staged", help="Check staged changes only: what the next commit would contain.")
    ] = False
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REF", help="Check only apps with files that changed since this revision."),
    ] = None
    history: Annotated[bool, typer.Option("--history", help="Also search all commits for the consumer secrets.")] = (
        False
    )
    project_config_from: Annotated[
        str | None,
        typer.Option(
            "--project-config-from",
            metavar="REF",
            help="Commit to read plugins.ecapipe and the baseline from, so that a pull request can't change them.",
        ),
    ] = None
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", metavar="|".join(FailOn), help="Lowest severity that fails the command.")
    ] = FailOn.error
    update_baseline: Annotated[
        bool,
        typer.Option("--update-baseline", help="Accept all current findings: write them to the project's baseline."),
    ] = False
    report_to: ReportFiles = None

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        if self.project_config_from is not None and self.no_project_config:
            yield "--project-config-from can't be used with --no-project-config."
        if self.project_config_from is not None and self.update_baseline:
            yield "--update-baseline can't be used with --project-config-from, which reads another baseline."


@with_flags(CheckFlags)
def check_apps(session: CommandSession, flags: CheckFlags) -> int:
    """Check files, credentials and policies of apps before a login, deploy or commit, and find exposed secrets.

    Works offline. Exits with 1 if there is a finding of the --fail-on severity or higher.

    --for mcp checks whether Salesforce's hosted MCP servers accept the apps. Select the apps for them with --name.

    The severity of a finding depends on --for. Change it or turn a rule off with plugins.ecapipe.rules in
    sfdx-project.json. Findings in the baseline, the file set with plugins.ecapipe.baseline, are shown as accepted and
    don't fail the command. ecapipe explain RULE describes why a rule matters and how to fix a finding.

    --project-config-from reads plugins.ecapipe and the baseline from a commit, such as the base of a pull request,
    and reports changes to them as check-config-changed.

    For --since, files that git ignores or doesn't track always count as changed.
    """
    # Imported here: the other commands about apps need no rules.
    from ecapipe.check import inspection

    # What is read lives until the end: looking for garbage in it costs a sixth of the time.
    gc.disable()
    environment = session.environment
    project = flags.select_project(environment, flags.name)
    progress = session.progress(shown=not flags.no_progress)
    check_options = CheckOptions(
        purpose=flags.purpose.value,
        target=flags.target_org,
        allowed=options.allowed_hosts(environment),
        staged=flags.staged,
        since=flags.since,
        history=flags.history,
        config_from=flags.project_config_from,
        update=flags.update_baseline,
    )
    world = replace(composition.real_world(environment), tell=progress.tell)
    reports = report_files.parse(session, COMMAND, flags.report_to, project, world.tree)
    started_at = world.clock.utc()
    with reports.covering(), progress:
        result = inspection.inspect(project, check_options, world)
    return _finish(session, result, reports, flags, world, started_at)


def _commit(result: CheckResult, world: World) -> str | None:
    """What is checked out, where git says it."""
    for project in result.found.facts:
        with suppress(EcapipeError):
            if repository := world.git(project.root):
                return repository.head()
    return None


def _finish(
    session: CommandSession, result: CheckResult, reports: Reports, flags: CheckFlags, world: World, started_at: str
) -> int:
    """Write the reports, and print what the check came to; the exit status."""

    def fails(finding: Finding) -> bool:
        return not finding.accepted and at_least(finding.level, flags.fail_on.value)

    status = int(any(map(fails, result.findings)))
    purpose, told = flags.purpose.value, origin.of(session.environment)
    document = cache(lambda: results.AppCheck.of(result.found.facts, result.apps, result.findings, purpose, told))

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
            started_at=started_at,
            purpose=purpose,
            commit=_commit(result, world),
            origin=told,
        )

    unwritten = reports.write(report_data)
    warnings = [*result.notices]
    # Standard error has told of lost reports already; the JSON document has not.
    if session.json:
        warnings += unwritten
    lines = finding_list.findings(result.findings, len(result.apps), flags.length, session.screen)
    return session.finish(document, lines, status or int(bool(unwritten)), warnings)
