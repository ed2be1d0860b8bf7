"""A file that lines are added to, without anybody waiting for the disk."""

from __future__ import annotations

import os
import threading
import time
from queue import Empty, SimpleQueue
from typing import Final

# fsync takes milliseconds: for each line by itself it would take longer than the logins that the lines are about.
_PAUSE: Final = 0.05
"""Seconds for which lines are gathered before all of them are brought to the disk itself."""


class BackgroundFile:
    """Writes lines into a file as they come, and brings the file to the disk itself a moment later.

    It does so on a thread of its own: whoever puts a line waits for nothing.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self._lines: SimpleQueue[bytes | None] = SimpleQueue()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="ecapipe-journal", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Raises `OSError` if an earlier line could not be written."""
        if self._error:
            raise self._error
        self._lines.put(line)

    def finish(self) -> None:
        """Wait until everything is on the disk; raises `OSError` if it is not."""
        self._lines.put(None)
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        try:
            while (line := self._lines.get()) is not None:
                more = self._write_batch(line)
                os.fsync(self._file)
                if not more:
                    return
        except OSError as error:
            self._error = error

    def _write_batch(self, first: bytes) -> bool:
        """Write `first`, and what comes within the pause; False when the end has come."""
        until = time.monotonic() + _PAUSE
        line: bytes | None = first
        while line is not None:
            write_all(self._file, line)
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except Empty:
                return True
        return False


def write_all(file: int, data: bytes) -> None:
    """Write the whole of `data`, which one write to a disk that is nearly full need not do."""
    while data:
        data = data[os.write(file, data) :]
