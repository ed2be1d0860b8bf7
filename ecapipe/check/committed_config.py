"""How a project wants to be checked, by one of its commits and not by the tree (``--project-config-from``)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ecapipe.check.baseline import LARGEST
from ecapipe.check.git import Git
from ecapipe.check.ports import CheckAccess
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError
from ecapipe.project import metadata, sfdx_project
from ecapipe.project.sfdx_project import Project
from ecapipe.project.tree import ProjectTree


@dataclass(frozen=True, slots=True)
class CommittedConfig:
    """``plugins.ecapipe`` and baseline of a project at a `revision`.

    `project` is that of the tree with the settings of the commit; without a project file there it has none.
    """

    project: Project
    revision: str
    project_file: str | None
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
        """The package directories of the commit that are still there, and in none of the tree's own."""
        own = self.project.package_directories

        def is_left_out(directory: str) -> bool:
            listed = any(each in (".", directory) or directory.startswith(f"{each}/") for each in own)
            return not listed and tree.is_directory(f"{self.project.root}/{directory}")

        return tuple(filter(is_left_out, sfdx_project.directories(self.project_file)))


def read(revision: str, project: Project, world: CheckAccess) -> CommittedConfig:
    """The configuration of a project at a revision.

    Raises `EcapipeError` for a project without a repository, for settings that are malformed there, and what git
    raises.
    """
    git = world.git(project.root)
    if git is None:
        raise EcapipeError(git_unavailable(project.root, "there is no repository"))
    project_file = _text(_file_at(git, revision, project, sfdx_project.FILE))
    try:
        configured = sfdx_project.configured_by(project_file, project)
    except EcapipeError as error:
        problem = error.problem
        raise EcapipeError(replace(problem, message=f"At {revision}: {problem.message}")) from None
    baseline = _file_at(git, revision, project, configured.baseline) if configured.baseline else None
    return CommittedConfig(configured, revision, project_file, baseline)


def _file_at(git: Git, revision: str, project: Project, path: str) -> bytes | None:
    # Only the folder's links are those of the tree: a link in place of the file itself could lead to the
    # settings of another project.
    folder = git.name(project.root)
    return git.file_at(revision, path if folder in (None, ".") else f"{folder}/{path}")


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
