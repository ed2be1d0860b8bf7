"""Options in, exit code out; the only place that knows typer."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer
from typer import exceptions

from ecapipe import __version__, problems
from ecapipe.cli import app, emulator, explain
from ecapipe.cli import run as run_command
from ecapipe.cli.help import Command, Group
from ecapipe.cli.session import Session, open_session
from ecapipe.edges import environment
from ecapipe.problems import EcapipeError, Problem
from ecapipe.render import text

commands = typer.Typer(
    name="ecapipe",
    cls=Group,
    help="From a retrieved Salesforce project to a verified token.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
commands.command("run", cls=Command)(run_command.run)
commands.add_typer(app.commands, name="app")
commands.add_typer(emulator.commands, name="emulator")
commands.command("explain", cls=Command)(explain.explain)


@commands.callback()
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """From a retrieved Salesforce project to a verified token."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit status."""
    signal.signal(signal.SIGTERM, _terminated)
    given = list(sys.argv[1:] if arguments is None else arguments)
    session = open_session(given, environment.process(), sys.stdout, sys.stderr)
    try:
        _start_log(session)
        return _run(given, session)
    except EcapipeError as error:
        return session.fail(error.problem, _command(given))
    except exceptions.TyperException as error:
        return session.fail(_usage(error, _command(given)), _command(given))
    except (KeyboardInterrupt, exceptions.Abort):
        return session.fail(problems.interrupted(), _command(given))
    except BrokenPipeError:
        # Nobody reads on: keep the interpreter from failing again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        return session.fail(_bug(error), _command(given), _stack(error, session))


def _run(given: list[str], session: Session) -> int:
    if given == ["--version"]:
        text.write(session.out, [f"ecapipe {__version__}"])
        return 0
    if not given or given in (["app"], ["emulator"]):
        given = [*given, "--help"]
    status = typer.main.get_command(commands).main(given, prog_name="ecapipe", standalone_mode=False, obj=session)
    return int(status or 0)


def _start_log(session: Session) -> None:
    """Log where a variable asks for it; raises `EcapipeError` (UsageError) for a level that does not exist."""
    name = next((name for name in ("ECAPIPE_LOG_LEVEL", "SF_LOG_LEVEL") if session.environment.get(name)), None)
    if name is None:
        return
    from ecapipe.render import log

    level = (session.environment.get(name) or "").lower()
    if level not in log.LEVELS:
        levels = ", ".join(log.LEVELS)
        raise EcapipeError(
            problems.usage_error(f"{name} is {level}, which is no log level.", "ecapipe", f"Use {levels}.")
        )
    log.configure(level, session.err)


def _usage(error: exceptions.TyperException, command: str) -> Problem:
    """What typer says, in our words where it guesses at a name."""
    meant = [f"Did you mean {name}?" for name in getattr(error, "possibilities", None) or ()]
    message = f"Nonexistent flag: {getattr(error, 'option_name', '')}." if meant else error.format_message()
    return problems.usage_error(message, command, *meant)


def _command(given: Sequence[str]) -> str:
    """The command a line means, as usage and the JSON envelope name it."""
    topics = {
        group.name: [command.name for command in group.typer_instance.registered_commands]
        for group in commands.registered_groups
        if group.typer_instance
    }
    words = [word for word in given if not word.startswith("-")][:2]
    if words and words[0] in topics:
        return " ".join(["ecapipe", words[0], *(word for word in words[1:] if word in topics[words[0]])])
    if words and words[0] in [command.name for command in commands.registered_commands]:
        return f"ecapipe {words[0]}"
    return "ecapipe"


def _bug(error: Exception) -> Problem:
    """Names only, no values: the exception's own text may hold anything."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ecapipe" in frame.filename]
    where = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else "an unknown place"
    return problems.internal_error(type(error).__name__, where)


def _stack(error: Exception, session: Session) -> str | None:
    """Where it happened, for developers of ecapipe; the frames alone, since messages can hold values."""
    if session.environment.get("SF_ENV") != "development":
        return None
    return "".join(traceback.format_tb(error.__traceback__))


def _terminated(signal_number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does."""
    raise KeyboardInterrupt
