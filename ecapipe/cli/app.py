"""``ecapipe app``: the external client apps of a project, offline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from ecapipe import edges, pipeline, report
from ecapipe.cli import options
from ecapipe.cli import reports as report_files
from ecapipe.cli.commands import Command, Group
from ecapipe.cli.options import AsJson, CredentialsDirs, MetadataDirs, Names, NoProjectConfig, ReportFiles, SourceDirs
from ecapipe.cli.session import Session
from ecapipe.findings import RULES
from ecapipe.render import plain

if TYPE_CHECKING:
    from ecapipe.render.result import Result

CHECK = "ecapipe app check"

commands = typer.Typer(cls=Group, help="List and check the external client apps of a project.", rich_markup_mode=None)


@commands.command("list", cls=Command)
def list_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """List the external client apps of the project, their files, and what each allows.

    An incomplete app is listed like any other.
    """
    session: Session = context.obj
    where = options.where(session.environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    found, apps = pipeline.survey(where, edges.real(session.environment))
    warnings = [*(problem.message for problem in found.unreadable), *found.notices]
    return session.finish(report.listing(found.facts, apps), plain.listing(apps), warnings=warnings)


@commands.command("check", cls=Command)
def check_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    report_to: ReportFiles = None,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Check that the apps are ready to log in: files, consumer key and consumer secret.

    Offline. Ends with 1 if there is an error among the findings.
    """
    session: Session = context.obj
    where = options.where(session.environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    world = edges.real(session.environment)
    reports = report_files.asked(session, CHECK, report_to, where, world.tree)
    with reports.covering():
        found, apps, findings = pipeline.check(where, world)
    status = 1 if any(finding.level == "error" and not finding.accepted for finding in findings) else 0
    result = report.checked(found.facts, apps, findings)

    def account() -> Result:
        from ecapipe.render.result import of_check

        document = report.success(result, found.notices, status)
        return of_check(apps, findings, RULES.values(), document, reports.place(found.facts, apps), CHECK)

    lost = reports.write(account)
    # Without --json that has been said already.
    warnings = [*found.notices, *(lost if session.json else ())]
    return session.finish(result, plain.findings(findings, len(apps)), status or int(bool(lost)), warnings)
