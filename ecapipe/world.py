"""The world as the pipeline sees it: a handful of fields that the edges fill, and tests replace."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ecapipe.problems import EcapipeError

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.changes import Change
    from ecapipe.events import Subject
    from ecapipe.handover import Handover, SfLogin
    from ecapipe.kept import Kind, Place, Record, Sealed
    from ecapipe.messages import Send
    from ecapipe.metadata import Type
    from ecapipe.orgs import NamedBy
    from ecapipe.problems import Problem
    from ecapipe.secret import Secret, Sought
    from ecapipe.stages import Clock


@dataclass(frozen=True, slots=True)
class Found:
    """A metadata file on disk. `path` is relative to the root that was walked, with ``/``."""

    path: str
    type: Type
    name: str
    ignored: bool = False
    """.forceignore hides it from the Salesforce CLI."""


@dataclass(frozen=True, slots=True)
class Astray:
    """A link that leads out of the repository, and is not followed. `path` is as in `Found`."""

    path: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """The line of an ignore file that decides on a path: the file, and whether the line ignores or excepts.

    `file` is relative to the top of the repository; None for one that holds for this clone or user only.
    """

    file: str | None
    ignored: bool


@dataclass(frozen=True, slots=True)
class Repository:
    """What git says of paths under a folder: the repository's `top`, an absolute path free of links, the way from
    there to the folder, and for each path that it can tell of the ruling, or None if no ignore file decides."""

    top: str
    prefix: str
    rulings: Mapping[str, Ruling | None]


class Tree(Protocol):
    """The disk, read only. Paths are absolute unless said otherwise."""

    def resolve(self, path: str) -> str | None:
        """The absolute form of what a user typed; None if nothing is there."""

    def is_directory(self, path: str) -> bool: ...

    def project_above(self, path: str) -> str | None:
        """The nearest folder at or above `path` that holds sfdx-project.json."""

    def in_repository(self, file: str, trees: Iterable[str]) -> bool:
        """Whether a file, or a link on the way to it, lies in the repository of one of `trees`: below the nearest
        folder with a ``.git`` around it; without one, below its project, or below itself."""

    def holds(self, root: str, path: str) -> bool:
        """Whether what `path` leads to, through all links, lies in the repository of `root`, as `in_repository`
        finds it."""

    def target(self, path: str) -> str:
        """What `path` leads to: absolute, free of links."""

    def projects_below(self, path: str) -> list[str]:
        """Folders with an sfdx-project.json a few levels below `path`, relative to it."""

    def walk(
        self, root: str, directories: Sequence[str], *, metadata_format: bool
    ) -> Iterator[Found | Astray | Problem]:
        """The external client app files in `directories` of `root`, which may be a zip file; one pass, no folder
        twice. A link that leaves the repository of `root` is told, not followed. A problem for each folder that
        cannot be read and each name that is nearly one of Salesforce's."""

    def read(self, path: str, limit: int) -> bytes:
        """At most `limit` + 1 bytes, also of a file in a zip file; raises `EcapipeError` (UnreadableFile)."""

    def read_inside(self, root: str, name: str, limit: int) -> str | None:
        """The text of a file below `root`, without surrounding space; None if it cannot be read or lies outside."""

    def files(self, root: str) -> Iterable[str]:
        """Every file below `root`, relative to it; none in a zip file."""

    def pieces(self, path: str) -> Iterator[bytes]:
        """The content of a file, however large; nothing of one that cannot be read, or is a link."""

    def open_to_others(self, path: str) -> bool:
        """Whether other users of this machine may read a file; False where that cannot be told."""


class GitMissing(EcapipeError):
    """There is no git program: the failure of this machine, whatever the repository is like."""


class Git(Protocol):
    """A git repository with a work tree, read only. Names are relative to its top, with ``/``.

    All methods raise `EcapipeError` (GitUnavailable) where git refuses, as `GitMissing` where there is no program.
    """

    @property
    def top(self) -> str: ...

    @property
    def shallow(self) -> bool:
        """Whether a part of the history is not there."""

    def name(self, path: str) -> str | None:
        """What git calls the file at an absolute path, links resolved; None if it lies outside."""

    def index(self) -> Mapping[str, str]:
        """The files of external client apps in the index, and those named alike, with the ids of their contents."""

    def blob(self, name: str) -> str | None:
        """The id of any file's content in the index."""

    def at(self, revision: str) -> Mapping[str, str]:
        """The same files of a revision; none for ``HEAD`` before the first commit.

        Raises `EcapipeError` (UnknownRevision).
        """

    def read(self, blobs: Iterable[str]) -> Mapping[str, bytes]:
        """Contents, by id."""

    def ignored(self, names: Iterable[str]) -> frozenset[str]:
        """Those of `names` that a .gitignore covers, tracked or not."""

    def holding(self, folder: str, sought: Sought) -> Iterable[str]:
        """The files of the work tree, in `folder`, that hold a secret; ignored ones aside. Slow for many secrets.

        The search begins at once; going through the answer waits for it, and raises what it raises.
        """

    def files(self, folder: str) -> Iterable[str]:
        """The files of the work tree in `folder`, ignored ones aside."""

    def staged(self, folder: str) -> Iterator[tuple[Sequence[str], Iterator[bytes]]]:
        """Every content of the index in `folder`, once, with its names. Each has to be read before the next."""

    def history(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Every content of every commit, once, under one of its names. Each has to be read before the next."""


@dataclass(frozen=True, slots=True)
class Landing:
    """What the loopback site tells the browser. `fits` False: the answer changed nothing."""

    fits: bool
    granted: bool
    sentence: str


class Listen(Protocol):
    """One site on exactly the given callback URLs for as long as the context lasts.

    `land` judges the query of each request to one of these addresses. The context gives the addresses that could not
    be opened, each with its problem (PortInUseError, CannotListen).
    """

    def __call__(
        self, callback_urls: Collection[str], land: Callable[[str], Landing]
    ) -> AbstractContextManager[Mapping[str, Problem]]: ...


class Lines(Protocol):
    """While the context lasts, every line that somebody types goes to `take`; None when the input has ended."""

    def __call__(self, take: Callable[[str | None], None]) -> AbstractContextManager[None]: ...


class Store(Protocol):
    """Where logins and consumer secrets are kept from one command to the next, for this user alone.

    Methods raise `EcapipeError`: KeyringNotFound, KeyringFailed, RecordDamaged, RecordTooNew, and where files or
    their folder cannot be used. What is damaged, or of a newer version, is never written over.
    """

    def obstacle(self, kind: Kind, place: Place) -> Problem | None:
        """What would keep `put` from its work, as far as can be known before; None: nothing. Makes the folder."""

    def where(self, kind: Kind, place: Place) -> str:
        """What a person calls the place: a keyring, or a folder."""

    def records(self, kind: Kind) -> Iterator[Record | Problem]:
        """Everything that is kept, without secrets; a problem for each record that cannot be read."""

    def holds(self, kind: Kind, id: str) -> bool:
        """Whether there is such a record; asks no keyring and makes nothing."""

    def read(self, kind: Kind, id: str) -> Record | None: ...

    def unseal(self, record: Record) -> Sealed:
        """The secrets of a record."""

    def locked(self, kind: Kind, id: str) -> AbstractContextManager[None]:
        """While the context lasts, no other process or thread has this record: for read, refresh and write.

        Raises `EcapipeError` (LoginBusy).
        """

    def put(self, record: Record, sealed: Sealed) -> None:
        """Keep a record in the place of what it held; whenever the process ends, the old or the new is there.

        Raises `EcapipeError` (TooLargeForKeyring), too.
        """

    def remove(self, record: Record) -> None:
        """Forget a record and its secrets; the last thing to do while it is locked."""


class Key(Protocol):
    """A private RSA key."""

    @property
    def open_to_others(self) -> bool:
        """Whether other users of this machine may read its file; False where that cannot be told."""

    def sign(self, data: bytes) -> bytes:
        """The signature of `data`, RSASSA-PKCS1-v1_5 with SHA-256 (RS256, RFC 7518 §3.3)."""

    def doubt(self, certificate: str, at: str) -> str | None:
        """What speaks against `certificate` (PEM, or the base64 of it) as this key's, at a time in ISO 8601."""


class Keys(Protocol):
    """The private key in a PEM file. `ask` is a hidden question, for its passphrase.

    Raises `EcapipeError`: UnreadableFile, JwtKeyNotPath, JwtKeyNotUsable, JwtKeyEncrypted, JwtKeyPassphraseWrong.
    """

    def __call__(self, path: str, ask: Callable[[str], Secret | None] | None) -> Key: ...


class Desk(Protocol):
    """What people can do on the board. Used from any thread."""

    def paste(self, text: str) -> str | None:
        """Take a pasted address; the sentence that says why it fits no login, else None."""

    def open(self, subject: Subject) -> bool:
        """Show the link of a login in the browser of its org; False if that cannot be done."""

    def retry(self, subject: Subject) -> bool:
        """Begin a login that failed again, with a new link; False if there is nothing to begin."""

    def finish(self) -> None:
        """Nothing more will be tried again: the run may end."""

    def left(self) -> float:
        """Seconds that people are still waited for."""


class Board(Protocol):
    """The page on which people sign in to several orgs."""

    @property
    def url(self) -> str: ...

    def watched(self) -> bool:
        """Whether a browser has shown it in the last seconds."""


@dataclass(frozen=True, slots=True)
class SfVersion:
    """The version of the Salesforce CLI, and the lowest of the sfdx-core that it runs on, if that was found."""

    cli: str
    core: str | None

    @property
    def loses_rotated_tokens(self) -> bool:
        """sfdx-core before 9.2.0 throws the new refresh token away that a rotation brings."""
        return self.core is not None and tuple(int(part) for part in self.core.split(".")[:2]) < (9, 2)


class SalesforceCli(Protocol):
    """The Salesforce CLI of this machine (`sf`). It is started when a method needs it, never before.

    Every method but `default_org` raises `EcapipeError`: SfNotFound, SfTooOld, SfTimedOut, SfFailed.
    """

    def version(self) -> SfVersion:
        """Raises SfTooOld, too, for one without all the commands below."""

    def logins(self) -> Sequence[SfLogin]:
        """What it keeps (``sf org list auth``), and what it was given since; asked once."""

    def named(self) -> Sequence[SfLogin]:
        """Whatever has a name with it: its logins, those that are broken, and those that only an alias is left of."""

    def default_org(self, root: str | None) -> tuple[str, NamedBy] | None:
        """The alias or username of ``target-org`` from its configuration files: those in `root`, the project (None:
        there is none, or it is not trusted), then the user's; and which of the two. Starts no process. Raises
        `EcapipeError` (SfConfigUnreadable)."""

    def access_token(self, name: str) -> tuple[Secret, str]:
        """The access token of a login, by alias or username, refreshed if it had to be, and its instance URL.

        Raises SfLoginMissing, InvalidClient, SfRefreshRefused, SfUnreachable, too.
        """

    def log_in(self, login: Handover) -> SfLogin:
        """Let it keep a login, and say under which name. One at a time: it would lose some otherwise.

        Raises SfUsernameTaken and AliasTaken for one that would take the place of a login to another org, and
        InvalidClient, SfRefreshRefused, SfUnreachable.
        """

    def retrieve(self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None]) -> Sequence[str]:
        """Let it retrieve all components of metadata `types` from the org of a login into the project at `root`.

        What it is at goes to `tell` meanwhile; its warnings are given back. Raises SfLoginMissing, too.
        """


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside.

    `person`: somebody can be asked to sign in; `local_browser`: on this very machine; `stand_in`: `open` signs in
    by itself, so that nobody needs to be told.
    """

    tree: Tree
    tracked: Callable[[str, Sequence[str]], frozenset[str]]
    """The paths, among those given relative to a root, that git tracks; empty where git cannot tell."""
    git: Callable[[str], Git | None]
    """The repository around an absolute path, or None. Raises `EcapipeError` (GitUnavailable)."""
    index: Callable[[], Tree]
    """The tree as the next commit would have it: git's index, and the disk for what is not in it."""
    write: Callable[[str, bytes], None]
    """Puts a file in place, all or nothing; raises `EcapipeError` (UnwritableFile)."""
    amend: Callable[[Change], None]
    """Changes a file of a project, all or nothing; raises `EcapipeError` (UnwritableFile)."""
    send: Send
    environ: Callable[[str], str | None]
    """Any variable of the environment."""
    taken: Callable[[str], str | None]
    """The same for one that a project or an org file names: no child process inherits it from then on. None for one
    that programs need."""
    variable: Callable[[str], Secret | None]
    """One credential variable of the environment, or the content of the file that its ``…_FILE`` names."""
    ask: Callable[[str], Secret | None] | None
    """A hidden question on the terminal; None where there is none to ask on."""
    keys: Keys
    open: Callable[[str], bool] | None
    """Shows a URL in a browser, False if that failed; None when URLs are only printed."""
    listen: Listen
    lines: Lines
    store: Store
    sf: SalesforceCli
    person: bool
    local_browser: bool
    clock: Clock
    chance: Callable[[int], bytes]
    stand_in: bool = False
    board: Callable[[Desk], AbstractContextManager[Board]] | None = None
    """Opens the page for signing in to several orgs; None where there is none. It is told of events elsewhere."""
    interrupts: Callable[[Callable[[], None]], AbstractContextManager[object]] = nullcontext
    """While the context lasts, an interrupt calls the function, at any moment of the main thread, and is over."""
    browsers: Callable[[str], Callable[[str], bool] | None] | None = None
    """What `open` is for a browser that an org names; None where one was chosen for all orgs."""
    ready: Callable[[], None] = lambda: None
    """Begins to load what sending needs, and comes back at once: a moment that whoever signs in need not wait for."""
    parted: Callable[[], None] = lambda: None
    """Closes the connections of the thread that calls it."""
