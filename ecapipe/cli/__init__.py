"""Options in, exit code out; the only place that knows typer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from ecapipe import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status.

    What needs no command loads none: the version and the overview come at the price of the interpreter.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads on: keep the interpreter from failing again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(given: list[str]) -> int:
    if given == ["--version"]:
        sys.stdout.write(f"ecapipe {__version__}\n")
        return 0
    if given in ([], ["-h"], ["--help"]):
        from ecapipe.cli import help

        sys.stdout.write("\n".join(help.overview(full=given == ["--help"])) + "\n")
        return 0
    from ecapipe.cli import root

    return root.main(given)
