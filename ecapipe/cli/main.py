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
    words = list(sys.argv[1:] if arguments is None else arguments)
    _fill_closed_streams()
    try:
        status = _run(words)
        # Here rather than at exit, where a failure could no longer change the exit status.
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read, as head does, has enough: there is nothing to say.
        _discard_output()
        return 1
    except OSError as error:
        _discard_output()
        return _fail_unwritten(error)
    except KeyboardInterrupt:
        # It came before a command was there to take it.
        return _fail_interrupted(words)
    return status


def _discard_output() -> None:
    """Keep the interpreter from failing again when it flushes standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    return session.fail(interrupted(), "ecapipe")


def _run(words: list[str]) -> int:
    # Completion and help come first: they are what people wait for at the prompt, and need neither typer nor a
    # session.
    if "_ECAPIPE_COMPLETE" in os.environ:
        return _complete(words)
    if words == ["--version"]:
        sys.stdout.write(f"ecapipe {__version__}\n")
        return 0
    if words in ([], ["-h"], ["--help"]):
        from ecapipe.cli import help

        sys.stdout.write("\n".join(help.overview(full=words == ["--help"])) + "\n")
        return 0
    if words[0] in ("--show-completion", "--install-completion"):
        return _set_up_completion(words)
    from ecapipe.cli.interrupts import Interrupts

    interrupts = Interrupts()
    # Before the import, which takes long enough for somebody to press Ctrl-C.
    interrupts.install()
    from ecapipe.cli import root

    status = root.main(words, interrupts)
    # The end is said: nothing may add to it while the interpreter shuts down.
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
