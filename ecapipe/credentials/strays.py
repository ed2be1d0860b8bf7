"""Variables that were set for a credential, and that no app has."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from ecapipe.credentials.sources import FIELDS, FILE_SUFFIX, in_capitals, variable
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import did_you_mean
from ecapipe.project.discovery import Discovery

_PREFIXES: Final = tuple([variable(field) for field in FIELDS])


def stray_variables(variables: Collection[str], found: Discovery, orgs: Sequence[Org] = ()) -> Iterator[str]:
    """A sentence for each of the `variables` that are set for a credential, and are read for no app."""
    named = {org.secret_env for org in orgs}.union(*(project.variables for project in found.projects))
    single = len({app.name for app in found.apps}) == 1
    for name in sorted(variables):
        plain = name.removesuffix(FILE_SUFFIX)
        prefix = next((each for each in _PREFIXES if plain == each or name.startswith(f"{each}_")), None)
        if prefix is None or named & {name, plain} or _has_app(name, prefix, found.known):
            continue
        if plain != prefix:
            near = did_you_mean(plain.removeprefix(f"{prefix}_"), found.known)
            yield " ".join((f"{name} is set, but matches no app here.", *near))
        elif not single:
            yield f"{name} is set, but is used only for a single app: select it with --name."


def _has_app(name: str, prefix: str, apps: Collection[str]) -> bool:
    """Whether a variable is that of an app, in any org, be it chosen or not."""
    rest = name.removeprefix(f"{prefix}_") + "_"
    return any(rest.startswith(f"{in_capitals(app)}_") for app in apps)
