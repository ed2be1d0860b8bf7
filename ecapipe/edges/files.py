"""Files that a user asked for, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress

from ecapipe.problems import EcapipeError, Problem, report_not_written


def prepare(path: str) -> None:
    """Make the folder of a report, before any work is done for it.

    Raises `EcapipeError` (ReportNotWritten) for what can be known to keep `write` from its work.
    """
    folder = os.path.dirname(os.path.realpath(path))
    try:
        if _is_special(path):
            return
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise EcapipeError(_problem(path, error)) from None
    if os.path.isdir(path):
        raise EcapipeError(report_not_written(path, "it is a folder"))
    if not os.access(folder, os.W_OK):
        raise EcapipeError(report_not_written(path, "permission denied"))


def write(path: str, text: str) -> None:
    """Put `text` in the place of what `path` held; readers see the old content or the new, never a part.

    Raises `EcapipeError` (ReportNotWritten).
    """
    try:
        if _is_special(path):
            append(path, text)
        else:
            _replace(os.path.realpath(path), text)
    except OSError as error:
        raise EcapipeError(_problem(path, error)) from None


def append(path: str, text: str) -> None:
    """Add `text` to a file that is not ours alone; raises `OSError`."""
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def repository(folder: str) -> str | None:
    """The root of the git repository around `folder`; git itself is not asked, so it need not be there."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        folder, last = os.path.dirname(folder), folder
        if folder == last:
            return None
    return folder


def _is_special(path: str) -> bool:
    """Whether `path` is a pipe or a device (``/dev/stdout``), which can be written to but not replaced."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _replace(path: str, text: str) -> None:
    temporary = os.path.join(os.path.dirname(path), f".ecapipe-{secrets.token_hex(8)}")
    try:
        with open(temporary, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(temporary, path)
    except BaseException:  # also of Ctrl-C: no half of a report stays behind
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _problem(path: str, error: OSError) -> Problem:
    return report_not_written(path, (error.strerror or "unknown reason").lower())
