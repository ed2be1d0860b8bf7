"""Every command, at every moment, whatever becomes of its streams: an exit status that is promised, and one end."""

from __future__ import annotations

import json
import random
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commandline import Json, environment
from fakes.batch import Batch, batch
from fakes.forked import Death, Life, lives
from profiles import NIGHTLY

from ecapipe.cli.interrupts import ENDING

pytestmark = pytest.mark.timeout(0 if NIGHTLY else 120)
MOMENTS = 200 if NIGHTLY else 15
LONGEST = 0.3
"""Seconds after which a command is not signalled any more."""
SIGNALS = [*ENDING, signal.SIGQUIT]


@dataclass
class Stage:
    """A project with one app, and three orgs in which it logs in by itself."""

    batch: Batch
    home: Path

    def live(self, name: str, **what: Any) -> Life:
        """A life of a command of `COMMANDS`."""
        orgs = self.batch.run()[3:]
        words = COMMANDS[name].replace("TREE", str(self.batch.root)).split()
        words = [more for word in words for more in (orgs if word == "ORGS" else [word])]
        variables = environment(self.home, ECAPIPE_STATE_DIR=str(self.home / "state"))
        return Life(words, str(self.home), variables, **what)


COMMANDS = {
    "run": "run -d TREE ORGS",
    "run --json": "run -d TREE ORGS --json --report json=r.json --report junit=r.xml",
    "probe": "app probe -d TREE ORGS",
    "probe --json": "app probe -d TREE ORGS --json",
    "check": "app check -d TREE --json",
    "list": "app list -d TREE",
    "manifest": "manifest -d TREE",
    "protect": "app protect -d TREE --dry-run --json",
    "doctor": "doctor --json",
    "logins": "login list --json",
    "runs": "runs list",
    "explain": "explain",
    "explain --json": "explain --json",
    "help": "run --help",
    "usage": "run --bogus",
}
OFTEN = ("run", "run --json", "probe --json", "check")
"""What lasts long enough to be signalled at many moments; at night, all are."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("home")
    with batch(tmp_path_factory.mktemp("batch")) as made:
        yield Stage(made, home)


def document(death: Death) -> Json:
    """The one document of a command, which says how the command ended."""
    told: Json = json.loads(death.out)
    assert told["status"] == death.status
    return told


def check(death: Death) -> None:
    """What holds for every end but that by SIGQUIT."""
    if death.status == -signal.SIGQUIT:
        assert signal.SIGQUIT in [number for _, number in death.life.signals]
        return
    assert death.status in (0, 1, 2, 68, 130), death
    assert "Traceback" not in death.err, death
    assert "ignored" not in death.err, death
    if "--json" in death.life.words and death.life.out == "caught":
        document(death)


@pytest.mark.parametrize("name", COMMANDS if NIGHTLY else OFTEN)
def test_a_signal_may_come_at_any_moment_and_another_after_it(stage: Stage, name: str) -> None:
    moments = random.Random(name)

    def life() -> Life:
        first = (moments.uniform(0, LONGEST), moments.choice(SIGNALS))
        again = (moments.uniform(0, 0.01), moments.choice(ENDING))
        return stage.live(name, signals=[first, again][: moments.randint(1, 2)])

    for death in lives([life() for _ in range(MOMENTS)]):
        check(death)


@pytest.mark.parametrize("name", ["run", "probe", "usage", "help"])
def test_a_signal_may_come_with_any_write(stage: Stage, name: str) -> None:
    """Also while the last lines of a run are written, which are whole then."""
    (undisturbed,) = lives([stage.live(name)])
    writes = range(1, undisturbed.writes + 1)
    some = writes if NIGHTLY else random.Random(name).sample(writes, min(4, len(writes)))
    signals = [(0.0, number) for number in ENDING]
    for death in lives([stage.live(name, signals=signals, at_write=at) for at in [*some, writes[-1]]]):
        check(death)
        if name == "run":
            assert "\nStatus: " in death.out


@pytest.mark.parametrize("name", COMMANDS)
def test_no_stream_makes_for_a_status_that_is_not_promised(stage: Stage, name: str) -> None:
    kinds = [("full", "caught"), ("gone", "caught"), ("caught", "full"), ("full", "full"), ("closed", "closed")]
    for death in lives([stage.live(name, out=out, err=err) for out, err in kinds]):
        check(death)
        if death.life.out in ("full", "gone") and name != "usage":
            assert death.status == 1
            assert death.life.out == "gone" or death.life.err == "full" or "OutputNotWritten" in death.err


@pytest.mark.parametrize("out", ["full", "gone"])
@pytest.mark.parametrize("name", ["run", "run --json"])
def test_logins_that_nobody_was_shown_are_recorded_and_said(stage: Stage, name: str, out: str) -> None:
    before = sum(stage.batch.tokens().values())
    death, runs = lives([stage.live(name, out=out), stage.live("runs")])
    assert sum(stage.batch.tokens().values()) - before == 3
    assert death.status == 1
    assert "Error (OutputNotWritten)" in death.err
    assert death.err.count("Successfully authorized") == (3 if name == "run" else 0)
    assert re.search(r" Succeeded +3 of", runs.out)


@pytest.mark.parametrize("name", ["explain", "explain --json", "run --json"])
def test_a_slow_reader_gets_everything_once_whatever_signals_come(stage: Stage, name: str) -> None:
    moments = random.Random(name)
    signals = [[(moments.uniform(0, 0.05), moments.choice(ENDING)) for _ in range(5)] for _ in range(MOMENTS)]
    whole, *deaths = lives([stage.live(name, out="slow", signals=each) for each in [[], *signals]])
    for death in deaths:
        check(death)
        assert "--json" in name or death.out in ("", whole.out)


def test_a_signal_ends_what_waits_for_a_reader(stage: Stage) -> None:
    def end(name: str) -> list[Death]:
        stuck = {"err" if name == "usage" else "out": "stuck"}
        return lives([stage.live(name, signals=[(0.5, by)], **stuck) for by in SIGNALS])

    with ThreadPoolExecutor() as pool:
        for deaths in pool.map(end, ["usage", "explain", "run", "run --json"]):
            assert [death.status for death in deaths] == [130, 130, 130, -signal.SIGQUIT]
