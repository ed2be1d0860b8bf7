"""git, read only; the only module that meets GitPython."""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, cached_property
from typing import IO, TYPE_CHECKING, Final, cast

from ecapipe.adapters import environment
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import files
from ecapipe.check.git import GitMissing, GitRefused
from ecapipe.problems.git import git_unavailable, unknown_revision
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import SecretSearch

if TYPE_CHECKING:
    from git import Repo

    from ecapipe.protect.protection import IgnoreRule, IgnoreRules

# Nothing of a tree is run, nothing is fetched, and the index is not even refreshed. core.fsmonitor, which the
# repository itself may set, is empty: to git before 2.36 "false" is a command, too.
_OPTIONS: Final = (
    "--no-pager", "--no-optional-locks", "-c", "core.fsmonitor=", "-c", f"core.hooksPath={os.devnull}",
    "-c", "credential.helper=", "-c", "submodule.recurse=false", "-c", "safe.bareRepository=explicit",
    # An older git that may not fetch is killed by a broken pipe, if its fetch refuses the address quickly enough. A
    # path is refused only after the pipe was read.
    "-c", f"url.{os.devnull}/.insteadOf=",
)  # fmt: skip
# A partial clone would fetch what it lacks, with programs that its configuration names. git before 2.44 knows no
# GIT_NO_LAZY_FETCH; in every git GIT_ALLOW_PROTOCOL wins over protocol.*.allow, whoever sets that.
# What is asked of it means what it says, whatever the git is set to that started us as its hook (some programs commit
# with --literal-pathspecs), and answers are of the objects themselves.
_ENVIRONMENT: Final = {
    "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "GIT_TERMINAL_PROMPT": "0",
    "LANGUAGE": "C", "LC_ALL": "C", "GIT_NO_REPLACE_OBJECTS": "1",
    **dict.fromkeys((f"GIT_{kind}_PATHSPECS" for kind in ("LITERAL", "GLOB", "NOGLOB", "ICASE")), "0"),
}  # fmt: skip
_CHOSEN: Final = "ECAPIPE_GIT"
_PROGRAM: Final = "GIT_PYTHON_GIT_EXECUTABLE"
"""The variable of GitPython that names another program."""
_LOADING: Final = threading.Lock()
_OF_ONE_REPOSITORY: Final = frozenset(
    "GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_SHALLOW_FILE GIT_GRAFT_FILE GIT_NAMESPACE".split()
)
"""What git lets the hooks of a repository know of it, such as the index of a commit of some paths. More objects, of
GIT_ALTERNATE_OBJECT_DIRECTORIES, are of no harm to any: an object is called by its content."""
_FOUND: Final = frozenset({"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_PREFIX"})
"""What git finds from the top of the work tree."""
_FOREIGN: Final = frozenset({"annex", "lfs", "modules"})
"""Folders of .git that are not read as a part of the repository, and may be huge."""
_PATIENCE: Final = 60.0
"""Seconds until a question to git counts as refused: it waits for ever for a pipe that nobody writes to."""
_UNREAD: Final = re.compile(rb"(?:error:|warning: could not open directory)[^'\n]*'(.*)': ")
"""What git says of a file or folder that it passes over."""

_GREP: Final = (
    "--files-with-matches", "--full-name", "-z", "--text", "--no-textconv",
    "--no-color",  # color.ui=always would put escapes around every name
    "-f", "-",  # patterns go in through a pipe: nobody can see secrets among the arguments
)  # fmt: skip
_WIDE: Final = b"^\xff\xfe\n^\xfe\xff\n"
"""How text in UTF-16 begins, as Windows PowerShell writes it. No pattern of git's finds a word in it."""
_SPECIAL: Final = re.compile(rb"[\\.\[*^$]")
"""What is not itself in a basic regular expression."""
_HEADER: Final = "%(objecttype) %(objectsize) "
_OBJECT: Final = "%(objectname) %(objecttype)"
_PIECE: Final = 1024 * 1024
_LARGEST: Final = 64 * _PIECE
"""Bytes of a content that is read as a whole."""
_LONGEST: Final = 4096
"""Bytes of a path."""
_MOST: Final = 20_000
"""Folders of a repository: 256 for objects, and those of branches."""
_UNALTERED: Final = ":(exclude,attr:!filter !ident !working-tree-encoding)"
"""What has none of the attributes by which git writes other text to the disk than it has; line ends aside."""
_READ_BY_GIT: Final = frozenset({".gitignore", ".gitattributes"})
"""Files of a work tree that git reads whatever it is asked."""
_SOON: Final = 1.0
"""Seconds within which git answers nearly always."""
_LINK, _SUBMODULE = b"120000", b"160000"
_MEMORY: Final = 2 * 1024**3
"""Bytes of data that a git process may hold."""
_ECA: Final = b".eca"
"""What the suffixes of external client apps begin with."""
_CONNECTED_APP: Final = b".connectedapp"


class GitRepository:
    """See `ecapipe.check.git.Git`."""

    def __init__(self, top: str, patience: float = _PATIENCE) -> None:
        if blocking := next(filter(None, map(_blocking, _git_folders(top))), None):
            name = os.path.relpath(blocking, top)
            raise GitRefused(git_unavailable(top, f"its {name} is neither a folder nor a file"))
        process_environment = environment.process()
        process_environment.pass_over((top,))
        variables, path = process_environment.for_git(), program(process_environment)
        if path is None:
            raise GitMissing(git_unavailable(top, "there is no git program"))
        try:
            with _only({**variables, _PROGRAM: path}):
                import git
        except ImportError:  # GitPython raises it when the program does not tell its version
            raise GitRefused(git_unavailable(top, "the git program does not work")) from None
        try:
            self._repo = _open(top)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError):
            raise GitRefused(git_unavailable(top, "the repository is broken")) from None
        self._command = (path, *_OPTIONS)
        dropped = _FOUND if _is_current(self._repo, top, variables.get("GIT_DIR")) else _FOUND | _OF_ONE_REPOSITORY
        kept = {name: value for name, value in variables.items() if name.upper() not in dropped}
        self._variables = {**kept, **_ENVIRONMENT}
        self.top = top
        self.lacking = 0
        self._patience = patience
        self._refusal: GitRefused | None = None
        self._received = 0
        self._folders: dict[str, str] = {}

    @property
    def shallow(self) -> bool:
        return os.path.isfile(os.path.join(self._repo.common_dir, "shallow"))

    @property
    def partial(self) -> bool:
        try:
            packs = os.listdir(os.path.join(self._repo.common_dir, "objects/pack"))
        except OSError:
            return False
        return any(name.endswith(".promisor") for name in packs)

    def head(self) -> str | None:
        return self._commit("HEAD")

    def name(self, path: str) -> str | None:
        folder, base = os.path.split(path)
        if folder not in self._folders:  # asked about thousands of files in a few folders
            self._folders[folder] = os.path.realpath(folder)
        real = os.path.join(self._folders[folder], base)
        if os.path.islink(real) or base in ("", os.curdir, os.pardir):
            real = os.path.realpath(real)
        name = posixpath.relpath(real.replace(os.sep, "/"), self.top)
        return None if name == ".." or name.startswith("../") else name

    def spelled(self, path: str) -> str | None:
        # The outermost, for a link may lead back to the top.
        tops = [place for place in files.upwards(path) if os.path.realpath(place).replace(os.sep, "/") == self.top]
        return posixpath.relpath(path, tops[-1].replace(os.sep, "/")) if tops else self.name(path)

    def index(self) -> dict[str, str]:
        return self._index

    @cached_property
    def _index(self) -> dict[str, str]:
        parts = (_ECA, _CONNECTED_APP)
        entries = list(
            self._entries("ls-files", "-s", "-z", "--", *(f":(top,icase)*{part.decode()}*" for part in parts))
        )
        return {name: blob for part in parts for name, blob in _blobs(entries, part).items()}

    def links(self) -> dict[str, str]:
        """The symbolic links in the index, each with what stands in it."""
        listed = self._entries("ls-files", "-s", "-z")
        blobs = {os.fsdecode(name): blob.decode() for blob, name in map(_blob_and_name, filter(_is_link, listed))}
        targets = self.read(blobs.values())
        return {name: os.fsdecode(targets[blob]) for name, blob in blobs.items() if blob in targets}

    def tracked(self) -> frozenset[str]:
        """Every name in the index."""
        return frozenset(os.fsdecode(name) for name in self._entries("ls-files", "-z"))

    def blob(self, name: str) -> str | None:
        return _blobs(self._entries("ls-files", "-s", "-z", "--", f":(literal){name}")).get(name)

    def at(self, revision: str) -> dict[str, str]:
        commit = self._commit(revision)
        if commit is None:
            return {}
        return _blobs(self._entries("ls-tree", "-r", "-z", "--full-tree", commit), _ECA)

    def file_at(self, revision: str, name: str) -> bytes | None:
        commit = self._commit(revision)
        if commit is None:
            return None
        if "\n" in name:
            raise EcapipeError(git_unavailable(self.top, "a file name contains a line break"))
        query, lacking = os.fsencode(f"{commit}:{name}\n"), self.lacking
        with self._started("cat-file", f"--batch={_HEADER}", "--follow-symlinks", stdin=query) as output:
            # To the end: git is not to write to a pipe that is closed.
            contents = [b"".join(pieces) for _, pieces in self._contents(output)]
        # Missing is what git lacks, and what was never there.
        if not contents and not self._run("ls-tree", "-z", "--full-tree", commit, "--", name):
            self.lacking = lacking
        return contents[0] if contents else None

    def _commit(self, revision: str) -> str | None:
        """The id of a revision's commit; None for ``HEAD`` before the first one."""
        # Through a pipe, where nothing in it can be an option.
        query = os.fsencode(f"{' '.join(revision.splitlines())}^{{commit}}\n")
        answer = self._run("cat-file", f"--batch-check={_OBJECT}", stdin=query).decode().strip()
        commit, _, kind = answer.rpartition(" ")
        if kind != "commit":
            if revision == "HEAD":  # nothing has been committed yet
                return None
            raise EcapipeError(unknown_revision(revision))
        return commit

    def read(self, blobs: Iterable[str]) -> dict[str, bytes]:
        return {blob: _beginning(pieces) for blob, pieces in self.stream(dict.fromkeys(blobs))}

    def stream(self, blobs: Iterable[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        ids = "".join(f"{blob}\n" for blob in blobs).encode()
        # Starting git takes milliseconds, also to ask it nothing.
        if not ids:
            return
        with self._started("cat-file", f"--batch={_HEADER}%(objectname)", "--buffer", stdin=ids) as output:
            yield from self._contents(output)

    def ignored(self, names: Iterable[str]) -> frozenset[str]:
        # Behind ./ a name that starts with a colon is only a name.
        query = b"".join(b"./" + os.fsencode(name) + b"\0" for name in names)
        if not query:
            return frozenset()
        answer = self._run("check-ignore", "--no-index", "--stdin", "-z", stdin=query, answers=(0, 1))
        return frozenset(os.fsdecode(name.removeprefix(b"./")) for name in answer.split(b"\0") if name)

    def rulings(self, names: Sequence[str]) -> list[IgnoreRule | None] | None:
        """What ignore files say of each of `names`, tracked or not; None when git's answer cannot be read."""
        query = b"".join(os.fsencode(name) + b"\0" for name in names)
        command = ("check-ignore", "-z", "--stdin", "--verbose", "--non-matching", "--no-index")
        fields = self._run(*command, stdin=query, answers=(0, 1)).split(b"\0")[:-1]
        # Four fields a name: source, line, pattern, name.
        if len(fields) != 4 * len(names):
            return None
        return [_ruling(*map(os.fsdecode, fields_of)) for fields_of in zip(fields[0::4], fields[2::4], strict=True)]

    def naming(self, folder: str, word: str) -> dict[str, str]:
        place = f":(literal){folder}"
        # Several threads would wait for each other: git reads one object at a time.
        grep = ("grep", "--cached", "--threads=1", "--ignore-case", *_GREP, "--basic-regexp", "--", place)
        found = self._names(*grep, stdin=word.encode() + b"\n" + _WIDE)
        listed = _blobs(self._entries("ls-files", "-s", "-z", "--", place)) if found else {}
        return {name: listed[name] for name in found if name in listed}

    def holding(self, folder: str, secrets: SecretSearch) -> Iterable[str]:
        place = ("--", f":(literal){folder}")
        ignored = ("ls-files", "--cached", "--ignored", "--exclude-standard", "-z", *place)

        # In one go, since git opens every file.
        patterns = _SPECIAL.sub(rb"\\\g<0>", secrets.patterns) + _WIDE

        def grep(*more: str) -> list[str]:
            return self._names("grep", *_GREP, *more, "--basic-regexp", *place, stdin=patterns)

        def search() -> list[str]:
            found = grep("--untracked")
            # That passes over what is tracked and ignored as well, of which there is hardly ever anything.
            if self._run(*ignored):
                found += grep()
            return list(dict.fromkeys(found))

        return _InBackground(search)

    def files(self, folder: str) -> list[str]:
        command = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", f":(literal){folder}")
        return self._names(*command)

    def altered(self, folder: str) -> Iterator[tuple[Sequence[str], Iterator[bytes]]]:
        head, place = self.head(), f":(literal){folder}"
        if head is None:
            yield from self.staged(folder)
            return
        altered = _blobs(self._entries("ls-files", "-s", "-z", "--", place, _UNALTERED))
        # A comparison with the disk would run the filters that a configuration names; this reads trees alone.
        fields = self._entries("diff-index", "--cached", "--no-renames", "-z", head, "--", place)
        for change, name in zip(fields[0::2], fields[1::2], strict=True):
            _, mode, _, blob, _ = change.split(b" ")
            if mode not in (_LINK, _SUBMODULE) and blob.strip(b"0"):
                altered[os.fsdecode(name)] = blob.decode()
        yield from self._named(altered)

    def staged(self, folder: str) -> Iterator[tuple[Sequence[str], Iterator[bytes]]]:
        return self._named(_blobs(self._entries("ls-files", "-s", "-z", "--", f":(literal){folder}")))

    def _named(self, blobs: Mapping[str, str]) -> Iterator[tuple[Sequence[str], Iterator[bytes]]]:
        """Every content of `blobs`, once, with its names."""
        names: dict[str, list[str]] = {}
        for name, blob in blobs.items():
            names.setdefault(blob, []).append(name)
        for blob, pieces in self.stream(names):
            yield names[blob], pieces

    def history(self) -> tuple[int, Iterator[tuple[str, Iterator[bytes]]]]:
        command = (
            "rev-list", "--all", "--objects", "--filter=object:type=blob", "--filter-provided-objects",
            "--missing=print",  # cat-file is asked for these, too, and says that they are missing
        )  # fmt: skip
        listed, count = bytearray(), 0
        with self._started(*command) as output:
            for line in output:
                listed += line
                count += 1
                self._received += 1
        return count, self._listed(bytes(listed))

    def _listed(self, blobs: bytes) -> Iterator[tuple[str, Iterator[bytes]]]:
        # %(rest) is what rev-list writes behind the id: a name.
        with self._started("cat-file", f"--batch={_HEADER}%(rest)", "--buffer", stdin=blobs) as output:
            yield from self._contents(output)

    def _names(self, *command: str, stdin: bytes = b"") -> list[str]:
        """The files that a command names, and those that it could not read: whoever reads them will know why."""
        complaint: list[bytes] = []
        names = self._run(*command, stdin=stdin, answers=(0, 1), complaint=complaint).split(b"\0")
        return [os.fsdecode(name) for name in (*names, *_UNREAD.findall(b"".join(complaint))) if name]

    def _entries(self, *command: str) -> list[bytes]:
        return [entry for entry in self._run(*command).split(b"\0") if entry]

    def _run(
        self,
        *command: str,
        stdin: bytes = b"",
        answers: Sequence[int] = (0,),
        complaint: list[bytes] | None = None,
    ) -> bytes:
        """The output of a git command; raises as `_started`."""
        with self._started(*command, stdin=stdin, answers=answers, complaint=complaint) as output:
            return output.read()

    @contextmanager
    def _started(
        self,
        *command: str,
        stdin: bytes = b"",
        source: IO[bytes] | None = None,
        answers: Sequence[int] = (0,),
        complaint: list[bytes] | None = None,
    ) -> Iterator[IO[bytes]]:
        """The output of a git command that reads `stdin`, or what `source` delivers.

        Raises `EcapipeError` (GitUnavailable) for an exit status that is not among `answers`: 1, for one, says that
        nothing was found; also if it takes longer than git is given, for an answer or, where contents are read one
        after the other, for the next of them.
        """
        if self._refusal:  # the next question would have to wait as long
            raise self._refusal
        process = self._popen(command, source)
        _limit_memory(process.pid)
        output, errors = cast(IO[bytes], process.stdout), cast(IO[bytes], process.stderr)
        complaint = [] if complaint is None else complaint
        # Each pipe has a thread: git stops when one is full, and so would we.
        threads = [threading.Thread(target=lambda: complaint.append(errors.read()), daemon=True)]
        ended = threading.Event()
        threads.append(threading.Thread(target=self._watch, args=(process, ended), daemon=True))
        if process.stdin is not None:
            threads.append(threading.Thread(target=_feed, args=(process.stdin, stdin), daemon=True))
        for thread in threads:
            thread.start()
        try:
            yield output
        except BaseException:
            process.kill()
            raise
        finally:
            output.close()
            status = process.wait()
            ended.set()
            for thread in threads:
                thread.join()
            errors.close()
        if status not in answers:
            raise self._refusal or GitRefused(git_unavailable(self.top, _reason(b"".join(complaint), status)))

    def _watch(self, process: subprocess.Popen[bytes], ended: threading.Event) -> None:
        """End a process that nothing is read of for as long as git is given."""
        # To look before each question would take longer than most answers do.
        if ended.wait(min(_SOON, self._patience)):
            return
        seen = -1
        while not self._pipe and seen != self._received:
            seen = self._received
            if ended.wait(self._patience):
                return
        reason = f"it did not respond within {self._patience:.0f} seconds"
        if self._pipe:
            reason = f"its {self._pipe} is neither a folder nor a file"
        self._refusal = GitRefused(git_unavailable(self.top, reason))
        process.kill()

    @cached_property
    def _pipe(self) -> str | None:
        """A file of the work tree that git reads in its folder, and that is a pipe or a device."""
        for folder, folders, names in os.walk(self.top):
            folders[:] = [each for each in folders if each != ".git"]
            for name in _READ_BY_GIT.intersection(names):
                if _blocking(os.path.join(folder, name)):
                    return os.path.relpath(os.path.join(folder, name), self.top)
        return None

    def _contents(self, output: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """What cat-file --batch says, a header and a content at a time. What the repository lacks is counted."""
        while header := output.readline():
            self._received += 1
            kind, _, rest = header.rstrip(b"\n").partition(b" ")
            size, _, name = rest.partition(b" ")
            if kind != b"blob" or not size.isdigit():
                self.lacking += header.endswith(b" missing\n")
                continue
            pieces = self._pieces(output, int(size))
            yield os.fsdecode(name), pieces
            for _ in pieces:  # whatever the caller left
                continue
            output.read(1)

    def _pieces(self, output: IO[bytes], size: int) -> Iterator[bytes]:
        while size:
            piece = output.read(min(size, _PIECE))
            if not piece:
                return
            self._received += 1
            size -= len(piece)
            yield piece

    def _popen(self, command: Sequence[str], source: IO[bytes] | None) -> subprocess.Popen[bytes]:
        try:
            # Not by GitPython, which gives every command all that stands in os.environ.
            return subprocess.Popen(  # noqa: S603 - found on the PATH, and given no shell
                [*self._command, *command],
                cwd=self.top,
                env=self._variables,
                stdin=source or subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:  # it was removed meanwhile
            raise GitMissing(git_unavailable(self.top, "there is no git program")) from None
        except OSError as error:
            raise GitRefused(git_unavailable(self.top, f"{error.strerror or error}")) from None


def _limit_memory(pid: int) -> None:
    """Let a git that reads without an end run out of memory before everybody else does."""
    if sys.platform == "linux":
        import resource

        with suppress(OSError):  # it has ended already
            resource.prlimit(pid, resource.RLIMIT_DATA, (_MEMORY, _MEMORY))


def _reason(complaint: bytes, status: int) -> str:
    """Why git refused: the first line of what it says, without a full stop."""
    for line in complaint.decode("utf-8", "replace").strip().splitlines():
        return line.removeprefix("fatal: ").rstrip(".")
    return f"it exited with status {status}"


def program(environment: Environment) -> str | None:
    """The git program: that of ECAPIPE_GIT, else the one that GitPython would use, if it has an absolute path."""
    name = environment.get(_PROGRAM) or "git"
    if os.path.isabs(name) and not environment.get(_CHOSEN):
        return shutil.which(name)
    # No git.cmd: cmd.exe would read anew what is in the names of files.
    names = (f"{name}.exe", name) if os.name == "nt" else (name,)
    return environment.program(*names, chosen=_CHOSEN)


@contextmanager
def _only(variables: Mapping[str, str]) -> Iterator[None]:
    """While GitPython is loaded for the first time, let it see these variables alone: it runs ``git version`` then,
    with a copy of ``os.environ``. The environment of this process is not changed, nor what anything else needs of it.
    """
    with _LOADING:
        if "git" in sys.modules:
            yield
            return
        environ = os.environ
        os.environ = dict(variables)  # type: ignore[assignment]  # noqa: B003 - it is not to be cleared
        try:
            yield
        finally:
            os.environ = environ  # noqa: B003


class _InBackground:
    """What `work` comes to, in a thread of its own; who wants to know waits for it."""

    def __init__(self, work: Callable[[], list[str]]) -> None:
        self._work = work
        self._outcome: list[str] | BaseException = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[str]:
        self._thread.join()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        yield from self._outcome

    def _run(self) -> None:
        try:
            self._outcome = self._work()
        except BaseException as error:  # raised again where the answer is asked for
            self._outcome = error


class Repositories:
    """The repository whose work tree holds a path; see `ecapipe.run.world.World.git`. Each is opened once."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._opened: dict[str, GitRepository] = {}
        self._patience = patience

    def __call__(self, path: str) -> GitRepository | None:
        top = _top(path)
        if top is None:
            _refuse_unmarked(path)
            return None
        if top not in self._opened:
            self._opened[top] = GitRepository(top, self._patience)
        return self._opened[top]


def _top(path: str) -> str | None:
    """The nearest folder with a .git around a path."""
    top = os.path.realpath(path)
    while not os.path.lexists(os.path.join(top, ".git")):
        top, last = os.path.dirname(top), top
        if top == last:
            return None
    return top.replace(os.sep, "/")


def _refuse_unmarked(path: str) -> None:
    """Raises `GitRefused` for a path in the work tree of GIT_DIR, which needs no .git there: nobody looks into it,
    and what it tracks is not to be taken for what no repository does."""
    variables = environment.process()
    if variables.get("GIT_DIR") is None:
        return
    with suppress(OSError, ValueError):  # the current folder was removed, or the other is on another drive
        work_tree = os.path.realpath(variables.get("GIT_WORK_TREE") or os.curdir)
        if os.path.commonpath((work_tree, os.path.realpath(path))) == work_tree:
            raise GitRefused(
                git_unavailable(path, "GIT_DIR is set, but the work tree of its repository contains no .git")
            )


def _git_folders(top: str) -> list[str]:
    """What git reads as the repository of a work tree: a submodule has it elsewhere, a linked work tree twice."""
    mark = os.path.join(top, ".git")
    line = _line(mark) if os.path.isfile(mark) else ""
    if not line:
        return [mark]
    folder = os.path.join(top, line.removeprefix("gitdir: "))
    common = os.path.join(folder, "commondir")
    return [folder, os.path.join(folder, _line(common))] if os.path.isfile(common) else [folder]


def _line(file: str) -> str:
    with suppress(OSError), open(file, "rb") as stream:
        return os.fsdecode(stream.readline(_LONGEST)).strip().replace("\0", "")
    return ""


def _blocking(path: str) -> str | None:
    """A pipe or a device at or below a path: whoever opens one waits for a writer, or reads for ever."""
    pending, seen = [path], set[tuple[int, int]]()
    while pending and len(seen) < _MOST:  # a link may lead to the whole disk; git is given its time then
        place = pending.pop()
        with suppress(OSError):  # git itself will say what is wrong
            status = os.stat(place)
            if stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
                return place
            if stat.S_ISDIR(status.st_mode) and (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                pending += [each.path for each in os.scandir(place) if not _harmless(each, place == path)]
    return None


def _harmless(entry: os.DirEntry[str], is_at_top: bool) -> bool:
    return entry.is_file(follow_symlinks=False) or (is_at_top and entry.name in _FOREIGN)


def _open(top: str) -> Repo:
    """Opens a repository; raises what GitPython raises."""
    import git

    class Repository(git.Repo):
        def config_reader(self, config_level: object = None) -> git.GitConfigParser:
            """The repository's own file alone: it may include a pipe, and then git is asked with a time limit."""
            return git.GitConfigParser(os.path.join(self.common_dir, "config"), read_only=True, merge_includes=False)

    # A submodule may be called $HOME: that is a name, and no variable.
    return Repository(top, expand_vars=False)


def _is_current(repo: Repo, top: str, git_dir: str | None) -> bool:
    """Whether a repository is the one that git's variables are about: that of GIT_DIR, else of the current folder."""
    with suppress(OSError):  # the current folder was removed
        return os.path.samefile(git_dir, repo.git_dir) if git_dir else _top(os.curdir) == top
    return False


def tracked(root: str, paths: Sequence[str]) -> frozenset[str]:
    """Those of `paths` (relative to `root`) that are in the index of their repository; without those where git cannot
    tell."""
    repositories, indexes = Repositories(), dict[str, frozenset[str]]()

    @cache
    def repository_of(folder: str) -> GitRepository | None:
        with suppress(EcapipeError):
            if repository := repositories(folder):
                indexes[repository.top] = indexes.get(repository.top) or repository.tracked()
                return repository
        return None

    def is_tracked(path: str) -> bool:
        place = os.path.join(root, path)
        repository = repository_of(os.path.dirname(os.path.realpath(place)))
        return repository is not None and repository.name(place) in indexes[repository.top]

    return frozenset(filter(is_tracked, paths))


def _blobs(entries: Iterable[bytes], part: bytes = b"") -> dict[str, str]:
    """Names and ids in what ls-files and ls-tree list; only names with `part` in them, in any case."""
    blobs = {}
    for entry in entries:
        if part in entry.lower() and not entry.startswith((_LINK, _SUBMODULE)):
            blob, name = _blob_and_name(entry)
            blobs[os.fsdecode(name)] = blob.decode()
    return blobs


def _is_link(entry: bytes) -> bool:
    return entry.startswith(_LINK)


def _blob_and_name(entry: bytes) -> tuple[bytes, bytes]:
    fields, _, name = entry.partition(b"\t")
    # ls-files: mode, id, stage; ls-tree: mode, type, id.
    return max(fields.split(b" ")[1:], key=len), name


def rulings(root: str, paths: Sequence[str]) -> IgnoreRules | None:
    """What ignore files say of `paths` (relative to `root`, and perhaps not there yet).

    None where git cannot tell: no git program, no repository, or one that git refuses to read.
    """
    try:
        repository = Repositories()(root)
        if repository is None or (home := repository.name(root)) is None:
            return None
        names = {path: repository.name(os.path.join(root, path)) for path in paths}
        inside = {path: name for path, name in names.items() if name is not None}
        rules = repository.rulings(list(inside.values()))
    except EcapipeError:
        return None
    if rules is None:
        return None
    from ecapipe.protect.protection import IgnoreRules  # only `app protect` asks for them

    return IgnoreRules(repository.top, home, dict(zip(inside, rules, strict=True)))


def _ruling(source: str, pattern: str) -> IgnoreRule | None:
    if not source:
        return None
    # .git/info/exclude and core.excludesFile are one user's own: the others who clone do not have them.
    shared = os.path.basename(source) == ".gitignore" and not os.path.isabs(source)
    from ecapipe.protect.protection import IgnoreRule

    return IgnoreRule(source if shared else None, not pattern.startswith("!"))


def _feed(stream: IO[bytes], data: bytes) -> None:
    try:
        with stream:
            stream.write(data)
    except BrokenPipeError:  # git has seen enough, or ended: its status tells
        return


def _beginning(pieces: Iterable[bytes]) -> bytes:
    """The first bytes of a content: enough to see that it is larger than a file of its kind may be."""
    data = bytearray()
    for piece in pieces:
        data += piece[: _LARGEST + 1 - len(data)]
    return bytes(data)
