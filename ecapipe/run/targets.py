"""Which app goes with which org, and the trees that the apps come from."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from ecapipe.events import Subject
from ecapipe.orgs import selection
from ecapipe.orgs.org import NamedBy, Org
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import variable_reserved
from ecapipe.problems.usage import app_in_several_projects, nothing_paired
from ecapipe.project import discovery, reserved_variables
from ecapipe.project.apps import App
from ecapipe.project.discovery import Discovery, ProjectSelection
from ecapipe.project.sfdx_project import Project
from ecapipe.run.world import World

if TYPE_CHECKING:
    from ecapipe.orgs.salesforce_cli import SfLogin


_NONE = Discovery((), (), ())

_NO_PROJECT = frozenset({"RequiresProjectError", "ProjectNotChosen"})


@dataclass(frozen=True, slots=True)
class AppInOrg:
    """An app and an org it is to log in to. `named`: somebody asked for this app there, or everywhere; otherwise it
    only comes from the crossing of all apps and orgs."""

    app: App
    org: Org
    named: bool

    @property
    def subject(self) -> Subject:
        return Subject(self.app.name, self.org.name)


@dataclass(frozen=True, slots=True)
class RunTargets:
    """What a run works on: the trees and apps that are used, the orgs, the pairs, and sentences about doubts."""

    found: Discovery
    chosen: tuple[Org, ...]
    pairs: tuple[AppInOrg, ...] = ()
    notices: tuple[str, ...] = ()
    _of: dict[int, list[AppInOrg]] = field(init=False, default_factory=dict, repr=False, compare=False)
    _names: Counter[str] = field(init=False, default_factory=Counter, repr=False, compare=False)

    def __post_init__(self) -> None:
        for pair in self.pairs:
            self._of.setdefault(id(pair.app), []).append(pair)
        self._names.update(app.name for app in self.found.apps)

    def of(self, app: App) -> Sequence[AppInOrg]:
        """The pairs of this very app; other trees may have one of its name."""
        return self._of.get(id(app), ())

    def part(self, meant: Callable[[Subject], bool]) -> RunTargets:
        """Only the pairs that are `meant`, with their apps and orgs."""
        pairs = tuple(pair for pair in self.pairs if meant(pair.subject))
        left = {id(pair.app) for pair in pairs} | {id(pair.org) for pair in pairs}
        apps = tuple(app for app in self.found.apps if id(app) in left)
        chosen = tuple(org for org in self.chosen if id(org) in left)
        return replace(self, found=replace(self.found, apps=apps), chosen=chosen, pairs=pairs)

    def subject(self, app: App) -> Subject:
        """What output calls `app`: with its tree, where several hold one of this name."""
        return Subject(app.name, tree=app.project if self._names[app.name] > 1 else None)


class RunTrees:
    """The trees of a run: its own, and those that orgs bring along. Each is read once, and only if it is needed.

    Raises `EcapipeError` for everything that keeps the run's own project from being read.
    """

    def __init__(self, where: ProjectSelection, which: OrgSelection, world: World) -> None:
        self._where, self._world = where, world
        self._file = which.batch.file if which.batch else ""
        self._trees: dict[str, Discovery] = {}
        self._lent: dict[str, App] | None = None
        entries = which.batch.entries if which.batch else ()
        brought = bool(entries) and all(entry.source_dir for entry in entries) and not which.names
        try:
            self.projects = discovery.projects(where, world)
            self.root = self.projects[0].root if where.trusted else None
        except EcapipeError as error:
            if not brought or where.directories or where.metadata_dirs or error.problem.name not in _NO_PROJECT:
                raise
            self.projects, self.root = (), None  # every org brings its apps along
        configured = [
            posixpath.join(each.root, folder)
            for each in self.projects
            for members in each.orgs.values()
            if isinstance(folder := members.get("sourceDir"), str)
        ]
        self._brought = (*(entry.source_dir for entry in entries if entry.source_dir), *configured)

    def require(self) -> None:
        """Raises `EcapipeError` (NoAppsFound, or what made a file unreadable) if no app can be chosen whatever the
        orgs are."""
        if not any("sourceDir" in members for each in self.projects for members in each.orgs.values()):
            discovery.require_apps(self.tree(None))

    def whose_file(self, which: OrgSelection) -> NamedBy:
        """Whose word the batch file is: the tree's, if it lies in the repository of a tree that the run works on."""
        if which.batch is None:
            return "user"
        trees = {each.root for each in self.projects} | set(self._where.credentials_dirs)
        trees |= {entry.source_dir for entry in which.batch.entries if entry.source_dir}
        return "tree" if self._world.tree.in_repository(which.batch.file, trees) else "user"

    def held(self, root: str | None, path: str) -> bool:
        """See `selection.SalesforceCliOrgs`; a batch file may be a link, so that the run's own projects count for
        it, too."""
        around = (posixpath.dirname(self._file), *(each.root for each in self.projects)) if root is None else (root,)
        return any(self._world.tree.holds(each, path) for each in around)

    def acquaint(self) -> None:
        """See `discovery.withhold_variables`; for all trees that were not read yet."""
        for directory in dict.fromkeys((*self._where.credentials_dirs, *self._brought)):
            discovery.withhold_variables(directory, self._where.trusted, self._world)

    def names(self, source_dir: str | None) -> frozenset[str]:
        """The apps of a tree; None stands for the run's own. Raises `EcapipeError` for one that cannot be used."""
        return frozenset(app.name for app in self.tree(source_dir).apps)

    def tree(self, source_dir: str | None) -> Discovery:
        """What lies in a tree; raises as `names`."""
        where, world = self._where, self._world
        if source_dir is None and not self.projects:
            return _NONE
        key = "" if source_dir is None else world.tree.resolve(source_dir) or source_dir
        if key not in self._trees:
            if self._lent is None:
                self._lent = discovery.source_org_apps(where, world)
            self._trees[key] = (
                discovery.discover(replace(where, names=()), world, self._lent)
                if source_dir is None
                else discovery.discover_retrieved(source_dir, where.trusted, world, self._lent)
            )
        return self._trees[key]


def choose_targets(where: ProjectSelection, which: OrgSelection, world: World, *, wanted: bool = True) -> RunTargets:
    """The apps and orgs that are meant, and which goes with which; `wanted` False: the apps only.

    Raises `EcapipeError` for what keeps the project or the orgs from being known, and as `pair`.
    """
    grounds = RunTrees(where, which, world)
    if not which.batch:
        grounds.require()
    known = salesforce_cli_orgs(grounds, which, world)
    chosen = selection.select(which, grounds.projects, known, grounds.names) if wanted else ()
    return pair_apps(grounds, where.names, chosen)


def salesforce_cli_orgs(grounds: RunTrees, which: OrgSelection, world: World) -> selection.SalesforceCliOrgs:
    """Raises `EcapipeError` (VariableReserved)."""
    _refuse_reserved(grounds.projects, ())
    if which.batch:
        rows = [(row, row.secret_env) for row in which.batch.entries if row.secret_env]
        refused = [
            f"{row.place.of('secretEnv')} names {name}" for row, name in rows if reserved_variables.reserved(name)
        ]
        if refused:
            raise EcapipeError(variable_reserved(refused, which.batch.file))
        for _, name in rows:
            world.taken(name)  # before any other program is started

    def logins() -> Sequence[SfLogin]:
        grounds.acquaint()
        return world.sf.logins()

    return selection.SalesforceCliOrgs(
        logins, partial(world.sf.default_org, grounds.root), grounds.whose_file(which), grounds.held
    )


def _refuse_reserved(found: Iterable[Project], among: Iterable[App]) -> None:
    """Raises `EcapipeError` (VariableReserved)."""
    for problem in discovery.reserved(found, among):
        raise EcapipeError(problem)


def pair_apps(grounds: RunTrees, names: Sequence[str], chosen: Sequence[Org]) -> RunTargets:
    """Every chosen app with every chosen org, or as the org's ``apps`` and ``sourceDir`` say.

    `names` are the apps that were asked for by name; none: all. Without orgs, only what was found. Raises
    `EcapipeError`: UnknownApp, NoAppsFound, NothingPaired, AppInSeveralProjects, VariableReserved, or what keeps a
    tree from being read.
    """
    trees = {id(tree): tree for tree in (grounds.tree(org.source_dir) for org in chosen)}
    if not chosen:
        trees = {0: grounds.tree(None)}
    used = list(trees.values())
    discovery.refuse_unknown(names, [app for tree in used for app in tree.apps])
    for tree in used:
        discovery.require_apps(tree)
    pairs = [
        AppInOrg(app, org, app.name in (*names, *org.apps))
        for org in chosen
        for app in grounds.tree(org.source_dir).apps
        if (not names or app.name in names) and (not org.apps or app.name in org.apps)
    ]
    if chosen and not pairs:
        raise EcapipeError(nothing_paired(sorted(names), [org.name for org in chosen]))
    _refuse_doubles(pairs)
    _refuse_reserved((), [pair.app for pair in pairs] or [app for tree in used for app in tree.apps])
    order = {id(app): place for place, app in enumerate(app for tree in used for app in tree.apps)}
    pairs.sort(key=lambda pair: order[id(pair.app)])
    meant = {id(pair.app) for pair in pairs}
    found = Discovery(
        tuple({project.root: project for tree in used for project in tree.projects}.values()),
        tuple(
            app
            for tree in used
            for app in tree.apps
            if (id(app) in meant if chosen else not names or app.name in names)
        ),
        tuple(failure for tree in used for failure in tree.failures),
        tuple(notice for tree in used for notice in tree.notices),
        not names and all(tree.whole for tree in used),
    )
    return RunTargets(found, tuple(chosen), tuple(pairs), tuple((*_left_out(names, chosen, pairs), *_copied(pairs))))


def _refuse_doubles(pairs: Iterable[AppInOrg]) -> None:
    """Raises `EcapipeError` (AppInSeveralProjects) where apps of several projects would be one target.

    An org has one app of a name. Output, variables and records call both the same, so that a resumed run would take
    one for the other.
    """
    holders: dict[Subject, App] = {}
    for pair in pairs:
        first = holders.setdefault(pair.subject, pair.app)
        if first is not pair.app:
            raise EcapipeError(app_in_several_projects(pair.app.name, [first.project, pair.app.project]))


def _left_out(names: Sequence[str], chosen: Iterable[Org], pairs: Iterable[AppInOrg]) -> list[str]:
    """A sentence for each org and each app that was asked for and is in no pair."""
    orgs, apps = {pair.org.name for pair in pairs}, {pair.app.name for pair in pairs}
    idle = dict.fromkeys(org.name for org in chosen if org.name not in orgs)
    return [
        *(f"{name} is left out: none of the chosen apps is meant for it." for name in idle),
        *(f"{name} is left out: it is meant for none of the chosen orgs." for name in names if name not in apps),
    ]


def _copied(pairs: Iterable[AppInOrg]) -> list[str]:
    """A sentence for each consumer key that lies in the trees of several orgs.

    An app that each org has for itself has a key of its own in each: one of the trees was copied, or retrieved from
    the wrong org.
    """
    holders: dict[str, dict[str, str]] = {}
    for pair in pairs:
        settings = pair.app.settings
        key = (
            settings.document.text("consumerKey") if settings and pair.org.source_dir and not pair.app.lent else None
        )
        if key:
            holders.setdefault(key, {}).setdefault(pair.app.project, f"{pair.app.name}@{pair.org.name}")
    return [
        f"{', '.join(subjects.values())} have the same consumer key in the trees of different orgs: one of them was "
        "copied, or retrieved from another org."
        for subjects in holders.values()
        if len(subjects) > 1
    ]
