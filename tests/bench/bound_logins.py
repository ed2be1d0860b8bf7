"""What it costs to bind a login to a key (--dpop): processor time above that of a bearer login, the org's aside.

Of one login in a process of its own, which loads cryptography first, and of each of a hundred.

Repeat it with: .venv/bin/python tests/bench/bound_logins.py
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from fakes.orgs import emulated
from forest import robot
from measure import ECAPIPE, Program, least, tell

ROUNDS = 10
MANY = 100


def above(root: Path, urls: dict[str, str], rounds: int) -> float:
    """Milliseconds of processor time that proofs cost in each of these orgs."""
    orgs = [word for name, url in urls.items() for word in ("--target-org", f"{name}={url}")]
    run = (ECAPIPE, "run", "--json", *orgs)
    state = {"ECAPIPE_STATE_DIR": str(root / "state")}
    cost = least(rounds, bearer=Program(run, root, state), bound=Program((*run, "--dpop"), root, state))
    return (cost["bound"].processor - cost["bearer"].processor) * 1000 / len(urls)


def main() -> None:
    with TemporaryDirectory() as folder:
        root = robot(Path(folder, "project"))
        # The org runs in this process, whose time is not counted.
        with emulated(root, [f"org{number}" for number in range(MANY)]) as emulator:
            first, *_ = emulator.urls.items()
            tell("one bound login above a bearer login, processor", above(root, dict([first]), ROUNDS), 15, "ms")
            tell("each of 100, processor", above(root, emulator.urls, 5), 5, "ms")


if __name__ == "__main__":
    main()
