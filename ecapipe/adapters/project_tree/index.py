"""The tree as the next commit would have it: git's index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Final

from ecapipe.adapters.project_tree.disk import Disk, forceignore, misnamed, passed_over
from ecapipe.adapters.project_tree.git import GitRepository, Repositories
from ecapipe.problems.git import git_unavailable
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file
from ecapipe.project.metadata import recognise
from ecapipe.project.tree import Entry, LinkOutside, MetadataFile

_LACKING: Final = "git lacks its content"


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
            below = {path: blob for path, blob in self._below(root, directory).items() if not passed_over(path)}
            source_folders = {path.rpartition("/")[0] for path in below if path.endswith("-meta.xml")}
            types = {path: recognise(path.rpartition("/")[2], metadata_format=metadata_format) for path in below}
            # All at once: asking git takes long, the answers are short.
            contents = self._repository(f"{root}/{directory}").read(below[path] for path in types if types[path])
            for path in sorted(below.keys() - seen):
                seen.add(path)
                type_and_name = types[path]
                if type_and_name and below[path] not in contents:
                    yield unreadable_file(path, _LACKING)
                elif type_and_name:
                    self._contents[f"{root}/{path}"] = contents[below[path]]
                    yield MetadataFile(path, *type_and_name, ignored(path))
                else:
                    yield from misnamed(path, metadata_format, source_folders.__contains__)

    def read(self, path: str, limit: int) -> bytes:
        content = self._content(path)
        if content is None:
            return super().read(path, limit)
        return content[: limit + 1]

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        content = self._content(os.path.join(root, name))
        if content is None:
            return super().read_inside(root, name, limit)
        return content[:limit].decode("utf-8", "replace").strip()

    def open_to_others(self, path: str) -> bool:
        # The index has no such modes: it knows only whether a file is executable.
        return False

    def _below(self, root: str, directory: str) -> dict[str, str]:
        """The index's files in a folder of `root`, relative to `root`, with the ids of their contents."""
        repository = self._repository(f"{root}/{directory}")
        folder = repository.name(f"{root}/{directory}")
        top = "" if folder in (None, ".") else f"{folder}/"
        prefix = "" if directory == "." else f"{directory}/"
        return {prefix + name[len(top) :]: blob for name, blob in repository.index().items() if name.startswith(top)}

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
