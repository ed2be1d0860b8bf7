"""The apps of orgs, retrieved by the Salesforce CLI before a run: those of one org into the run's own project, those
of several into a tree for each."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from queue import SimpleQueue
from threading import Lock
from typing import Final

from ecapipe.documents.shards import Shard
from ecapipe.events import DISCOVER, TOKEN, Event, Note, StageNoted, Subject, untold
from ecapipe.login.tracker import StageWork, Tracker
from ecapipe.oauth.flows.registry import CHOICES
from ecapipe.orgs import selection as org_selection
from ecapipe.orgs.org import Org
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.orgs import org_without_apps
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import link_out_of_repository, no_apps_found, requires_project_error
from ecapipe.problems.salesforce_cli import sf_login_missing
from ecapipe.problems.usage import not_one_source
from ecapipe.project import discovery, metadata, sfdx_project
from ecapipe.project.discovery import ProjectSelection
from ecapipe.project.sfdx_project import DEFAULT_API_VERSION, Project
from ecapipe.project.tree import LinkOutside, MetadataFile
from ecapipe.run.targets import RunTrees, retrieved_tree, salesforce_cli_orgs
from ecapipe.run.world import World

AT_ONCE: Final = 4
"""Retrieves at the same time: each is a process of some hundred megabytes."""

_API_VERSION: Final = "66.0"
"""That of a tree of our own, unless the project's is newer: every org knows it, and what a login goes by."""
_PACKAGE: Final = "force-app"


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The orgs whose apps are there, each with its tree, those whose retrieve failed, and the trees as read."""

    trees: RunTrees
    orgs: tuple[Org, ...]
    failed: tuple[Subject, ...]


def retrieve(
    selection: ProjectSelection,
    orgs: OrgSelection,
    world: World,
    tracker: Tracker,
    work: StageWork,
    closing: ExitStack,
    shard: Shard | None = None,
) -> Retrieved | None:
    """Let the Salesforce CLI fetch the apps of the selected orgs. None: they are in the run's own project now.

    Orgs of which `shard` is known to have no login, because their rows or the selection name the apps, are left out.

    A tree that no ``sourceDir`` names is gone when `closing` is. A retrieve that fails is the failure of its org.
    Raises `EcapipeError`: as `org_selection.select`, NotOneSource, UnknownApp, and what keeps the only org's apps
    away.
    """
    # Trees are read by several threads, and one alone may emit.
    trees = RunTrees(selection, orgs, replace(world, tell=untold), brought=True)
    orgs = trees.orgs
    chosen = org_selection.select(orgs, trees.projects, salesforce_cli_orgs(trees, orgs, world), flows=CHOICES)
    trees.withhold_variables()
    # Several rows may describe one org, each for other apps.
    by_name: dict[str, list[Org]] = {}
    for org in chosen:
        by_name.setdefault(org.name, []).append(org)
    if len(by_name) == 1 and trees.projects and not chosen[0].source_dir:
        _retrieve_into_projects(trees.projects, chosen[0], world, work)
        return None
    _refuse_shared_trees(chosen, world)
    count = len(by_name)
    if shard:
        by_name = {name: group for name, group in by_name.items() if _may_hold(shard, group, selection.names)}
        if not by_name:
            work.warn(f"Shard {shard} has none of the logins, so there is nothing to do.")
    home = closing.enter_context(world.private_folder())
    jobs = [_Job(tuple(group), f"{home}/{number}") for number, group in enumerate(by_name.values(), 1)]
    done = _Retrieval(jobs, trees, world, tracker, work).run()
    # An app that other shards' orgs may have is not unknown.
    if len(done) == count:
        apps = [app for job in done for app in trees.tree(job.placed[0].source_dir).apps]
        discovery.refuse_unknown(selection.names, apps)
    done = [job for job in done if _has_any(job, selection.names, trees, tracker)]
    failed = tuple(job.subject for job in jobs if job not in done)
    return Retrieved(trees, tuple(org for job in done for org in job.placed), failed)


def _may_hold(shard: Shard, orgs: Sequence[Org], names: Sequence[str]) -> bool:
    """Whether a login to an org, as described for some or all of its apps, may be one of the shard's; `names` are the
    apps that were asked for by name; none: all."""
    apps = {app for org in orgs for app in org.apps or names if not names or app in names}
    anything = not names and not all(org.apps for org in orgs)
    return anything or any(shard.holds(Subject(app, orgs[0].name)) for app in apps)


def _retrieve_into_projects(projects: Sequence[Project], org: Org, world: World, work: StageWork) -> None:
    """Raises `EcapipeError`: RequiresProjectError, SfLoginMissing, and what the Salesforce CLI meets."""
    username = _username(org, world)
    for project in projects:
        # The Salesforce CLI looks for its project above the folder it is started in: it would write elsewhere.
        if world.tree.project_above(project.root) != project.root:
            raise EcapipeError(requires_project_error(project.root))
        work.warnings += _retrieve_into(project, username, world, lambda text: work.note("hint", text))
    work.facts["retrievedFrom"] = username


def _retrieve_into(project: Project, username: str, world: World, tell: Callable[[str], None]) -> Sequence[str]:
    """All external client apps, into a project of the user's, whatever version that is written for.

    Raises `EcapipeError`: LinkOutOfRepository, and what the Salesforce CLI meets.
    """
    _refuse_links(project.root, world)
    old = project.unfit_api_version or float(project.api_version) < float(DEFAULT_API_VERSION)
    types = [type.name for type in metadata.TYPES]
    return world.sf.retrieve(project.root, username, types, tell, DEFAULT_API_VERSION if old else None)


def _refuse_links(root: str, world: World) -> None:
    """Raises `EcapipeError` (LinkOutOfRepository) where the Salesforce CLI, which follows every link, would write
    outside the repository: the tree does not choose where secrets are put."""
    # It writes into the package directories, whichever of them the run is about, and keeps its notes beside them.
    (project,) = discovery.projects(ProjectSelection((root,)), world)
    entries = world.tree.walk(root, project.package_directories, metadata_format=False)
    links = [entry.path for entry in entries if isinstance(entry, LinkOutside)]
    links += [name for name in (".sf", ".sfdx") if not world.tree.holds(root, f"{root}/{name}")]
    for link in links:
        raise EcapipeError(link_out_of_repository(link, world.tree.target(f"{root}/{link}")))


def _refuse_shared_trees(chosen: Sequence[Org], world: World) -> None:
    """Raises `EcapipeError` (NotOneSource) where one tree would be that of several orgs."""
    names: dict[str, str] = {}
    for org in chosen:
        if org.source_dir:
            place = world.tree.target(org.source_dir)
            if names.setdefault(place, org.name) != org.name:
                raise EcapipeError(not_one_source(org.source_dir, [names[place], org.name]))


def _username(org: Org, world: World) -> str:
    """Who the Salesforce CLI is logged in to `org` as; of several, the user that the org's alias names."""
    logins = [login for login in world.sf.logins() if login.host == org.host]
    if not logins:
        known = [login.instance_url for login in world.sf.logins()]
        raise EcapipeError(sf_login_missing(org.name, org.url, known))
    for login in logins:
        if org.alias in (*login.aliases, login.username):
            return login.username
    return logins[0].username


@dataclass(frozen=True, slots=True)
class _Job:
    """One org to retrieve from, as described for some or all of its apps, and a folder of ours for it."""

    orgs: tuple[Org, ...]
    folder: str

    @property
    def org(self) -> Org:
        return self.orgs[0]

    @property
    def source_dir(self) -> str | None:
        """The tree that a row names for it."""
        return next((org.source_dir for org in self.orgs if org.source_dir), None)

    @property
    def subject(self) -> Subject:
        return Subject(None, self.org.name, retrieved_tree(self.org))

    @property
    def placed(self) -> tuple[Org, ...]:
        """The org as described, with its tree."""
        if self.source_dir:
            return tuple(replace(org, source_dir=self.source_dir) for org in self.orgs)
        return tuple(replace(org, source_dir=self.folder, retrieved=True) for org in self.orgs)


def _has_any(job: _Job, names: Sequence[str], trees: RunTrees, tracker: Tracker) -> bool:
    """Whether the tree has one of the apps that were asked for; if only others have it, that is a failure."""
    known = trees.names(job.placed[0].source_dir)
    if not names or known.intersection(names):
        return True
    with tracker.course(job.subject, (DISCOVER,)) as sequence, sequence.stage(DISCOVER):
        raise EcapipeError(org_without_apps(job.org.name, names, sorted(known)))
    return False


class _Retrieval:
    """All retrieves, `AT_ONCE` at a time. What happens is emitted by the thread that calls `run`."""

    def __init__(
        self, jobs: Sequence[_Job], trees: RunTrees, world: World, tracker: Tracker, work: StageWork
    ) -> None:
        self._jobs, self._trees, self._world, self._tracker, self._work = jobs, trees, world, tracker, work
        self._messages: SimpleQueue[Event | Future[bool] | None] = SimpleQueue()
        self._reading = Lock()
        versions = [project.api_version for project in trees.projects]
        self._version = max((_API_VERSION, *versions), key=float)
        self._namespace = next((project.namespace for project in trees.projects if project.namespace), "")

    def run(self) -> list[_Job]:
        """The jobs that came to an end."""
        pool = ThreadPoolExecutor(AT_ONCE)
        futures = {pool.submit(self._retrieve, job): job for job in self._jobs}
        for future in futures:
            future.add_done_callback(self._messages.put)
        try:
            with self._world.interrupts(lambda: self._messages.put(None)):
                if self._tracker.reaches(TOKEN):
                    # The logins come next, and the Salesforce CLI leaves us time.
                    self._world.ready()
                self._emit_all(futures)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            # Again and again: a thread may just be about to start a program.
            while not all(future.done() for future in futures):
                self._world.sf.stop()
                self._world.clock.sleep(0.05)
            raise
        pool.shutdown()
        return [job for future, job in futures.items() if future.result()]

    def _emit_all(self, futures: Mapping[Future[bool], _Job]) -> None:
        """Raises KeyboardInterrupt if somebody interrupts."""
        ended = 0
        while ended < len(futures):
            message = self._messages.get()
            if message is None:
                raise KeyboardInterrupt
            if isinstance(message, Future):
                ended += 1
                job = futures[message]
                sentence = f"{job.org.name}: {ended} of {len(futures)} retrieves done."
                self._tracker.emit(StageNoted(DISCOVER, job.subject, Note("progress", sentence)))
            else:
                self._tracker.emit(message)

    def _retrieve(self, job: _Job) -> bool:
        """Retrieve the apps of an org, and read its tree. Whether that succeeded."""
        with self._tracker.by(self._messages.put).course(job.subject, (DISCOVER,)) as sequence:
            with sequence.stage(DISCOVER) as work:
                username = _username(job.org, self._world)
                source_dir = job.source_dir
                if source_dir and self._world.tree.project_above(source_dir) == source_dir:
                    (project,) = discovery.projects(ProjectSelection((source_dir,)), self._world)
                    work.warnings += _retrieve_into(project, username, self._world, _ignore)
                else:
                    work.warnings += self._retrieve_apart(job, username)
                work.facts["retrievedFrom"] = username
                self._read(job)
        return sequence.finished

    def _retrieve_apart(self, job: _Job, username: str) -> Sequence[str]:
        """All external client apps, into a project of our own; from there into the folder that ``sourceDir`` names,
        whose files keep their places."""
        world, root = self._world, job.folder
        project = {
            "packageDirectories": [{"path": _PACKAGE, "default": True}],
            "namespace": self._namespace,
            "sourceApiVersion": self._version,
        }
        world.write(root, sfdx_project.FILE, json.dumps(project).encode())
        world.write(root, f"{_PACKAGE}/.keep", b"")
        if job.source_dir and world.tree.resolve(job.source_dir):
            self._copy(job.source_dir, ".", root, _PACKAGE)
        types = [type.name for type in metadata.types_at(self._version)]
        warnings = world.sf.retrieve(root, username, types, _ignore)
        if job.source_dir:
            self._copy(root, _PACKAGE, job.source_dir, ".")
        return warnings

    def _copy(self, source: str, folder: str, target: str, into: str) -> None:
        """The metadata files below a folder of one tree to one of another."""
        tree = self._world.tree
        for entry in tree.walk(source, (folder,), metadata_format=False):
            if isinstance(entry, MetadataFile):
                data = tree.read(f"{source}/{entry.path}", metadata.LARGEST)
                self._world.write(target, posixpath.join(into, posixpath.relpath(entry.path, folder)), data)

    def _read(self, job: _Job) -> None:
        """Raises `EcapipeError` for a tree that cannot be used, or lacks an app that a row names."""
        with self._reading:
            try:
                label = None if job.source_dir else retrieved_tree(job.org)
                tree = self._trees.tree(job.source_dir or job.folder, label)
            except EcapipeError as error:
                if error.problem.kind is no_apps_found:
                    raise EcapipeError(org_without_apps(job.org.name, (), ())) from None
                raise
        known = {app.name for app in tree.apps}
        named = [app for org in job.orgs for app in org.apps]
        if missing := [app for app in named if app not in known]:
            raise EcapipeError(org_without_apps(job.org.name, missing, sorted(known)))


def _ignore(_line: str) -> None:
    """Lines of several retrieves at once would not say whose they are."""
