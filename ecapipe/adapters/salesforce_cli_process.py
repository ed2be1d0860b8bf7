"""The program of the Salesforce CLI: found, started, ended in time."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Final, cast

from ecapipe.adapters.environment import Environment
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.salesforce_cli import sf_failed, sf_not_found, sf_timed_out
from ecapipe.secret import Secret

_DROPPED: Final = (
    # Colours in its JSON; with NO_COLOR beside it, a warning of Node.
    "FORCE_COLOR",
    # What would print secrets, be taken instead of the token that is piped, or ask a question.
    "TEMP_SHOW_SECRETS",
    "ACCESS_TOKEN",
    "ENV",
    # Output comes in the form that is asked for on the command line.
    "CONTENT_TYPE",
    "MSO_DISABLE_CI_MODE",
    "DEBUG",
)
"""Variables that it does not get, with SF_, SFDX_ or nothing before them."""
# Colours and hints at updates would stand between what is read; an update meanwhile would be another program.
_SET: Final = {
    "NO_COLOR": "1",
    "SF_AUTOUPDATE_DISABLE": "true",
    "SF_DISABLE_AUTOUPDATE": "true",
    "SF_SKIP_NEW_VERSION_CHECK": "true",
}
_LARGEST: Final = 1024 * 1024
"""Bytes that are read of its complaints."""

_ANSI: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_BATCH_SAFE: Final = re.compile(r"[\w@.:/\\+=,~ -]*")
"""What cmd.exe, which runs a .cmd file, hands on as it is."""


@dataclass(frozen=True, slots=True)
class ProcessResult:
    """What a command wrote until it ended, without ANSI sequences."""

    status: int
    out: str
    err: str


def command_name(command: Sequence[str]) -> str:
    """A command as people write it, without its flags: these may hold names and paths."""
    words = [word for word in command if not word.startswith("-")]
    return f"sf {' '.join(words)}"


def _ignore(_line: str) -> None:
    """For a command whose output is of interest at its end only."""


class SfProgram:
    """The program called sf; `Environment.program` says which one. `windows`: how programs are named, and ended."""

    def __init__(self, environment: Environment, *, windows: bool) -> None:
        self._environment, self._windows = environment, windows
        self._running: set[subprocess.Popen[str]] = set()

    def stop(self) -> None:
        """End every command that runs, with what it started."""
        for process in tuple(self._running):
            self._kill(process)

    def run(
        self,
        command: Sequence[str],
        *,
        limit: int,
        stdin: Secret | None = None,
        cwd: str | None = None,
        on_line: Callable[[str], None] = _ignore,
        **variables: str,
    ) -> ProcessResult:
        """Run a command to its end, for at most `limit` seconds; `on_line` gets each line of its output at once.

        It is a session of its own: a Ctrl-C is ours to act on, and its end takes along what it started. Raises
        `EcapipeError`: SfNotFound, SfFailed, SfTimedOut.
        """
        program = self._path(f"sf {' '.join(command[:3])}")
        if program.lower().endswith((".cmd", ".bat")) and not all(map(_BATCH_SAFE.fullmatch, command)):
            # cmd.exe reads quotes, & and % anew: a name could become a command.
            raise EcapipeError(
                sf_failed(command_name(command), "a name contains characters that cmd.exe would change.")
            )
        lines: list[str] = []
        expired = threading.Event()
        with _complaints(command) as errors:
            process = self._start(program, command, errors, piped=stdin is not None, cwd=cwd, variables=variables)
            with process, self._time_limit(process, limit, expired):
                _feed(process, stdin)
                for line in cast(IO[str], process.stdout):
                    lines.append(_ANSI.sub("", line))
                    on_line(lines[-1])
                status = process.wait()
                errors.seek(0)
                complaint = _ANSI.sub("", errors.read(_LARGEST).decode("utf-8", "replace"))
        if expired.is_set():
            raise EcapipeError(sf_timed_out(command_name(command), limit))
        return ProcessResult(status, "".join(lines), complaint)

    def _start(
        self,
        program: str,
        command: Sequence[str],
        errors: IO[bytes],
        *,
        piped: bool,
        cwd: str | None,
        variables: Mapping[str, str],
    ) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(  # noqa: S603 - found on the PATH, and given no shell
                [program, *command],
                cwd=cwd,
                env={**self._variables(), **variables},
                # Never the terminal: it would ask questions there, and on standard output.
                stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                errors="replace",
                start_new_session=not self._windows,
            )
        except OSError as error:
            raise EcapipeError(sf_failed(command_name(command), f"{error.strerror or error}.")) from None

    @contextmanager
    def _time_limit(self, process: subprocess.Popen[str], limit: float, expired: threading.Event) -> Iterator[None]:
        """The end of a program, and of all that it started, after `limit` seconds or when the context ends early."""

        def expire() -> None:
            expired.set()
            self._kill(process)

        timer = threading.Timer(limit, expire)
        timer.daemon = True
        self._running.add(process)
        try:
            timer.start()
            yield
        finally:
            timer.cancel()
            self._kill(process)
            self._running.discard(process)

    def _kill(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is not None:
            return
        if self._windows or sys.platform == "win32":
            # Windows knows no groups of processes: only taskkill follows from parent to child.
            command = ["taskkill", "/T", "/F", "/PID", str(process.pid)]
            subprocess.run(command, check=False, env=self._variables())  # noqa: S603
            return
        with suppress(ProcessLookupError, PermissionError):  # it has just ended
            os.killpg(process.pid, signal.SIGKILL)

    def _path(self, task: str) -> str:
        """The absolute path; raises `EcapipeError` (SfNotFound), with the `task` that needs it."""
        names = ("sf.cmd", "sf.exe") if self._windows else ("sf",)
        path = self._environment.program(*names, chosen="ECAPIPE_SF")
        if path is None:
            raise EcapipeError(sf_not_found(task))
        return path

    def _variables(self) -> dict[str, str]:
        for_programs = {
            name: value
            for name, value in self._environment.for_programs().items()
            if name.upper().removeprefix("SFDX_").removeprefix("SF_") not in _DROPPED
        }
        return for_programs | _SET


def _complaints(command: Sequence[str]) -> IO[bytes]:
    """A file: a second pipe, which nobody empties meanwhile, would stop the program when full. Raises `EcapipeError`
    (SfFailed)."""
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        reason = f"no temporary file could be made: {error.strerror or error}."
        raise EcapipeError(sf_failed(command_name(command), reason)) from None


def _feed(process: subprocess.Popen[str], secret: Secret | None) -> None:
    if process.stdin is None or secret is None:
        return
    try:
        with process.stdin as pipe:
            pipe.write(secret.reveal())
    except BrokenPipeError:  # it ended without reading: its status tells
        return
