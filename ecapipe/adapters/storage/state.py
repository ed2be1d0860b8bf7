"""Where ecapipe keeps what outlives a command: one private folder per user, and locks in it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from ecapipe.adapters.environment import Environment
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import state_directory_unusable

_PRIVATE = 0o700
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def directory(environment: Environment) -> str:
    """The state directory, an absolute path: ``ECAPIPE_STATE_DIR``, else the place the system has for such things.

    It is made if it is not there, for its user alone (0700). Raises `EcapipeError` (StateDirectoryUnusable) where it
    cannot be made, is not a folder, belongs to somebody else, or can be written to by others.
    """
    path = os.path.abspath(environment.get("ECAPIPE_STATE_DIR") or _usual())
    _make(path)
    if _mode(path) & _WRITABLE_BY_OTHERS:
        raise _unusable(path, "others may write to it")
    return path


def place(environment: Environment, name: str) -> str:
    """Where the folder `name` of the state directory is, or would be: to look whether it is there, making nothing.

    Raises `EcapipeError` (StateDirectoryUnusable) for a user without any place.
    """
    return os.path.join(os.path.abspath(environment.get("ECAPIPE_STATE_DIR") or _usual()), name)


def folder(environment: Environment, name: str) -> str:
    """The folder `name` of the state directory, in which nobody else can look (0700).

    Raises `EcapipeError` (StateDirectoryUnusable).
    """
    path = os.path.join(directory(environment), name)
    _make(path)
    if os.name == "posix" and _mode(path) != _PRIVATE:
        try:
            os.chmod(path, _PRIVATE)
        except OSError as error:
            raise _unusable(path, _reason(error)) from None
    return path


@contextmanager
def lock(path: str, busy: Problem, seconds: float = 0.0) -> Iterator[None]:
    """While the context lasts, no other process (or thread) gets the lock at `path`, a file of its own (0600).

    It ends with the process, however that ends. `seconds`: how long to wait for it. Raises `EcapipeError`: `busy`
    when somebody else has it, StateDirectoryUnusable when there can be no lock.
    """
    from filelock import FileLock, Timeout

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
        owner = os.stat(path).st_uid
    except FileExistsError:
        raise _unusable(path, "it is not a folder") from None
    except OSError as error:
        raise _unusable(path, _reason(error)) from None
    if os.name == "posix" and owner != os.geteuid():
        raise _unusable(path, "it belongs to somebody else")


def _mode(path: str) -> int:
    # Windows keeps the folders of a user private by its lists of rights, which no mode shows.
    if os.name != "posix":
        return _PRIVATE
    return stat.S_IMODE(os.stat(path).st_mode)


def _unusable(path: str, reason: str) -> EcapipeError:
    return EcapipeError(state_directory_unusable(path, reason))


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
