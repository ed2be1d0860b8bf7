"""ecapipe as people, scripts and CI start it: a process of its own, in an environment that holds nothing else."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import pexpect
import pytest

from ecapipe.cli.interrupts import ENDING
from ecapipe.cli.main import main
from ecapipe.render import log as _  # noqa: F401  # `inside` keeps the handler that it adds

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "sample-project"
PROGRAM = (sys.executable, "-m", "ecapipe")
PATIENCE = 30.0

Json = dict[str, Any]


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing but what a program needs, and `more`."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "PYTHONPATH": str(ROOT), **more}


def keyring(drawer: Path) -> dict[str, str]:
    """The variables that give a program a keyring of its own, in a file."""
    backend = {"PYTHON_KEYRING_BACKEND": "fakes.drawer.Shared", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    return {**backend, "DRAWER": str(drawer)}


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Json:
        """The one JSON document on standard output; its status is the exit status."""
        document = cast(Json, json.loads(self.out))
        assert document["status"] == self.status
        return document

    @property
    def result(self) -> Json:
        return cast(Json, self.document["result"])

    @property
    def outcomes(self) -> dict[str, str]:
        """The outcome of each stage of the result, by ``stage app@org``."""
        return {
            f"{stage['stage']} {'@'.join(part for part in (stage['app'], stage['org']) if part)}".strip(): stage[
                "outcome"
            ]
            for stage in self.result["stages"]
        }


def ecapipe(*arguments: str, at: Path, typed: str = "", **variables: str) -> Ended:
    """Run a command at a folder, which is its home, too, to its end; `typed` is piped in."""
    ended = subprocess.run(
        [*PROGRAM, *arguments],
        cwd=at,
        env=environment(at, **variables),
        input=typed.encode(),
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def inside(*arguments: str, at: Path, **variables: str) -> Ended:
    """The same within this process: quick, for what depends on neither streams nor signals. Its input is empty."""
    out, err = io.StringIO(), io.StringIO()
    wanted, stdin = environment(at, **variables), sys.stdin
    report_unraisable = sys.unraisablehook
    handlers = {number: signal.getsignal(number) for number in ENDING}
    logger = logging.getLogger("ecapipe")
    log = (list(logger.handlers), logger.level, logger.propagate)
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(out),
        redirect_stderr(err),
        warnings.catch_warnings(action="ignore", category=ResourceWarning),  # the end of a process closes its sockets
    ):
        patch.chdir(at)
        for name in list(os.environ):
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)
        sys.stdin = io.StringIO()
        try:
            status = main(arguments)
        finally:
            sys.stdin, sys.unraisablehook = stdin, report_unraisable
            for number, handler in handlers.items():
                signal.signal(number, handler)
            logger.handlers, level, logger.propagate = log
            logger.setLevel(level)
            gc.collect(1)  # what this command left is young
    return Ended(status, out.getvalue(), err.getvalue())


def together(commands: Iterable[Sequence[str]], at: Path, **variables: str) -> list[Ended]:
    """Run several commands at the same time, as many as there are processors; what they left behind, in order."""

    def run(arguments: Sequence[str]) -> Ended:
        return ecapipe(*arguments, at=at, **variables)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(run, commands))


@dataclass
class Running:
    """A command that has not ended yet."""

    process: subprocess.Popen[bytes]
    _said: dict[str, list[str]] = field(default_factory=lambda: {"out": [], "err": []})
    _threads: list[threading.Thread] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name, stream in (("out", self.process.stdout), ("err", self.process.stderr)):
            assert stream is not None
            self._threads.append(threading.Thread(target=self._hear, args=(stream, self._said[name])))
            self._threads[-1].start()

    @staticmethod
    def _hear(stream: IO[bytes], lines: list[str]) -> None:
        for line in stream:
            lines.append(line.decode())

    def line(self, start: str, stream: str = "err") -> str:
        """The first line that starts so, as soon as it is there."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            for line in list(self._said[stream]):
                if line.startswith(start) and line.endswith("\n"):
                    return line.rstrip("\n")
            time.sleep(0.005)
        raise AssertionError(f"no line starts with {start!r}: {self._said}")

    @property
    def said(self) -> str:
        """What came to standard output so far."""
        return "".join(self._said["out"])

    def type(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def finish(self) -> None:
        """Hear everything that a process said that has ended."""
        for thread in self._threads:
            thread.join()

    def interrupt(self, by: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(by)

    def end(self) -> Ended:
        """Wait for the end."""
        status = self.process.wait(PATIENCE)
        self.finish()
        return Ended(status, self.said, "".join(self._said["err"]))


@contextmanager
def started(*arguments: str, at: Path, **variables: str) -> Iterator[Running]:
    """A command that runs meanwhile; its input stays open until the end."""
    with subprocess.Popen(
        [*PROGRAM, *arguments],
        cwd=at,
        env=environment(at, **variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()
            process.wait()
            running.finish()


@dataclass(frozen=True)
class Screen:
    """A program on a terminal, and everything that ever came to its screen."""

    terminal: pexpect.spawn[str]
    seen: io.StringIO

    @property
    def found(self) -> re.Match[str]:
        """What the pattern that was expected last has matched."""
        assert isinstance(self.terminal.match, re.Match)
        return self.terminal.match

    def end(self) -> Ended:
        """Wait for the end; on a terminal both outputs are one."""
        self.terminal.expect(pexpect.EOF)
        self.terminal.wait()
        return Ended(self.terminal.exitstatus or 0, self.seen.getvalue().replace("\r\n", "\n"), "")


@contextmanager
def on_terminal(
    *arguments: str, at: Path, program: Sequence[str] = PROGRAM, width: int = 120, **variables: str
) -> Iterator[Screen]:
    """A command on a terminal of 40 lines."""
    variables = environment(at, **{"TERM": "xterm-256color", **variables})
    terminal = pexpect.spawn(
        program[0],
        [*program[1:], *arguments],
        cwd=str(at),
        env=cast(Any, variables),
        encoding="utf-8",
        timeout=PATIENCE,
        dimensions=(40, width),
    )
    terminal.delaybeforesend = None
    process: Any = terminal.ptyproc  # type: ignore[attr-defined]  # its types leave it out
    process.delayafterclose = process.delayafterterminate = 0.01
    seen = io.StringIO()
    terminal.logfile_read = seen
    try:
        yield Screen(terminal, seen)
    finally:
        terminal.close(force=True)
