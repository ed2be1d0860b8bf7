"""Ctrl-C, SIGTERM and a closed terminal: the end of a run, but never in the middle of telling what happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDING: Final = tuple(each for each in signal.Signals if each.name in ("SIGINT", "SIGTERM", "SIGHUP"))
"""What interrupts; Windows has no SIGHUP."""
_DEADLY: Final = tuple(
    each
    for each in signal.Signals
    if each.name
    in ("SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU", "SIGIO", "SIGPOLL")
    or each.name in ("SIGABRT", "SIGPWR", "SIGSTKFLT", "SIGSYS", "SIGTRAP", "SIGBREAK")
)
"""What ends a program at once, and can be made to wait."""


class Interrupts:
    """Turns the signals into `KeyboardInterrupt`, at a moment that leaves displays and reports whole."""

    def __init__(self) -> None:
        self._held = self._pending = False
        self._call: Callable[[], None] | None = None
        self._terminals: list[int] = []

    def install(self) -> None:
        """Take the signals, but for one that whoever started us ignores."""
        self._terminals = [stream for stream in (1, 2) if os.isatty(stream)]
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._arrived)

    @contextmanager
    def held(self, *, last: bool = False) -> Iterator[None]:
        """What runs within is not interrupted; an interrupt that came meanwhile follows, unless nothing is left to
        be interrupted after the `last` time."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._pending and not last:
            self._pending = False
            raise KeyboardInterrupt

    @contextmanager
    def calling(self, call: Callable[[], None]) -> Iterator[None]:
        """While the context lasts, a signal calls `call`, and does no more; see
        `ecapipe.run.world.World.interrupts`."""
        self._call = call
        try:
            yield
        finally:
            self._call = None

    @contextmanager
    def outlasting(self, call: Callable[[], None]) -> Iterator[None]:
        """As `calling`, for what must not be lost: every other deadly signal, too, calls `call`, and ends the program
        afterwards."""
        came: list[int] = []

        def arrived(number: int, frame: FrameType | None) -> None:
            came.append(number)
            call()

        with self.calling(call):
            usual = [each for each in _DEADLY if signal.getsignal(each) is signal.SIG_DFL]
            for each in usual:
                signal.signal(each, arrived)
            try:
                yield
            finally:
                for each in usual:
                    signal.signal(each, signal.SIG_DFL)
                for number in came[:1]:
                    signal.raise_signal(number)

    def retire(self) -> None:
        """From here on a signal does nothing: what was to be done is done, and the end is told once."""
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        self._leave_terminals()
        if self._call is not None:
            self._call()
        elif self._held:
            self._pending = True
        else:
            raise KeyboardInterrupt

    def _leave_terminals(self) -> None:
        """Put the null device in the place of a terminal that was closed: what fails there must not keep reports and
        records from being written."""
        for stream in self._terminals[:]:
            if not os.isatty(stream):
                self._terminals.remove(stream)
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
