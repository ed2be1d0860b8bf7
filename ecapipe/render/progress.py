"""One line on a terminal that shows how far slow work has come, and is gone when it ends."""

from __future__ import annotations

from types import TracebackType
from typing import TextIO

from ecapipe.events import progress
from ecapipe.render.screen import terminal_width
from ecapipe.render.text import clean


class Progress:
    """A context manager that shows one text after the other, in one place; nothing without a stream."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._width = 0

    def tell(self, work: str, done: int, total: int) -> None:
        """See `ecapipe.events.Tell`."""
        self._write(clean(progress(work, done, total))[: terminal_width(2) - 1])

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            self._write("")

    def _write(self, text: str) -> None:
        if self._stream is not None:
            # Padded to the width of the text before it, whose end would be left standing.
            self._stream.write(f"\r{text:{self._width}}\r")
            self._stream.flush()
            self._width = len(text)
