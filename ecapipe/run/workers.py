"""A pool of threads: so many at once, so many for one host, and none that waits for long keeps others waiting."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

LONG: Final = 2.0
"""Seconds after which a thread no longer counts as one at work: it waits for a slow host, and another may start."""
MOST: Final = 16
"""Threads for each one that may be at work at once, however many wait."""


class Workers:
    """Runs what is submitted, first come, first served among hosts that have room.

    `seconds` is a monotonic clock; `parted` is called by each thread at its end. What is submitted must not raise.
    """

    def __init__(
        self, at_once: int, of_one_host: int, seconds: Callable[[], float], parted: Callable[[], None]
    ) -> None:
        self._at_once, self._of_one_host, self._seconds, self._parted = at_once, of_one_host, seconds, parted
        self._lock = threading.Condition()
        self._ready: deque[tuple[str, Callable[[], None]]] = deque()
        self._held: dict[str, deque[Callable[[], None]]] = {}
        self._of_host: Counter[str] = Counter()
        self._since: dict[int, float] = {}
        self._slow: set[int] = set()
        self._threads = self._idle = 0
        self._closed = False

    def submit(self, host: str, work: Callable[[], None]) -> None:
        """Have `work` done, with no more than the allowed number for `host` at once."""
        with self._lock:
            if self._of_host[host] < self._of_one_host:
                self._admit(host, work)
            else:
                self._held.setdefault(host, deque()).append(work)

    def relieve(self) -> None:
        """Start threads beside those that have waited for long. To be called every now and then."""
        with self._lock:
            now = self._seconds()
            self._slow.update(thread for thread, since in self._since.items() if now - since > LONG)
            for _ in self._ready:
                self._start()

    @property
    def busy(self) -> int:
        """How many are at work, whether or not they wait for a slow host."""
        return len(self._since)

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True
            self._ready.clear()
            self._held.clear()
            self._lock.notify_all()

    def _admit(self, host: str, work: Callable[[], None]) -> None:
        self._of_host[host] += 1
        self._ready.append((host, work))
        if self._idle:
            self._lock.notify()
        self._start()

    def _start(self) -> None:
        """One more thread, if there is more to do than idle ones take and a place is free."""
        at_work = self._threads - len(self._slow)
        room = at_work < self._at_once and self._threads < self._at_once * MOST
        if not self._closed and room and self._idle < len(self._ready):
            self._threads += 1
            threading.Thread(target=self._run, name="ecapipe-worker", daemon=True).start()

    def _run(self) -> None:
        me = threading.get_ident()
        while (job := self._next(me)) is not None:
            host, work = job
            work()
            self._end(me, host)
        self._parted()

    def _next(self, me: int) -> tuple[str, Callable[[], None]] | None:
        with self._lock:
            while not self._ready and not self._closed:
                self._idle += 1
                self._lock.wait()
                self._idle -= 1
            surplus = self._threads - len(self._slow) > self._at_once
            if self._closed or surplus:
                self._threads -= 1
                return None
            self._since[me] = self._seconds()
            return self._ready.popleft()

    def _end(self, me: int, host: str) -> None:
        with self._lock:
            del self._since[me]
            self._slow.discard(me)
            self._of_host[host] -= 1
            if not self._of_host[host]:
                del self._of_host[host]
            if held := self._held.get(host):
                self._admit(host, held.popleft())
                if not held:
                    del self._held[host]
