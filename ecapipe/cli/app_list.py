"""``ecapipe app list``: the external client apps of a project."""

from __future__ import annotations

import typer

from ecapipe.adapters import composition
from ecapipe.check import listing
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
from ecapipe.render import listings

COMMAND = "ecapipe app list"


def list_apps(
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
    """List the external client apps of the project, their files, and what each allows.

    An incomplete app is listed like any other.
    """
    session: CommandSession = context.obj
    environment = session.environment
    length = options.length(concise, verbose, COMMAND)
    project = options.select_project(environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    survey, apps = listing.survey(project, composition.real_world(environment))
    # What cannot be read keeps nothing else from being listed.
    warnings = [*(problem.message for problem in survey.unreadable), *survey.notices]
    lines = listings.listing(apps, length)
    return session.finish(lambda: results.AppList.of(survey.facts, apps), lines, warnings=warnings)
