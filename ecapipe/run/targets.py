"""Which app goes with which org, and the trees that the apps come from."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ecapipe.credentials.strays import stray_variables
from ecapipe.events import Subject
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import selection as org_selection
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
    from ecapipe.orgs.sf_logins import SfLogin

_EMPTY: Final = Discovery((), (), ())


class AppKey(NamedTuple):
    """What tells the apps of a run apart: several projects may have one of the same name."""

    project: str
    name: str

    @classmethod
    def of(cls, app: App) -> AppKey:
        return cls(app.project, app.name)


@dataclass(frozen=True, slots=True)
class AppInOrg:
    """An app and an org it is to log in to. `named`: somebody asked for this app there, or everywhere; otherwise it
    only comes from the crossing of all apps and orgs."""

    app: App
    org: Org
    named: bool

    @property
    def subject(self) -> Subject:
        return Subject(self.app.name, self.org.name, self.app.tree)


@dataclass(frozen=True, slots=True)
class RunTargets:
    """What a run works on: the trees and apps that are used, the orgs, the pairs, and sentences about doubts."""

    found: Discovery
    chosen: tuple[Org, ...]
    pairs: tuple[AppInOrg, ...] = ()
    notices: tuple[str, ...] = ()
    _by_app: dict[AppKey, list[AppInOrg]] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for pair in self.pairs:
            self._by_app.setdefault(AppKey.of(pair.app), []).append(pair)

    def of(self, app: App) -> Sequence[AppInOrg]:
        """The pairs of this very app; other trees may have one of its name."""
        return self._by_app.get(AppKey.of(app), ())

    def orgs_of(self, app: App) -> list[Org]:
        """The orgs that the app is to log in to."""
        return [pair.org for pair in self.of(app)]

    def part(self, selects: Callable[[Subject], bool]) -> RunTargets:
        """Only the pairs that are selected, with their apps and orgs."""
        pairs = tuple(pair for pair in self.pairs if selects(pair.subject))
        keys, orgs = {AppKey.of(pair.app) for pair in pairs}, {pair.org for pair in pairs}
        apps = tuple(app for app in self.found.apps if AppKey.of(app) in keys)
        chosen = tuple(org for org in self.chosen if org in orgs)
        return replace(self, found=replace(self.found, apps=apps), chosen=chosen, pairs=pairs)


class RunTrees:
    """The trees of a run: its own, and those that orgs bring along. Each is read once, and only if it is needed.

    Raises `EcapipeError` for everything that keeps the run's own project from being read.
    """

    def __init__(
        self,
        selection: ProjectSelection,
        orgs: OrgSelection,
        world: World,
        *,
        brought: bool = False,
        retrieved: bool = False,
    ) -> None:
        """`brought`: the apps are to be retrieved, so that no project is needed unless one is named; `retrieved`:
        they have been, into the run's own project."""
        self._selection, self._world, self._retrieved = selection, world, brought or retrieved
        self.orgs, self.notices = _trees_by_flag(selection, orgs)
        self._batch = self.orgs.batch
        self._trees: dict[str, Discovery] = {}
        self._source_org_apps: dict[str, App] | None = None
        self.projects: tuple[Project, ...] = ()
        self.root: str | None = None
        named = selection.directories or selection.metadata_dirs
        needless = self._brings_all_apps(orgs) or (brought and not named)
        # Without a project of its own a run works if every org brings its apps along: a folder around them is none.
        if not needless or world.tree.project_above(world.tree.target(".")):
            self.projects = discovery.projects(selection, world)
        if self.projects and selection.trusted:
            self.root = self.projects[0].root

    def _brings_all_apps(self, orgs: OrgSelection) -> bool:
        """Whether nothing was said of a project, and every org has a tree of its own."""
        if self._batch is None or orgs.names or self._selection.directories or self._selection.metadata_dirs:
            return False
        return bool(self._batch.entries) and all(entry.source_dir for entry in self._batch.entries)

    def require(self) -> None:
        """Raises `EcapipeError` (NoAppsFound, or what made a file unreadable) if no app can be chosen whatever the
        orgs are."""
        if not any("sourceDir" in members for each in self.projects for members in each.orgs.values()):
            discovery.require_apps(self.tree(None))

    def org_file_named_by(self, file: str) -> NamedBy:
        """Whose word an org file is: the tree's, if it lies in the repository of a tree that the run works on.

        Whoever can push to that repository could otherwise name an address, and have secrets sent there.
        """
        if self._batch and self._batch.named_by:
            return self._batch.named_by
        return "tree" if self.hold(file) else "user"

    def hold(self, path: str) -> bool:
        """Whether `path` lies in the repository of a tree that the run works on: without a project of its own, in the
        one that it is started in, too."""
        selected = self._selection
        # As they were named, too: a link in place of a folder must not make another project the run's.
        trees = {*selected.directories, *selected.metadata_dirs, *selected.credentials_dirs}
        trees |= {each.root for each in self.projects}
        if self.projects and not (selected.directories or selected.metadata_dirs):
            trees.add(self._world.environ("PWD") or ".")
        if self._batch:
            trees.update(self._batch.source_dirs)
        # Whoever writes the repository could take its project away, and be the user.
        if not self.projects and self._in_repository:
            trees.add(".")
        return self._world.tree.in_repository(path, trees)

    @property
    def _in_repository(self) -> bool:
        """Whether there is a repository around the current folder."""
        tree = self._world.tree
        return not posixpath.isabs(tree.label(tree.target(".")))

    def sf_logins(self) -> Sequence[SfLogin]:
        """The logins of the Salesforce CLI."""
        self.withhold_variables()
        logins = self._world.sf.logins()
        if self._hold_sf():
            return [replace(login, named_by="tree") for login in logins]
        return logins

    def default_org(self) -> tuple[str, NamedBy] | None:
        """See `SalesforceCli.default_org`; who names it as for `sf_logins`."""
        found = self._world.sf.default_org(self.root)
        if found is None or not self._hold_sf():
            return found
        return (found[0], "tree") if self._selection.trusted else None

    def _hold_sf(self) -> bool:
        """Whether what the Salesforce CLI knows is the tree's word: the home of its user is the repository, as in
        some containers, or leads there."""
        home = self._world.sf.home()
        return any(self.hold(posixpath.join(home, folder)) for folder in (".sf", ".sfdx"))

    def withhold_variables(self) -> None:
        """See `discovery.withhold_variables`; for all trees that were not read yet."""
        for directory in dict.fromkeys((*self._selection.credentials_dirs, *self._source_dirs())):
            discovery.withhold_variables(directory, self._selection.trusted, self._world)

    def _source_dirs(self) -> list[str]:
        """The trees of orgs: of the org file, then those that the projects configure."""
        return [*(self._batch.source_dirs if self._batch else ()), *discovery.configured_trees(self.projects)]

    def names(self, source_dir: str | None) -> frozenset[str]:
        """The apps of a tree; None stands for the run's own. Raises `EcapipeError` for one that cannot be used."""
        return frozenset(app.name for app in self.tree(source_dir).apps)

    def trees(self, source_dirs: Iterable[str | None]) -> list[Discovery]:
        """Each tree once, in order, however its folder is spelled; raises as `names`."""
        by_place = {self._place(each): self.tree(each) for each in dict.fromkeys(source_dirs)}
        return list(by_place.values())

    def tree(self, source_dir: str | None, label: str | None = None) -> Discovery:
        """What lies in a tree, which results call `label`, by default by its path; raises as `names`."""
        if source_dir is None and not self.projects:
            return _EMPTY
        place = self._place(source_dir)
        if place not in self._trees:
            self._trees[place] = self._read(source_dir, label)
        return self._trees[place]

    def _place(self, source_dir: str | None) -> str:
        """The folder without links, so that no tree is read twice; the run's own has none."""
        if source_dir is None:
            return ""
        return self._world.tree.resolve(source_dir) or source_dir

    def _read(self, source_dir: str | None, label: str | None) -> Discovery:
        found = self._discover(source_dir, label)
        if self._retrieved:
            found = replace(found, apps=tuple([replace(app, retrieved=True) for app in found.apps]))
        return found

    def _discover(self, source_dir: str | None, label: str | None) -> Discovery:
        selection, world = self._selection, self._world
        if self._source_org_apps is None:
            self._source_org_apps = discovery.source_org_apps(selection, world)
        if source_dir is None:
            # All apps: whether a name is known is judged when the trees of all orgs are.
            return discovery.discover(replace(selection, names=()), world, self._source_org_apps)
        return discovery.discover_retrieved(source_dir, selection.trusted, world, self._source_org_apps, label)


def retrieved_tree(org: Org) -> str:
    """What results call the tree that is retrieved from an org for the time of a run."""
    return f"org:{org.name}"


def _trees_by_flag(selection: ProjectSelection, orgs: OrgSelection) -> tuple[OrgSelection, tuple[str, ...]]:
    """The orgs, of which no row of the org file brings a tree along where a flag names one; and a sentence if one
    did."""
    batch = orgs.batch
    if not (selection.directories or selection.metadata_dirs) or batch is None:
        return orgs, ()
    if not batch.source_dirs:
        return orgs, ()
    files = dict.fromkeys(row.place.file for row in batch.entries if row.source_dir)
    entries = tuple(replace(row, source_dir=None) for row in batch.entries)
    flag = "--source-dir" if selection.directories else "--metadata-dir"
    notice = f"sourceDir in {' and '.join(files)} is ignored: {flag} overrides it."
    return replace(orgs, batch=replace(batch, entries=entries)), (notice,)


def choose_targets(
    selection: ProjectSelection,
    orgs: OrgSelection,
    world: World,
    *,
    with_orgs: bool = True,
    retrieved: bool = False,
) -> RunTargets:
    """The apps and orgs of a run, and which goes with which; `with_orgs` False: the apps only; `retrieved`: as for
    `RunTrees`.

    Raises `EcapipeError` for what keeps the project or the orgs from being known, and as `pair_apps`.
    """
    trees = RunTrees(selection, orgs, world, retrieved=retrieved)
    orgs = trees.orgs
    if not orgs.batch:
        # Before the Salesforce CLI is asked for orgs, which takes long.
        trees.require()
    salesforce_cli = salesforce_cli_orgs(trees, orgs, world)
    selected_orgs: Sequence[Org] = ()
    if with_orgs:
        selected_orgs = org_selection.select(orgs, trees.projects, salesforce_cli, trees.names, flows=CHOICES)
    return pair_orgs(trees, selection.names, selected_orgs, world)


def pair_orgs(trees: RunTrees, names: Sequence[str], orgs: Sequence[Org], world: World) -> RunTargets:
    """As `pair_apps`, with a notice for each variable that looks like one for an app and fits none."""
    targets = pair_apps(trees, names, orgs)
    strays = stray_variables(world.variable_names, targets.found, orgs)
    return replace(targets, notices=(*trees.notices, *targets.notices, *strays))


def salesforce_cli_orgs(trees: RunTrees, orgs: OrgSelection, world: World) -> org_selection.SalesforceCliOrgs:
    """Raises `EcapipeError` (VariableReserved)."""
    _refuse_reserved(trees.projects, ())
    if orgs.batch:
        rows = [(row, row.secret_env) for row in orgs.batch.entries if row.secret_env]
        mistaken = [(row.place, name) for row, name in rows if reserved_variables.reserved(name)]
        if mistaken:
            mistakes = [f"{place.of('secretEnv')} names {name}" for place, name in mistaken]
            raise EcapipeError(variable_reserved(mistakes, mistaken[0][0].file))
        for _, name in rows:
            # Before any other program is started: it would inherit the secret.
            world.withhold(name)

    return org_selection.SalesforceCliOrgs(
        trees.sf_logins, trees.default_org, trees.org_file_named_by, world.tree.holds
    )


def _refuse_reserved(projects: Iterable[Project], apps: Iterable[App]) -> None:
    """Raises `EcapipeError` (VariableReserved)."""
    for problem in discovery.reserved(projects, apps):
        raise EcapipeError(problem)


def pair_apps(trees: RunTrees, names: Sequence[str], orgs: Sequence[Org]) -> RunTargets:
    """Every selected app with every selected org, or as the org's ``apps`` and ``sourceDir`` say.

    `names` are the apps that were asked for by name; none: all. Without orgs, only the apps. Raises `EcapipeError`:
    UnknownApp, NoAppsFound, NothingPaired, AppInSeveralProjects, VariableReserved, or what keeps a tree from being
    read.
    """
    discoveries = trees.trees([org.source_dir for org in orgs] or [None])
    apps = {AppKey.of(app): app for tree in discoveries for app in tree.apps}
    discovery.refuse_unknown(names, list(apps.values()))
    for tree in discoveries:
        discovery.require_apps(tree)
    pairs = _pairs(trees, names, orgs)
    if orgs and not pairs:
        raise EcapipeError(nothing_paired(sorted(names), [org.name for org in orgs]))
    _refuse_doubles(pairs)
    _refuse_reserved((), [pair.app for pair in pairs] or apps.values())
    # By app, and for each in the order of the orgs: its own stages come once, before its logins.
    order = {key: place for place, key in enumerate(apps)}
    pairs.sort(key=lambda pair: order[AppKey.of(pair.app)])
    if orgs:
        used = tuple(apps[key] for key in dict.fromkeys(AppKey.of(pair.app) for pair in pairs))
    else:
        used = tuple(app for app in apps.values() if not names or app.name in names)
    found = Discovery(
        projects=tuple({project.root: project for tree in discoveries for project in tree.projects}.values()),
        apps=used,
        failures=tuple(failure for tree in discoveries for failure in tree.failures),
        notices=tuple(notice for tree in discoveries for notice in tree.notices),
        whole=not names and all(tree.whole for tree in discoveries),
        known=frozenset().union(*(tree.known for tree in discoveries)),
    )
    # Without orgs there are no pairs, and nothing is left out.
    notices = (*_idle(names, orgs, pairs), *_with_same_key(pairs)) if orgs else ()
    return RunTargets(found, tuple(orgs), tuple(pairs), notices)


def _pairs(trees: RunTrees, names: Sequence[str], orgs: Sequence[Org]) -> list[AppInOrg]:
    """Each org with the apps of its tree that are asked for and meant for it."""
    return [
        AppInOrg(app, org, named=app.name in (*names, *org.apps))
        for org in orgs
        for app in trees.tree(org.source_dir).apps
        if (not names or app.name in names) and (not org.apps or app.name in org.apps)
    ]


def _refuse_doubles(pairs: Iterable[AppInOrg]) -> None:
    """Raises `EcapipeError` (AppInSeveralProjects) where apps of several projects would be one target.

    An org has one app of a name, and variables of the environment call both the same.
    """
    projects: dict[str, str] = {}
    for pair in pairs:
        first = projects.setdefault(str(pair.subject), pair.app.project)
        if first != pair.app.project:
            raise EcapipeError(app_in_several_projects(pair.app.name, [first, pair.app.project]))


def _idle(names: Sequence[str], orgs: Iterable[Org], pairs: Iterable[AppInOrg]) -> list[str]:
    """A sentence for each org and each app that was asked for and is in no pair."""
    paired_orgs, paired_apps = {pair.org.name for pair in pairs}, {pair.app.name for pair in pairs}
    idle_orgs = dict.fromkeys(org.name for org in orgs if org.name not in paired_orgs)
    idle_apps = [name for name in names if name not in paired_apps]
    return [
        *(f"{name} is skipped: none of the selected apps is assigned to it." for name in idle_orgs),
        *(f"{name} is skipped: it isn't assigned to any of the selected orgs." for name in idle_apps),
    ]


def _with_same_key(pairs: Iterable[AppInOrg]) -> list[str]:
    """A sentence for each consumer key that lies in the trees of several orgs.

    An app that each org has for itself has a key of its own in each: one of the trees was copied, or retrieved from
    the wrong org.
    """
    targets: dict[str, dict[str, str]] = {}
    for pair in pairs:
        settings = pair.app.settings
        # A file of the source org is the same for all orgs, and so is that of the run's own tree.
        if settings is None or not pair.org.source_dir or pair.app.borrowed_settings:
            continue
        if key := settings.document.text("consumerKey"):
            targets.setdefault(key, {}).setdefault(pair.app.project, f"{pair.app.name}@{pair.org.name}")
    return [
        (
            f"{', '.join(names.values())} have the same consumer key in the folders of different orgs: "
            "one of them was copied, or retrieved from another org."
        )
        for names in targets.values()
        if len(names) > 1
    ]
