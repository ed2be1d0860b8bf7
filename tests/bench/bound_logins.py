"""What it costs to bind a login to a key (--dpop): processor time above that of a bearer login, the org's aside.

Of each of a hundred logins, and of one in a process of its own, which loads cryptography first: that one is held
against a bare program that does nothing but load it, make a key and sign as often.

Repeat it with: .venv/bin/python tests/bench/bound_logins.py
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from forest import robot
from measure import ECAPIPE, PYTHON, ROOT, Program, least, tell

sys.path.insert(0, str(ROOT / "tests"))

from fakes.orgs import emulated

ROUNDS = 20
MANY = 100
LOADED = "import contextlib, dataclasses, enum, hashlib, json, random, re, threading, typing"
"""What a bearer login has loaded, too."""
BARE = f"""{LOADED}
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
key = ec.generate_private_key(ec.SECP256R1())
for _ in range(4):
    key.sign(b"proof", ec.ECDSA(hashes.SHA256()))
"""


def above(root: Path, urls: dict[str, str], rounds: int) -> float:
    """Milliseconds of processor time that proofs cost in each of these orgs."""
    orgs = [word for name, url in urls.items() for word in ("--target-org", f"{name}={url}")]
    run = (ECAPIPE, "run", "--json", *orgs)
    state = {"ECAPIPE_STATE_DIR": str(root / "state")}
    cost = least(rounds, bearer=Program(run, root, state), bound=Program((*run, "--dpop"), root, state))
    return (cost["bound"].processor - cost["bearer"].processor) * 1000 / len(urls)


def bare() -> float:
    """Milliseconds of processor time that cryptography itself takes for one login."""
    cost = least(ROUNDS, without=Program((PYTHON, "-c", LOADED)), bare=Program((PYTHON, "-c", BARE)))
    return (cost["bare"].processor - cost["without"].processor) * 1000


def main() -> None:
    with TemporaryDirectory() as folder:
        root = robot(Path(folder, "project"))
        # The org runs in this process, whose time is not counted.
        with emulated(root, [f"org{number}" for number in range(MANY)]) as emulator:
            first, *_ = emulator.urls.items()
            one, floor = above(root, dict([first]), ROUNDS), bare()
            detail = f"{one:.1f} ms, {floor:.1f} ms"
            tell("one bound login above a bearer login / cryptography alone", one / floor, 1, detail=detail)
            tell("each of 100, processor", above(root, emulator.urls, 5), 5, "ms")


if __name__ == "__main__":
    main()
