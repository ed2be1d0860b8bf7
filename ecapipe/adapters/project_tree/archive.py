"""Zip files, as Salesforce hands them out. Nothing is ever unpacked, so no name in one can lead anywhere."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import unreadable_file

_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError, RuntimeError, KeyError,
    NotImplementedError, OSError,
)  # fmt: skip
"""What zipfile raises for archives that are broken, encrypted, or packed in ways it does not know."""


def names(archive: str) -> list[str]:
    """The members' names, sorted; raises `EcapipeError` (UnreadableFile)."""
    try:
        with zipfile.ZipFile(archive) as opened:
            return sorted(set(opened.namelist()))
    except _DAMAGED as error:
        raise EcapipeError(unreadable_file(archive, _reason(error))) from None


def read(archive: str, name: str, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a member, whatever size it claims; raises `EcapipeError` (UnreadableFile)."""
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(name) as member:
            return member.read(limit + 1)
    except _DAMAGED as error:
        raise EcapipeError(unreadable_file(f"{archive}/{name}", _reason(error))) from None


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
