"""Where ecapipe keeps what outlives a command: one private folder per user, and locks in it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from ecapipe.adapters.environment import Environment
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import state_directory_relative, state_directory_unusable, state_file_refused

_PRIVATE = 0o700
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO
# What a link or a pipe could do is seen before and after: neither is followed, nor waited for.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def named(environment: Environment) -> str | None:
    """What ``ECAPIPE_STATE_DIR`` names; raises `EcapipeError` (StateDirectoryRelative)."""
    path = environment.get("ECAPIPE_STATE_DIR") or None
    # It would be another one in each folder, and in a checkout that of whoever wrote it.
    if path and not os.path.isabs(path):
        raise EcapipeError(state_directory_relative(path))
    return path


def directory(environment: Environment) -> str:
    """The state directory, an absolute path: ``ECAPIPE_STATE_DIR``, else the place the system has for such things.

    It is made if it is not there, for its user alone (0700). Raises `EcapipeError` (StateDirectoryUnusable) where it
    cannot be made, is not a folder, belongs to somebody else, or can be written to by others.
    """
    path = place(environment)
    _make(path)
    # The folder itself may be named by a link: what leads to it is not judged.
    _judge_folder(path, os.stat(path))
    return path


def place(environment: Environment, name: str = "") -> str:
    """Where the folder `name` of the state directory is, or would be: to tell, not to read or write there.

    Raises `EcapipeError` (StateDirectoryRelative, and StateDirectoryUnusable for a user without any place).
    """
    return os.path.normpath(os.path.join(named(environment) or _usual(), name))


def existing(environment: Environment, name: str) -> str:
    """The same, to read there: nothing is made, and what is there has to be ours.

    Raises `EcapipeError` (StateDirectoryRelative, StateDirectoryUnusable).
    """
    above, path = place(environment), place(environment, name)
    try:
        _judge_folder(above, os.stat(above))
        _judge_folder(path, os.lstat(path))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unusable(path, _reason(error)) from None
    return path


def obstacle(environment: Environment, *names: str) -> Problem | None:
    """Why nothing can be written to the folders `names`, as far as that can be seen without making them."""
    try:
        for name in names:
            above = existing(environment, name)
            while not os.path.lexists(above):
                above = os.path.dirname(above)
            if not (os.path.isdir(above) and os.access(above, os.W_OK | os.X_OK)):
                raise _unusable(place(environment), f"{above} is not a folder that you can write to")
    except EcapipeError as error:
        return error.problem
    return None


def folder(environment: Environment, name: str) -> str:
    """The folder `name` of the state directory, in which nobody else can look (0700).

    Raises `EcapipeError` (StateDirectoryUnusable).
    """
    path = os.path.join(directory(environment), name)
    _make(path)
    status = os.lstat(path)
    _judge_folder(path, status)
    if os.name == "posix" and stat.S_IMODE(status.st_mode) != _PRIVATE:
        try:
            os.chmod(path, _PRIVATE)
        except OSError as error:
            raise _unusable(path, _reason(error)) from None
    return path


def open_file(path: str, *, private: bool = False) -> BinaryIO:
    """A file below the state directory, to read; `private`: one that only its user may read.

    Raises `OSError`, and `EcapipeError` (StateFileRefused) for one that is not ours.
    """
    forbidden = _OPEN_TO_OTHERS if private else _WRITABLE_BY_OTHERS
    _judge_file(path, os.lstat(path), forbidden)
    file = open(os.open(path, _READ), "rb")
    try:
        # Again: a folder above may have been exchanged in between.
        _judge_file(path, os.fstat(file.fileno()), forbidden)
    except EcapipeError:
        file.close()
        raise
    return file


@contextmanager
def lock(path: str, busy: Problem, seconds: float = 0.0) -> Iterator[None]:
    """While the context lasts, no other process (or thread) gets the lock at `path`, a file of its own (0600).

    It ends with the process, however that ends. `seconds`: how long to wait for it. Raises `EcapipeError`: `busy`
    when somebody else has it, StateFileRefused or StateDirectoryUnusable when there can be no lock.
    """
    from filelock import FileLock, Timeout

    with suppress(OSError):  # it is new, or what keeps it from being made is found below
        _judge_file(path, os.lstat(path), _WRITABLE_BY_OTHERS)
    # A fresh lock each time: it is handed from thread to thread, and excludes the others of this process, too.
    file_lock = FileLock(path, seconds, mode=0o600, thread_local=False, is_singleton=False)
    try:
        file_lock.acquire(poll_interval=0.02)
    except Timeout:
        raise EcapipeError(busy) from None
    except OSError as error:
        raise _unusable(path, _reason(error)) from None
    try:
        yield
    finally:
        file_lock.release()


def _usual() -> str:
    from platformdirs import user_state_dir

    try:
        path = user_state_dir("ecapipe", appauthor=False)
    except RuntimeError:
        path = "~"
    # It would be below whatever folder the command is run in.
    if not os.path.isabs(path):
        raise _unusable(path, "this user has no home folder")
    return path


def _make(path: str) -> None:
    try:
        os.makedirs(path, _PRIVATE, exist_ok=True)
    except FileExistsError:
        raise _unusable(path, "it is not a folder") from None
    except OSError as error:
        raise _unusable(path, _reason(error)) from None


def _judge_folder(path: str, status: os.stat_result) -> None:
    if not stat.S_ISDIR(status.st_mode):
        raise _unusable(path, "it is not a folder")
    if reason := _foreign(status, _WRITABLE_BY_OTHERS):
        raise _unusable(path, reason)


def _judge_file(path: str, status: os.stat_result, forbidden: int) -> None:
    reason = _foreign(status, forbidden)
    if not stat.S_ISREG(status.st_mode):
        reason = "it is not a regular file"
    if reason:
        raise EcapipeError(state_file_refused(path, reason))


def _foreign(status: os.stat_result, forbidden: int) -> str | None:
    """Why what has this status is not believed to be ours, or root's; `forbidden`: what others may not do."""
    # Windows keeps what belongs to a user private by its lists of rights, which neither owner nor mode shows.
    if sys.platform == "win32":
        return None
    if status.st_uid not in (0, os.geteuid()):
        return "it belongs to another user"
    mode = status.st_mode & forbidden
    if mode & _WRITABLE_BY_OTHERS:
        return "other users can write to it"
    return "other users can read it" if mode else None


def _unusable(path: str, reason: str) -> EcapipeError:
    return EcapipeError(state_directory_unusable(path, reason))


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
