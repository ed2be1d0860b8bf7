"""What a check asks of a git repository."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ecapipe.problems.problem import EcapipeError

# Only for types: most commands start without this module.
if TYPE_CHECKING:
    from ecapipe.secret import SecretSearch


class GitMissing(EcapipeError):
    """There is no git program: the failure of this machine, whatever the repository is like."""


class GitRefused(EcapipeError):
    """git does not answer, for what the repository is like."""


class Git(Protocol):
    """A git repository with a work tree, read only. Names are relative to its top, with ``/``.

    All methods raise `EcapipeError` (GitUnavailable): `GitRefused`, or `GitMissing` where there is no program.
    """

    @property
    def top(self) -> str: ...

    @property
    def shallow(self) -> bool:
        """Whether a part of the history is not there."""

    @property
    def partial(self) -> bool:
        """Whether contents are fetched only when they are needed; here they never are."""

    @property
    def lacking(self) -> int:
        """How many contents were asked for, so far, and are not there."""

    def head(self) -> str | None:
        """The id of the commit that is checked out; None before the first one."""

    def name(self, path: str) -> str | None:
        """What git calls the file at an absolute path, links resolved; None if it lies outside."""

    def spelled(self, path: str) -> str | None:
        """The same without resolving the links of the repository, which may be no links in another commit."""

    def index(self) -> Mapping[str, str]:
        """The files of external client apps and connected apps in the index, and those named alike, with the ids of
        their contents."""

    def naming(self, folder: str, word: str) -> Mapping[str, str]:
        """The files of the index in `folder` that hold `word`, in any case, or are in UTF-16, with the ids of their
        contents."""

    def blob(self, name: str) -> str | None:
        """The id of any file's content in the index."""

    def at(self, revision: str) -> Mapping[str, str]:
        """The same files of a revision; none for ``HEAD`` before the first commit.

        Raises `EcapipeError` (UnknownRevision).
        """

    def file_at(self, revision: str, name: str) -> bytes | None:
        """The content of any file of a revision, also behind a link in it; None where there is none.

        Raises `EcapipeError` (UnknownRevision).
        """

    def read(self, blobs: Iterable[str]) -> Mapping[str, bytes]:
        """Contents, by id."""

    def stream(self, blobs: Iterable[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """The same, however large and many they are. Each has to be read before the next."""

    def ignored(self, names: Iterable[str]) -> frozenset[str]:
        """Those of `names` that a .gitignore covers, tracked or not."""

    def holding(self, folder: str, search: SecretSearch) -> Iterable[str]:
        """The files of the work tree, in `folder`, that hold a secret; ignored ones aside. Slow for many secrets.

        The search begins at once; going through the answer waits for it, and raises what it raises.
        """

    def files(self, folder: str) -> Iterable[str]:
        """The files of the work tree in `folder`, ignored ones aside."""

    def staged(self, folder: str) -> Iterator[tuple[Sequence[str], Iterator[bytes]]]:
        """Every content of the index in `folder`, once, with its names. Each has to be read before the next."""

    def altered(self, folder: str) -> Iterator[tuple[Sequence[str], Iterator[bytes]]]:
        """The same of what the disk may not have: what differs from the last commit, and what git has otherwise than
        it writes it to the disk, as a .gitattributes tells it to."""

    def history(self) -> tuple[int, Iterator[tuple[str, Iterator[bytes]]]]:
        """Every content of every commit, once, under one of its names, and how many they are. Each has to be read
        before the next."""
