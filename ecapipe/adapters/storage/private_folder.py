"""Folders for the trees of one run: private, below the state directory, and gone when it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import state
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import run_going_on

FOLDER = "retrieved"
_LOCK = ".lock"


@contextmanager
def private_folder(environment: Environment) -> Iterator[str]:
    """See `ecapipe.run.world.World.private_folder`."""
    path = os.path.join(state.folder(environment, FOLDER), os.urandom(8).hex())
    # Whoever sweeps finds the lock taken as long as this process lives.
    with state.lock(path + _LOCK, run_going_on(path)):
        os.mkdir(path, 0o700)
        try:
            yield path
        finally:
            _remove(path)


def sweep(environment: Environment) -> None:
    """Remove what runs have left that were killed."""
    with suppress(EcapipeError, OSError):
        home = state.existing(environment, FOLDER)
        for name in {name.removesuffix(_LOCK) for name in os.listdir(home)}:
            path = os.path.join(home, name)
            with suppress(EcapipeError), state.lock(path + _LOCK, run_going_on(name)):
                _remove(path)


def _remove(path: str) -> None:
    import shutil  # what it loads would cost every command

    if os.path.isdir(path):  # it would wait for a pipe
        shutil.rmtree(path, ignore_errors=True)
    # The lock last: without it nobody would know that the rest is nobody's.
    with suppress(FileNotFoundError):
        os.unlink(path + _LOCK)
