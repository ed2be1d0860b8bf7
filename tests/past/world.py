"""The world in which a version wrote what lies in a folder beside this file: a home, a project, and three orgs.

Records name addresses, and a recorded success is known by a hash of one, so the orgs have ports of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import trees
from commandline import ROOT

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.cli.emulator import registered
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator
from ecapipe.project.discovery import ProjectSelection

HERE = Path(__file__).parent
HOME = "/home/dev"
"""What stands in the files for the home of whoever wrote them."""
PORT = 21_717
ORGS = ("dev", "uat", "prod")
URLS = {org: f"http://localhost:{PORT + number}" for number, org in enumerate(ORGS)}
TARGETS = [word for org, url in URLS.items() for word in ("-o", f"{org}={url}")]
KEYRING = {"PYTHON_KEYRING_BACKEND": "fakes.drawer.Shared", "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
PATIENCE = 90.0


@contextmanager
def orgs(project: Path, faults: Sequence[Fault] = ()) -> Iterator[Emulator]:
    """The orgs, which know the secret of Robot, too. Whoever else is testing at their ports is waited for."""
    known = Environment({"ECAPIPE_CLIENT_SECRET_ROBOT": trees.secret("Robot")})
    apps = registered(ProjectSelection((str(project),)), composition.real_world(known))
    until = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            emulator = Emulator(apps, orgs=ORGS, port=PORT, faults=faults)
            try:
                stack.enter_context(emulator)
                break
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)
        yield emulator


def moved(source: Path, target: Path, old: str, new: str) -> None:
    """Copy a folder, in which the home that files name becomes another. Locks stay; what is private stays so."""
    for path in source.rglob("*"):
        if path.is_dir() or path.suffix == ".lock":
            continue
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
        if path.is_relative_to(source / "state"):
            os.chmod(place, 0o600)
            os.chmod(place.parent, 0o700)
            os.chmod(target / "state", 0o700)
