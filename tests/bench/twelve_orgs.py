"""Twelve orgs, retrieved from by a stand-in for sf that takes two seconds each, and logged in to.

Four retrieves run at a time, so that three times two seconds is the least there can be.

Repeat it with: .venv/bin/python tests/bench/twelve_orgs.py
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import ECAPIPE, ROOT, Program, least, tell

sys.path.insert(0, str(ROOT / "tests"))

from cli.test_retrieve import ORGS, Scene, brought, staged

ROUNDS, SECONDS = 2, 2.0


def main() -> None:
    with TemporaryDirectory() as folder, contextmanager(staged)(Path(folder)) as scene:
        scene.bring(**{name: {"files": brought(name), "seconds": SECONDS} for name in ORGS})
        words = (ECAPIPE, "run", "--retrieve", "--file", f"../{scene.table()}", "--json")
        cost = least(ROUNDS, run=Program(words, scene.home / "project", environment(scene)))["run"]
    tell("12 retrieves of 2 s and logins / 3 rounds of 2 s", cost.seconds / (3 * SECONDS), 1.3)


def environment(scene: Scene) -> dict[str, str]:
    return {name: value for name, value in scene.words().items() if name.isupper()}


if __name__ == "__main__":
    main()
