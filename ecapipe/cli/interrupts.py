"""Ctrl-C, SIGTERM and a closed terminal: the end of a run, but never while an event is being reported."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

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


class Interrupts:
    """Turns the first signal into one `KeyboardInterrupt`, at a moment that leaves displays and reports whole.

    Those that follow must not break off what it leads to: they only call what they are diverted to.
    """

    def __init__(self) -> None:
        self.came = False
        """Whether there was one."""
        self._deferring = self._pending = False
        self._call: Callable[[], None] | None = None
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
        """From here on a signal does nothing: the work is over, and its end is reported once."""
        for number in self._taken:
            signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, frame: FrameType | None) -> None:
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
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


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
        os.write(2, b"Stopping...\n")
