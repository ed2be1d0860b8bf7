"""``ecapipe manifest``: what to retrieve for the apps of a project."""

from __future__ import annotations

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.documents import results
from ecapipe.cli.options import (
    AsJson,
    Concise,
    CredentialsDirs,
    MetadataDirs,
    Names,
    NoProgress,
    NoProjectConfig,
    NoPrompt,
    SourceDirs,
    Verbose,
)
from ecapipe.cli.session import CommandSession
from ecapipe.project import discovery
from ecapipe.project import manifest as manifests
from ecapipe.project.manifest import ALL, Manifest
from ecapipe.render.listings import Length

COMMAND = "ecapipe manifest"


def manifest(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Print a package.xml that retrieves exactly the metadata of external client apps.

    It names all apps of the org, or, with --name or with a --source-dir inside a project, only those. Its API
    version is the project's sourceApiVersion; types that are newer are left out.

    Redirect it to a file and retrieve with it: sf project retrieve start --manifest FILE.
    """
    session: CommandSession = context.obj
    environment = session.environment
    length = options.length(concise, verbose, COMMAND)
    project = options.select_project(environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    result = discovery.discover(project, composition.real_world(environment))
    # A whole project without apps may be one that is yet to be retrieved: its manifest names all of the org's.
    if not result.whole:
        discovery.require_apps(result)
    package = manifests.of(result)
    lines = list(manifests.lines(package, _comment(package, length)))
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
        comment += f" {len(package.members)} types; made by {COMMAND}."
    return comment
