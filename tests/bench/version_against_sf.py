"""``ecapipe --version`` against ``sf --version``.

Repeat it with: tests/interop/setup && .venv/bin/python tests/bench/version_against_sf.py
"""

from __future__ import annotations

from measure import ECAPIPE, QUIET, SF, Program, compare, least

ROUNDS = 10


def main() -> None:
    cost = least(ROUNDS, ecapipe=Program((ECAPIPE, "--version")), sf=Program((SF, "--version"), environment=QUIET))
    compare("ecapipe --version / sf --version", cost["ecapipe"], cost["sf"], 0.25)


if __name__ == "__main__":
    main()
