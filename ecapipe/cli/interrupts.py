"""Ctrl-C and SIGTERM: the end of a run, but never in the middle of telling what happened."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupts:
    """Turns both signals into `KeyboardInterrupt`, at a moment that leaves displays and reports whole."""

    def __init__(self) -> None:
        self._held = self._pending = False
        self._call: Callable[[], None] | None = None

    def install(self) -> None:
        """Take the signals, but for one that whoever started us ignores."""
        for number in (signal.SIGINT, signal.SIGTERM):
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
        """While the context lasts, a signal calls `call`, and does no more; see `ecapipe.world.World.interrupts`."""
        self._call = call
        try:
            yield
        finally:
            self._call = None

    def _arrived(self, number: int, frame: FrameType | None) -> None:
        if self._call is not None:
            self._call()
        elif self._held:
            self._pending = True
        else:
            raise KeyboardInterrupt
