"""Discovery alone, in a project of 200,000 files, half of them in node_modules, bundles and hidden folders.

It is held against ``fd -uu``, which is kept out of the same folders and looks for the same files.

Repeat it with: apt-get install fd-find && .venv/bin/python tests/bench/discovery_of_many_files.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from forest import grow
from measure import FD, Call, Program, compare, least

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.project import discovery
from ecapipe.project.discovery import ProjectSelection

ROUNDS = 15
APPS = 20
FILES = 200_000


def main() -> None:
    with TemporaryDirectory() as folder:
        root = grow(Path(folder), APPS, FILES // 2 - 4 * APPS, pruned=FILES // 2)
        where, world = ProjectSelection((str(root),)), composition.real_world(Environment({}))
        excluded = [word for name in ("node_modules", "lwc", "aura", ".*") for word in ("--exclude", name)]
        cost = least(
            ROUNDS,
            discovery=Call(lambda: discovery.discover(where, world)),
            fd=Program((FD, "-uu", *excluded, r"\.eca", "force-app"), root),
        )
    compare("discovery / fd", cost["discovery"], cost["fd"], 1.5)


if __name__ == "__main__":
    main()
