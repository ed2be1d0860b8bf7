"""Ctrl-C, SIGTERM and a closed terminal: the end of a run, but never while an event is being reported."""

from __future__ import annotations

import os
import signal
import sys
from _thread import start_new_thread
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

_PATIENCE: Final = 20
"""How often, ten times a second, a stream may be found without room after a signal; containers are killed after ten
seconds."""


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
        self._watching = self._over = self._unread = False
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
        """From here on a signal interrupts nothing: the work is over, and its end is reported once, to whoever
        reads."""
        for number in self._taken:
            signal.signal(number, self._note)

    def end(self, status: int) -> int:
        """Everything is written; the exit status, which tells of what nobody read after a signal."""
        self._over = True
        # Not a function, which the interpreter gives up before the process ends.
        for number in self._taken:
            signal.signal(number, signal.SIG_IGN)
        from ecapipe.problems.problem import INTERRUPTED

        return INTERRUPTED if self._unread else status

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._number = number
        if not self._watching:
            self._watching = True
            start_new_thread(self._watch, ())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # Before anything is written: SIGHUP means that the terminal is gone.
        self._leave_terminals()
        self._note(number, frame)
        if _starts_child(frame):
            self._send_again()
        else:
            self.interrupt()

    def _watch(self) -> None:
        """Put the null device in the place of a stream that nobody reads, unless it takes a piece now and then: a
        write to it would wait for ever, whatever signals come."""
        import threading
        import time

        from ecapipe.render.text import OUTPUT

        looks, pieces = {1: 0, 2: 0}, 0
        while not self._over:
            for stream in looks:
                waits = OUTPUT.pieces == pieces and not _has_room(stream)
                looks[stream] = looks[stream] + 1 if waits else 0
                if looks[stream] == _PATIENCE:
                    self._unread = True
                    discard(stream)
                    # The system goes on with a write only if a signal breaks it off.
                    for thread in threading.enumerate():
                        _wake(thread.ident, self._number)
            pieces = OUTPUT.pieces
            time.sleep(0.1)

    def _raise_again(self, lost: UnraisableHookArgs) -> None:
        """Where Python calls us on the side, as when an object goes, it takes what is raised for a mishap of no
        consequence: then the signal is sent once more."""
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            self._report_unraisable(lost)
            return
        self.came = False
        self._send_again()

    def _send_again(self) -> None:
        from threading import Timer

        Timer(0.01, resend, (self._number,)).start()

    def _leave_terminals(self) -> None:
        """Put the null device in the place of a terminal that was closed: what fails there must not keep reports and
        records from being written."""
        for stream in self._terminals[:]:
            if not os.isatty(stream):
                self._terminals.remove(stream)
                discard(stream)


def discard(stream: int) -> None:
    """Put the null device in the place of a stream."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream)
    os.close(null)


def _has_room(stream: int) -> bool:
    """Whether a stream takes something, or fails, at once; Windows does not tell."""
    if sys.platform != "win32":
        from select import POLLOUT, poll

        room = poll()
        room.register(stream, POLLOUT)
        return bool(room.poll(0))
    return True


def _wake(thread: int | None, number: int) -> None:
    if thread is not None and sys.platform != "win32":
        signal.pthread_kill(thread, number)


def _starts_child(frame: FrameType | None) -> bool:
    """Whether a program is being started, which would run on unknown if that were interrupted."""
    while frame and not (frame.f_code.co_name == "__init__" and frame.f_globals.get("__name__") == "subprocess"):
        frame = frame.f_back
    return frame is not None


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
        if _has_room(2):
            os.write(2, b"Stopping...\n")
