"""``ecapipe --version`` and ``--help`` against ``python -c "import typer"``.

Repeat it with: .venv/bin/python tests/bench/version_and_help.py
"""

from __future__ import annotations

from measure import ECAPIPE, PYTHON, Program, least, milliseconds, tell

ROUNDS = 20


def main() -> None:
    cost = least(
        ROUNDS,
        typer=Program((PYTHON, "-c", "import typer")),
        version=Program((ECAPIPE, "--version")),
        help=Program((ECAPIPE, "--help")),
    )
    base = cost["typer"].seconds
    detail = milliseconds(**cost)
    tell("ecapipe --version / import typer", cost["version"].seconds / base, 1.3, detail=detail)
    tell("ecapipe --help / import typer", cost["help"].seconds / base, 1.6)


if __name__ == "__main__":
    main()
