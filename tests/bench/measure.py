"""What things cost, side by side: each round runs every contender once, and the cheapest of its rounds counts.

Seconds decide. On a machine with other things to do they stray; processor time, which is told beside them, does less.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
ECAPIPE = str(Path(sys.executable).with_name("ecapipe"))
SF = str(ROOT / ".cache/interop/node_modules/.bin/sf")
"""The Salesforce CLI, which ``tests/interop/setup`` installs."""
QUIET = {"SF_DISABLE_TELEMETRY": "true", "SF_AUTOUPDATE_DISABLE": "true", "SF_DISABLE_AUTOUPDATE": "true"}
"""For the Salesforce CLI: nothing but the command itself."""
FD = which("fdfind") or which("fd") or "fd"
"""Debian: ``apt-get install fd-find``."""


@dataclass(frozen=True)
class Cost:
    """Seconds from start to end, those of them that a processor was at work, and the most memory in use, in KiB."""

    seconds: float
    processor: float
    memory: int = 0


@dataclass(frozen=True)
class Program:
    """A command line that ends with one of `statuses`; its output goes nowhere. `environment` is added to ours."""

    words: Sequence[str]
    at: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    statuses: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        program = self.words[0]
        if which(program) is None:
            what = {SF: "tests/interop/setup", FD: "apt-get install fd-find"}.get(
                program, "the README's line for tests"
            )
            raise SystemExit(f"{program} is not there, and {what} installs it.")

    def __call__(self) -> Cost:
        path = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"  # Node lies beside Python
        environ = {**os.environ, "PATH": path, **self.environment}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)  # nobody compiles the program each time
        start = time.perf_counter()
        running = subprocess.Popen(
            self.words,
            cwd=self.at,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, code, used = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - start
        running.returncode = os.waitstatus_to_exitcode(code)
        if running.returncode not in self.statuses:
            raise SystemExit(f"{' '.join(self.words)} ended with {running.returncode}")
        return Cost(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)


@dataclass(frozen=True)
class Call:
    """Something done in this very process."""

    do: Callable[[], object]

    def __call__(self) -> Cost:
        start, worked = time.perf_counter(), time.process_time()
        self.do()
        return Cost(time.perf_counter() - start, time.process_time() - worked)


def least(rounds: int, **contenders: Callable[[], Cost]) -> dict[str, Cost]:
    """The least cost of each, after a round that does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            costs[name].append(run())
    return {
        name: Cost(*(min(getattr(cost, part) for cost in seen[1:]) for part in ("seconds", "processor", "memory")))
        for name, seen in costs.items()
    }


def tell(what: str, found: float, goal: float, unit: str = "×", detail: str = "") -> None:
    """One line: what was measured, its goal, and whether it is met."""
    verdict = "met" if found <= goal else "MISSED"
    sys.stdout.write(f"{what}: {found:.2f} {unit} (at most {goal:g} {unit}: {verdict}){detail and f'  [{detail}]'}\n")


def compare(what: str, ours: Cost, theirs: Cost, goal: float) -> None:
    """One line about a ratio."""
    times = f"{ours.seconds * 1000:.0f} ms, {theirs.seconds * 1000:.0f} ms"
    tell(
        what,
        ours.seconds / theirs.seconds,
        goal,
        detail=f"{times}; processor {ours.processor / theirs.processor:.2f} ×",
    )


def milliseconds(**costs: Cost) -> str:
    """The times behind a ratio."""
    return ", ".join(f"{name} {cost.seconds * 1000:.0f} ms" for name, cost in costs.items())
