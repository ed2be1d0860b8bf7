"""One line on a terminal that says how far slow work has come, and is gone when it ends."""

from __future__ import annotations

from types import TracebackType
from typing import TextIO

from ecapipe.render.text import clean


class Progress:
    """Says nothing without a stream."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._width = 0

    def tell(self, words: str) -> None:
        self._write(clean(words))

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._width:
            self._write("")

    def _write(self, words: str) -> None:
        if self._stream is not None:
            self._stream.write(f"\r{words:{self._width}}\r")
            self._stream.flush()
            self._width = len(words)
