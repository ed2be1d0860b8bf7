"""5,000 global OAuth settings files, read and checked, against reading them with ``xmltodict.parse`` alone.

Memory is that of ``ecapipe app check --json`` for all of them, less that for one, for each app.

Repeat it with: .venv/bin/python tests/bench/settings_files.py
"""

from __future__ import annotations

import gc
from pathlib import Path
from tempfile import TemporaryDirectory

import xmltodict
from forest import settings_only
from measure import ECAPIPE, Call, Program, compare, least, tell

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.check import inspection
from ecapipe.check.inspection import CheckOptions
from ecapipe.project.discovery import ProjectSelection

ROUNDS = 5
APPS = 5_000


def main() -> None:
    with TemporaryDirectory() as folder:
        many, one = settings_only(Path(folder, "many"), APPS), settings_only(Path(folder, "one"), 1)
        paths = sorted(many.rglob("*.ecaGlblOauth-meta.xml"))
        gc.disable()  # as app check does
        where, world = ProjectSelection((str(many),)), composition.real_world(Environment({}))
        cost = least(
            ROUNDS,
            check=Call(lambda: inspection.inspect(where, CheckOptions(), world)),
            xmltodict=Call(lambda: [xmltodict.parse(path.read_bytes()) for path in paths]),
            many=Program((ECAPIPE, "app", "check", "--json"), many),
            one=Program((ECAPIPE, "app", "check", "--json"), one),
        )
    compare("check / xmltodict", cost["check"], cost["xmltodict"], 3)
    tell("memory for each app", (cost["many"].memory - cost["one"].memory) / (APPS - 1), 25, "KiB")


if __name__ == "__main__":
    main()
