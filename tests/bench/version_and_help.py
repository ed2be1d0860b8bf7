"""``ecapipe --version`` and ``--help`` against ``python -c "import typer"``.

Repeat it with: .venv/bin/python tests/bench/version_and_help.py
"""

from __future__ import annotations

from measure import ECAPIPE, PYTHON, Program, compare, least

ROUNDS = 20


def main() -> None:
    cost = least(
        ROUNDS,
        typer=Program((PYTHON, "-c", "import typer")),
        version=Program((ECAPIPE, "--version")),
        help=Program((ECAPIPE, "--help")),
    )
    compare("ecapipe --version / import typer", cost["version"], cost["typer"], 1.3)
    compare("ecapipe --help / import typer", cost["help"], cost["typer"], 1.6)


if __name__ == "__main__":
    main()
