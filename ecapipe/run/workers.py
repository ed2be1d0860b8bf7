"""A pool of threads: so many at once, so many for one host, and none that waits for long keeps others waiting."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

CONCURRENCY: Final = 8
"""Logins at work at the same time, unless somebody asks for another number."""

PER_HOST: Final = 8
"""Logins that one host gets at the same time, however many there may be in all."""

LONG: Final = 2.0
"""Seconds after which a thread no longer counts as one at work: it waits for a slow host, and another may start."""

MOST: Final = 16
"""Threads for each one that may be at work at once, however many wait."""


class Workers:
    """Runs what is submitted, first come, first served among hosts that have room.

    `seconds` is a monotonic clock; each thread calls `close_connections` at its end. What is submitted must not
    raise.
    """

    def __init__(
        self, concurrency: int, per_host: int, seconds: Callable[[], float], close_connections: Callable[[], None]
    ) -> None:
        self._concurrency, self._per_host = concurrency, per_host
        self._seconds, self._end_thread = seconds, close_connections
        self._lock = threading.Condition()
        self._ready: deque[tuple[str, Callable[[], None]]] = deque()
        # Jobs of hosts that have no room are kept out of the queue: one slow host would fill it for all others.
        self._waiting: dict[str, deque[Callable[[], None]]] = {}
        self._admitted: Counter[str] = Counter()
        self._start_times: dict[int, float] = {}
        self._slow: set[int] = set()
        self._threads = self._idle = 0
        self._closed = False

    def submit(self, host: str, work: Callable[[], None]) -> None:
        """Have `work` done, with no more than the allowed number for `host` at once."""
        with self._lock:
            if self._admitted[host] < self._per_host:
                self._admit(host, work)
            else:
                self._waiting.setdefault(host, deque()).append(work)

    def relieve(self) -> None:
        """Start threads beside those that have waited for long. To be called every now and then."""
        with self._lock:
            now = self._seconds()
            self._slow.update(thread for thread, start in self._start_times.items() if now - start > LONG)
            for _ in self._ready:
                self._start()

    @property
    def busy(self) -> int:
        """How many are at work, whether or not they wait for a slow host."""
        return len(self._start_times)

    def close(self) -> None:
        """Begin nothing more."""
        with self._lock:
            self._closed = True
            self._ready.clear()
            self._waiting.clear()
            self._lock.notify_all()

    def _admit(self, host: str, work: Callable[[], None]) -> None:
        self._admitted[host] += 1
        self._ready.append((host, work))
        if self._idle:
            self._lock.notify()
        self._start()

    def _start(self) -> None:
        """One more thread, if there is more to do than idle ones take and a place is free."""
        at_work = self._threads - len(self._slow)
        room = at_work < self._concurrency and self._threads < self._concurrency * MOST
        if not self._closed and room and self._idle < len(self._ready):
            self._threads += 1
            # A daemon: one that waits for a host does not keep the program from ending.
            threading.Thread(target=self._run, name="ecapipe-worker", daemon=True).start()

    def _run(self) -> None:
        thread = threading.get_ident()
        while (job := self._next(thread)) is not None:
            host, work = job
            work()
            self._finish(thread, host)
        self._end_thread()

    def _next(self, thread: int) -> tuple[str, Callable[[], None]] | None:
        """The next job; None: the thread is to end."""
        with self._lock:
            while not self._ready and not self._closed:
                self._idle += 1
                self._lock.wait()
                self._idle -= 1
            # Others were started beside this one while it was slow; now that it is not, there is one too many.
            surplus = self._threads - len(self._slow) > self._concurrency
            if self._closed or surplus:
                self._threads -= 1
                return None
            self._start_times[thread] = self._seconds()
            return self._ready.popleft()

    def _finish(self, thread: int, host: str) -> None:
        with self._lock:
            del self._start_times[thread]
            self._slow.discard(thread)
            self._admitted[host] -= 1
            # Hosts without work are forgotten: a run may have thousands.
            if not self._admitted[host]:
                del self._admitted[host]
            if waiting := self._waiting.get(host):
                self._admit(host, waiting.popleft())
                if not waiting:
                    del self._waiting[host]
