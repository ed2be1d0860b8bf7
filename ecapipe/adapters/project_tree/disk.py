"""The disk, read only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import suffix_misspelt
from ecapipe.problems.usage import unreadable_file
from ecapipe.project import sfdx_project
from ecapipe.project.metadata import nearly, recognise
from ecapipe.project.tree import LinkOutside, MetadataFile

_BUNDLES = frozenset({"lwc", "aura"})
"""Folders in which the Salesforce CLI sees nothing but components of their own type."""

_BELOW = 3
"""How many levels below a folder projects are looked for, to name them."""

_PIECE = 1024 * 1024
_PRUNED = frozenset({".git", ".sf", ".sfdx", "node_modules"})
"""Folders in which no file is the project's own."""

_USUAL = 64 * 1024
"""Bytes that no file has but for mistakes and attacks."""


class Disk:
    """The real tree; see `ecapipe.project.tree.ProjectTree`."""

    def resolve(self, path: str) -> str | None:
        absolute = os.path.abspath(path)
        return absolute.replace(os.sep, "/") if os.path.exists(absolute) else None

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def project_above(self, path: str) -> str | None:
        folder = path
        while not os.path.isfile(os.path.join(folder, sfdx_project.FILE)):
            folder, last = os.path.dirname(folder), folder
            if folder == last:
                return None
        return folder

    def in_repository(self, file: str, trees: Iterable[str]) -> bool:
        around = {_mark(folder) for path in _ways(file) for folder in _upwards(path)}
        return any(_mark(self._home(path)) in around for tree in trees for path in _ways(tree))

    def holds(self, root: str, path: str) -> bool:
        home = _mark(os.path.realpath(self._home(os.path.realpath(root))))
        return any(_mark(folder) == home for folder in _upwards(os.path.realpath(path)))

    def target(self, path: str) -> str:
        return os.path.realpath(path).replace(os.sep, "/")

    def _home(self, path: str) -> str:
        holders = (folder for folder in _upwards(path) if os.path.lexists(os.path.join(folder, ".git")))
        return next(holders, None) or self.project_above(path) or path

    def projects_below(self, path: str) -> list[str]:
        return sorted(_projects(path, "", _BELOW))

    def walk(
        self, root: str, directories: Sequence[str], *, metadata_format: bool
    ) -> Iterator[MetadataFile | LinkOutside | Problem]:
        if os.path.isfile(root):
            yield from _listed(root)
            return
        ignored = forceignore(root)
        seen: set[tuple[int, int]] = set()
        for directory in directories:
            start, prefix = os.path.join(root, directory), "" if directory == "." else directory + "/"
            if not self.holds(root, start):
                yield LinkOutside(directory)
                continue
            for found in _walk(start, prefix, seen, partial(self.holds, root)):
                if not isinstance(found, str):
                    yield found
                    continue
                name = found.rpartition("/")[2]
                if known := recognise(name, metadata_format=metadata_format):
                    yield MetadataFile(found, *known, ignored(found))
                elif meant := nearly(name, metadata_format=metadata_format):
                    yield suffix_misspelt(found, meant)

    def read(self, path: str, limit: int) -> bytes:
        try:
            return _read(path, limit)
        except NotADirectoryError:  # a member of a zip file
            from ecapipe.adapters.project_tree import archive

            holder = path
            while not os.path.isfile(holder):
                holder = os.path.dirname(holder)
            return archive.read(holder, path[len(holder) + 1 :], limit)
        except OSError as error:
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        try:
            path = os.path.join(root, name)
            if not _inside(os.path.realpath(root), path):
                return None
            return _read(path, limit)[:limit].decode("utf-8").strip()
        except (OSError, ValueError):
            return None

    def files(self, root: str) -> Iterator[str]:
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(set(folders) - _PRUNED)
            relative = os.path.relpath(folder, root).replace(os.sep, "/")
            yield from (name if relative == "." else f"{relative}/{name}" for name in sorted(names))

    def pieces(self, path: str) -> Iterator[bytes]:
        # A link leads to a file that is looked at under its own name; opening a pipe would wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags)
        except OSError:
            return
        try:
            found = os.fstat(descriptor)
            left = found.st_size if stat.S_ISREG(found.st_mode) else 0
            while left > 0 and (piece := os.read(descriptor, min(left, _PIECE))):
                left -= len(piece)
                yield piece
        finally:
            os.close(descriptor)

    def open_to_others(self, path: str) -> bool:
        try:
            return os.name == "posix" and bool(os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:  # in a zip file
            return False


def _ways(path: str) -> set[str]:
    """A path as it was written, and as it is without links."""
    return {os.path.abspath(path), os.path.realpath(path)}


def _upwards(path: str) -> Iterator[str]:
    """A path and the folders around it, the nearest first."""
    last = ""
    while path != last:
        yield path
        path, last = os.path.dirname(path), path


def _mark(path: str) -> tuple[int, int] | str:
    """What a file or folder has alone, however its path is spelled."""
    try:
        found = os.stat(path)
    except OSError:
        return path
    return found.st_dev, found.st_ino


def _projects(folder: str, relative: str, depth: int) -> Iterator[str]:
    entries = _entries(folder)
    for entry in () if isinstance(entries, OSError) else entries:
        if entry.name == sfdx_project.FILE and relative:
            yield relative
        elif depth and _enters(entry):
            yield from _projects(entry.path, f"{relative}/{entry.name}".lstrip("/"), depth - 1)


def _walk(
    folder: str, prefix: str, seen: set[tuple[int, int]], held: Callable[[str], bool]
) -> Iterator[str | LinkOutside | Problem]:
    """The paths of files that may be metadata, depth first.

    Links are followed to what is `held`, and no folder is entered twice.
    """
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
            enters = _enters(entry)
            if entry.name in _BUNDLES if enters else not (".eca" in entry.name.lower() and _is_file(entry)):
                continue
            if _leads_away(entry) and not held(entry.path):
                yield LinkOutside(prefix + entry.name)
            elif enters:
                pending.append((entry.path, f"{prefix}{entry.name}/"))
            else:
                yield prefix + entry.name


def _inside(home: str, path: str) -> bool:
    """Whether `path` leads to a place below `home`, which has no links in it."""
    return os.path.commonpath((home, os.path.realpath(path))) == home


def passed_over(path: str) -> bool:
    """Whether the walk never comes to `path`, for one of the folders on the way."""
    folders = path.split("/")[:-1]
    return any(name.startswith(".") or name == "node_modules" or name in _BUNDLES for name in folders)


def _enters(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name == "node_modules":
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _leads_away(entry: os.DirEntry[str]) -> bool:
    """Whether an entry may lead elsewhere: as a symbolic link, or a junction of Windows."""
    return entry.is_symlink() or bool(getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0))


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False


def _entries(folder: str) -> list[os.DirEntry[str]] | OSError:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        return error


def forceignore(root: str) -> Callable[[str], bool]:
    """Whether the .forceignore of the project hides a path from the Salesforce CLI."""
    try:
        with open(os.path.join(root, ".forceignore"), encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:
        return lambda _: False
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(lines).match_file


def _listed(holder: str) -> Iterator[MetadataFile | Problem]:
    """The metadata files in a zip file, by name."""
    from ecapipe.adapters.project_tree import archive

    for name in archive.names(holder):
        base = name.rpartition("/")[2]
        if known := recognise(base, metadata_format=True):
            yield MetadataFile(name, *known)
        elif meant := nearly(base, metadata_format=True):
            yield suffix_misspelt(name, meant)


def _read(path: str, limit: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = os.read(descriptor, min(_USUAL, limit + 1))  # to ask for the limit at once would reserve it
        while (left := limit + 1 - len(data)) > 0 and (piece := os.read(descriptor, min(left, _PIECE))):
            data += piece
        return data
    finally:
        os.close(descriptor)
