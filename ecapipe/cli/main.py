"""The command line: words in, exit status out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from ecapipe import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ecapipe.cli.interrupts import Interrupts

_QUICK: tuple[list[str], ...] = (
    *([], ["-h"], ["--help"]),
    *(["--version"], ["--version", "--verbose"], ["--verbose", "--version"]),
)
"""Command lines that need no command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status.

    What needs no command loads none: the version and the overview come at the price of the interpreter.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _fill_closed_streams()
    # What people wait for at the prompt comes first, and needs neither typer nor a session.
    if "_ECAPIPE_COMPLETE" not in os.environ and words in _QUICK:
        return _end(words, lambda: _run_quick(words))
    from ecapipe.cli.interrupts import Interrupts

    interrupts = Interrupts()
    return interrupts.end(_end(words, lambda: _run(words, interrupts)))


def _end(words: list[str], run: Callable[[], int]) -> int:
    """Run, and write what is left to be written; the exit status."""
    try:
        status = run()
        # Here rather than at exit, where a failure could no longer change the exit status.
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        # Whoever read, as head does, has enough: there is nothing to say.
        status = 1
    except OSError as error:
        status = _fail_unwritten(error)
    except KeyboardInterrupt:
        # It came before a command was there to take it.
        status = _fail_interrupted(words)
    _discard_output()
    return status


def _discard_output() -> None:
    """Keep the interpreter from failing when it flushes, at exit, what a stream did not take."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _fill_closed_streams() -> None:
    """Put the null device in the place of standard streams that whoever started us has closed."""
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")


def _fail_unwritten(error: OSError) -> int:
    """Report that standard output takes nothing, if standard error still does; the exit status."""
    from contextlib import suppress

    from ecapipe.problems.usage import output_not_written
    from ecapipe.render import text

    problem = output_not_written((error.strerror or "unknown reason").lower())
    with suppress(OSError):
        text.write(sys.stderr, text.problem(problem))
    return problem.exit_code


def _fail_interrupted(words: list[str]) -> int:
    """Report an interrupt that no command took, as JSON if the command line says so; the exit status."""
    from ecapipe.adapters import environment
    from ecapipe.cli.session import open_session
    from ecapipe.problems.usage import interrupted

    session = open_session(words, environment.process(), sys.stdout, sys.stderr)
    try:
        return session.fail(interrupted(), "ecapipe")
    except OSError:
        return 1


def _run_quick(words: list[str]) -> int:
    if words == ["--version"]:
        sys.stdout.write(f"ecapipe {__version__}\n")
    elif "--version" in words:
        from ecapipe.cli import version
        from ecapipe.render import text

        text.write(sys.stdout, version.details())
    else:
        from ecapipe.cli import help

        sys.stdout.write("\n".join(help.overview(full=words == ["--help"])) + "\n")
    return 0


def _run(words: list[str], interrupts: Interrupts) -> int:
    # Before other imports, which take long enough for somebody to press Ctrl-C.
    interrupts.install()
    if "_ECAPIPE_COMPLETE" in os.environ:
        status = _complete(words)
    elif words[0] in ("--show-completion", "--install-completion"):
        status = _set_up_completion(words)
    else:
        from ecapipe.cli import root

        status = root.main(words, interrupts)
    # The end is said: nothing may add to it.
    interrupts.retire()
    return status


def _complete(words: list[str]) -> int:
    """Answer the script of a shell."""
    from ecapipe.adapters import environment
    from ecapipe.cli import completion
    from ecapipe.render import text

    text.write(sys.stdout, completion.answer(words, environment.process()))
    return 0


def _set_up_completion(words: list[str]) -> int:
    from ecapipe.adapters import environment
    from ecapipe.cli import completion
    from ecapipe.cli.session import open_session
    from ecapipe.problems.problem import EcapipeError
    from ecapipe.render import text

    session = open_session(words, environment.process(), sys.stdout, sys.stderr)
    try:
        text.write(sys.stdout, completion.main(words, session.environment))
    except EcapipeError as error:
        return session.fail(error.problem, "ecapipe")
    return 0
