"""``ecapipe app list``: the external client apps of a project."""

from __future__ import annotations

from ecapipe.adapters import composition
from ecapipe.check import listing
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import ProjectFlags
from ecapipe.cli.session import CommandSession
from ecapipe.render import listings


@with_flags(ProjectFlags)
def list_apps(session: CommandSession, flags: ProjectFlags) -> int:
    """List the external client apps of the project, their files, and what each allows.

    An incomplete app is listed like any other.
    """
    project = flags.select_project(session.environment, flags.name)
    survey, apps = listing.survey(project, composition.real_world(session.environment))
    # What cannot be read keeps nothing else from being listed.
    warnings = [*(problem.message for problem in survey.unreadable), *survey.notices]
    lines = listings.listing(apps, flags.length, session.screen)
    return session.finish(lambda: results.AppList.of(survey.facts, apps), lines, warnings=warnings)
