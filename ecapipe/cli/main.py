"""The command line: words in, exit status out."""

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
    _fill_closed_streams()
    try:
        status = _run(given)
        sys.stdout.flush()
    except OSError as error:  # of the output: nobody reads on, or there is no room for it
        # Keep the interpreter from failing again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1 if isinstance(error, BrokenPipeError) else _unwritten(error)
    except KeyboardInterrupt:  # it came before a command was there to take it
        return _interrupted(given)
    return status


def _fill_closed_streams() -> None:
    """Put the null device in the place of standard streams that whoever started us has closed."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")


def _unwritten(error: OSError) -> int:
    """Tell that standard output takes nothing, where that can still be told."""
    from contextlib import suppress

    from ecapipe.problems.usage import output_not_written
    from ecapipe.render import text

    problem = output_not_written((error.strerror or "unknown reason").lower())
    with suppress(OSError):
        text.write(sys.stderr, text.problem(problem))
    return problem.exit_code


def _interrupted(given: list[str]) -> int:
    """Tell of an interrupt that no command took, in the form that was asked for."""
    from ecapipe.adapters import environment
    from ecapipe.cli.session import open_session
    from ecapipe.problems.usage import interrupted

    session = open_session(given, environment.process(), sys.stdout, sys.stderr)
    return session.fail(interrupted(), "ecapipe")


def _run(given: list[str]) -> int:
    if "_ECAPIPE_COMPLETE" in os.environ:
        return _complete(given)
    if given == ["--version"]:
        sys.stdout.write(f"ecapipe {__version__}\n")
        return 0
    if given in ([], ["-h"], ["--help"]):
        from ecapipe.cli import help

        sys.stdout.write("\n".join(help.overview(full=given == ["--help"])) + "\n")
        return 0
    if given[0] in ("--show-completion", "--install-completion"):
        return _set_up_completion(given)
    from ecapipe.cli.interrupts import Interrupts

    interrupts = Interrupts()
    interrupts.install()  # what comes next takes its time
    from ecapipe.cli import root

    status = root.main(given, interrupts)
    interrupts.retire()
    return status


def _complete(words: list[str]) -> int:
    """Answer the script of a shell."""
    from ecapipe.adapters import environment
    from ecapipe.cli import completion
    from ecapipe.render import text

    text.write(sys.stdout, completion.answer(words, environment.process()))
    return 0


def _set_up_completion(given: list[str]) -> int:
    from ecapipe.adapters import environment
    from ecapipe.cli import completion
    from ecapipe.cli.session import open_session
    from ecapipe.problems.problem import EcapipeError
    from ecapipe.render import text

    session = open_session(given, environment.process(), sys.stdout, sys.stderr)
    try:
        text.write(sys.stdout, completion.main(given, session.environment))
    except EcapipeError as error:
        return session.fail(error.problem, "ecapipe")
    return 0
