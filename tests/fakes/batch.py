"""One app that logs in by itself, in several orgs; the requests of each are counted there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trees
from fakes.orgs import emulated

from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator

ORGS = ("dev", "uat", "prod")


def project(root: Path, app: str = "Batch") -> Path:
    return trees.plant(root, trees.project() | trees.robot(app, header={"distributionState": "Packaged"}))


@dataclass(frozen=True)
class Batch:
    """The project, and the orgs."""

    root: Path
    emulator: Emulator

    def run(self, *orgs: str) -> list[str]:
        """The command line that logs the app in to these orgs, or to all."""
        words = [word for org in orgs or ORGS for word in ("-o", f"{org}={self.emulator.urls[org]}")]
        return ["run", "-d", str(self.root), *words]

    def tokens(self) -> Counter[str]:
        """How often each org was asked for a token."""
        return Counter(asked.org for asked in self.emulator.requests if asked.path.endswith("/oauth2/token"))

    def asked(self) -> Counter[str]:
        """How often each org was asked for anything."""
        return Counter(asked.org for asked in self.emulator.requests)


@contextmanager
def batch(root: Path, orgs: Sequence[str] = ORGS, faults: Sequence[Fault] = ()) -> Iterator[Batch]:
    project(root)
    with emulated(root, orgs, faults) as emulator:
        yield Batch(root, emulator)
