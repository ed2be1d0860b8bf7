"""Why an app has no settings file in an org, and by which orgs that can be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ecapipe.credentials import sources
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.problem import Problem
from ecapipe.project import apps
from ecapipe.project.apps import App


def settings_problem(app: App, orgs: Sequence[Org]) -> Problem:
    """Why `app`, meant for `orgs`, has no settings file."""
    alias = next((org.alias for org in orgs if org.alias), None)
    return apps.missing_settings(app, alias, sources.variables(app.name, orgs), known_org_ids(app, orgs))


def known_org_ids(app: App, orgs: Iterable[Org]) -> tuple[str, ...]:
    """The ids of `orgs` by which it can be told whose credentials `app` uses: the one that its link names, else all;
    none if some are unknown."""
    known = [org.org_id for org in orgs]
    told = tuple([each for each in known if each])
    own = tuple([each for each in told if app.link_org and same_id(each, app.link_org)])
    return own or (told if len(told) == len(known) else ())
