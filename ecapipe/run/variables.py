"""The variables that a batch would read key and secret from (``app list --variables``): names, never values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.credentials.sources import FIELDS, FILE_SUFFIX, variables_of
from ecapipe.events import VariableFacts, VariableState
from ecapipe.orgs.org import Org
from ecapipe.project.apps import App
from ecapipe.run.targets import RunTargets
from ecapipe.run.world import World


def variables(targets: RunTargets, world: World) -> tuple[VariableFacts, ...]:
    """For each app what it needs in each org, the most specific name first; what all orgs share comes once, last."""
    only_app = len({app.name for app in targets.found.apps}) == 1
    found: dict[VariableFacts, None] = {}
    for app in targets.found.apps:
        orgs: Sequence[Org | None] = targets.orgs_of(app) or [None]
        own = [each for org in orgs for each in _of_app(app, org, only_app, world)]
        # A name that several orgs would read is no org's own.
        shared = {each.name for each in own if len({other.org for other in own if other.name == each.name}) > 1}
        found |= dict.fromkeys(each for each in own if each.name not in shared)
        found |= dict.fromkeys(each._replace(org=None) for each in own if each.name in shared)
    return tuple(found)


def _of_app(app: App, org: Org | None, only_app: bool, world: World) -> Iterator[VariableFacts]:
    for field in FIELDS:
        names = variables_of(app, org, field, only_app=only_app)
        replaced = app.settings.replaced.get(field) if app.settings else None
        for name in (*names, *(replaced.variables if replaced else ())):
            yield VariableFacts(name, _state(name, world), app.name, app.tree, org.name if org else None, field)


def _state(name: str, world: World) -> VariableState:
    value = world.environ(name)
    if value:
        return "placeholder" if is_placeholder(value) else "set"
    if world.environ(name + FILE_SUFFIX):
        return "file"
    return "empty" if name in world.variable_names else "unset"
