"""Whatever breaks a rotation off, at whichever request: run again, it goes on, and no pair is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trees
from commandline import PATIENCE, started
from fakes.rotation import Rotation, staged

from ecapipe.emulator.faults import Do, Fault

KEY, SECRET = trees.key("Robot"), trees.secret("Robot")
REQUESTS = 11
"""Of a rotation that nothing disturbs."""

LOSSES: dict[str, Do] = {
    "reset before": {"reset": True, "unseen": True},
    "reset after": {"reset": True},
    "500 before": {"status": 500},
    "500 after": {"status": 500, "seen": True},
}


def finish(scene: Rotation) -> None:
    """Run until it succeeds; then the pair that was delivered last is in force, and the one before works, too."""
    ended = scene.deliver()
    for _ in range(3):
        if ended.status != 0:
            assert scene.accepts(KEY, SECRET), "at no time is there no working pair"
            ended = scene.deliver()
    assert ended.status == 0, ended
    key, secret = (call["stdin"] for call in scene.received[-2:])
    assert scene.accepts(key, secret)
    assert scene.accepts(KEY, SECRET)
    (success,) = ended.result["successes"]
    assert success["consumerKey"] == f"{key[:5]}…{key[-4:]}"
    rotations = [request for request in scene.emulator.requests if request.method == "PATCH"]
    assert len({request.path for request in rotations}) == 1, "one pair was promoted, and no second one"


CHANGES = (3, 6)
"""The numbers of the requests that stage and promote."""


@pytest.mark.parametrize("number", CHANGES)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_a_change_that_is_lost(tmp_path: Path, number: int, loss: Do) -> None:
    # The first request is the login of the Salesforce CLI.
    with staged(tmp_path, faults=[Fault("*", loss, after=1 + number, times=1)]) as scene:
        finish(scene)


@pytest.mark.parametrize("number", range(1, REQUESTS, 2))
def test_an_org_that_is_away_for_a_while(tmp_path: Path, number: int) -> None:
    """For longer than what is sent again by itself."""
    with staged(tmp_path, faults=[Fault("*", LOSSES["500 before"], after=1 + number, times=3)]) as scene:
        finish(scene)


@pytest.mark.parametrize("number", range(REQUESTS))
def test_a_kill_at_a_request(tmp_path: Path, number: int) -> None:
    """The org has acted on the request, and its answer reaches nobody."""
    with staged(tmp_path, faults=[Fault("*", {"delay": 30}, after=1 + number, times=1)]) as scene:
        words = scene.words("-n", "Robot", "--json", "--deliver", "receiver set {variable}")
        with started(*words, at=scene.home, PATH=scene.path) as running:
            until = time.monotonic() + PATIENCE
            while len(scene.emulator.requests) < 2 + number and time.monotonic() < until:
                time.sleep(0.01)
            running.interrupt(signal.SIGKILL)
            running.end()
        finish(scene)


@pytest.fixture
def slow_receiver(tmp_path: Path) -> Iterator[Rotation]:
    with staged(tmp_path) as scene:
        yield scene


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGINT])
def test_an_end_during_a_delivery(slow_receiver: Rotation, by: signal.Signals) -> None:
    scene = slow_receiver
    words = scene.words("-n", "Robot", "--json", "--deliver", "receiver set {variable}")
    with started(*words, at=scene.home, PATH=scene.path, RECEIVER_SECONDS="20") as running:
        until = time.monotonic() + PATIENCE
        while not scene.received and time.monotonic() < until:
            time.sleep(0.01)
        running.interrupt(by)
        ended = running.end()
    if by is signal.SIGINT:
        assert ended.status == 130, ended
        assert ended.outcomes["deliver Robot@uat"] == "failed"
    finish(scene)


def test_two_at_once(slow_receiver: Rotation) -> None:
    scene = slow_receiver
    words = scene.words("-n", "Robot", "--json", "--deliver", "receiver set {variable}")
    with started(*words, at=scene.home, PATH=scene.path, RECEIVER_SECONDS="3") as running:
        until = time.monotonic() + PATIENCE
        while not scene.received and time.monotonic() < until:
            time.sleep(0.01)
        other = scene.deliver()
        assert [each["name"] for each in other.result["failures"]] == ["RotationGoingOn"]
        assert running.end().status == 0
    finish(scene)
