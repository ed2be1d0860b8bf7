"""Ctrl-C, SIGTERM and a closed terminal: the end of a run, but never while an event is being reported."""

from __future__ import annotations

import io
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

    from _typeshed import ReadableBuffer

# By name, since each system has signals that others lack. SIGBREAK is how Windows tells of Ctrl-Break, and, as SIGHUP
# does elsewhere, of a terminal that is closed.
_ENDING_NAMES: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
ENDING: Final = tuple(number for number in signal.Signals if number.name in _ENDING_NAMES)
"""Signals that interrupt."""
_FATAL_NAMES: Final = (
    *("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGIO", "SIGPOLL"),
    *("SIGABRT", "SIGPWR", "SIGSTKFLT", "SIGSYS", "SIGTRAP"),
)
_FATAL: Final = tuple(number for number in signal.Signals if number.name in _FATAL_NAMES)
"""Other signals that end a program at once, and can be deferred."""

_PATIENCE: Final = 2.0
"""Seconds after a signal in which a reader has to read something; containers are killed after ten."""
_STEP: Final = 100
"""Milliseconds between two looks at whether a signal has come."""
_POLLS: Final = hasattr(select, "poll")
"""Whether this system tells if a pipe has room; Windows does not."""


class Interrupts:
    """Turns the first signal into one `KeyboardInterrupt`, at a moment that leaves displays and reports whole.

    Those that follow must not break off what it leads to: they only call what they are diverted to.
    """

    def __init__(self) -> None:
        self.came = False
        """Whether there was one."""
        self._deferring = self._pending = False
        self._call: Callable[[], None] | None = None
        self._at: float | None = None
        self._unread = False
        self._terminals: list[int] = []
        self._taken: list[signal.Signals] = []
        self._number: int = signal.SIGINT
        self._report_unraisable = sys.unraisablehook

    def install(self) -> None:
        """Take the signals, but for one that whoever started us ignores."""
        self._terminals = [stream for stream in (1, 2) if os.isatty(stream)]
        sys.unraisablehook = self._raise_again
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._handle)
                self._taken.append(number)
        sys.stdout, sys.stderr = self._patient(sys.stdout), self._patient(sys.stderr)

    @contextmanager
    def defer(self, *, last: bool = False) -> Iterator[None]:
        """What runs within is not interrupted; an interrupt that comes meanwhile follows, unless nothing is left to
        be interrupted after the `last` time."""
        self._deferring = True
        try:
            yield
        finally:
            if last:
                self.retire()
            self._deferring = False
        if self._pending and not last:
            self._pending = False
            raise KeyboardInterrupt

    def interrupt(self) -> None:
        """As if a signal had come."""
        again, self.came = self.came, True
        if self._call is not None:
            self._call()
        elif again:
            return
        elif self._deferring:
            self._pending = True
        else:
            raise KeyboardInterrupt

    @contextmanager
    def divert(self, call: Callable[[], None], *, last: bool = False) -> Iterator[None]:
        """While the context lasts, a signal calls `call`, and does no more; see
        `ecapipe.run.world.World.interrupts`. After the `last` time nothing is left to be interrupted."""
        self._call = call
        try:
            yield
        finally:
            if last:
                self.retire()
            self._call = None

    @contextmanager
    def divert_all(self, call: Callable[[], None]) -> Iterator[None]:
        """As `divert`, for what must not be lost: every other fatal signal, too, calls `call`, and ends the program
        afterwards. People are told at once that they were heard. It is the last that can be interrupted."""
        pending: list[int] = []
        answer = cache(_answer)

        def stop() -> None:
            answer()
            call()

        def handle(number: int, frame: FrameType | None) -> None:
            pending.append(number)
            stop()

        with self.divert(stop, last=True):
            # A signal that is ignored, or handled by somebody else, stays what it is.
            fatal = [number for number in _FATAL if signal.getsignal(number) is signal.SIG_DFL]
            for number in fatal:
                signal.signal(number, handle)
            try:
                yield
            finally:
                for number in fatal:
                    signal.signal(number, signal.SIG_DFL)
                # The program ends by the first, so that whoever started it sees the signal that was sent.
                if pending:
                    signal.raise_signal(pending[0])

    def retire(self) -> None:
        """From here on a signal interrupts nothing: the work is over, and its end is reported once, to whoever
        reads."""
        for number in self._taken:
            signal.signal(number, self._note)

    def end(self, status: int) -> int:
        """Everything is written; the exit status, which tells of a result that nobody read after a signal."""
        # Not a function, which the interpreter gives up before the process ends.
        for number in self._taken:
            signal.signal(number, signal.SIG_IGN)
        from ecapipe.problems.problem import INTERRUPTED

        return INTERRUPTED if self._unread else status

    def abandons(self, descriptor: int, since: float) -> bool:
        """Whether a stream that has had no room `since` is given up, as it is when a signal has come and some time
        has passed: the null device takes its place, and the work ends as if all had been read."""
        if self._at is None or time.monotonic() - max(since, self._at) < _PATIENCE:
            return False
        self._unread = True
        discard(descriptor)
        return True

    def _patient(self, stream: TextIO) -> TextIO:
        """The stream, whose writes end after a signal; files and devices take everything, or fail at once."""
        try:
            mode = os.fstat(stream.fileno()).st_mode
        except OSError:
            return stream
        waits = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stream.isatty()
        if not (_POLLS and waits and isinstance(stream, io.TextIOWrapper)):
            return stream
        buffer = io.BufferedWriter(_Output(stream.fileno(), self))
        return io.TextIOWrapper(
            buffer, stream.encoding, stream.errors, line_buffering=stream.line_buffering, write_through=True
        )

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._at is None:
            self._at = time.monotonic()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._note(number, frame)
        # Before anything is written: SIGHUP means that the terminal is gone.
        self._leave_terminals()
        self._number = number
        self.interrupt()

    def _raise_again(self, lost: UnraisableHookArgs) -> None:
        """Where Python calls us on the side, as when an object goes, it takes what is raised for a mishap of no
        consequence: then the signal is sent once more."""
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            self._report_unraisable(lost)
            return
        from threading import Timer

        self.came = False
        Timer(0.01, resend, (self._number,)).start()

    def _leave_terminals(self) -> None:
        """Put the null device in the place of a terminal that was closed: what fails there must not keep reports and
        records from being written."""
        for stream in self._terminals[:]:
            if not os.isatty(stream):
                self._terminals.remove(stream)
                discard(stream)


class _Output(io.FileIO):
    """A pipe, socket or terminal, written to as it has room: a write that waits in the system for its reader would
    wait for ever where nobody reads, whatever signals come."""

    def __init__(self, descriptor: int, interrupts: Interrupts) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._interrupts = interrupts

    def write(self, data: ReadableBuffer, /) -> int:
        since = time.monotonic()
        while not _has_room(self.fileno(), _STEP) and not self._interrupts.abandons(self.fileno(), since):
            pass
        # So much never waits where there is room (POSIX, write).
        return super().write(memoryview(data)[: select.PIPE_BUF])


def _has_room(descriptor: int, milliseconds: int) -> bool:
    """Whether a stream takes something, or fails at once."""
    room = select.poll()
    room.register(descriptor, select.POLLOUT)
    return bool(room.poll(milliseconds))


def discard(descriptor: int) -> None:
    """Put the null device in the place of a stream."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def resend(number: int, *, windows: bool = sys.platform == "win32") -> None:
    """Send a signal to this process, from any thread."""
    if windows:
        # os.kill would end the process at once there, whatever handles the signal.
        signal.raise_signal(number)
    else:
        # To the process, so that it is the main thread that wakes.
        os.kill(os.getpid(), number)


def _answer() -> None:
    """Not through a stream, which the signal may have found at work."""
    with suppress(OSError):
        if not _POLLS or _has_room(2, 0):
            os.write(2, b"Stopping...\n")
