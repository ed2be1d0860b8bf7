"""ecapipe in a process that is forked from one which has loaded it already: many short lives for the price of few.

`lives` starts the program below, which reads what is to be tried and answers with what came of it.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[2]
PATIENCE = 20.0

_LOADED = (
    *(f"cli.{name}" for name in ("root", "app", "app_check", "app_probe", "doctor", "explain", "login", "manifest")),
    *("cli.run", "cli.runs", "adapters.network.http", "adapters.storage.journal", "adapters.storage.store"),
    *("check.inspection", "check.rules.registry", "documents.results", "render.report_data", "render.reports"),
)


@dataclass(frozen=True)
class Life:
    """A command line, and what happens to it: `signals` are sent after so many seconds, or by the output itself when
    it is written to for the `at_write`th time. A stream is caught, or ``closed``, ``full``, ``gone`` (its reader), a
    pipe that is read slowly (``slow``), or one that is full and not read at all (``stuck``).
    """

    words: Sequence[str]
    cwd: str
    variables: dict[str, str]
    signals: Sequence[tuple[float, int]] = ()
    at_write: int | None = None
    out: str = "caught"
    err: str = "caught"


@dataclass(frozen=True)
class Death:
    """How a life ended. `status` is negative for a signal; `writes` is how often its output was written to."""

    life: Life
    status: int
    out: str
    err: str
    writes: int


def lives(tried: Sequence[Life]) -> list[Death]:
    """What comes of each, one after the other."""
    done = subprocess.run(
        [sys.executable, __file__],
        input=json.dumps([asdict(life) for life in tried]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests")))},
    )
    return [Death(life, **death) for life, death in zip(tried, json.loads(done.stdout), strict=True)]


def _program() -> None:
    """Whoever returns from this is a child, and ends as ecapipe does."""
    for name in _LOADED:
        import_module(f"ecapipe.{name}")
    from ecapipe.cli.main import main

    tried = [Life(**life) for life in json.load(sys.stdin)]
    deaths = []
    for life in tried:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as writes:
            reader, writer = _small_pipe()
            child = os.fork()
            if not child:
                os.close(reader)
                _be_born(life, writer, out, err, writes)
                sys.exit(main(list(life.words)))
            os.close(writer)
            reading = threading.Thread(target=_read_slowly, args=(reader, out))
            if life.out == "slow":
                reading.start()
            status = _follow(child, life)
            if life.out == "slow":
                reading.join()
            os.close(reader)
            texts = {"out": _text(out), "err": _text(err)}
            deaths.append({"status": status, **texts, "writes": len(_text(writes))})
    json.dump(deaths, sys.stdout)


def _small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    with suppress(AttributeError):  # macOS has no such call
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


def _read_slowly(reader: int, file: IO[bytes]) -> None:
    while piece := os.read(reader, 4096):
        file.write(piece)
        time.sleep(0.005)


def _follow(child: int, life: Life) -> int:
    if life.at_write is None:
        _await_handlers(child)
        for after, number in life.signals:
            time.sleep(after)
            if _alive(child):
                os.kill(child, number)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if not _alive(child):
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _await_handlers(child: int) -> None:
    """Wait until signals are ecapipe's: before, they are the interpreter's."""
    caught = "0"
    while _alive(child) and not int(caught, 16) >> signal.SIGTERM - 1 & 1:
        (caught,) = (line.split()[1] for line in open(f"/proc/{child}/status") if line.startswith("SigCgt"))


def _alive(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _be_born(life: Life, pipe: int, out: IO[bytes], err: IO[bytes], writes: IO[bytes]) -> None:
    os.chdir(life.cwd)
    os.environ.clear()
    os.environ.update(life.variables)
    sys.stdin = open(os.devnull)
    sys.stdout = _stream(1, life.out, out, pipe)
    sys.stderr = _stream(2, life.err, err, pipe)
    os.close(pipe)
    numbers = [number for _, number in life.signals]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _watch(stream, life.at_write, numbers, writes.fileno())


def _stream(descriptor: int, kind: str, file: IO[bytes], pipe: int) -> Any:
    if kind == "closed":
        os.close(descriptor)
        return None
    if kind == "gone":
        reader, writer = os.pipe()
        os.close(reader)
    elif kind == "full":
        writer = os.open("/dev/full", os.O_WRONLY)
    elif kind in ("slow", "stuck"):
        writer = pipe
    else:
        writer = file.fileno()
    if kind == "stuck":
        _fill(writer)
    os.dup2(writer, descriptor)
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def _fill(pipe: int) -> None:
    os.set_blocking(pipe, False)
    with suppress(BlockingIOError):
        while True:
            os.write(pipe, b".")
    os.set_blocking(pipe, True)


def _watch(stream: Any, at: int | None, numbers: Sequence[int], writes: int) -> None:
    """Count what is written, and send the signals when it is the time."""
    write = stream.write

    def count_and_write(text: str) -> int:
        os.write(writes, b".")
        if os.fstat(writes).st_size == at:
            for number in numbers:
                os.kill(os.getpid(), number)
        return int(write(text))

    stream.write = count_and_write


if __name__ == "__main__":
    _program()
