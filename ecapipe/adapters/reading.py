"""The one way to open what somebody else wrote: it never blocks, and never reads without an end."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import Final

_PIECE: Final = 1024 * 1024
_USUAL: Final = 64 * 1024
"""Bytes that no file has but for mistakes and attacks."""


def read(path: str, limit: int, *, pipes: bool = False, patience: float = 60.0) -> bytes:
    """At most `limit` + 1 bytes of a regular file, which tells a caller of one that is too large.

    `pipes`: the user named it, by a flag or a variable, and may have meant a pipe, of which everything has to come
    within `patience` seconds. Raises `OSError`, also for what is neither.
    """
    descriptor = open_file(path, pipes=pipes)
    try:
        wait = None if stat.S_ISREG(os.fstat(descriptor).st_mode) else time.monotonic() + patience
        data, size = bytearray(), _USUAL  # to ask for the limit at once would reserve it
        while (remaining := limit + 1 - len(data)) > 0 and (piece := _piece(descriptor, min(remaining, size), wait)):
            data += piece
            size = _PIECE
        return bytes(data)
    finally:
        os.close(descriptor)


def open_file(path: str, *, pipes: bool = False, links: bool = True) -> int:
    """A descriptor of a regular file, or of a pipe; raises `OSError`. Without `links` none is followed at the end."""
    # Opening a pipe would wait for a writer, and a device may never end.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if links else flags | getattr(os, "O_NOFOLLOW", 0))
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode) or (pipes and stat.S_ISFIFO(mode)):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    raise OSError(errno.EINVAL, "it is not a regular file", path)


def _piece(descriptor: int, size: int, wait: float | None) -> bytes:
    """The next bytes; of a pipe, once there are some. Raises `TimeoutError` if that is not until `wait`."""
    if wait is not None and hasattr(os, "O_NONBLOCK"):
        import select

        ready, _, _ = select.select([descriptor], [], [], max(0.0, wait - time.monotonic()))
        if not ready:
            raise TimeoutError(errno.ETIMEDOUT, "the pipe was not closed in time")
    return os.read(descriptor, size)
