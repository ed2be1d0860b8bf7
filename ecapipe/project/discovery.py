"""From what a user points at to the external client apps that lie there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from ecapipe.events import ProjectFacts
from ecapipe.problems.problem import EcapipeError, Problem, option
from ecapipe.problems.project import (
    link_out_of_repository,
    malformed_xml,
    no_apps_found,
    settings_duplicated,
    suffix_misspelt,
    variable_reserved,
)
from ecapipe.problems.usage import in_metadata_format, unknown_app
from ecapipe.project import apps, metadata, replacements, reserved_variables, search, sfdx_project
from ecapipe.project.apps import App, Replaced, SourceFile
from ecapipe.project.metadata import Document
from ecapipe.project.replacements import Replacement
from ecapipe.project.search import ProjectSelection as ProjectSelection
from ecapipe.project.search import Search
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import ConnectedAppFile, InMetadataFormat, LinkOutside, MetadataFile, ProjectAccess
from ecapipe.secret import Secret, may_be_consumer_secret, withhold

_STEP: Final = 500
"""Files between two words about progress."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The projects, and the apps in them.

    `failures` holds, with the root of its project, a problem for every metadata file that belongs to no app because
    of it; `notices` are sentences about what was not looked at; `whole`: nothing of the projects was left out.
    """

    projects: tuple[Project, ...]
    apps: tuple[App, ...]
    failures: tuple[tuple[str, Problem], ...]
    notices: tuple[str, ...] = ()
    whole: bool = True
    known: frozenset[str] = frozenset()
    """The names of all apps of the projects, chosen or not."""
    unread: tuple[tuple[str, Problem], ...] = ()
    """As `failures`, of files in a format that is not read here; each problem's text is one of `notices`, too."""
    connected_apps: tuple[tuple[str, str], ...] = ()
    """The files of connected apps, each with the root of its project."""

    @property
    def unreadable(self) -> tuple[Problem, ...]:
        return tuple(problem for _, problem in self.failures)

    def api_version(self, app: App) -> str:
        """The API version that the app's project is written for."""
        return next(project.api_version for project in self.projects if project.root == app.project)

    @property
    def facts(self) -> tuple[ProjectFacts, ...]:
        return tuple(ProjectFacts(each.root, each.package_directories, each.tree) for each in self.projects)


def discover(
    selection: ProjectSelection,
    world: ProjectAccess,
    lenders: Mapping[str, App] | None = None,
    *,
    in_lenders: bool = False,
) -> Discovery:
    """Find the apps of `selection`.

    `lenders`, if they are known already, is what `source_org_apps` returns; `in_lenders` finds the apps in the source
    orgs' trees, too.

    Raises `EcapipeError` for everything that keeps the project from being read, and UnknownApp. A file that
    cannot be read is no error here: it is listed in `unreadable`.
    """
    searches = search.project_searches(selection, world)
    if in_lenders:
        for lender_search in search.lender_searches(selection, world).values():
            search.add(searches, lender_search)
    if lenders is None:
        lenders = source_org_apps(selection, world)
    trees = [_read(each, world) for each in searches.values()]
    candidates = [_borrow(app, lenders.get(app.name)) for tree in trees for app in tree.apps]
    refuse_unknown(selection.names, candidates)
    return Discovery(
        projects=tuple(each.project for each in searches.values()),
        apps=tuple(app for app in candidates if not selection.names or app.name in selection.names),
        failures=tuple(failure for tree in trees for failure in tree.failures),
        notices=tuple(notice for tree in trees for notice in tree.notices),
        whole=not selection.names and all(each.within is None for each in searches.values()),
        known=frozenset(name for tree in trees for name in tree.known),
        unread=tuple(each for tree in trees for each in tree.unread),
        connected_apps=tuple(each for tree in trees for each in tree.connected_apps),
    )


def projects(selection: ProjectSelection, world: ProjectAccess) -> tuple[Project, ...]:
    """The projects of `selection`, without a look at their apps; raises as `discover`."""
    return tuple(each.project for each in search.project_searches(selection, world).values())


def source_org_apps(selection: ProjectSelection, world: ProjectAccess) -> dict[str, App]:
    """The apps of the source orgs' trees that have a settings file, by name; raises as `discover`."""
    searches = search.lender_searches(selection, world)
    return {app.name: app for each in searches.values() for app in _read(each, world).apps if app.settings}


def discover_retrieved(
    directory: str, trusted: bool, world: ProjectAccess, lenders: Mapping[str, App], label: str | None = None
) -> Discovery:
    """The apps of one tree that was retrieved from one org; `label` is what results call it, by default its path.

    It is a project, or a folder for itself even if it lies within a project, in source or metadata format, or a
    retrieved zip.

    Raises `EcapipeError`: SourceDirNotFound, NoAppsFound, or what keeps its project from being read.
    """
    retrieved = search.retrieved_search(directory, world, trusted=trusted)
    if label:
        retrieved = replace(retrieved, project=replace(retrieved.project, tree=label))
    tree = _read(retrieved, world)
    discovery = Discovery(
        projects=(retrieved.project,),
        apps=tuple(_borrow(app, lenders.get(app.name)) for app in tree.apps),
        failures=tuple(tree.failures),
        notices=tuple(tree.notices),
        known=tree.known,
    )
    require_apps(discovery)
    return discovery


def withhold_variables(directory: str, trusted: bool, world: ProjectAccess) -> None:
    """Let no program inherit the variables that the project of a tree names, long before the tree is read.

    A tree that cannot be read is refused when it is read.
    """
    with suppress(EcapipeError):
        search.directory_search(directory, world, trusted=trusted)


def configured_trees(projects: Iterable[Project]) -> list[str]:
    """The trees of orgs that the projects configure."""
    return [
        posixpath.join(project.root, folder)
        for project in projects
        for members in project.orgs.values()
        if isinstance(folder := members.get("sourceDir"), str)
    ]


def reserved(projects: Iterable[Project], apps: Iterable[App]) -> Iterator[Problem]:
    """The places that would take a credential from a variable that programs need, in orgs of the projects or in
    apps."""
    for project in projects:
        secret_variables = [(alias, members.get("secretEnv")) for alias, members in project.orgs.items()]
        places = [
            f"secretEnv of plugins.ecapipe.orgs.{alias} is {name}"
            for alias, name in secret_variables
            if isinstance(name, str) and reserved_variables.reserved(name)
        ]
        if places:
            yield variable_reserved(places, sfdx_project.FILE)
    for app in apps:
        if app.settings:
            yield from _reserved_in_settings(app, app.settings)


def require_apps(discovery: Discovery) -> None:
    """Raises `EcapipeError` when there is no app: what made a file unreadable, else NoAppsFound."""
    if discovery.apps:
        return
    if discovery.unreadable:
        raise EcapipeError(discovery.unreadable[0])
    folders = [
        posixpath.normpath(posixpath.join(project.root, path))
        for project in discovery.projects
        for path in project.package_directories
    ]
    problem = no_apps_found(folders)
    raise EcapipeError(replace(problem, message=" ".join((problem.message, *discovery.notices))))


def refuse_rivals(app: App) -> None:
    """Raises `EcapipeError` (SettingsDuplicated) if settings files of the app contradict each other."""
    rivals = [file for file in app.files if file.type is metadata.SETTINGS]
    pairs = {(file.document.text("consumerKey"), file.document.text("consumerSecret")) for file in rivals}
    if len(pairs) > 1:
        raise EcapipeError(settings_duplicated(app.name, [file.path for file in rivals]))


def refuse_unknown(names: Sequence[str], candidates: Iterable[App]) -> None:
    """Raises `EcapipeError` (UnknownApp) if one of `names` is none of the `candidates`."""
    known = sorted({app.name for app in candidates})
    for name in names:
        if name not in known:
            raise EcapipeError(unknown_app(name, known))


@dataclass(slots=True)
class _Tree:
    """What one search brings; `failures` as in `Discovery`."""

    apps: Sequence[App] = ()
    failures: list[tuple[str, Problem]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    known: frozenset[str] = frozenset()
    unread: list[tuple[str, Problem]] = field(default_factory=list)
    connected_apps: list[tuple[str, str]] = field(default_factory=list)


def _read(scope: Search, world: ProjectAccess) -> _Tree:
    """Everything that one search finds, within its filter."""
    project, within = scope.project, scope.within
    tree, files, unreadable, foreign = _Tree(), list[SourceFile](), list[Problem](), list[str]()
    settings: list[tuple[str, Problem]] = []
    entries = list(world.tree.walk(project.root, project.package_directories, metadata_format=scope.metadata_format))
    for number, entry in enumerate(entries):
        if number % _STEP == 0 and number:
            world.tell("Reading files", number, len(entries))
        match entry:
            case Problem():
                unreadable.append(entry)
                if name := _misnamed_settings(entry, scope):
                    settings.append((_app_in_text(entry.file or "", project, world) or name, entry))
            case LinkOutside():
                target = world.tree.target(posixpath.join(project.root, entry.path))
                problem = link_out_of_repository(entry.path, target)
                tree.notices.append(problem.text)
            case ConnectedAppFile():
                tree.connected_apps.append((project.root, entry.path))
            case InMetadataFormat():
                foreign.append(entry.path)
            case MetadataFile():
                try:
                    files.append(_read_file(entry, project, world))
                except EcapipeError as error:
                    unreadable.append(replace(error.problem, file=entry.path))
                    if entry.type is metadata.SETTINGS:
                        name = _app_in_text(entry.path, project, world) or entry.name
                        settings.append((name, unreadable[-1]))
    if foreign:
        folder = posixpath.join(project.root, posixpath.commonpath([posixpath.dirname(path) for path in foreign]))
        problem = in_metadata_format(foreign[0], option("metadata-dir", folder))
        tree.notices.append(problem.text)
        tree.unread.append((project.root, problem))
    # Assembled before it is filtered: an app with one file in a folder that was named counts with all of its files.
    assembled = apps.assemble(files, project.root, project.namespace, project.tree)
    tree.apps = _with_unread_settings(assembled, settings) if settings else assembled
    tree.known = frozenset(app.name for app in tree.apps)
    if within is not None:
        tree.apps = [app for app in tree.apps if any(_lies_in_any(file.path, within) for file in app.files)]
        missed = [app.unread_settings for app in tree.apps]
        unreadable = [each for each in unreadable if _lies_in_any(each.file or "", within) or each in missed]
    tree.failures = [(project.root, problem) for problem in unreadable]
    return tree


def _misnamed_settings(problem: Problem, scope: Search) -> str | None:
    """The member name of a settings file with a suffix that is nearly right; None for any other problem."""
    if problem.kind is not suffix_misspelt or problem.file is None:
        return None
    name = problem.file.rpartition("/")[2]
    correct = metadata.correct_suffix(
        name, metadata_format=scope.metadata_format, in_source=not scope.metadata_format
    )
    known = metadata.recognise(correct, metadata_format=scope.metadata_format) if correct else None
    return known[1] if known and known[0] is metadata.SETTINGS else None


def _app_in_text(path: str, project: Project, world: ProjectAccess) -> str | None:
    """The app that a settings file names which is no metadata, as far as its text shows."""
    try:
        text = world.tree.read(f"{project.root}/{path}", metadata.LARGEST).decode("utf-8", "replace")
    except EcapipeError:
        return None
    named = re.search(r"<externalClientApplication>\s*([^<\s]+)\s*<", text)
    return named[1] if named else None


def _with_unread_settings(apps: Sequence[App], unread: Sequence[tuple[str, Problem]]) -> list[App]:
    """The apps, and of those without settings why a file of theirs was not read. `unread` has the name of an app, or
    of a file that names none: it is taken for that of the app whose name it begins with."""
    problems: dict[str, Problem] = {}
    for name, problem in unread:
        owners = [app.name for app in apps if name.rpartition("__")[2] == app.name]
        owners = owners or [app.name for app in apps if name.startswith(app.name)]
        if owners:
            problems.setdefault(max(owners, key=len), problem)
    return [app if app.settings else replace(app, unread_settings=problems.get(app.name)) for app in apps]


def _lies_in_any(path: str, folders: Sequence[str]) -> bool:
    return any(search.lies_in(path, folder) for folder in folders)


def _read_file(file: MetadataFile, project: Project, world: ProjectAccess) -> SourceFile:
    # Joined by hand: a name in a zip may look absolute, and would replace the root.
    path = f"{project.root}/{file.path}"
    data = world.tree.read(path, metadata.LARGEST)
    document = metadata.parse(data, file.type, file.path)
    replaced: Mapping[str, Replaced] = {}
    if file.type is metadata.SETTINGS and project.replacements:
        replaced = _replace(data, path, file, project, world)
    if "consumerSecret" not in replaced:
        # Before anything else of the tree is shown. A placeholder is nothing to be hidden.
        for text in filter(may_be_consumer_secret, (each.text or "" for each in document.all("consumerSecret"))):
            withhold(Secret(text))
    source = SourceFile(file.path, file.type, file.name, document, replaced=replaced, ignored=file.ignored)
    if source.app is None:
        raise EcapipeError(malformed_xml(file.path, None, "it has no externalClientApplication"))
    return source


def _replace(
    data: bytes, path: str, file: MetadataFile, project: Project, world: ProjectAccess
) -> dict[str, Replaced]:
    """What the project's replacements make of key and secret in one settings file."""

    def read_origin(entry: Replacement) -> str | None:
        if not project.trusted:
            return None
        if entry.kind == "variable":
            return world.withhold(entry.origin)
        return world.tree.read_inside(project.root, entry.origin, metadata.LARGEST)

    text = data.decode("utf-8", "replace")
    marked = replacements.mark(text, path, project.replacements, world.environ, read_origin, world.substitute)
    if marked is None:
        return {}
    try:
        document = metadata.parse(marked.text.encode(), file.type, file.path)
    except EcapipeError:
        # What is replaced is not the text of an element: a deploy's concern, not ours.
        return {}
    return dict(_replaced_elements(marked, document, project))


def _replaced_elements(
    marked: replacements.Marked, document: Document, project: Project
) -> Iterator[tuple[str, Replaced]]:
    """Key and secret in the `document` of a `marked` text, as far as they are replaced."""
    reserved = {name for name in project.variables if reserved_variables.reserved(name)}
    for name in ("consumerKey", "consumerSecret", "certificate"):
        if marked.unfinished:
            yield name, Replaced(None, tuple(marked.unfinished), unfinished=True)
            continue
        resolved = marked.resolve(document.text(name) or "")
        if resolved is None:
            continue
        if not project.trusted:
            yield name, Replaced(None, ignored=True)
            continue
        secret = Secret(resolved.text) if resolved.text else None
        refused = tuple(origin for origin in resolved.missing if origin in reserved)
        variables = tuple(origin for origin in resolved.origins if origin in project.variables)
        yield name, Replaced(secret, resolved.missing, refused, variables, resolved.origins, resolved.whole)


def _reserved_in_settings(app: App, settings: SourceFile) -> Iterator[Problem]:
    for name, replaced in settings.replaced.items():
        if replaced.reserved:
            place = f"replaceWithEnv, for the {name} of {app.name}, is {', '.join(replaced.reserved)}"
            element = settings.document.first(name)
            yield variable_reserved([place], settings.path, element.line if element else None)


def _borrow(app: App, lender: App | None) -> App:
    """The app with its source org's settings file, if it has none of its own."""
    if app.settings or lender is None or lender.settings is None:
        return app
    path = posixpath.relpath(posixpath.join(lender.project, lender.settings.path), app.project)
    return replace(app, borrowed_settings=replace(lender.settings, path=path))
