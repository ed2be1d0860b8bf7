"""The disk, read only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from ecapipe import project
from ecapipe.metadata import recognise
from ecapipe.problems import EcapipeError, unreadable_file
from ecapipe.world import Found

_BUNDLES = frozenset({"lwc", "aura"})
"""Folders in which the Salesforce CLI sees nothing but components of their own type."""

_BELOW = 3
"""How many levels below a folder projects are looked for, to name them."""


class Disk:
    """The real tree; see `ecapipe.world.Tree`."""

    def resolve(self, path: str) -> str | None:
        absolute = os.path.abspath(path)
        return _slashes(absolute) if os.path.exists(absolute) else None

    def is_directory(self, path: str) -> bool:
        return os.path.isdir(path)

    def project_above(self, path: str) -> str | None:
        folder = path
        while True:
            if os.path.isfile(os.path.join(folder, project.FILE)):
                return folder
            parent = os.path.dirname(folder)
            if parent == folder:
                return None
            folder = parent

    def projects_below(self, path: str) -> list[str]:
        return sorted(self._projects(path, "", _BELOW))

    def walk(self, root: str, directories: Sequence[str]) -> Iterator[Found]:
        seen: set[tuple[int, int]] = set()
        for directory in directories:
            yield from _walk(os.path.join(root, directory), "" if directory == "." else directory + "/", seen)

    def read(self, path: str, limit: int) -> bytes:
        try:
            with open(path, "rb") as file:
                return file.read(limit + 1)
        except OSError as error:
            raise EcapipeError(unreadable_file(path, error.strerror or "unknown reason")) from None

    def _projects(self, folder: str, relative: str, depth: int) -> Iterator[str]:
        for entry in _entries(folder):
            if entry.name == project.FILE and relative:
                yield relative
            elif depth and _enters(entry):
                yield from self._projects(entry.path, f"{relative}/{entry.name}".lstrip("/"), depth - 1)


def _walk(folder: str, prefix: str, seen: set[tuple[int, int]]) -> Iterator[Found]:
    """Depth first, files by name. Links are followed, but no real folder is entered twice."""
    pending = [(folder, prefix)]
    while pending:
        folder, prefix = pending.pop()
        try:
            stat = os.stat(folder)
        except OSError:
            continue
        if (stat.st_dev, stat.st_ino) in seen:
            continue
        seen.add((stat.st_dev, stat.st_ino))
        for entry in _entries(folder):
            if _enters(entry):
                if entry.name not in _BUNDLES:
                    pending.append((entry.path, f"{prefix}{entry.name}/"))
            elif (known := recognise(entry.name)) and entry.is_file():
                yield Found(prefix + entry.name, *known)


def _enters(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.name != "node_modules" and entry.is_dir()


def _entries(folder: str) -> list[os.DirEntry[str]]:
    """What is in `folder`; nothing, if it may not be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _slashes(path: str) -> str:
    return path.replace(os.sep, "/")
