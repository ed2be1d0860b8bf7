"""Runs that are cut short: by a signal, by a reader who has gone."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
import trees
from commandline import PATIENCE, PROGRAM, environment, started
from fakes.scene import Scene
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
    assert "Error (Interrupted) Paster@uat: " in ended.err
    assert "Traceback" not in ended.err


def test_a_signal_that_comes_twice_is_told_once(scene: Scene, tmp_path: Path) -> None:
    """A terminal that is closed sends one itself, and its shell another."""
    command = [*scene.run("Listener"), "--callback", "listen", "--browser", "none", "--json"]
    with started(*command, at=tmp_path) as run:
        run.line("Sign in to uat")
        run.interrupt(signal.SIGHUP)
        run.interrupt(signal.SIGHUP)
        ended = run.end()
    assert ended.status == 130
    assert [failure["name"] for failure in ended.result["failures"]] == ["Interrupted"]


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_terminal_that_is_closed_costs_no_report(scene: Scene, tmp_path: Path, more: list[str]) -> None:
    shown, terminal = pty.openpty()
    command = [*PROGRAM, *scene.run("Batch", "Listener"), "--callback", "listen", "--browser", "none", *more]
    with subprocess.Popen(
        [*command, "--report", "junit=report.xml"],
        cwd=tmp_path,
        env=environment(tmp_path, TERM="xterm"),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    ) as process:
        os.close(terminal)
        seen = b""
        while b"/authorize?" not in seen:
            seen += os.read(shown, 4096)
        os.close(shown)
        assert process.wait(PATIENCE) == 130
    failures = ElementTree.parse(tmp_path / "report.xml").iter("failure")
    assert [each.get("type") for each in failures] == ["Interrupted"]


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
        if name == "{loaded}":
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder())
from ecapipe.cli.main import main
sys.exit(main(["app", "check", "--json"]))
"""


@pytest.mark.parametrize("loaded", ["typer", "ecapipe.check.inspection"])
@pytest.mark.parametrize("by", ENDING)
def test_an_interrupt_of_a_command_without_stages_is_told_in_one_document(
    tmp_path: Path, by: signal.Signals, loaded: str
) -> None:
    """While it is loaded, and while it runs."""
    command = [sys.executable, "-c", EARLY.format(number=int(by), loaded=loaded)]
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
        "Error (OutputNotWritten): Standard output could not be written: no space left on device."
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["app", "list"], ["run", "--json"], ["doctor"], ["explain"], ["login", "list"]])
def test_a_current_folder_that_was_deleted_is_no_bug(tmp_path: Path, words: list[str]) -> None:
    (gone := tmp_path / "gone").mkdir()
    command = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", sys.executable, "-P", *PROGRAM[1:], *words]
    done = subprocess.run(command, cwd=gone, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done
    assert done.returncode == 0 or "NoCurrentFolder" in done.stdout + done.stderr


def test_a_signal_while_reports_are_written_costs_none(scene: Scene, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "first")
    reports = [word for name in ("junit=first", "json=second") for word in ("--report", name)]
    with started(*scene.run("Batch"), *reports, "--json", at=tmp_path) as run:
        # Nobody reads the first one yet, so that it is not written yet.
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and not _opens_pipe(run.process.pid):
            time.sleep(0.01)
        for by in ENDING:
            run.interrupt(by)
        first = (tmp_path / "first").read_text()
        ended = run.end()
    assert ended.status == 0
    ElementTree.fromstring(first)
    assert json.loads((tmp_path / "second").read_text()) == ended.document


def _opens_pipe(process: int) -> bool:
    """Whether it waits for somebody to read what it opens."""
    return Path(f"/proc/{process}/wchan").read_text() in ("wait_for_partner", "fifo_open")
