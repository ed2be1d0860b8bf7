"""The apps of a project as reports show them (``app list``)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from ecapipe.check.ports import ListingAccess
from ecapipe.credentials import resolution
from ecapipe.credentials.resolution import CredentialState, Resolution
from ecapipe.credentials.sources import Scope
from ecapipe.credentials.strays import stray_variables
from ecapipe.events import AppFacts, CredentialFacts
from ecapipe.oauth.flows.registry import allowed_flows, names_allowed_by
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection, discover, reserved


def survey(selection: ProjectSelection, world: ListingAccess) -> tuple[Discovery, list[AppFacts]]:
    """The apps of the project, complete or not (``app list``); raises as `discover` does."""
    discovery = discover(selection, world)
    problems = reserved(discovery.projects, discovery.apps)
    discovery = replace(discovery, notices=(*discovery.notices, *(problem.message for problem in problems)))
    chain = world.chain(Scope(discovery.apps, known=discovery.known))
    resolutions = [resolution.resolve(app, None, chain, allowed_flows) for app in discovery.apps]
    doubts = doubts_of_variables(discovery, resolutions, world)
    facts = [describe(app, each) for app, each in zip(discovery.apps, resolutions, strict=True)]
    return replace(discovery, notices=(*discovery.notices, *doubts)), facts


def doubts_of_variables(
    discovery: Discovery, resolutions: Sequence[Resolution], world: ListingAccess
) -> tuple[str, ...]:
    """Sentences on what is no key or secret though another source gives one, and on variables of no app."""
    faults = [fault for each in resolutions for fault in each.faults]
    return (*dict.fromkeys(faults), *stray_variables(world.variable_names, discovery))


def describe(app: App, state: Resolution, targets: Collection[str] = ()) -> AppFacts:
    """The app as reports show it; `targets` are the ids of the orgs to log in to, as far as they are known."""
    return AppFacts(
        name=app.name,
        project=app.tree,
        settings_file=app.settings.path if app.settings else None,
        files=tuple(file.path for file in app.files),
        distribution=app.distribution,
        credentials_of=app.credentials_of(targets),
        source_org_id=app.source_org(targets),
        callback_urls=app.callback_urls,
        flows=names_allowed_by(app),
        consumer_key=_credential_facts(state.key),
        consumer_secret=_credential_facts(state.secret, required=not app.secret_optional),
    )


def _credential_facts(credential: CredentialState, required: bool | None = None) -> CredentialFacts:
    return CredentialFacts(
        credential.in_file, credential.source is not None, credential.source, credential.causes, required
    )
