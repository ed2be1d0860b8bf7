"""The pool: how many run at once, of how many hosts, and that nobody is held up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ecapipe.run.workers import LONG, Workers


class Counted:
    """Work that counts itself, and stays until it is let go."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._gate = threading.Event()
        self.now, self.most, self.done = 0, 0, 0

    def __call__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self._lock.notify_all()
        self._gate.wait(10)
        with self._lock:
            self.now -= 1
            self.done += 1
            self._lock.notify_all()

    def release(self) -> None:
        self._gate.set()

    def reaches(self, what: Callable[[Counted], bool]) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: what(self), 10)


@contextmanager
def pool(at_once: int, of_one_host: int = 99, seconds: Callable[[], float] = time.monotonic) -> Iterator[Workers]:
    workers = Workers(at_once, of_one_host, seconds, lambda: None)
    try:
        yield workers
    finally:
        workers.close()


def test_no_more_run_at_once_than_are_allowed_and_all_are_done() -> None:
    work = Counted()
    with pool(3) as workers:
        for number in range(20):
            workers.submit(f"host{number}", work)
        assert work.reaches(lambda w: w.now == 3)
        assert workers.busy == 3
        work.release()
        assert work.reaches(lambda w: w.done == 20)
    assert work.most == 3


def test_one_host_gets_no_more_than_its_share_and_the_others_go_on() -> None:
    slow, others = Counted(), Counted()
    others.release()
    with pool(8, of_one_host=2) as workers:
        for _ in range(10):
            workers.submit("slow", slow)
        for number in range(10):
            workers.submit(f"host{number}", others)
        assert others.reaches(lambda w: w.done == 10)
        assert (slow.now, slow.most) == (2, 2)
        slow.release()
        assert slow.reaches(lambda w: w.done == 10)
    assert slow.most == 2


def test_those_who_wait_for_long_make_room_for_others() -> None:
    now = [0.0]
    slow, quick = Counted(), Counted()
    quick.release()
    with pool(2, seconds=lambda: now[0]) as workers:
        for number in range(2):
            workers.submit(f"slow{number}", slow)
        assert slow.reaches(lambda w: w.now == 2)
        for number in range(10):
            workers.submit(f"host{number}", quick)
        workers.relieve()
        assert quick.done == 0
        now[0] = LONG + 1
        workers.relieve()
        assert quick.reaches(lambda w: w.done == 10)
        assert slow.now == 2
        slow.release()
        assert slow.reaches(lambda w: w.done == 2)


def test_nothing_begins_after_the_end() -> None:
    work = Counted()
    with pool(1) as workers:
        workers.submit("a", work)
        workers.submit("b", work)
        assert work.reaches(lambda w: w.now == 1)
        workers.close()
        workers.submit("c", work)
        work.release()
        assert work.reaches(lambda w: w.done == 1 and w.now == 0)
        time.sleep(0.05)
    assert work.most == work.done == 1


def test_every_thread_says_that_it_parts() -> None:
    close_connections, work = threading.Semaphore(0), Counted()
    workers = Workers(4, 99, time.monotonic, close_connections.release)
    for number in range(4):
        workers.submit(f"host{number}", work)
    assert work.reaches(lambda w: w.now == 4)
    work.release()
    assert work.reaches(lambda w: w.done == 4)
    workers.close()
    assert all(close_connections.acquire(timeout=5) for _ in range(4))
