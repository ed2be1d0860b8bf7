"""Zip files, as Salesforce hands them out. Nothing is ever unpacked, so no name in one can lead anywhere."""

from __future__ import annotations

import lzma
import os
import re
import struct
import zipfile
import zlib
from functools import lru_cache
from typing import Final

from ecapipe.adapters import reading
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file
from ecapipe.project.metadata import LARGEST

_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError, KeyError,
    NotImplementedError, OSError,
)  # fmt: skip
"""What zipfile raises for archives that are broken, encrypted, or packed in ways it does not know."""

_TIGHTEST: Final = 100
"""How many times larger than its archive the files of apps in it may be; XML is ten to twenty times as large."""
_READ: Final = re.compile(r"\.(eca|connectedApp)", re.IGNORECASE)
_ALWAYS: Final = 16 * 1024 * 1024
"""Bytes that they may have even in a tiny archive."""


class Archive:
    """An open zip file. Opened once: its list of members is read anew each time."""

    def __init__(self, path: str) -> None:
        """Raises `EcapipeError` (UnreadableFile)."""
        self._path = path
        try:
            self._file = os.fdopen(reading.open_file(path), "rb")
            self._zip = zipfile.ZipFile(self._file)
        except _DAMAGED as error:
            raise EcapipeError(unreadable_file(path, _reason(error))) from None
        # Members may overlap, and each may be a thousand times what it takes. No more is read than one says it holds.
        members = [member for member in self._zip.infolist() if _READ.search(member.filename)]
        size = sum(min(member.file_size, LARGEST) for member in members)
        if size > max(_ALWAYS, _TIGHTEST * os.fstat(self._file.fileno()).st_size):
            raise EcapipeError(unreadable_file(path, "it holds far more than its size allows"))
        self.names = sorted(set(self._zip.namelist()))

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()

    def read(self, name: str, limit: int) -> bytes:
        """At most `limit` + 1 bytes of a member, whatever size it claims; raises `EcapipeError` (UnreadableFile)."""
        try:
            with self._zip.open(name) as member:
                return member.read(limit + 1)
        except _DAMAGED as error:
            raise EcapipeError(unreadable_file(f"{self._path}/{name}", _reason(error))) from None


@lru_cache(maxsize=8)
def _opened(path: str, version: tuple[int, ...]) -> Archive:
    return Archive(path)


def opened(path: str) -> Archive:
    """The archive at `path` as it is now; raises `EcapipeError` (UnreadableFile)."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise EcapipeError(unreadable_file(path, _reason(error))) from None
    return _opened(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


def _reason(error: Exception) -> str:
    match error:
        case OSError(strerror=str(reason)):
            return reason
        case zipfile.BadZipFile():
            return "it is no zip file"
        case KeyError():
            return "it is not in the zip file"
        case _:
            return "it is damaged, encrypted, or packed in an unknown way"
