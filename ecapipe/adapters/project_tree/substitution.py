"""Regular expressions of a project, run where they can be stopped."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import IO, TYPE_CHECKING, Final, cast

from ecapipe.adapters import environment

if TYPE_CHECKING:
    from subprocess import Popen

_SECONDS: Final = 1.0
"""For one expression and one text, the start of the child included."""
_ALL_SECONDS: Final = 10.0
"""For all that a command asks."""

_CHILD: Final = """
import json, re, sys
for line in sys.stdin:
    pattern, mark, text = json.loads(line)
    print(json.dumps(re.compile(pattern).subn(lambda _: mark, text)), flush=True)
"""


class Substitution:
    """See `ecapipe.project.tree.ProjectAccess.substitute`. One child for all, started when it is first needed."""

    def __init__(self) -> None:
        self._child: Popen[bytes] | None = None
        self._given_up: set[str] = set()
        self._left = _ALL_SECONDS

    def __call__(self, pattern: str, mark: str, text: str) -> tuple[str, int] | None:
        if pattern in self._given_up or self._left <= 0:
            return None
        import time

        started = time.monotonic()
        answer = self._ask(json.dumps([pattern, mark, text]).encode() + b"\n")
        self._left -= time.monotonic() - started
        if answer is None:
            # It would take as long in every other file.
            self._given_up.add(pattern)
            return None
        replaced, count = json.loads(answer)
        return replaced, count

    def _ask(self, question: bytes) -> bytes | None:
        child = self._child or self._start()
        questions, answers = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
        timer = threading.Timer(_SECONDS, child.kill)
        timer.start()
        try:
            questions.write(question)
            questions.flush()
            answer = answers.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            timer.cancel()
        if answer.endswith(b"\n"):
            return answer
        self._end(child)
        return None

    def _start(self) -> Popen[bytes]:
        import subprocess

        # Nothing of the tree and nothing of the environment: Windows alone needs a variable to start a program.
        variables = {"SYSTEMROOT": environment.process().get("SYSTEMROOT") or ""}
        self._child = subprocess.Popen(  # noqa: S603 - our own text, and given no shell
            [sys.executable, "-I", "-S", "-c", _CHILD],
            cwd=os.path.dirname(sys.executable),
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._child

    def _end(self, child: Popen[bytes]) -> None:
        self._child = None
        child.kill()
        child.communicate()

    def __del__(self) -> None:
        if self._child is not None:
            self._end(self._child)
