"""``ecapipe app check --json`` in a project of 20,000 files and 20 apps.

It is held against what it cannot do without, which is Python, typer, xmltodict and one walk over the files, and
against the Salesforce CLI making a manifest of the same project.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/app_check.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from forest import grow
from measure import ECAPIPE, PYTHON, QUIET, SF, Program, compare, least, tell

ROUNDS = 10
APPS = 20
FILES = 20_000

FLOOR = """
import os, typer, xmltodict
pending = ["force-app"]
while pending:
    with os.scandir(pending.pop()) as entries:
        for entry in entries:
            if entry.is_dir():
                pending.append(entry.path)
"""


def main() -> None:
    with TemporaryDirectory() as folder:
        root = grow(Path(folder) / "project", APPS, FILES - 4 * APPS)
        manifest = (SF, "project", "generate", "manifest", "--source-dir", "force-app", "--output-dir", folder)
        cost = least(
            ROUNDS,
            floor=Program((PYTHON, "-c", FLOOR), root),
            ecapipe=Program((ECAPIPE, "app", "check", "--json"), root),
        )
        # A manifest takes seconds: fewer rounds will do.
        cost |= least(2, sf=Program(manifest, root, QUIET))
    compare("app check / floor", cost["ecapipe"], cost["floor"], 2)
    compare("app check / sf manifest", cost["ecapipe"], cost["sf"], 0.15)
    tell("app check, memory", cost["ecapipe"].memory / 1024, 60, "MiB")


if __name__ == "__main__":
    main()
