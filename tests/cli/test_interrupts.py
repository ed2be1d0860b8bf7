"""A signal ends a run, but not in the middle of telling what happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from ecapipe.cli.interrupts import ENDING, Interrupts


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    before = {number: signal.getsignal(number) for number in ENDING}
    made = Interrupts()
    made.install()
    yield made
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
    before = {each: signal.getsignal(each) for each in ENDING}
    signal.signal(number, signal.SIG_IGN)
    try:
        Interrupts().install()
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
