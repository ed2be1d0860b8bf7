"""Puts a file in place: whole, or not at all."""

from __future__ import annotations

import os
from contextlib import suppress

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unwritable_file


def write(path: str, content: bytes, *, private: bool = False) -> None:
    """See `ecapipe.run.world.World.write`. A link stays a link: what it leads to is written.

    `private`: nobody else may ever read it (0600), and it is still there after a power failure.
    """
    place = os.path.realpath(path)
    # In the same folder, so that the last step only renames.
    temporary = os.path.join(os.path.dirname(place), f".{os.path.basename(place)}.{os.urandom(4).hex()}")
    try:
        try:
            with open(temporary, "xb", opener=_private if private else None) as file:
                file.write(content)
                file.flush()
                # Before the rename: some file systems bring names to the disk before contents.
                os.fsync(file.fileno())
            os.replace(temporary, place)
            if private:
                _settle(os.path.dirname(place))
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
    except OSError as error:
        raise EcapipeError(unwritable_file(path, error.strerror or "unknown reason")) from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _settle(folder: str) -> None:
    """Let the new name reach the disk, too; Windows does so by itself, and opens no folders."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
