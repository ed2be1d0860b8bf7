"""Why an app has no settings file in its orgs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ecapipe.credentials import sources
from ecapipe.credentials.sources import FIELDS, Chain, first_value
from ecapipe.orgs.org import Org, same_id
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project import apps
from ecapipe.project.apps import App


def settings_problem(app: App, orgs: Sequence[Org], chain: Chain) -> Problem:
    """Why `app`, which is to log in to `orgs`, has no settings file, and what of `chain` was to stand in for it and
    cannot."""
    alias = next((org.alias for org in orgs if org.alias), None)
    problem = apps.missing_settings(app, alias, sources.variables(app.name, orgs), known_org_ids(app, orgs))
    faults = dict.fromkeys(_faults(app, orgs, sources.without_questions(chain)))
    return replace(problem, message=" ".join((problem.message, *faults)))


def _faults(app: App, orgs: Sequence[Org], chain: Chain) -> Iterator[str]:
    try:
        for org in orgs or (None,):
            for field in FIELDS:
                yield from first_value(chain, app, org, field).faults
    except EcapipeError as error:
        yield error.problem.message


def known_org_ids(app: App, orgs: Iterable[Org]) -> tuple[str, ...]:
    """The ids of `orgs` that tell whose credentials `app` uses: the one that its link names, else all; none if some
    are unknown."""
    ids = [org.org_id for org in orgs]
    known = tuple([org_id for org_id in ids if org_id])
    linked = tuple([org_id for org_id in known if app.link_org and same_id(org_id, app.link_org)])
    if linked:
        return linked
    # An org without an id may be the very one that the app comes from.
    if len(known) < len(ids):
        return ()
    return known
