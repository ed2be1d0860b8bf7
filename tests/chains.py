"""The sources of key and secret, with variables, people and a keyring of a test's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.credentials import sources
from ecapipe.credentials.sources import Asked, Chain, Scope
from ecapipe.orgs.org import Org
from ecapipe.project.apps import App
from ecapipe.secret import Secret

NOTHING_SET = Environment({})

Read = Callable[[str], Secret | None]


def chain(
    apps: Sequence[App],
    orgs: Sequence[Org] = (),
    variable: Read | None = None,
    ask: Read | None = None,
    *,
    secret_from: Collection[str] = (),
    find_saved: Read | None = None,
    environment: Environment = NOTHING_SET,
    known: Collection[str] = (),
) -> Chain:
    """All sources but the org's REST API; the keyring only if `find_saved` stands in for it."""
    world = replace(composition.real_world(environment), ask=ask)
    if variable is not None:
        world = replace(world, variable=variable)
    available = [source for source in composition.SOURCES if source.asks in (None, "people")]
    if find_saved is not None:
        (keyring,) = [source for source in composition.SOURCES if source.asks == "keyring"]
        find = find_saved
        available.insert(-1, replace(keyring, open=lambda world, scope, earlier: sources.of_key(find, earlier)))
    asks: frozenset[Asked] = frozenset({"people", "keyring"})
    return sources.chain(available, world, Scope(apps, orgs, known, asks, frozenset(secret_from)))
