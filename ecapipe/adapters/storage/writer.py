"""The one way to write a file for a user: whole or not at all, and never through a link of a tree."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

from ecapipe.adapters.storage import files
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unwritable_file

if TYPE_CHECKING:
    from ecapipe.project.edits import Change

_OPENS_FOLDERS: Final = os.open in os.supports_dir_fd
"""Windows does not: a link that is put in place while a path is being followed is not noticed there."""
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
# O_PATH: a folder that may be passed through need not be readable.
_FOLDER: Final = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NO_LINK
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK | getattr(os, "O_BINARY", 0)
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT)
_WAITS: Final = (0.01, 0.03, 0.1, 0.3, 1.0) if os.name == "nt" else ()
"""Seconds between tries to replace a file."""
_LINKS: Final = 40
"""Links that Linux follows on one path."""


class _LinkError(OSError):
    """A link is where none may be."""

    def __init__(self, folder: _Folder, name: str) -> None:
        super().__init__(errno.ELOOP, f"its path contains a link, {os.path.join(folder.path, name)}")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is held open: whatever becomes of the names that led to it, it stays the same.

    `in_tree`: it is, or lies in, a tree whose links are not followed. `path` holds no link.
    """

    path: str
    descriptor: int | None
    in_tree: bool

    @property
    def is_of_system(self) -> bool:
        """Whether its links are the system's names for what is open."""
        return self.path == "/dev" or self.path.startswith("/proc/")

    def at(self, name: str) -> str:
        """What to give to a function of `os` beside ``dir_fd``."""
        return name if self.descriptor is not None else os.path.join(self.path, name)

    def status(self, name: str) -> os.stat_result | None:
        with suppress(FileNotFoundError):
            return os.stat(self.at(name), dir_fd=self.descriptor, follow_symlinks=False)
        return None

    def enter(self, name: str, roots: Collection[tuple[int, int]]) -> _Folder:
        """The folder `name`; raises `OSError` for a link, too."""
        descriptor, path = None, os.path.join(self.path, name)
        if _OPENS_FOLDERS:
            descriptor = os.open(name, _FOLDER, dir_fd=self.descriptor)
            status = os.fstat(descriptor)
        else:
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        return _Folder(path, descriptor, self.in_tree or _identity(status) in roots)

    def close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)


def write(path: str, content: bytes, *, trees: Collection[str] = (), private: bool = False) -> None:
    """Put `content` in the place of what the file held, whose mode it keeps; readers see the one or the other.

    `private`: nobody else may ever read it (0600), it is still there after a power failure, and where the disk has no
    room for both, it is written over. No link is followed in the last part of the path, nor one that lies in one of
    `trees`, or in the repository around it.

    Raises `EcapipeError` (UnwritableFile), and leaves what is there.
    """
    with _reporting(path), _parent(path, trees) as (folder, name):
        try:
            _replace(folder, name, content, mode=_mode(folder, name), private=private)
        except OSError as error:
            # What a record has to keep, as a refresh token that was rotated, may be nowhere else.
            if not (private and error.errno in _NO_ROOM and _overwrite(folder, name, content)):
                raise


def write_report(path: str, content: bytes, *, trees: Collection[str]) -> None:
    """The same for what may go to a pipe or a terminal (``/dev/stdout``), which is written to and not replaced."""
    with _reporting(path), _parent(path, trees) as (folder, name):
        if _is_stream(folder, name):
            _send(folder, name, content)
        else:
            _replace(folder, name, content, mode=_mode(folder, name))


def write_in_project(root: str, file: str, content: bytes) -> None:
    """See `ecapipe.run.world.World.write`."""
    root = os.path.realpath(root)
    with _reporting(file), _parent(os.path.join(root, file), (root,), make=True) as (folder, name):
        _replace(folder, name, content, mode=_mode(folder, name))


def amend(change: Change) -> None:
    """See `ecapipe.run.world.World.amend`: refused, too, if the change was made from another content."""
    root = os.path.realpath(change.root)
    with _reporting(change.file), _parent(os.path.join(root, change.path), (root,)) as (folder, name):
        mode = _mode(folder, name)
        if _content(folder, name) != change.before:
            raise OSError(errno.EBUSY, "it was changed in the meantime")
        _replace(folder, name, change.after, mode=mode)


def obstacle(path: str, trees: Collection[str]) -> tuple[str, str] | None:
    """What would keep `write_report` from its work, as far as can be known before, and what to do about it; None:
    nothing. Makes folders."""
    elsewhere = "Specify a path that you can write to."
    try:
        with _parent(path, trees, make=True) as (folder, name):
            if _is_stream(folder, name):
                return None
            _mode(folder, name)
            # The folder counts, not the file: a new file takes the old one's place.
            if not os.access(folder.at("."), os.W_OK, dir_fd=folder.descriptor):
                return "permission denied", elsewhere
    except OSError as error:
        advice = "Specify a path without symbolic links." if isinstance(error, _LinkError) else elsewhere
        advice = "Specify a file in that folder." if error.errno == errno.EISDIR else advice
        return files.reason(error), advice
    return None


@contextmanager
def _reporting(file: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        is_link, is_full = isinstance(error, _LinkError), error.errno in _NO_ROOM
        raise EcapipeError(unwritable_file(file, files.reason(error), is_link, is_full)) from None


@contextmanager
def _parent(path: str, trees: Collection[str], *, make: bool = False) -> Iterator[tuple[_Folder, str]]:
    """The folder that `path` ends in, with its last part; raises `OSError`.

    Each folder is opened from the one above, so that nothing can be put in its place on the way. A link is followed
    by hand, since it depends on where it lies whether it may be.
    """
    roots = _identities(trees)
    if not os.path.isabs(path):
        path = os.path.join(os.getcwd(), path)
    anchor, *parts = PurePath(path).parts
    name = parts.pop() if parts else "."
    parts.reverse()
    line = [_Folder("", None, in_tree=False).enter(anchor, roots)]
    links = 0
    try:
        while parts:
            part = parts.pop()
            if part == "..":
                if len(line) > 1:
                    line.pop().close()
                continue
            try:
                line.append(_enter(line[-1], part, roots, make=make))
            except OSError:
                target = _target(line[-1], part)
                links += 1
                if target is None or links > _LINKS:
                    raise
                # `..` leads up from where the link lies, not from where the path was.
                if os.path.isabs(target):
                    while len(line) > 1:
                        line.pop().close()
                parts += [each for each in reversed(PurePath(target).parts) if each != anchor]
        yield line[-1], name
    finally:
        for folder in line:
            folder.close()


def _enter(folder: _Folder, name: str, roots: Collection[tuple[int, int]], *, make: bool) -> _Folder:
    try:
        return folder.enter(name, roots)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):
        os.mkdir(folder.at(name), dir_fd=folder.descriptor)
    return folder.enter(name, roots)


def _target(folder: _Folder, name: str) -> str | None:
    """Where the link `name` leads, None if it is none; raises `_LinkError` for one that is not followed."""
    try:
        target = os.readlink(folder.at(name), dir_fd=folder.descriptor)
    except OSError:
        return None
    if folder.in_tree:
        raise _LinkError(folder, name)
    return target


def _identities(trees: Collection[str]) -> set[tuple[int, int]]:
    """By number, not by name: a file system may know a folder under several."""
    identities = set()
    for path in (spelling for tree in trees for spelling in (os.path.realpath(tree), os.path.abspath(tree))):
        with suppress(OSError):
            identities.add(_identity(os.stat(files.whole_repository(path) or path)))
    return identities


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _mode(folder: _Folder, name: str) -> int | None:
    """The mode of the file that is there, None if none is; raises `OSError` for what is no regular file."""
    status = folder.status(name)
    if status is None:
        return None
    if stat.S_ISLNK(status.st_mode):
        raise _LinkError(folder, name)
    if stat.S_ISDIR(status.st_mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return stat.S_IMODE(status.st_mode)


def _is_stream(folder: _Folder, name: str) -> bool:
    """Whether it can be written to, but not replaced: a pipe, a terminal, or the system's name of an open file."""
    status = folder.status(name)
    if status is None:
        return False
    if stat.S_ISLNK(status.st_mode):
        return folder.is_of_system
    return stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)


def _send(folder: _Folder, name: str, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_APPEND
    if not folder.is_of_system:
        flags |= _NO_LINK
    with os.fdopen(os.open(folder.at(name), flags, dir_fd=folder.descriptor), "wb") as file:
        file.write(content)


def _content(folder: _Folder, name: str) -> bytes | None:
    """What is there now; raises `OSError` for a file that may not be written, which a rename would not notice."""
    flags = os.O_RDWR | _NO_LINK | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(folder.at(name), flags, dir_fd=folder.descriptor), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _replace(folder: _Folder, name: str, content: bytes, *, mode: int | None, private: bool = False) -> None:
    # In the same folder, so that the last step only renames; readable by nobody else until it has the file's mode.
    # Not named after it: a name may be as long as the file system allows.
    temporary = folder.at(f".ecapipe-{os.urandom(8).hex()}")
    first_mode = 0o600 if private or mode is not None else 0o666
    descriptor = os.open(temporary, _NEW, first_mode, dir_fd=folder.descriptor)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if mode is not None and not private and _OPENS_FOLDERS:
                os.chmod(file.fileno(), mode)
            # Before the rename: some file systems bring names to the disk before contents.
            os.fsync(file.fileno())
        at = folder.descriptor
        insist(lambda: os.replace(temporary, folder.at(name), src_dir_fd=at, dst_dir_fd=at))
        if private:
            _settle(folder)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder.descriptor)


def _overwrite(folder: _Folder, name: str, content: bytes) -> bool:
    """Write into the file that is there, if its room is enough; whether it was. Raises `OSError`."""
    status = folder.status(name)
    if status is None or status.st_mode & 0o077 or len(content) > getattr(status, "st_blocks", 0) * 512:
        return False
    flags = os.O_RDWR | _NO_LINK
    with os.fdopen(os.open(folder.at(name), flags, dir_fd=folder.descriptor), "r+b", 0) as file:
        # At once, with blanks over what is left of a longer one: it is never anything but JSON.
        file.write(content.ljust(status.st_size))
        file.truncate(len(content))
        os.fsync(file.fileno())
    return True


def insist(replace: Callable[[], None], *, waits: Sequence[float] = _WAITS) -> None:
    """Replace a file. Windows refuses while somebody reads the old one or the new one, as virus scanners do for a
    moment: there it is tried again."""
    for wait in waits:
        try:
            return replace()
        except PermissionError:
            time.sleep(wait)
    replace()


def _settle(folder: _Folder) -> None:
    """Let the new name reach the disk, too; Windows does so by itself, and opens no folders."""
    if folder.descriptor is None:
        return
    descriptor = os.open(".", os.O_RDONLY, dir_fd=folder.descriptor)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
