"""The composition root: which world comes of which environment and choice."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from commandline import environment

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment


def test_a_browser_is_opened_here_unless_none_is_wanted_or_somebody_is_far_away() -> None:
    here, none, far = (
        composition.real_world(Environment({})),
        composition.real_world(Environment({}), browser="none"),
        composition.real_world(Environment({"SSH_CONNECTION": "192.0.2.1 22 192.0.2.2 22"})),
    )
    assert (here.open is None, here.local_browser) == (False, True)
    assert (none.open is None, none.local_browser) == (True, False)
    assert (far.open is None, far.local_browser) == (False, False)


def test_nobody_is_asked_unless_somebody_may_be() -> None:
    heard: list[str | None] = []
    alone = composition.real_world(Environment({}))
    with alone.lines(heard.append):
        assert heard == [None]
    assert (alone.ask, alone.person) == (None, False)
    attended = composition.real_world(Environment({}), prompts=True, secret_prompts=True, person=True)
    assert attended.ask is not None
    assert attended.person


def test_credentials_come_from_the_environment_that_was_given() -> None:
    world = composition.real_world(Environment({"ECAPIPE_CLIENT_SECRET_BILLING": "made-up"}))
    secret = world.variable("ECAPIPE_CLIENT_SECRET_BILLING")
    assert secret is not None
    assert secret.reveal() == "made-up"
    assert world.variable("ECAPIPE_CLIENT_SECRET_PORTAL") is None


def test_time_is_told_in_utc_and_chance_is_chance() -> None:
    world = composition.real_world(Environment({}))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", world.clock.utc())
    assert world.clock.seconds() <= world.clock.seconds()
    drawn = {world.random_bytes(24) for _ in range(100)}
    assert len(drawn) == 100
    assert {len(each) for each in drawn} == {24}


READY = """
import os, sys, threading
from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
world = composition.real_world(Environment({}))
assert "httpx" not in sys.modules
world.ready()
world.ready()
for thread in set(threading.enumerate()) - {threading.main_thread()}:
    thread.join(20)
assert ("httpx" in sys.modules) == ("SSL_CERT_FILE" not in os.environ)
"""


@pytest.mark.parametrize("certificates", [None, "missing.pem"])
def test_what_sending_needs_is_loaded_beforehand_and_what_is_wrong_with_it_is_told_later(
    tmp_path: Path, certificates: str | None
) -> None:
    variables = {**environment(tmp_path), **({"SSL_CERT_FILE": certificates} if certificates else {})}
    command = [sys.executable, "-W", "error", "-c", READY]
    ended = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
