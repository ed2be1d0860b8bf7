"""What a user points at: the projects to read, and the folders in them to search."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.project import (
    json_parse_error,
    link_out_of_repository,
    missing_package_directory_error,
    project_not_chosen,
    requires_project_error,
)
from ecapipe.problems.usage import given_with, source_dir_not_found
from ecapipe.project import metadata, sfdx_project
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import MetadataFile, ProjectAccess, ProjectTree


@dataclass(frozen=True, slots=True)
class ProjectSelection:
    """What the user points at.

    `directories` are folders of projects, `metadata_dirs` trees in metadata format; with neither the current folder
    is searched. `credentials_dirs` are the trees that linked apps take their credentials from, `names` those of apps
    (empty: all). `trusted`: the project's own settings for ecapipe are followed.
    """

    directories: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    trusted: bool = True
    metadata_dirs: tuple[str, ...] = ()
    credentials_dirs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """A project to read, and the paths in it that an app must have a file under (None: anywhere)."""

    project: Project
    within: tuple[str, ...] | None
    metadata_format: bool = False


def project_searches(selection: ProjectSelection, world: ProjectAccess) -> dict[str, Search]:
    """The searches for `selection`, by the root of each project.

    Raises `EcapipeError` for everything that keeps a project from being read.
    """
    searches: dict[str, Search] = {}
    directories = selection.directories
    if not directories and not selection.metadata_dirs:
        directories = (".",)
    for directory in directories:
        explicit = bool(selection.directories)
        add(searches, directory_search(directory, world, trusted=selection.trusted, explicit=explicit))
    for directory in selection.metadata_dirs:
        root = _resolve(directory, "--metadata-dir", world.tree)
        _require_zip(root, world.tree)
        add(searches, Search(_bare(root, world.tree), None, metadata_format=True))
    return searches


def _require_zip(root: str, tree: ProjectTree) -> None:
    """A file that cannot be opened as one is a mistake in the command line, as one that is not there."""
    if not tree.is_directory(root):
        try:
            next(iter(tree.walk(root, (".",), metadata_format=True)), None)
        except EcapipeError as error:
            raise EcapipeError(given_with("--metadata-dir", error.problem)) from None


def lender_searches(selection: ProjectSelection, world: ProjectAccess) -> dict[str, Search]:
    """The searches in the trees of source orgs, by the root of each project; raises as `project_searches`."""
    searches: dict[str, Search] = {}
    for directory in selection.credentials_dirs:
        add(searches, directory_search(directory, world, trusted=selection.trusted, flag="--credentials-dir"))
    return searches


def retrieved_search(directory: str, world: ProjectAccess, *, trusted: bool) -> Search:
    """The search in one tree that was retrieved from one org; raises as `project_searches`."""
    start = _start(directory, "sourceDir", world.tree)
    around = directory_search(directory, world, trusted=trusted, flag="sourceDir")
    if world.tree.project_above(start) == start:
        return around
    # Apps of the same name may lie in many folders of one project: each folder is a root of its own, which keeps
    # them apart. The project's replacements are for its package directories.
    label = world.tree.label(start)
    project = replace(around.project, root=start, tree=label, package_directories=(".",), replacements=())
    return Search(project, None, metadata_format=True)


def directory_search(
    directory: str, world: ProjectAccess, *, trusted: bool, explicit: bool = True, flag: str = "--source-dir"
) -> Search:
    """The search for one folder; `explicit`: the user named it, by `flag`. Raises as `project_searches`."""
    tree = world.tree
    start = _start(directory, flag, tree)
    root = tree.project_above(start)
    if root is None:
        return _projectless_search(directory, start, tree, explicit=explicit)
    project = _read_project(root, world, trusted=trusted)
    relative = posixpath.relpath(start, root)
    if relative == ".":
        return Search(project, None)
    if any(lies_in(relative, path) or lies_in(path, relative) for path in project.package_directories):
        return Search(project, (relative,))
    # Outside the package directories the named folder itself is searched: a retrieve may have put its output there.
    folder = relative
    if not tree.is_directory(start):
        folder = posixpath.dirname(relative) or "."
    return Search(replace(project, package_directories=(folder,)), (relative,))


def add(searches: dict[str, Search], new: Search) -> None:
    """One search per project: the union of folders and of filters, where no filter means everything."""
    root = new.project.root
    old = searches.get(root)
    if old is None:
        searches[root] = new
        return
    folders = tuple(dict.fromkeys((*old.project.package_directories, *new.project.package_directories)))
    within = None
    if old.within is not None and new.within is not None:
        within = (*old.within, *new.within)
    metadata_format = old.metadata_format or new.metadata_format
    searches[root] = Search(replace(new.project, package_directories=folders), within, metadata_format)


def lies_in(path: str, folder: str) -> bool:
    """Whether `path` is `folder` or below it; both are relative to the same root."""
    return folder == "." or path == folder or path.startswith(folder + "/")


def _resolve(path: str, flag: str, tree: ProjectTree) -> str:
    absolute = tree.resolve(path)
    if absolute is None:
        raise EcapipeError(source_dir_not_found(path, flag))
    return absolute


def _start(path: str, flag: str, tree: ProjectTree) -> str:
    """The path that a user named. A link out of its repository counts as its target, a tree of its own, and so does
    one around which there is no project; ``sfdx-project.json`` means its folder."""
    start = _resolve(path, flag, tree)
    if not tree.project_above(start) and tree.project_above(tree.target(start)):
        start = tree.target(start)
    if posixpath.basename(start) == sfdx_project.FILE and not tree.is_directory(start):
        start = posixpath.dirname(start)
    around = tree.project_above(start)
    if not around:
        around = start if tree.is_directory(start) else posixpath.dirname(start)
    if tree.holds(around, start):
        return start
    return tree.target(start)


def _projectless_search(directory: str, start: str, tree: ProjectTree, *, explicit: bool) -> Search:
    """The search at `start`, around which there is no project: it has to be named by the user, or to hold files."""
    below = tree.projects_below(start)
    if below:
        choices = [posixpath.normpath(posixpath.join(directory, path)) for path in below]
        raise EcapipeError(project_not_chosen(start, choices))
    if not explicit:
        entries = tree.walk(start, (".",), metadata_format=False)
        if not any(isinstance(entry, MetadataFile) for entry in entries):
            raise EcapipeError(requires_project_error(start))
    if tree.is_directory(start):
        return Search(_bare(start, tree), None)
    folder, name = posixpath.split(start)
    return Search(_bare(folder, tree), (name,))


def _bare(root: str, tree: ProjectTree) -> Project:
    """A folder that is searched although no project is around it."""
    return Project(root, (".",), tree=tree.label(root))


def _read_project(root: str, world: ProjectAccess, *, trusted: bool) -> Project:
    """The project at `root`, of which no child process inherits the variables it names for credentials."""
    tree, path = world.tree, posixpath.join(root, sfdx_project.FILE)
    if not tree.holds(root, path):
        raise EcapipeError(link_out_of_repository(sfdx_project.FILE, posixpath.dirname(tree.target(path))))
    data = tree.read(path, metadata.LARGEST)
    # Before git or another program is started, and for a file that is refused or not trusted, too: else a foreign
    # tree would hand the secrets of the environment to the programs that look at it.
    for name in sfdx_project.named(data.decode("utf-8", "replace")):
        world.withhold(name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise EcapipeError(json_parse_error(sfdx_project.FILE, line, 1, "it is not UTF-8")) from None
    project = sfdx_project.parse(text, root, trusted=trusted)
    for folder in project.package_directories:
        if not tree.is_directory(posixpath.join(root, folder)):
            raise EcapipeError(missing_package_directory_error(folder, sfdx_project.FILE))
    return replace(project, tree=tree.label(root))
