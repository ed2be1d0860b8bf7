"""What things cost, side by side: each round runs every contender once, and the cheapest of its rounds counts."""

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
    """Seconds from start to end, and the most memory that was in use, in KiB."""

    seconds: float
    memory: int = 0


@dataclass(frozen=True)
class Program:
    """A command line that ends with `status`; its output goes nowhere. What is in `environment` is added to ours."""

    words: Sequence[str]
    at: Path = ROOT
    environment: Mapping[str, str] = field(default_factory=dict)
    status: int = 0

    def __call__(self) -> Cost:
        path = f"{Path(PYTHON).parent}{os.pathsep}{os.environ['PATH']}"  # Node lies beside Python
        environ = {**os.environ, "PATH": path, **self.environment}
        start = time.perf_counter()
        running = subprocess.Popen(
            self.words, cwd=self.at, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        _, code, used = os.wait4(running.pid, 0)
        seconds = time.perf_counter() - start
        running.returncode = os.waitstatus_to_exitcode(code)
        if running.returncode != self.status:
            raise SystemExit(f"{self.words[0]} ended with {running.returncode}, not with {self.status}")
        return Cost(seconds, used.ru_maxrss)


@dataclass(frozen=True)
class Call:
    """Something done in this very process."""

    do: Callable[[], object]

    def __call__(self) -> Cost:
        start = time.perf_counter()
        self.do()
        return Cost(time.perf_counter() - start)


def least(rounds: int, **contenders: Callable[[], Cost]) -> dict[str, Cost]:
    """The least cost of each, after a round that does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds + 1):
        for name, run in contenders.items():
            costs[name].append(run())
    return {
        name: Cost(min(cost.seconds for cost in seen[1:]), min(cost.memory for cost in seen[1:]))
        for name, seen in costs.items()
    }


def tell(what: str, found: float, goal: float, unit: str = "×", detail: str = "") -> None:
    """One line: what was measured, its goal, and whether it is met."""
    verdict = "met" if found <= goal else "MISSED"
    sys.stdout.write(f"{what}: {found:.2f} {unit} (at most {goal:g} {unit}: {verdict}){detail and f'  [{detail}]'}\n")


def milliseconds(**costs: Cost) -> str:
    """The times behind a ratio."""
    return ", ".join(f"{name} {cost.seconds * 1000:.0f} ms" for name, cost in costs.items())
