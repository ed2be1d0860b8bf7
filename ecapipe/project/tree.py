"""What reading a project asks of the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Union

from ecapipe.events import Tell

# Only for types: most commands start without these modules.
if TYPE_CHECKING:
    from ecapipe.problems.problem import Problem
    from ecapipe.project.metadata import Type
    from ecapipe.project.replacements import Substitute


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """A metadata file on disk. `path` is relative to the root that was walked, with ``/``."""

    path: str
    type: Type
    name: str
    ignored: bool = False
    """.forceignore hides it from the Salesforce CLI."""


@dataclass(frozen=True, slots=True)
class ConnectedAppFile:
    """The file of a connected app, what external client apps were made of before. `path` is as in `MetadataFile`."""

    path: str


@dataclass(frozen=True, slots=True)
class LinkOutside:
    """A link that leads out of the repository, and is not followed. `path` is as in `MetadataFile`."""

    path: str


@dataclass(frozen=True, slots=True)
class InMetadataFormat:
    """A file in metadata format where the source format is expected. `path` is as in `MetadataFile`."""

    path: str


Entry = Union[MetadataFile, ConnectedAppFile, LinkOutside, InMetadataFormat, "Problem"]
"""What a walk meets."""


class ProjectTree(Protocol):
    """The disk, read only. Paths are absolute unless said otherwise."""

    def resolve(self, path: str) -> str | None:
        """The absolute form of what a user typed; None if nothing is there."""

    def is_directory(self, path: str) -> bool: ...

    def label(self, root: str) -> str:
        """What results call the tree at `root`: its path relative to the repository around the current directory,
        the absolute one outside of it or where there is none."""

    def project_above(self, path: str) -> str | None:
        """The nearest folder at or above `path` that holds sfdx-project.json."""

    def in_repository(self, file: str, trees: Iterable[str]) -> bool:
        """Whether a file, or a link on the way to it, lies in the repository of one of `trees`: below the nearest
        folder with a ``.git`` around it, or the repository that this is a submodule of; without one, below its
        project, or below itself."""

    def holds(self, root: str, path: str) -> bool:
        """Whether what `path` leads to, through all links, lies in the repository of `root`: below the
        nearest folder with a ``.git``, be that a submodule, as `in_repository` finds it."""

    def target(self, path: str) -> str:
        """What `path` leads to: absolute, free of links."""

    def projects_below(self, path: str) -> list[str]:
        """Folders with an sfdx-project.json a few levels below `path`, relative to it."""

    def walk(self, root: str, directories: Sequence[str], *, metadata_format: bool) -> Iterator[Entry]:
        """The files of external client apps and connected apps in `directories` of `root`, which may be a zip file;
        one pass, no folder twice. A link that leaves the repository of `root` is named, not followed. A problem for
        each folder that cannot be read, each such name that is no regular file's, and each that is nearly one of
        Salesforce's."""

    def read(self, path: str, limit: int) -> bytes:
        """At most `limit` + 1 bytes, also of a file in a zip file; raises `EcapipeError` (UnreadableFile)."""

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        """The text of a file below `root`, without surrounding space; None if it cannot be read or lies outside."""

    def files(self, root: str) -> Iterable[str]:
        """Every file below `root`, and every folder that cannot be entered, relative to it; none in a zip file."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file, however large; nothing of a link, a pipe or a device. Raises `EcapipeError`
        (UnreadableFile)."""

    def open_to_others(self, path: str) -> bool:
        """Whether other users of this machine may read a file; False where the system does not tell."""


class ProjectAccess(Protocol):
    """What reading a project takes."""

    @property
    def tell(self) -> Tell:
        """Shows how far it is."""

    @property
    def tree(self) -> ProjectTree: ...

    @property
    def environ(self) -> Callable[[str], str | None]:
        """Any variable of the environment."""

    @property
    def substitute(self) -> Substitute:
        """See `Substitute`; a regular expression of a project is run where it can be stopped."""

    @property
    def withhold(self) -> Callable[[str], str | None]:
        """The same for one that a project or an org file names: no child process inherits it from then on. None for
        one that programs need."""
