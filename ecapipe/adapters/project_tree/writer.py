"""Files written into a project: whole or not at all, and never through a link."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unwritable_file

if TYPE_CHECKING:
    from ecapipe.project.edits import Change


def write(change: Change) -> None:
    """Make `change` on disk, keeping the file's mode.

    Raises `EcapipeError` (UnwritableFile) and leaves the old file if anything is in the way: a link, or content that
    is no longer what the change was made from.
    """
    root = os.path.realpath(change.root)
    path = os.path.normpath(os.path.join(root, change.path))
    if os.path.realpath(path) != path:
        raise EcapipeError(unwritable_file(change.file, "a link leads to it"))
    try:
        if _content(path) != change.before:
            raise EcapipeError(unwritable_file(change.file, "it has changed in the meantime"))
        _replace(path, change.after, new=change.before is None)
    except OSError as error:
        raise EcapipeError(unwritable_file(change.file, error.strerror or "unknown reason")) from None


def _content(path: str) -> bytes | None:
    """What is there now; raises `OSError` for a file that may not be written, which a rename would not notice."""
    try:
        with open(path, "r+b") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _replace(path: str, content: bytes, *, new: bool) -> None:
    folder, name = os.path.split(path)
    # In the same folder, so that the last step only renames; readable by nobody else until it has the file's mode.
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if new else 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not new:
            os.chmod(temporary, stat.S_IMODE(os.stat(path).st_mode))
        os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
