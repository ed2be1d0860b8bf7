"""The apps of a project as reports show them (``app list``)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ecapipe.check.ports import ListingAccess
from ecapipe.credentials import resolution, sources
from ecapipe.credentials.resolution import CredentialState, Resolution
from ecapipe.events import AppFacts, CredentialFacts
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection, discover, reserved
from ecapipe.saved.store import has_saved_secret


def survey(where: ProjectSelection, world: ListingAccess) -> tuple[Discovery, list[AppFacts]]:
    """The apps of the project, complete or not (``app list``); raises as `discover` does."""
    found = discover(where, world)
    refused = tuple(problem.message for problem in reserved(found.projects, found.apps))
    found = replace(found, notices=(*found.notices, *refused))
    chain = sources.chain(found.apps, (), world.variable, None)
    return found, [describe(app, resolution.resolve(app, None, chain, has_saved_secret(world))) for app in found.apps]


def describe(app: App, resolved: Resolution, targets: Collection[str] = ()) -> AppFacts:
    """The app as reports show it; `targets` are the ids of the orgs that are meant, as far as they are known."""
    return AppFacts(
        app.name,
        app.project,
        app.settings.path if app.settings else None,
        tuple(file.path for file in app.files),
        app.distribution,
        app.credentials_of(targets),
        app.source_org(targets),
        app.callback_urls,
        app.flows,
        _credential(resolved.key),
        _credential(resolved.secret, required=not app.secret_optional),
    )


def _credential(evidence: CredentialState, required: bool | None = None) -> CredentialFacts:
    return CredentialFacts(evidence.in_file, evidence.source is not None, evidence.source, evidence.causes, required)
