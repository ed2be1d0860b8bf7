"""A signal ends a run, but not in the middle of telling what happened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from ecapipe.cli.interrupts import ENDING, Interrupts, resend


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before, hook = {number: signal.getsignal(number) for number in ENDING}, sys.unraisablehook
    made = Interrupts()
    made.install()
    yield made
    made.end(0)
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_interrupts_at_once(interrupts: Interrupts, number: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_what_is_held_is_finished_first(interrupts: Interrupts, number: int) -> None:
    told: list[str] = []

    def tell() -> None:
        with interrupts.defer():
            os.kill(os.getpid(), number)
            told.append("all of it")

    with pytest.raises(KeyboardInterrupt):
        tell()
    assert told == ["all of it"]


def test_an_interrupt_follows_once(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt), interrupts.defer():
        os.kill(os.getpid(), signal.SIGINT)
    with interrupts.defer():
        pass


def test_nothing_follows_the_last(interrupts: Interrupts) -> None:
    with interrupts.defer(last=True):
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("number", ENDING)
def test_nothing_is_interrupted_after_the_end(interrupts: Interrupts, number: int) -> None:
    interrupts.retire()
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_is_ignored_stays_ignored(number: int) -> None:
    before, hook = {each: signal.getsignal(each) for each in ENDING}, sys.unraisablehook
    signal.signal(number, signal.SIG_IGN)
    try:
        Interrupts().install()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        sys.unraisablehook = hook
        for each, handler in before.items():
            signal.signal(each, handler)


def test_one_signal_is_enough_however_many_come(interrupts: Interrupts) -> None:
    """What the first leads to is not broken off by the next."""
    try:
        os.kill(os.getpid(), signal.SIGTERM)
    except KeyboardInterrupt:
        os.kill(os.getpid(), signal.SIGTERM)
    assert interrupts.came


class Dying:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)


def test_an_interrupt_that_python_takes_for_a_mishap_comes_again(interrupts: Interrupts) -> None:
    with pytest.raises(KeyboardInterrupt):
        _die_and_wait()


def _die_and_wait() -> None:
    Dying()
    time.sleep(10)


def test_a_program_that_is_being_started_is_known_before_an_interrupt(interrupts: Interrupts) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> None:
        threading.Timer(0.1, resend, (signal.SIGTERM,)).start()
        started.append(subprocess.Popen("true", preexec_fn=lambda: time.sleep(0.3)))
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt):
        start()
    assert [each.wait() for each in started] == [0]


@pytest.mark.parametrize("windows", [False, True])
def test_a_signal_that_is_sent_again_is_handled(windows: bool) -> None:
    """In Windows `os.kill` would have ended the process."""
    came: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: came.append(number))
    try:
        resend(signal.SIGUSR1, windows=windows)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert came == [signal.SIGUSR1]
