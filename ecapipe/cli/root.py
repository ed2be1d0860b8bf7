"""A command line from its words to its exit code."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import typer
from typer import exceptions

from ecapipe.adapters import environment
from ecapipe.cli.commands import Command, Group
from ecapipe.cli.help import COMMANDS
from ecapipe.cli.interrupts import Interrupts
from ecapipe.cli.session import CommandSession, open_session
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import internal_error, interrupted, usage_error
from ecapipe.render import text
from ecapipe.secret import REDACTED


def main(given: list[str], interrupts: Interrupts) -> int:
    """Run the command line `given`, which is not empty; the exit status.

    Raises `BrokenPipeError` and `text.Unwritten` where the output does not take what was done.
    """
    session = open_session(given, environment.process(), sys.stdout, sys.stderr, interrupts)
    try:
        _start_log(session)
        return _run(given, session)
    except EcapipeError as error:
        return session.fail(error.problem, _command(given))
    except exceptions.TyperException as error:
        return session.fail(_usage(error, _command(given)), _command(given))
    except (KeyboardInterrupt, exceptions.Abort):
        interrupts.retire()
        return session.fail(interrupted(), _command(given))
    except (BrokenPipeError, text.Unwritten):  # there is nobody to tell, or nothing to tell it with
        raise
    except Exception as error:
        return session.fail(_bug(error), _command(given), _stack(error, session))


def _run(given: list[str], session: CommandSession) -> int:
    """Load the one command that is meant, and run it."""
    if given[0] in ("-h", "--help"):  # before the command means what it does behind it
        given = [*given[1:], given[0]]
    name = given[0]
    if name.startswith("-"):
        raise EcapipeError(usage_error(f"Nonexistent flag: {name}.", "ecapipe"))
    if name not in COMMANDS:
        meant = did_you_mean(name, COMMANDS)
        raise EcapipeError(usage_error(f"{name} is not an ecapipe command.", "ecapipe", *meant))
    if given == [name] and COMMANDS[name].children:
        given = [name, "-h"]
    command = typer.main.get_command(_line(name))
    try:  # typer's own main would keep an interrupt and a broken pipe to itself
        with command.make_context("ecapipe", given, obj=session) as context:
            return int(command.invoke(context) or 0)
    except exceptions.Exit as ended:  # help has been printed
        return ended.exit_code


def _line(name: str) -> typer.Typer:
    """The command line with this one command."""
    line = typer.Typer(
        cls=Group,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    line.callback()(lambda: None)
    module = import_module(f"ecapipe.cli.{name}")
    if COMMANDS[name].children:
        line.add_typer(module.commands, name=name)
    else:
        line.command(name, cls=getattr(module, "SHAPE", Command))(getattr(module, name))
    return line


def _start_log(session: CommandSession) -> None:
    """Log where a variable asks for it; raises `EcapipeError` (UsageError) for a level that does not exist."""
    name = next((name for name in ("ECAPIPE_LOG_LEVEL", "SF_LOG_LEVEL") if session.environment.get(name)), None)
    if name is None:
        return
    from ecapipe.render import log

    level = (session.environment.get(name) or "").lower()
    if level not in log.LEVELS:
        levels = ", ".join(log.LEVELS)
        raise EcapipeError(usage_error(f"{name} is {level}, which is no log level.", "ecapipe", f"Use {levels}."))
    log.configure(level, session.err)


def _usage(error: exceptions.TyperException, command: str) -> Problem:
    """What typer says, in our words where it guesses at a name."""
    meant = [f"Did you mean {name}?" for name in getattr(error, "possibilities", None) or ()]
    message = f"Nonexistent flag: {getattr(error, 'option_name', '')}." if meant else error.format_message()
    if message.startswith("Got unexpected extra argument"):  # a long one may be a secret, put there by mistake
        message = re.sub(r"[^\s()]{12,}", REDACTED, message)
    return usage_error(message, command, *meant)


def _command(given: Sequence[str]) -> str:
    """The command a line means, as usage and the JSON envelope name it."""
    topic, *rest = [word for word in given if not word.startswith("-")][:2] or [""]
    if topic not in COMMANDS:
        return "ecapipe"
    return " ".join(["ecapipe", topic, *(word for word in rest if word in COMMANDS[topic].children)])


def _bug(error: Exception) -> Problem:
    """Names only, no values: the exception's own text may hold anything."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "ecapipe" in frame.filename]
    where = f"{frames[-1].name}, line {frames[-1].lineno}" if frames else "an unknown place"
    return internal_error(type(error).__name__, where)


def _stack(error: Exception, session: CommandSession) -> str | None:
    """Where it happened, for developers of ecapipe; the frames alone, since messages can hold values."""
    if session.environment.get("SF_ENV") != "development":
        return None
    return "".join(traceback.format_tb(error.__traceback__))
