"""From what a user points at to the external client apps that lie there."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from ecapipe.events import ProjectFacts
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import (
    json_parse_error,
    link_out_of_repository,
    malformed_xml,
    missing_package_directory_error,
    no_apps_found,
    project_not_chosen,
    requires_project_error,
    settings_duplicated,
    variable_reserved,
)
from ecapipe.problems.usage import source_dir_not_found, unknown_app
from ecapipe.project import apps, metadata, replacements, reserved_variables, sfdx_project
from ecapipe.project.apps import App, Replaced, SourceFile
from ecapipe.project.metadata import Document
from ecapipe.project.replacements import Replacement
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import LinkOutside, MetadataFile, ProjectAccess, ProjectTree
from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class ProjectSelection:
    """What the user points at: folders of a project, trees in metadata format (neither: the current folder), the
    trees that linked apps take their credentials from, app names (none: all), and whether the project's own
    settings for ecapipe are trusted."""

    directories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    trusted: bool = True
    metadata_dirs: tuple[str, ...] = ()
    credentials_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found. `failures` holds, with the root of its project, a problem for every metadata file that belongs
    to no app for that; `notices` are sentences about what was not looked at; `whole`: nothing of the projects was
    left out."""

    projects: tuple[Project, ...]
    apps: tuple[App, ...]
    failures: tuple[tuple[str, Problem], ...]
    notices: tuple[str, ...] = ()
    whole: bool = True

    @property
    def unreadable(self) -> tuple[Problem, ...]:
        return tuple(problem for _, problem in self.failures)

    def api_version(self, app: App) -> str:
        """The API version that the app's project is written for."""
        return next(found.api_version for found in self.projects if found.root == app.project)

    @property
    def facts(self) -> tuple[ProjectFacts, ...]:
        return tuple(ProjectFacts(found.root, found.package_directories) for found in self.projects)


def discover(
    where: ProjectSelection, world: ProjectAccess, lent: Mapping[str, App] | None = None, *, in_lenders: bool = False
) -> Discovery:
    """Find the apps that `where` means; `lent`, if it is known already, as `source_org_apps` gives it; `in_lenders`:
    those in
    the source orgs' trees, too.

    Raises `EcapipeError` for everything that keeps the project from being read, and UnknownApp. A file that
    cannot be read is no error here: it is listed in `unreadable`.
    """
    searches = _searches(where, world)
    for search in _lending(where, world).values() if in_lenders else ():
        _add(searches, search)
    lent = source_org_apps(where, world) if lent is None else lent
    trees = [_read(search, world) for search in searches.values()]
    chosen = [_borrow(app, lent.get(app.name)) for tree in trees for app in tree.apps]
    refuse_unknown(where.names, chosen)
    return Discovery(
        tuple(search.project for search in searches.values()),
        tuple(app for app in chosen if not where.names or app.name in where.names),
        tuple((root, problem) for root, tree in zip(searches, trees, strict=True) for problem in tree.unreadable),
        tuple(notice for tree in trees for notice in tree.notices),
        not where.names and all(search.within is None for search in searches.values()),
    )


def projects(where: ProjectSelection, world: ProjectAccess) -> tuple[Project, ...]:
    """The projects that `where` means, without a look at their apps; raises as `discover`."""
    return tuple(search.project for search in _searches(where, world).values())


def source_org_apps(where: ProjectSelection, world: ProjectAccess) -> dict[str, App]:
    """The apps of the source orgs' trees that have a settings file, by name; raises as `discover`."""
    found = _lending(where, world)
    return {app.name: app for search in found.values() for app in _read(search, world).apps if app.settings}


def discover_retrieved(directory: str, trusted: bool, world: ProjectAccess, lent: Mapping[str, App]) -> Discovery:
    """The apps of one tree that was retrieved from one org: a project of its own, or a folder for itself even if it
    lies within a project, in source or metadata format, or a retrieved zip.

    Raises `EcapipeError`: SourceDirNotFound, NoAppsFound, or what keeps its project from being read.
    """
    start = _start(directory, "sourceDir", world.tree)
    search = _search(directory, True, trusted, world, "sourceDir")
    if world.tree.project_above(start) != start:
        # Told apart by their roots, apps of the same name may lie in many folders of one project. Its replacements
        # are for its package directories.
        apart = replace(search.project, root=start, package_directories=(".",), replacements=())
        search = _Search(apart, None, metadata_format=True)
    tree = _read(search, world)
    found = Discovery(
        (search.project,),
        tuple(_borrow(app, lent.get(app.name)) for app in tree.apps),
        tuple((search.project.root, problem) for problem in tree.unreadable),
        tuple(tree.notices),
    )
    require_apps(found)
    return found


def withhold_variables(directory: str, trusted: bool, world: ProjectAccess) -> None:
    """Let no program inherit the variables that the project of a tree names, long before the tree is read; whether it
    can be is told then."""
    with suppress(EcapipeError):
        _search(directory, True, trusted, world)


def reserved(found: Iterable[Project], among: Iterable[App]) -> Iterator[Problem]:
    """Where a credential is to come from a variable that programs need: of orgs of the projects, or of apps."""
    for each in found:
        named = [(alias, members.get("secretEnv")) for alias, members in each.orgs.items()]
        refused = [
            f"secretEnv of plugins.ecapipe.orgs.{alias} names {name}"
            for alias, name in named
            if isinstance(name, str) and reserved_variables.reserved(name)
        ]
        if refused:
            yield variable_reserved(refused, sfdx_project.FILE)
    for app, settings in ((app, app.settings) for app in among if app.settings):
        for element, replaced in settings.replaced.items():
            if replaced.reserved:
                names = ", ".join(replaced.reserved)
                sentence = f"replaceWithEnv, for the {element} of {app.name}, names {names}"
                line = settings.document.first(element)
                yield variable_reserved([sentence], settings.path, line.line if line else None)


def require_apps(found: Discovery) -> None:
    """Raises `EcapipeError` when there is no app: what made a file unreadable, else NoAppsFound."""
    if not found.apps:
        if found.unreadable:
            raise EcapipeError(found.unreadable[0])
        folders = [(each.root, path) for each in found.projects for path in each.package_directories]
        problem = no_apps_found([posixpath.normpath(posixpath.join(*pair)) for pair in folders])
        raise EcapipeError(replace(problem, message=" ".join((problem.message, *found.notices))))


def refuse_rivals(app: App) -> None:
    """Raises `EcapipeError` (SettingsDuplicated) if settings files of the app contradict each other."""
    rivals = [file for file in app.files if file.type is metadata.SETTINGS]
    pairs = {(file.document.text("consumerKey"), file.document.text("consumerSecret")) for file in rivals}
    if len(pairs) > 1:
        raise EcapipeError(settings_duplicated(app.name, [file.path for file in rivals]))


def _searches(where: ProjectSelection, world: ProjectAccess) -> dict[str, _Search]:
    """What the user points at, by the root of each project."""
    searches: dict[str, _Search] = {}
    for directory in where.directories or (() if where.metadata_dirs else (".",)):
        _add(searches, _search(directory, bool(where.directories), where.trusted, world))
    for directory in where.metadata_dirs:
        _add(searches, _bare(_there(directory, "--metadata-dir", world.tree), metadata_format=True))
    return searches


def _lending(where: ProjectSelection, world: ProjectAccess) -> dict[str, _Search]:
    """The trees of source orgs, by the root of each project."""
    found: dict[str, _Search] = {}
    for directory in where.credentials_dirs:
        _add(found, _search(directory, True, where.trusted, world, "--credentials-dir"))
    return found


@dataclass(frozen=True, slots=True)
class _Search:
    """A project to read, and the paths in it that an app must have a file under (None: anywhere)."""

    project: Project
    within: tuple[str, ...] | None
    metadata_format: bool = False


def _there(path: str, flag: str, tree: ProjectTree) -> str:
    found = tree.resolve(path)
    if found is None:
        raise EcapipeError(source_dir_not_found(path, flag))
    return found


def _start(path: str, flag: str, tree: ProjectTree) -> str:
    """What a user named: where it leads out of its repository, the target, a tree of its own."""
    start = _there(path, flag, tree)
    around = tree.project_above(start) or (start if tree.is_directory(start) else posixpath.dirname(start))
    return start if tree.holds(around, start) else tree.target(start)


def _search(
    directory: str, explicit: bool, trusted: bool, world: ProjectAccess, flag: str = "--source-dir"
) -> _Search:
    """What one folder that a user named means."""
    tree = world.tree
    start = _start(directory, flag, tree)
    root = tree.project_above(start)
    if root is None:
        below = tree.projects_below(start)
        if below:
            raise EcapipeError(
                project_not_chosen(start, [posixpath.normpath(posixpath.join(directory, path)) for path in below])
            )
        if not explicit:
            raise EcapipeError(requires_project_error(start))
        if tree.is_directory(start):
            return _bare(start)
        folder, name = posixpath.split(start)
        return _Search(sfdx_project.bare(folder), (name,))
    found = _parse(root, trusted, world)
    relative = posixpath.relpath(start, root)
    if relative == ".":
        return _Search(found, None)
    if any(_inside(relative, path) or _inside(path, relative) for path in found.package_directories):
        return _Search(found, (relative,))
    searched = relative if tree.is_directory(start) else posixpath.dirname(relative) or "."
    return _Search(replace(found, package_directories=(searched,)), (relative,))


def _bare(start: str, *, metadata_format: bool = False) -> _Search:
    return _Search(sfdx_project.bare(start), None, metadata_format)


def _add(searches: dict[str, _Search], new: _Search) -> None:
    """One search per project: the union of folders and of filters, where no filter means everything."""
    root = new.project.root
    old = searches.get(root)
    if old is None:
        searches[root] = new
        return
    union = tuple(dict.fromkeys((*old.project.package_directories, *new.project.package_directories)))
    within = None if new.within is None or old.within is None else (*old.within, *new.within)
    either = old.metadata_format or new.metadata_format
    searches[root] = _Search(replace(new.project, package_directories=union), within, either)


def _parse(root: str, trusted: bool, world: ProjectAccess) -> Project:
    tree, path = world.tree, posixpath.join(root, sfdx_project.FILE)
    if not tree.holds(root, path):
        raise EcapipeError(link_out_of_repository(sfdx_project.FILE, posixpath.dirname(tree.target(path))))
    data = tree.read(path, metadata.LARGEST)
    for name in sfdx_project.named(data.decode("utf-8", "replace")):
        world.taken(name)  # before any other program is started; of a file that is refused or not trusted, too
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EcapipeError(json_parse_error(sfdx_project.FILE, line, 1, "it is not UTF-8")) from None
    found = sfdx_project.parse(text, root, trusted=trusted)
    for path in found.package_directories:
        if not world.tree.is_directory(posixpath.join(root, path)):
            raise EcapipeError(missing_package_directory_error(path, sfdx_project.FILE))
    return found


@dataclass(frozen=True, slots=True)
class _Tree:
    apps: Sequence[App]
    unreadable: Sequence[Problem]
    notices: Sequence[str]


def _read(search: _Search, world: ProjectAccess) -> _Tree:
    """Everything one search finds, within its filter."""
    found, files = search.project, list[SourceFile]()
    unreadable, notices = list[Problem](), list[str]()
    for file in world.tree.walk(found.root, found.package_directories, metadata_format=search.metadata_format):
        if isinstance(file, Problem):
            unreadable.append(file)
            continue
        if isinstance(file, LinkOutside):
            target = world.tree.target(posixpath.join(found.root, file.path))
            problem = link_out_of_repository(file.path, target)
            notices.append(" ".join((problem.message, *problem.actions)))
            continue
        try:
            files.append(_source(file, found, world))
        except EcapipeError as error:
            unreadable.append(replace(error.problem, file=file.path))
    assembled = apps.assemble(files, found.root, found.namespace)
    within = search.within
    if within is None:
        return _Tree(assembled, unreadable, notices)
    return _Tree(
        [app for app in assembled if _touches(app, within)],
        [problem for problem in unreadable if _under(problem.file or "", within)],
        notices,
    )


def _source(file: MetadataFile, found: Project, world: ProjectAccess) -> SourceFile:
    path = f"{found.root}/{file.path}"  # joined by hand: a name in a zip may look absolute
    data = world.tree.read(path, metadata.LARGEST)
    document = metadata.parse(data, file.type, file.path)
    replaced = _replaced(data, document, path, file, found, world) if file.type is metadata.SETTINGS else {}
    source = SourceFile(file.path, file.type, file.name, document, replaced, file.ignored)
    if source.app is None:
        raise EcapipeError(malformed_xml(file.path, None, "it names no externalClientApplication"))
    return source


def _replaced(
    data: bytes, document: Document, path: str, file: MetadataFile, found: Project, world: ProjectAccess
) -> dict[str, Replaced]:
    """What the project's replacements make of key and secret in one settings file."""
    if not found.replacements:
        return {}

    def given(entry: Replacement) -> str | None:
        if entry.kind == "variable":
            return world.taken(entry.origin)
        return world.tree.read_inside(found.root, entry.origin, metadata.LARGEST)

    text = data.decode("utf-8", "replace")
    marked = replacements.mark(text, path, found.replacements, world.environ, given)
    if marked is None:
        return {}
    try:
        changed = metadata.parse(marked.text.encode(), file.type, file.path)
    except EcapipeError:
        return {}  # what is replaced is not the text of an element; the deploy's concern, not ours
    reserved = {name for name in found.variables if reserved_variables.reserved(name)}
    result = {}
    for name in ("consumerKey", "consumerSecret"):
        resolved = marked.resolve(changed.text(name) or "")
        if resolved is not None:
            value, lacking = resolved
            refused = tuple(origin for origin in lacking if origin in reserved)
            result[name] = Replaced(Secret(value) if value else None, lacking, refused)
    return result


def _borrow(app: App, lender: App | None) -> App:
    """The app with its source org's settings file, if it has none of its own."""
    if app.settings or lender is None or lender.settings is None:
        return app
    path = posixpath.relpath(posixpath.join(lender.project, lender.settings.path), app.project)
    return replace(app, lent=replace(lender.settings, path=path))


def refuse_unknown(names: Sequence[str], found: Iterable[App]) -> None:
    """Raises `EcapipeError` (UnknownApp) if one of `names` is none of the apps found."""
    known = sorted({app.name for app in found})
    for name in names:
        if name not in known:
            raise EcapipeError(unknown_app(name, known))


def _inside(path: str, folder: str) -> bool:
    return folder == "." or path == folder or path.startswith(folder + "/")


def _under(path: str, within: Sequence[str]) -> bool:
    return any(_inside(path, folder) for folder in within)


def _touches(app: App, within: Sequence[str]) -> bool:
    return any(_under(file.path, within) for file in app.files)
