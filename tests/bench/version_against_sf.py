"""``ecapipe --version`` against ``sf --version``.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/version_against_sf.py
"""

from __future__ import annotations

from measure import ECAPIPE, QUIET, SF, Program, least, milliseconds, tell

ROUNDS = 10


def main() -> None:
    cost = least(ROUNDS, ecapipe=Program((ECAPIPE, "--version")), sf=Program((SF, "--version"), environment=QUIET))
    ratio = cost["ecapipe"].seconds / cost["sf"].seconds
    tell("ecapipe --version / sf --version", ratio, 0.25, detail=milliseconds(**cost))


if __name__ == "__main__":
    main()
