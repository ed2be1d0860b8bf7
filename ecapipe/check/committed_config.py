"""How a project wants to be checked, by one of its commits and not by the tree (``--project-config-from``)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ecapipe.check.baseline import LARGEST
from ecapipe.check.git import Git
from ecapipe.check.ports import CheckAccess
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import metadata, sfdx_project
from ecapipe.project.search import lies_in
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import MetadataFile, ProjectTree


@dataclass(frozen=True, slots=True)
class CommittedConfig:
    """``plugins.ecapipe`` and baseline of a project at a `revision`.

    `project` is that of the tree with the settings of the commit; without a project file there it has none.
    `package_directories` are those of the commit as far as they concern the folder of the project, relative to it.
    """

    project: Project
    revision: str
    project_file: str | None
    package_directories: tuple[str, ...]
    baseline: bytes | None

    def changed(self, tree: ProjectTree) -> Iterator[str]:
        """The files, relative to the project, that say something else in the tree."""
        project_file = read_tree(tree, self.project, sfdx_project.FILE, metadata.LARGEST)
        if not sfdx_project.same_configuration(_text(project_file), self.project_file):
            yield sfdx_project.FILE
        path = self.project.baseline
        if path and _lines(read_tree(tree, self.project, path, LARGEST)) != _lines(self.baseline):
            yield path

    def unlisted(self, tree: ProjectTree) -> tuple[str, ...]:
        """The package directories of the commit that are still there, and in none of the tree's own; of the whole
        folder only if there are apps in it beside those."""
        root, own = self.project.root, self.project.package_directories

        def is_left_out(directory: str) -> bool:
            if any(lies_in(directory, each) for each in own) or not tree.is_directory(f"{root}/{directory}"):
                return False
            return directory != "." or self._has_apps_elsewhere(tree)

        return tuple(filter(is_left_out, self.package_directories))

    def _has_apps_elsewhere(self, tree: ProjectTree) -> bool:
        own = self.project.package_directories
        files = (each for each in tree.walk(self.project.root, (".",), metadata_format=False))
        return any(
            isinstance(each, MetadataFile) and not any(lies_in(each.path, one) for one in own) for each in files
        )


def read(revision: str, project: Project, starts: Sequence[str], world: CheckAccess) -> CommittedConfig:
    """The configuration of a project at a revision: that of the nearest project file at or above what the user named
    of it, `starts`, there. Where the tree has its project files, or links, decides nothing.

    Raises `EcapipeError` for a project without a repository, for settings that are malformed there, and what git
    raises.
    """
    git = world.git(project.root)
    if git is None:
        raise EcapipeError(git_unavailable(project.root, "there is no repository"))
    folder = git.spelled(project.root) or "."
    found = [_project_file(git, revision, git.spelled(start) or ".") for start in starts or (project.root,)]
    home, text = max(found, key=lambda each: (each[1] is not None, len(each[0])))
    if text is None:
        home = folder
    try:
        configured = sfdx_project.configured_by(text, project)
    except EcapipeError as error:
        problem = error.problem
        raise EcapipeError(replace(problem, message=f"At {revision}: {problem.message}")) from None
    if home != folder:
        # What it accepts, it accepts in the files of another folder.
        configured = replace(configured, baseline=None)
    content = git.file_at(revision, _join(folder, configured.baseline)) if configured.baseline else None
    directories = (".",) if text is None else sfdx_project.directories(text)
    concerned = tuple(_seen_from(folder, _join(home, each)) for each in directories)
    return CommittedConfig(configured, revision, text, tuple(filter(None, concerned)), content)


def _project_file(git: Git, revision: str, folder: str) -> tuple[str, str | None]:
    """The nearest folder at or above `folder` that holds a project at a revision, and the text of its file; the last
    and None without one. A project that a tree puts into another one is judged by that."""
    home = folder
    while (content := git.file_at(revision, _join(home, sfdx_project.FILE))) is None:
        if home == ".":
            return home, None
        home = posixpath.dirname(home) or "."
    return home, content.decode("utf-8", "replace")


def _join(folder: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(folder, path))


def _seen_from(folder: str, directory: str) -> str | None:
    """A package directory relative to `folder`: all of that, if it lies within; None for one that is elsewhere."""
    if lies_in(folder, directory):
        return "."
    return posixpath.relpath(directory, folder) if lies_in(directory, folder) else None


def read_tree(tree: ProjectTree, project: Project, path: str, limit: int) -> bytes | None:
    """The content of a file of the tree, None where there is none; raises `EcapipeError` (UnreadableFile)."""
    absolute = f"{project.root}/{path}"
    if tree.resolve(absolute) is None:
        return None
    return tree.read(absolute, limit)


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")


def _lines(content: bytes | None) -> bytes | None:
    # Line endings are git's to change on the way to the disk.
    return None if content is None else content.replace(b"\r\n", b"\n")
