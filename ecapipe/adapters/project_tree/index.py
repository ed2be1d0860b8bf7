"""The tree as the next commit would have it: git's index."""

from __future__ import annotations

import os
import posixpath
from bisect import bisect_left
from collections.abc import Generator, Iterator, Mapping, Sequence
from typing import Final

from ecapipe.adapters.project_tree.disk import Disk, forceignore, inside, misnamed, passed_over
from ecapipe.adapters.project_tree.git import GitRepository, Repositories
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file
from ecapipe.project.metadata import connected_app, recognise
from ecapipe.project.tree import ConnectedAppFile, Entry, LinkOutside, MetadataFile

_LACKING: Final = "git lacks its content"
_MOST_LINKS: Final = 40
"""As many as Linux follows for one path."""


class Index(Disk):
    """What git's index holds, and the disk for the rest: where a project is, and what it names outside of git.

    Reading raises `EcapipeError` (GitUnavailable) where there is no index.
    """

    def __init__(self, repositories: Repositories) -> None:
        self._repositories = repositories
        self._contents: dict[str, bytes] = {}

    def walk(self, root: str, directories: Sequence[str], *, metadata_format: bool) -> Iterator[Entry]:
        ignored = yield from forceignore(root)
        seen: set[str] = set()
        for directory in directories:
            if not self.holds(root, f"{root}/{directory}"):
                yield LinkOutside(directory)
                continue
            below = yield from self._below(root, directory, seen)
            source_folders = {path.rpartition("/")[0] for path in below if path.endswith("-meta.xml")}
            types = {path: recognise(path.rpartition("/")[2], metadata_format=metadata_format) for path in below}
            # All at once: asking git takes long, the answers are short.
            connected = {path for path in below if connected_app(path.rpartition("/")[2])}
            wanted = [below[path] for path in types if types[path] or path in connected]
            contents = self._repository(f"{root}/{directory}").read(wanted)
            self._contents |= {f"{root}/{path}": contents[id] for path, id in below.items() if id in contents}
            for path in sorted(below):
                type_and_name = types[path]
                if type_and_name and below[path] not in contents:
                    yield unreadable_file(path, _LACKING)
                elif type_and_name:
                    yield MetadataFile(path, *type_and_name, ignored(path))
                elif path in connected:
                    yield ConnectedAppFile(path)
                else:
                    yield from misnamed(path, metadata_format, source_folders.__contains__)

    def read(self, path: str, limit: int) -> bytes:
        content = self._content(path)
        if content is None:
            return super().read(path, limit)
        return content[: limit + 1]

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        path = os.path.join(root, name)
        content = self._content(path) if inside(os.path.realpath(root), path) else None
        if content is None:
            return super().read_inside(root, name, limit)
        return content[:limit].decode("utf-8", "replace").strip()

    def open_to_others(self, path: str) -> bool:
        # The index has no such modes: it knows only whether a file is executable.
        return False

    def _below(self, root: str, directory: str, seen: set[str]) -> Generator[Entry, None, dict[str, str]]:
        """The index's files in a folder of `root` that were not `seen`, relative to `root`, with the ids of their
        contents; as on the disk, links are followed to what the repository holds."""
        repository = self._repository(f"{root}/{directory}")
        index, links = repository.index(), repository.links()
        names, link_names = sorted(index), sorted(links)
        below: dict[str, str] = {}
        entered: set[str] = set()
        start = repository.name(f"{root}/{directory}") or "."
        pending = [("" if start == "." else start, "" if directory == "." else directory)]
        for folder, path in pending:  # it grows meanwhile
            if folder in entered:
                continue
            entered.add(folder)
            for name in _within(folder, names):
                place = _join(path, name, folder)
                if name not in seen and not passed_over(place):
                    seen.add(name)
                    below[place] = index[name]
            for link in _within(folder, link_names):
                place = _join(path, link, folder)
                target = _follow(link, links, repository)
                if target is not None:
                    pending.append((target, place))
                elif ".eca" in link.lower() or self.is_directory(f"{root}/{place}"):
                    yield LinkOutside(place)
        return below

    def _content(self, path: str) -> bytes | None:
        if path not in self._contents:
            repository = self._repository(os.path.dirname(path))
            blob = repository.blob(repository.name(path) or "")
            if blob is None:
                return None
            content = repository.read([blob]).get(blob)
            if content is None:
                raise EcapipeError(unreadable_file(path, _LACKING))
            self._contents[path] = content
        return self._contents[path]

    def _repository(self, place: str) -> GitRepository:
        repository = self._repositories(place)
        if repository is None:
            raise EcapipeError(git_unavailable(place, "there is no repository"))
        return repository


def _within(folder: str, names: Sequence[str]) -> Sequence[str]:
    """Those of the sorted `names` that are `folder`, or lie in it."""
    if not folder:
        return names
    place = bisect_left(names, folder)
    # A zero is what comes after the slash.
    first, last = (bisect_left(names, folder + end) for end in "/0")
    itself = [folder] if names[place : place + 1] == [folder] else []
    return [*itself, *names[first:last]]


def _join(path: str, name: str, folder: str) -> str:
    """The place of a name in `folder`, which is reached at `path`."""
    return (path + "/" + name[len(folder) :].lstrip("/")).strip("/")


def _follow(link: str, links: Mapping[str, str], repository: GitRepository) -> str | None:
    """The name of what a link leads to, through further ones; None if that lies outside, or they lead in a circle."""
    name: str | None = link
    for _ in range(_MOST_LINKS):
        parts = (name or "").split("/")
        ways = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        way = next((each for each in ways if each in links), None)
        if name is None or way is None:
            return name
        target = posixpath.join(posixpath.dirname(way), links[way])
        if target.startswith("/"):
            name = repository.name(target + name[len(way) :])
            continue
        name = posixpath.normpath(target + name[len(way) :])
        if name == ".." or name.startswith("../"):
            return None
    return None
