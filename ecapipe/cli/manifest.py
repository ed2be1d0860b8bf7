"""``ecapipe manifest``: what to retrieve for the apps of a project."""

from __future__ import annotations

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
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
from ecapipe.documents import report
from ecapipe.project import discovery
from ecapipe.project import manifest as manifests
from ecapipe.project.manifest import ALL, Manifest

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
    length = options.length(concise, verbose, COMMAND)
    project = options.project_selection(
        session.environment,
        source_dir,
        name,
        no_project_config,
        metadata_dirs=metadata_dir,
        credentials_dirs=credentials_dir,
    )
    found = discovery.discover(project, composition.real_world(session.environment))
    if not found.whole:
        discovery.require_apps(found)
    made = manifests.of(found)
    lines = list(manifests.lines(made, None if length == "concise" else _comment(made, length == "verbose")))
    warnings = [*(problem.message for problem in found.unreadable), *found.notices, *made.notices]
    return session.finish(report.manifest(found.facts, made.api_version, _named(made), lines), lines, 0, warnings)


def _named(made: Manifest) -> list[tuple[str, tuple[str, ...]]]:
    return [(type.name, members) for type, members in made.members]


def _comment(made: Manifest, verbose: bool) -> str:
    """One line; a comment holds no text of the project, so nothing can end it early."""
    which = "all apps" if all(members == (ALL,) for _, members in made.members) else "the named apps"
    usual = f"External client apps: {which}, for API version {made.api_version}."
    return f"{usual} {len(made.members)} types; made by {COMMAND}." if verbose else usual
