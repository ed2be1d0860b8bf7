"""Files that a user asked for outside of any project: reports."""

from __future__ import annotations

import os

from ecapipe.adapters import reading
from ecapipe.adapters.storage import atomic
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import source_dir_not_found, unreadable_file, unwritable_file


def obstacle(path: str) -> str | None:
    """What would keep `write` from its work, as far as can be known before; None: nothing. Makes the folder."""
    folder = os.path.dirname(os.path.realpath(path))
    try:
        if _is_special(path):
            return None
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        return _reason(error)
    if os.path.isdir(path):
        return "it is a folder"
    # The folder counts, not the file: a new file takes the old one's place.
    if not os.access(folder, os.W_OK):
        return "permission denied"
    return None


def write(path: str, text: str) -> None:
    """Put `text` in the place of what `path` held; readers see the old content or the new, never a part.

    Raises `EcapipeError` (UnwritableFile).
    """
    if not _is_special(path):
        atomic.write(path, text.encode())
        return
    try:
        append(path, text)
    except OSError as error:
        raise EcapipeError(unwritable_file(path, _reason(error))) from None


def read(path: str, limit: int, flag: str = "FILE") -> bytes:
    """The content of a file, or of a pipe, that was given with `flag`.

    Raises `EcapipeError`: SourceDirNotFound, UnreadableFile.
    """
    if not os.path.lexists(path):
        raise EcapipeError(source_dir_not_found(path, flag))
    try:
        content = reading.read(path, limit, pipes=True)
    except OSError as error:
        raise EcapipeError(unreadable_file(path, _reason(error))) from None
    if len(content) > limit:
        raise EcapipeError(unreadable_file(path, f"it is larger than {limit // 2**20} MiB"))
    return content


def append(path: str, text: str) -> None:
    """Add `text` to a file that is not ours alone; raises `OSError`."""
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def repository(folder: str) -> str | None:
    """The root of the git repository around `folder`; git itself is not asked, so it need not be there."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        folder, child = os.path.dirname(folder), folder
        if folder == child:
            return None
    return folder


def _is_special(path: str) -> bool:
    """Whether `path` is a pipe or a device (``/dev/stdout``), which can be written to but not replaced."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
