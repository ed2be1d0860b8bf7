"""What people type: hidden answers, and lines in any order."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import usage_error
from ecapipe.secret import Secret

_LARGEST = 64 * 1024
"""Characters that are read at once of what is piped in."""


def ask(question: str) -> Secret | None:
    """A hidden answer from the terminal; None when nothing was typed. The question goes to the terminal itself."""
    import getpass

    try:
        answer = getpass.getpass(question, sys.stderr).strip()
    except EOFError:
        return None
    return Secret(answer) if answer else None


def given(stream: TextIO) -> Secret | None:
    """The one line that is piped in, without the space around it; None when there is none.

    Raises `EcapipeError` (UsageError) for anything else.
    """
    sentence = "Standard input must contain only the consumer secret, as one line of text."
    problem = usage_error(sentence, "ecapipe app set-secret")
    try:
        lines = stream.read(_LARGEST).strip().splitlines()
    except UnicodeDecodeError:
        raise EcapipeError(problem) from None
    match lines:
        case []:
            return None
        case [line]:
            return Secret(line)
        case _:
            raise EcapipeError(problem)


class Typed:
    """Lines from `stream`, read by one thread for as long as anyone listens; see
    `ecapipe.login.callbacks.LineReader`.

    A read cannot be called back, so the thread is a daemon and lives on; what it reads goes to whoever listens then.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._lock = threading.Condition()
        self._take: Callable[[str | None], None] | None = None
        self._thread: threading.Thread | None = None
        self._ended = stream is None

    @contextmanager
    def __call__(self, take: Callable[[str | None], None]) -> Iterator[None]:
        with self._lock:
            self._take = take
            ended = self._ended
            # One for the whole process: a second reader would take lines from the first.
            if self._thread is None and not ended:
                self._thread = threading.Thread(target=self._read, name="ecapipe-typed", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        # Outside the lock: what is called may listen anew.
        if ended:
            take(None)
        try:
            yield
        finally:
            with self._lock:
                self._take = None

    def _read(self) -> None:
        while line := self._line():
            self._listener()(line)
        with self._lock:
            self._ended = True
            take = self._take
        if take is not None:
            take(None)

    def _line(self) -> str:
        """The next line, of a very long one a part; empty at the end."""
        if self._stream is None:
            return ""
        try:
            return self._stream.readline(_LARGEST)
        except (OSError, ValueError):  # closed under our hands, or not text
            return ""

    def _listener(self) -> Callable[[str | None], None]:
        with self._lock:
            while self._take is None:
                self._lock.wait()
            return self._take
