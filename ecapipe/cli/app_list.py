"""``ecapipe app list``: the external client apps of a project."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.check import listing
from ecapipe.cli import options
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import AllOrgs, AllowHosts, OrgFiles, ProjectFlags, TargetOrgs, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.events import VariableFacts
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import no_apps_found
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render import listings
from ecapipe.run.world import World


@command_flags
class ListFlags(ProjectFlags):
    """What ``ecapipe app list`` takes."""

    variables: Annotated[
        bool,
        typer.Option(
            "--variables", help="List the environment variables for keys and secrets, and show which are set."
        ),
    ] = False
    target_org: TargetOrgs = None
    file: OrgFiles = None
    all_orgs: AllOrgs = False
    allow_host: AllowHosts = None

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        if not self.variables and (self.target_org or self.file or self.all_orgs):
            yield "Flags that select orgs require --variables."
        yield from super().contradictions(session)


@with_flags(ListFlags)
def list_apps(session: CommandSession, flags: ListFlags) -> int:
    """List the external client apps of a project, their files, and what each allows.

    Incomplete apps are listed as well.

    With --variables, list the environment variables that ecapipe run would read for the given orgs, and which of them
    are set. Use it to set up secrets in a CI system. No values are printed. Variables for the consumer key are listed
    if one is set, or with --verbose. Each name also works with the suffix _FILE, for the path of a file.
    """
    project = flags.select_project(session.environment, flags.name)
    world = composition.real_world(session.environment)
    with session.progress(shown=not flags.no_progress) as progress:
        survey, apps = listing.survey(project, replace(world, tell=progress.tell))
    # What cannot be read keeps nothing else from being listed.
    warnings = [*(problem.message for problem in survey.unreadable), *survey.notices]
    variables = _variables(session, flags, project, world) if flags.variables else None
    lines = listings.listing(apps, flags.length, session.screen)
    if variables:
        lines = listings.variables(variables, flags.length)
    return session.finish(lambda: results.AppList.of(survey.facts, apps, variables), lines, warnings=warnings)


def _variables(
    session: CommandSession, flags: ListFlags, project: ProjectSelection, world: World
) -> tuple[VariableFacts, ...]:
    # What orgs take to be known is loaded for this alone.
    from ecapipe.run import variables
    from ecapipe.run.targets import choose_targets

    orgs = options.select_orgs(session.environment, flags)
    try:
        return variables.variables(choose_targets(project, orgs, world, with_orgs=orgs.asked), world)
    except EcapipeError as error:
        # To list nothing is no error.
        if error.problem.kind is no_apps_found:
            return ()
        raise
