"""The disk, read only."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

from ecapipe import project
from ecapipe.metadata import nearly, recognise
from ecapipe.problems import EcapipeError, Problem, suffix_misspelt, unreadable_file
from ecapipe.world import Found

_BUNDLES = frozenset({"lwc", "aura"})
"""Folders in which the Salesforce CLI sees nothing but components of their own type."""

_BELOW = 3
"""How many levels below a folder projects are looked for, to name them."""


class Disk:
    """The real tree; see `ecapipe.world.Tree`."""

    def resolve(self, path: str) -> str | None:
        absolute = os.path.abspath(path)
        return absolute.replace(os.sep, "/") if os.path.exists(absolute) else None

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def project_above(self, path: str) -> str | None:
        folder = path
        while not os.path.isfile(os.path.join(folder, project.FILE)):
            folder, last = os.path.dirname(folder), folder
            if folder == last:
                return None
        return folder

    def projects_below(self, path: str) -> list[str]:
        return sorted(_projects(path, "", _BELOW))

    def walk(self, root: str, directories: Sequence[str], *, metadata_format: bool) -> Iterator[Found | Problem]:
        if os.path.isfile(root):
            yield from _listed(root)
            return
        ignored = _forceignore(root)
        home = os.path.realpath(root)
        seen: set[tuple[int, int]] = set()
        for directory in directories:
            prefix = "" if directory == "." else directory + "/"
            for path in _walk(os.path.join(root, directory), prefix, seen):
                if isinstance(path, Problem):
                    yield path
                elif known := recognise(os.path.basename(path), metadata_format=metadata_format):
                    real = os.path.realpath(os.path.join(root, path))
                    yield Found(path, *known, ignored(path), os.path.commonpath((home, real)) != home)
                elif meant := nearly(os.path.basename(path), metadata_format=metadata_format):
                    yield suffix_misspelt(path, meant)

    def read(self, path: str, limit: int) -> bytes:
        try:
            return _read(path, limit)
        except NotADirectoryError:  # a member of a zip file
            from ecapipe.edges import archive

            holder = path
            while not os.path.isfile(holder):
                holder = os.path.dirname(holder)
            return archive.read(holder, path[len(holder) + 1 :], limit)
        except OSError as error:
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        try:
            path, home = os.path.realpath(os.path.join(root, name)), os.path.realpath(root)
            if os.path.commonpath((home, path)) != home:
                return None
            return _read(path, limit)[:limit].decode("utf-8").strip()
        except (OSError, ValueError):
            return None


def _projects(folder: str, relative: str, depth: int) -> Iterator[str]:
    entries = _entries(folder)
    for entry in () if isinstance(entries, OSError) else entries:
        if entry.name == project.FILE and relative:
            yield relative
        elif depth and _enters(entry):
            yield from _projects(entry.path, f"{relative}/{entry.name}".lstrip("/"), depth - 1)


def _walk(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[str | Problem]:
    """The paths of files that may be metadata, depth first. Links are followed, but no folder is entered twice."""
    pending = [(folder, prefix)]
    while pending:
        folder, prefix = pending.pop()
        entries = _entries(folder)
        if isinstance(entries, OSError):
            yield unreadable_file(prefix.rstrip("/") or ".", entries.strerror or "unknown reason")
            continue
        stat = os.stat(folder)
        if (stat.st_dev, stat.st_ino) in seen:
            continue
        seen.add((stat.st_dev, stat.st_ino))
        for entry in entries:
            if _enters(entry):
                if entry.name not in _BUNDLES:
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
            elif ".eca" in entry.name.lower() and os.path.isfile(entry.path):
                yield prefix + entry.name


def _enters(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name == "node_modules":
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _entries(folder: str) -> list[os.DirEntry[str]] | OSError:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        return error


def _forceignore(root: str) -> Callable[[str], bool]:
    """Whether the .forceignore of the project hides a path from the Salesforce CLI."""
    try:
        with open(os.path.join(root, ".forceignore"), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return lambda _: False
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines).match_file


def _listed(holder: str) -> Iterator[Found | Problem]:
    """The metadata files in a zip file, by name."""
    from ecapipe.edges import archive

    for name in archive.names(holder):
        base = name.rpartition("/")[2]
        if known := recognise(base, metadata_format=True):
            yield Found(name, *known)
        elif meant := nearly(base, metadata_format=True):
            yield suffix_misspelt(name, meant)


def _read(path: str, limit: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(limit + 1)
