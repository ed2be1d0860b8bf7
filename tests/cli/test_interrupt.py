"""Runs that are cut short: by Ctrl-C, by SIGTERM, by a reader who has gone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trees
from cli.scene import Scene
from commandline import PROGRAM, environment, started
from loopback import listens

from ecapipe.cli.interrupts import ENDING


@pytest.mark.parametrize("by", ENDING)
def test_what_finished_is_reported(scene: Scene, tmp_path: Path, by: signal.Signals) -> None:
    command = [*scene.run("Batch", "Listener"), "--callback", "listen", "--browser", "none", "--json"]
    with started(*command, at=tmp_path) as run:
        run.line("Sign in to uat")
        run.interrupt(by)
        ended = run.end()
    assert ended.status == 130
    assert [success["app"] for success in ended.result["successes"]] == ["Batch"]
    (failure,) = ended.result["failures"]
    assert (failure["app"], failure["stage"], failure["name"]) == ("Listener", "authorize", "Interrupted")
    reasons = {stage["stage"]: stage["reason"] for stage in ended.result["stages"] if stage["app"] == "Listener"}
    assert (reasons["token"], reasons["verify"]) == ("Interrupted.", "Interrupted.")
    assert not listens("127.0.0.1", scene.port)
    assert "Traceback" not in ended.err


def test_people_read_it_too(scene: Scene, tmp_path: Path) -> None:
    command = [*scene.run("Paster"), "--callback", "paste", "--browser", "none"]
    with started(*command, at=tmp_path) as run:
        run.line("Sign in to uat")
        run.interrupt()
        ended = run.end()
    assert ended.status == 130
    assert "\nStatus: Interrupted\n" in ended.out
    assert "Error (Interrupted): Interrupted." in ended.err
    assert "Traceback" not in ended.err


def test_a_command_without_stages_ends_in_one_document_too(scene: Scene, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    command = ("app", "check", "-d", str(scene.root), "--json")
    with started(*command, at=tmp_path, ECAPIPE_CLIENT_SECRET_BATCH_FILE=str(slow)) as run:
        writer = None
        while writer is None:
            assert run.process.poll() is None
            with suppress(OSError):  # nobody reads yet
                writer = os.open(slow, os.O_WRONLY | os.O_NONBLOCK)
        run.interrupt()
        ended = run.end()
        os.close(writer)
    assert (ended.status, ended.err) == (130, "")
    assert ended.document["name"] == "Interrupted"


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    [("--version", ""), ("--help", "1"), ("run --bogus --json", "1"), ("run --until check", "")],
)
def test_a_reader_who_has_gone_is_no_reason_to_cry(
    scene: Scene, tmp_path: Path, command: str, unbuffered: str
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        ended = subprocess.run(
            [*PROGRAM, *command.split()],
            cwd=scene.root,
            env=environment(tmp_path, PYTHONUNBUFFERED=unbuffered),
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, b"")


EARLY = """
import os, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "typer":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
from ecapipe.cli import main
sys.exit(main(["app", "list", "--json"]))
"""


@pytest.mark.parametrize("by", ENDING)
def test_an_interrupt_while_the_command_is_loaded_is_told_like_any_other(tmp_path: Path, by: signal.Signals) -> None:
    command = [sys.executable, "-c", EARLY.format(number=int(by))]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (130, b"")
    assert json.loads(done.stdout)["name"] == "Interrupted"


def test_streams_that_are_closed_from_the_start_are_no_bug(tmp_path: Path) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    for closed in (">&-", "<&- 2>&-"):
        command = ["sh", "-c", f'"$@" {closed}', "sh", *PROGRAM, "app", "list", "--json"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), closed


@pytest.mark.parametrize(
    "words", [["app", "list"], ["app", "list", "--json"], ["explain"], ["--version"], ["nonsense", "--json"]]
)
def test_an_output_without_room_is_said_and_is_no_bug(tmp_path: Path, words: list[str]) -> None:
    trees.plant(tmp_path, trees.project() | trees.app("Billing"))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*PROGRAM, *words],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.startswith(
        "Error (OutputNotWritten): Standard output was not written: no space left on device."
    )
    assert "Traceback" not in done.stderr
