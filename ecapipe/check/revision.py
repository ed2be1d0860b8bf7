"""The apps of a project that differ from a revision (``--since``)."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ecapipe.check.git import Git
from ecapipe.check.ports import CheckAccess
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project import metadata
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.discovery import Discovery
from ecapipe.project.metadata import Type
from ecapipe.project.tree import ProjectTree


def changed_since(revision: str, discovery: Discovery, world: CheckAccess) -> Discovery:
    """Only the apps of which a file differs from `revision`, is not in it, or is only in it.

    What git ignores or does not track is in no revision, so it always counts. Raises `EcapipeError` for a project
    without a repository, and what git raises.
    """
    apps, failures = list[App](), list[tuple[str, Problem]]()
    for project in discovery.projects:
        root = project.root
        git = world.git(root)
        if git is None:
            raise EcapipeError(git_unavailable(root, "there is no repository"))
        own_apps = [app for app in discovery.apps if app.project == root]
        unreadable = [problem for project_root, problem in discovery.failures if project_root == root]
        paths = {file.path for app in own_apps for file in app.files} | {each.file or "" for each in unreadable}
        blobs = git.at(revision)
        changed = _changed_paths(paths, root, blobs, git, world.tree)
        # An app that lost a file has changed, though what is left of it has not.
        diminished = _apps_of_deleted_files(paths, root, blobs, git)
        apps += [app for app in own_apps if any(file.path in changed or file.app in diminished for file in app.files)]
        failures += [(root, problem) for problem in unreadable if problem.file in changed]
    return replace(discovery, apps=tuple(apps), failures=tuple(failures))


def _changed_paths(
    paths: Iterable[str], root: str, blobs: Mapping[str, str], git: Git, tree: ProjectTree
) -> set[str]:
    earlier = {path: blobs.get(git.name(f"{root}/{path}") or "") for path in paths}
    contents = git.read(blob for blob in earlier.values() if blob)
    changed = set()
    for path, blob in earlier.items():
        if blob is None:
            changed.add(path)
            continue
        # Line endings are git's to change on the way to the disk.
        now = tree.read(f"{root}/{path}", metadata.LARGEST).replace(b"\r\n", b"\n")
        if contents.get(blob, b"").replace(b"\r\n", b"\n") != now:
            changed.add(path)
    return changed


@dataclass(frozen=True, slots=True)
class _DeletedFile:
    """A metadata file that is in a revision, as `blob`, and no longer in the project."""

    path: str
    type: Type
    name: str
    blob: str


def _apps_of_deleted_files(paths: set[str], root: str, blobs: Mapping[str, str], git: Git) -> set[str]:
    """The apps of files that are no longer there."""
    deleted = _deleted_files(paths, git.name(root) or ".", blobs)
    contents = git.read(file.blob for file in deleted)
    apps = set()
    for file in deleted:
        try:
            document = metadata.parse(contents.get(file.blob, b""), file.type, file.path)
        except EcapipeError:
            # It could not be read then, and belonged to no app.
            continue
        apps.add(SourceFile(file.path, file.type, file.name, document).app or "")
    return apps


def _deleted_files(paths: set[str], folder: str, blobs: Mapping[str, str]) -> list[_DeletedFile]:
    """The metadata files of a revision in `folder` that are not among `paths`."""
    deleted = []
    for name, blob in blobs.items():
        known = metadata.recognise(name.rpartition("/")[2])
        path = posixpath.relpath(name, folder)
        if known and path not in paths and not path.startswith("../"):
            deleted.append(_DeletedFile(path, *known, blob=blob))
    return deleted
