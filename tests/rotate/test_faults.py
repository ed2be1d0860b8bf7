"""Whatever breaks a rotation off, at whichever request: run again, it goes on, and no pair is lost."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trees
from commandline import PATIENCE, started
from fakes.rotation import Recipient, Rotation, failure, hurry, staged

from ecapipe.emulator.faults import Do, Fault

KEY, SECRET = trees.key("Robot"), trees.secret("Robot")
REQUESTS = 12
"""Of a rotation that nothing disturbs."""

LOSSES: dict[str, Do] = {
    "reset before": {"reset": True, "unseen": True},
    "reset after": {"reset": True},
    "500 before": {"status": 500},
    "500 after": {"status": 500, "seen": True},
    "slow before": {"delay": 30, "unseen": True},
    "slow after": {"delay": 30},
}


def finish(scene: Rotation) -> None:
    """Run until it succeeds; then the pair that was delivered last is in force, and the one before works, too."""
    ended = scene.deliver()
    for _ in range(3):
        if ended.status != 0:
            assert scene.accepts(KEY, SECRET), "at no time is there no working pair"
            ended = scene.deliver()
    assert ended.status == 0, ended
    (success,) = ended.result["successes"]
    key, secret = (call["stdin"] for call in scene.received[-2:])
    assert success["consumerKey"] == f"{key[:5]}…{key[-4:]}"
    check(scene, key, secret)


def check(scene: Rotation, key: str, secret: str) -> None:
    assert scene.accepts(key, secret)
    assert scene.accepts(KEY, SECRET)
    rotations = [request for request in scene.emulator.requests if request.method == "PATCH"]
    assert len({request.path for request in rotations}) == 1, "one pair was promoted, and no second one"
    assert sum(request.startswith("POST credentials") for request in scene.requests) <= 2


def test_a_rotation_has_so_many_requests(tmp_path: Path) -> None:
    with staged(tmp_path) as scene:
        before, recipient = len(scene.requests), Recipient()
        assert hurry(scene, recipient).status == 0
        assert len(scene.requests) - before == REQUESTS
        check(scene, *recipient.received)


@pytest.mark.parametrize(
    ("loss", "times"),
    [(name, times) for name in LOSSES for times in (1, 3) if times == 1 or "slow" not in name],
)
def test_a_request_or_a_response_that_is_lost(tmp_path: Path, loss: str, times: int) -> None:
    """Each of them once, and so often that what is sent again by itself is lost, too."""
    for number in range(REQUESTS):
        (place := tmp_path / str(number)).mkdir()
        # The first request of all is the login of the Salesforce CLI.
        with staged(place, faults=[Fault("*", LOSSES[loss], after=1 + number, times=times)]) as scene:
            recipient, tries, seconds = Recipient(), 0, 1.0 if "slow" in loss else 30.0
            while hurry(scene, recipient, seconds).status != 0:
                tries += 1
                assert tries < 6
                assert scene.accepts(KEY, SECRET), "at no time is there no working pair"
            check(scene, *recipient.received[-2:])


@pytest.mark.parametrize("loss", ["slow before", "slow after"])
@pytest.mark.parametrize("number", range(REQUESTS))
def test_a_kill_at_a_request(tmp_path: Path, number: int, loss: str) -> None:
    """Whether the org has acted on the request or not, its response reaches nobody."""
    with staged(tmp_path, faults=[Fault("*", LOSSES[loss], after=1 + number, times=1)]) as scene:
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
    assert failure(scene.rotate("--abort")) == "DeliveredPairNotDeleted", "it may have arrived"
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
