"""``ecapipe login refresh --all``: several saved logins, side by side, each for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event

from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import login_not_refreshable
from ecapipe.problems.usage import bug, interrupted
from ecapipe.run.workers import CONCURRENCY, PER_HOST, Workers
from ecapipe.run.world import World
from ecapipe.saved import sessions
from ecapipe.saved.records import SavedLogin

_TICK = 0.25
"""Seconds between two looks for orgs that take long."""


@dataclass(slots=True)
class Refreshes:
    """What came of the logins that were to be refreshed; a failure without one is a record that cannot be read."""

    successes: list[SavedLogin] = field(default_factory=list)
    failures: list[tuple[SavedLogin | None, Problem]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def leave_out(self) -> None:
        """What cannot be refreshed at all was asked for only along with the rest: it fails nothing."""
        for login, problem in self.failures[:]:
            if self.successes and problem.kind is login_not_refreshable:
                self.failures.remove((login, problem))
                self.warnings.append(problem.message)


class _Stop:
    """One interrupt for all threads: each is told in its own way."""

    def __init__(self) -> None:
        self.came = Event()
        self._calls: list[Callable[[], None]] = []

    def __call__(self) -> None:
        self.came.set()
        for call in list(self._calls):
            call()

    @contextmanager
    def share(self, call: Callable[[], None]) -> Iterator[None]:
        self._calls.append(call)
        if self.came.is_set():
            call()
        try:
            yield
        finally:
            self._calls.remove(call)


def refresh_all(logins: Sequence[SavedLogin], world: World) -> Refreshes:
    """Refresh each; one that fails keeps no other from it. After an interrupt none is begun, and those on their way
    are waited for as `sessions.refresh` does."""
    stop, results = _Stop(), SimpleQueue[tuple[int, SavedLogin | Problem]]()
    workers = Workers(CONCURRENCY, PER_HOST, world.clock.seconds, world.close_connections)
    # Signals reach the main thread alone.
    shared = replace(world, interrupts=stop.share)

    def work(number: int, login: SavedLogin) -> None:
        results.put((number, interrupted() if stop.came.is_set() else _refresh(login, shared)))

    outcomes: dict[int, SavedLogin | Problem] = {}
    try:
        with world.interrupts(stop):
            for number, login in enumerate(logins):
                workers.submit(login.org.host, partial(work, number, login))
            while len(outcomes) < len(logins):
                world.tell("Refreshing logins", len(outcomes), len(logins))
                try:
                    outcomes.update([results.get(timeout=_TICK)])
                except Empty:
                    workers.relieve()
    finally:
        workers.close()
    refreshes = Refreshes()
    for number, login in enumerate(logins):
        match outcomes[number]:
            case Problem() as problem:
                refreshes.failures.append((login, problem))
            case SavedLogin() as refreshed:
                refreshes.successes.append(refreshed)
    return refreshes


def _refresh(login: SavedLogin, world: World) -> SavedLogin | Problem:
    try:
        return sessions.refresh(login, world)
    except EcapipeError as error:
        return error.problem
    except KeyboardInterrupt:
        return interrupted()
    except Exception as error:  # a bug is the end of this login alone
        return bug(error)
