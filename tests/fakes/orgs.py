"""Orgs of the emulator that know the apps of a project."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.cli import emulator
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.project.discovery import ProjectSelection


def registered(root: Path | str, home: str | None = None, **variables: str) -> Sequence[RegisteredApp]:
    """The apps of the project at `root`, as the emulator registers them."""
    return emulator.registered(ProjectSelection((str(root),)), composition.real_world(Environment(variables)), home)


def emulated(
    root: Path | str, orgs: Sequence[str] = ("uat",), faults: Sequence[Fault] = (), *, tls: bool = False
) -> Emulator:
    """Orgs that know the apps of the project at `root`."""
    return Emulator(registered(root), orgs=orgs, faults=faults, tls=tls)
