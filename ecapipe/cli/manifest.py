"""``ecapipe manifest``: what to retrieve for the apps of a project."""

from __future__ import annotations

from dataclasses import replace

from ecapipe.adapters import composition
from ecapipe.cli.commands import with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import ProjectFlags
from ecapipe.cli.session import CommandSession
from ecapipe.project import discovery
from ecapipe.project import manifest as manifests
from ecapipe.project.manifest import ALL, Manifest
from ecapipe.render.listings import Length

COMMAND = "ecapipe manifest"


@with_flags(ProjectFlags)
def manifest(session: CommandSession, flags: ProjectFlags) -> int:
    """Print a package.xml that retrieves exactly the metadata of external client apps.

    The manifest covers all apps of the org or, with --name or a --source-dir inside a project, only those apps.
    Its API version is the project's sourceApiVersion. Newer types are left out.

    To retrieve, redirect it to a file, then run: sf project retrieve start --manifest FILE
    """
    environment = session.environment
    project = flags.select_project(environment, flags.name)
    with session.progress(shown=not flags.no_progress) as progress:
        world = replace(composition.real_world(environment), tell=progress.tell)
        result = discovery.discover(project, world)
    # A whole project without apps may be one that is yet to be retrieved: its manifest names all of the org's.
    if not result.whole:
        discovery.require_apps(result)
    package = manifests.of(result)
    lines = list(manifests.lines(package, _comment(package, flags.length)))
    warnings = [*(problem.message for problem in result.unreadable), *result.notices, *package.notices]
    members = {type.name: members for type, members in package.members}
    return session.finish(
        lambda: results.Manifest.of(result.facts, package.api_version, members, lines), lines, warnings=warnings
    )


def _comment(package: Manifest, length: Length) -> str | None:
    """One line; a comment holds no text of the project, so nothing can end it early."""
    if length == "concise":
        return None
    every = all(members == (ALL,) for _, members in package.members)
    apps = "all apps" if every else "the named apps"
    comment = f"External client apps: {apps}, for API version {package.api_version}."
    if length == "verbose":
        comment += f" {len(package.members)} types; created by {COMMAND}."
    return comment
