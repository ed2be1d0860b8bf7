"""The disk, read only."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cache, partial
from pathlib import PurePath

from ecapipe.adapters import reading
from ecapipe.adapters.storage import files
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.project import suffix_misspelt
from ecapipe.problems.usage import unreadable_file
from ecapipe.project import globs, sfdx_project
from ecapipe.project.metadata import LARGEST, connected_app, correct_suffix, recognise
from ecapipe.project.tree import ConnectedAppFile, Entry, InMetadataFormat, LinkOutside, MetadataFile

_BUNDLES = frozenset({"lwc", "aura"})
"""Folders in which the Salesforce CLI sees nothing but components of their own type."""

FORCEIGNORE = ".forceignore"
_BELOW = 3
"""How many levels below a folder projects are looked for, to name them."""

_NO_FILE = "it is not a regular file"
_PIECE = 1024 * 1024
_PRUNED = frozenset({".git", ".sf", ".sfdx", "node_modules"})
"""Folders in which no file is the project's own. A linked work tree has a file of the first name."""


class Disk:
    """The real tree; see `ecapipe.project.tree.ProjectTree`."""

    def resolve(self, path: str) -> str | None:
        absolute = os.path.abspath(path)
        return absolute.replace(os.sep, "/") if os.path.exists(absolute) else None

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def label(self, root: str) -> str:
        repository = files.repository(os.getcwd())
        # By PurePath, here and below: os.path.commonpath fails where Windows has the two on different drives.
        if repository and PurePath(root).is_relative_to(repository):
            return os.path.relpath(root, repository).replace(os.sep, "/")
        return root

    def project_above(self, path: str) -> str | None:
        projects = (
            folder for folder in files.upwards(path) if os.path.isfile(os.path.join(folder, sfdx_project.FILE))
        )
        return next(projects, None)

    def in_repository(self, file: str, trees: Iterable[str]) -> bool:
        # As they are spelled and as they are: a link must not take a file out of a repository, nor into one.
        around = {_identity(folder) for path in _spellings(file) for folder in files.upwards(path)}
        homes = (files.whole_repository(path) or self._home(path) for tree in trees for path in _spellings(tree))
        return any(_identity(home) in around for home in homes)

    def holds(self, root: str, path: str) -> bool:
        home = _identity(os.path.realpath(self._home(os.path.realpath(root))))
        return any(_identity(folder) == home for folder in files.upwards(os.path.realpath(path)))

    def target(self, path: str) -> str:
        return os.path.realpath(path).replace(os.sep, "/")

    def _home(self, path: str) -> str:
        """The repository around a path, else the project, else the path itself."""
        return files.repository(path) or self.project_above(path) or path

    def projects_below(self, path: str) -> list[str]:
        return sorted(_projects(path, "", _BELOW))

    def walk(self, root: str, directories: Sequence[str], *, metadata_format: bool) -> Iterator[Entry]:
        if os.path.isfile(root):
            yield from _archived(root)
            return
        ignored = yield from forceignore(root)
        beside_source = cache(partial(_source_beside, root))
        seen: set[tuple[int, int] | str] = set()
        for directory in directories:
            start = os.path.join(root, directory)
            prefix = "" if directory == "." else f"{directory}/"
            if not self.holds(root, start):
                yield LinkOutside(directory)
                continue
            for path in _walk(start, prefix, seen, partial(self.holds, root)):
                if not isinstance(path, str):
                    yield path
                    continue
                name = path.rpartition("/")[2]
                if type_and_name := recognise(name, metadata_format=metadata_format):
                    yield MetadataFile(path, *type_and_name, ignored(path))
                elif connected_app(name):
                    yield ConnectedAppFile(path)
                else:
                    yield from misnamed(path, metadata_format, beside_source)

    def read(self, path: str, limit: int) -> bytes:
        try:
            return reading.read(path, limit)
        except NotADirectoryError:  # a member of a zip file
            from ecapipe.adapters.project_tree import archive

            file = path
            while not os.path.isfile(file):
                file = os.path.dirname(file)
            return archive.opened(file).read(path[len(file) + 1 :], limit)
        except OSError as error:
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        try:
            path = os.path.join(root, name)
            if not inside(os.path.realpath(root), path):
                return None
            return reading.read(path, limit)[:limit].decode("utf-8").strip()
        except (OSError, ValueError):
            return None

    def files(self, root: str) -> Iterator[str]:
        closed: list[str] = []

        def note(error: OSError) -> None:
            closed.append(os.path.relpath(error.filename, root).replace(os.sep, "/"))

        for folder, folders, names in os.walk(root, onerror=note):
            folders[:] = sorted(set(folders) - _PRUNED)
            relative = os.path.relpath(folder, root).replace(os.sep, "/")
            yield from (name if relative == "." else f"{relative}/{name}" for name in sorted({*names} - _PRUNED))
        yield from closed

    def pieces(self, path: str) -> Iterator[bytes]:
        try:
            # A link leads to a file that is looked at under its own name.
            descriptor = reading.open_file(path, links=False)
        except OSError as error:
            if _holds_nothing(path):
                return
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None
        try:
            # Up to the size at the beginning: a log that is written to meanwhile has no end.
            remaining = os.fstat(descriptor).st_size
            while remaining > 0 and (piece := os.read(descriptor, min(remaining, _PIECE))):
                remaining -= len(piece)
                yield piece
        except OSError as error:
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None
        finally:
            os.close(descriptor)

    def open_to_others(self, path: str) -> bool:
        try:
            return os.name == "posix" and bool(os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH))
        except OSError:  # in a zip file
            return False


def _spellings(path: str) -> set[str]:
    """A path as it was written, and as it is without links."""
    return {os.path.abspath(path), os.path.realpath(path)}


def _identity(path: str) -> tuple[int, int] | str:
    """What a file or folder has alone, however its path is spelled: macOS and Windows take any case."""
    try:
        status = os.stat(path)
    except OSError:
        return path
    return status.st_dev, status.st_ino


def _projects(folder: str, relative: str, depth: int) -> Iterator[str]:
    entries = _entries(folder)
    if isinstance(entries, OSError):
        return
    for entry in entries:
        if entry.name == sfdx_project.FILE and relative:
            yield relative
        elif depth and entry.name != "node_modules" and _enters(entry):
            yield from _projects(entry.path, f"{relative}/{entry.name}".lstrip("/"), depth - 1)


def _walk(
    folder: str, prefix: str, seen: set[tuple[int, int] | str], holds: Callable[[str], bool]
) -> Iterator[str | LinkOutside | Problem]:
    """The paths of files that may be metadata, depth first.

    Links are followed to what the repository `holds`, and no folder is entered twice: links may lead in a circle.
    """
    pending = [(folder, prefix)]
    while pending:
        folder, prefix = pending.pop()
        entries, identity = _entries(folder), _identity(folder)
        if isinstance(entries, OSError):
            yield unreadable_file(prefix.rstrip("/") or ".", entries.strerror or "unknown reason")
            continue
        if identity in seen:
            continue
        seen.add(identity)
        for entry in entries:
            enters = _enters(entry)
            if not _may_be_metadata(entry, folder=enters):
                continue
            if _leads_away(entry) and not holds(entry.path):
                yield LinkOutside(prefix + entry.name)
            elif enters:
                pending.append((entry.path, f"{prefix}{entry.name}/"))
            elif not _is_file(entry):
                # A connected app is only looked at because of the apps beside it: a broken file of one stops nothing.
                if not connected_app(entry.name):
                    yield unreadable_file(prefix + entry.name, _NO_FILE)
            else:
                yield prefix + entry.name


def _may_be_metadata(entry: os.DirEntry[str], *, folder: bool) -> bool:
    """Whether an entry is a folder to enter, or a file whose name is a connected app's, or near that of an external
    client app's."""
    if folder:
        return entry.name not in _BUNDLES
    # In any case: a suffix that is spelled differently is reported as misspelt.
    return ".eca" in entry.name.lower() or ".connectedApp" in entry.name


def misnamed(
    path: str, metadata_format: bool, beside_source: Callable[[str], bool]
) -> Iterator[Problem | InMetadataFormat]:
    """What there is to say of a file that is no metadata by its name, but nearly. `beside_source`: whether the folder
    of a path holds files in source format."""
    folder, _, name = path.rpartition("/")
    in_source = not metadata_format and beside_source(folder)
    if correct := correct_suffix(name, metadata_format=metadata_format, in_source=in_source):
        yield suffix_misspelt(path, correct)
    elif recognise(name, metadata_format=True):
        yield InMetadataFormat(path)


def _source_beside(root: str, folder: str) -> bool:
    entries = _entries(os.path.join(root, folder))
    return not isinstance(entries, OSError) and any(entry.name.endswith("-meta.xml") for entry in entries)


def inside(home: str, path: str) -> bool:
    """Whether `path` leads to a place below `home`, which has no links in it."""
    return PurePath(os.path.realpath(path)).is_relative_to(home)


def passed_over(path: str) -> bool:
    """Whether the walk never comes to `path`, for one of the folders on the way."""
    folders = path.split("/")[:-1]
    return any(name.startswith(".") or name in _BUNDLES for name in folders)


def _enters(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return False
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a folder that may not be entered
        return False


def _leads_away(entry: os.DirEntry[str]) -> bool:
    """Whether an entry may lead elsewhere: as a symbolic link, or a junction of Windows."""
    try:
        return entry.is_symlink() or bool(getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0))
    except OSError:  # its path is too long, say; what it holds cannot be read either
        return False


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


def _holds_nothing(path: str) -> bool:
    """Whether nothing is there to read: it was removed meanwhile, or is a link, a pipe, a socket or a device."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def forceignore(root: str) -> Generator[Problem | LinkOutside, None, Callable[[str], bool]]:
    """Whether the project's .forceignore hides a path from the Salesforce CLI.

    A problem if it cannot be read; a link to one that leads out of the repository hides nothing.
    """
    path = os.path.join(root, FORCEIGNORE)
    try:
        if not Disk().holds(root, path):
            yield LinkOutside(FORCEIGNORE)
            return lambda _: False
        data = reading.read(path, LARGEST)
        if len(data) > LARGEST:
            raise ValueError("it is larger than 1 MiB")
        return globs.Ignores(data.decode("utf-8", "replace"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        yield unreadable_file(FORCEIGNORE, getattr(error, "strerror", None) or str(error))
    return lambda _: False


def _archived(file: str) -> Iterator[Entry]:
    """The metadata files in a zip file, by name."""
    from ecapipe.adapters.project_tree import archive

    for name in archive.opened(file).names:
        base = name.rpartition("/")[2]
        if type_and_name := recognise(base, metadata_format=True):
            yield MetadataFile(name, *type_and_name)
        elif connected_app(base):
            yield ConnectedAppFile(name)
        elif correct := correct_suffix(base, metadata_format=True):
            yield suffix_misspelt(name, correct)
