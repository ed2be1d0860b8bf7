"""Files that a user names: what they hold, and where they lie."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ecapipe.adapters import reading
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import file_not_found, given_with, unreadable_file


def read(path: str, limit: int, flag: str = "") -> bytes:
    """The content of a file, or of a pipe, that was given with `flag`; empty: as an argument.

    Raises `EcapipeError`: FileNotFound, UnreadableFile.
    """
    if not os.path.lexists(path):
        raise EcapipeError(file_not_found(path, flag))
    try:
        content = reading.read(path, limit, pipes=True)
    except OSError as error:
        raise EcapipeError(given_with(flag, unreadable_file(path, reason(error)))) from None
    if len(content) > limit:
        raise EcapipeError(given_with(flag, unreadable_file(path, f"it is larger than {limit // 2**20} MiB")))
    return content


def append(path: str, text: str) -> None:
    """Add `text` to a file that is not ours alone; raises `OSError`."""
    with open(path, "a", encoding="utf-8", newline="\n") as file:
        file.write(text)


def create(folder: str, prefix: str, suffix: str, text: str) -> str:
    """The path of a new file in `folder`, which no other command writes to; raises `OSError`."""
    import tempfile

    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="\n", prefix=prefix, suffix=suffix, dir=folder, delete=False
    ) as file:
        file.write(text)
    return os.path.abspath(file.name)


def repository(folder: str) -> str | None:
    """The root of the git repository around `folder`; git itself is not asked, so it need not be there."""
    return next((place for place in upwards(folder) if os.path.lexists(os.path.join(place, ".git"))), None)


def upwards(path: str) -> Iterator[str]:
    """A path and the folders around it, the nearest first."""
    child = ""
    while path != child:
        yield path
        path, child = os.path.dirname(path), path


def whole_repository(folder: str) -> str | None:
    """The same, or where that is a submodule the outermost one around it: whoever writes a repository chooses its
    submodules, and what lies around them. git makes a ``.git`` that is a file for them, and for linked work trees."""
    root = repository(folder)
    while root and os.path.isfile(os.path.join(root, ".git")) and (around := _repository_around(root)):
        root = around
    return root


def _repository_around(root: str) -> str | None:
    above = os.path.dirname(root)
    return repository(above) if above != root else None


def reason(error: OSError) -> str:
    """Why something failed, to stand behind a colon."""
    text = error.strerror or "unknown reason"
    return text[:1].lower() + text[1:]
