"""ecapipe as a user starts it: a process of its own, whose links are read and whose questions are answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_OURS = ("ECAPIPE_", "SF_", "SFDX_", "CI", "CONTINUOUS_INTEGRATION")
_OTHERS = frozenset({"BROWSER", "SSH_CONNECTION", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})


def environment(home: Path, **more: str) -> dict[str, str]:
    """The variables of this process without those that change what ecapipe does, and with a home of its own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name.upper() not in _OTHERS
    }
    return {**inherited, "HOME": str(home), **more}


@dataclass(frozen=True)
class Ended:
    """How a command ended. `data` is its JSON document."""

    status: int
    data: dict[str, Any]
    err: str

    @property
    def result(self) -> dict[str, Any]:
        return dict(self.data["result"])

    @property
    def success(self) -> dict[str, Any]:
        """The one success of a run."""
        (only,) = self.result["successes"]
        return dict(only)

    @property
    def failure(self) -> dict[str, Any]:
        """The one failure of a run."""
        (only,) = self.result["failures"]
        return dict(only)


class Started:
    """A command that is running, with ``--json``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._err = ""

    def link(self) -> str:
        """The next URL that stands alone on a line of standard error."""
        while line := _pipe(self._process.stderr).readline():
            self._err += line
            if line.startswith("http"):
                return line.strip()
        raise AssertionError(f"no link was printed, but:\n{self._err}{_pipe(self._process.stdout).read()}")

    def said(self, words: str) -> None:
        """Wait for a line of standard error that contains `words`."""
        while line := _pipe(self._process.stderr).readline():
            self._err += line
            if words in line:
                return
        raise AssertionError(f'"{words}" was never said, but:\n{self._err}')

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def paste(self, text: str) -> None:
        """Answer the question for the address the browser ended at."""
        stdin = _pipe(self._process.stdin)
        stdin.write(text + "\n")
        stdin.flush()

    def first_document(self) -> dict[str, Any]:
        """The JSON document of a command that prints it and goes on."""
        text = ""
        while line := _pipe(self._process.stdout).readline():
            text += line
            if line.rstrip() == "}":
                return dict(json.loads(text))
        raise AssertionError(f"no document was printed, but:\n{text}{_pipe(self._process.stderr).read()}")

    def ended(self) -> Ended:
        """Wait until it has ended by itself; its input stays open."""
        self._err += _pipe(self._process.stderr).read()  # to its end; a result fits into the other pipe meanwhile
        out = _pipe(self._process.stdout).read()
        return Ended(self._process.wait(), json.loads(out), self._err)


@contextmanager
def started(*arguments: str | Path, env: Mapping[str, str]) -> Iterator[Started]:
    """``ecapipe`` with `arguments` and ``--json``; ended with the context if it still runs.

    It starts in its home: the software of others lies in this repository, whose programs it passes over.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "ecapipe", *map(str, arguments), "--json"],
        env=dict(env),
        cwd=env["HOME"],
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield Started(process)
        finally:
            process.terminate()


def ran(*arguments: str | Path, env: Mapping[str, str]) -> Ended:
    """``ecapipe`` from start to end."""
    with started(*arguments, env=env) as command:
        return command.ended()


def _pipe(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream
