"""How long people have to sign in."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ecapipe.problems.problem import minutes_in_words


class SignInDeadline:
    """The time that people have to sign in: `minutes` in total, from the first link."""

    def __init__(self, minutes: float | None, logins: int, clock: Callable[[], float]) -> None:
        self.minutes = _default_minutes(logins) if minutes is None else minutes
        self._clock = clock
        self._lock = threading.Lock()
        self._end: float | None = None

    def left(self) -> float:
        """Seconds that remain; the first call starts the count."""
        with self._lock:
            if self._end is None:
                self._end = self._clock() + self.minutes * 60
        return max(0.0, self._end - self._clock())

    def __str__(self) -> str:
        return minutes_in_words(self.minutes)


def _default_minutes(logins: int) -> float:
    return 5.0 if logins <= 1 else 30.0
