"""A command line from its words to its exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import typer
from typer import exceptions

from ecapipe.adapters import environment
from ecapipe.cli.commands import Command, Group
from ecapipe.cli.help import COMMANDS
from ecapipe.cli.interrupts import Interrupts
from ecapipe.cli.session import CommandSession, open_session
from ecapipe.events import Unwritten
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import bug, interrupted, no_current_folder, usage_error

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""How the system says that a stream takes nothing."""


def main(words: list[str], interrupts: Interrupts) -> int:
    """Run the command line `words`, which is not empty; the exit status.

    Raises `BrokenPipeError` and `Unwritten` where the output does not take what was done.
    """
    session = open_session(words, environment.process(), sys.stdout, sys.stderr, interrupts)
    command = _command_name(words)
    try:
        _start_log(session)
        return _run(words, session)
    except EcapipeError as error:
        return session.fail(error.problem, command)
    except exceptions.TyperException as error:
        return session.fail(_usage_problem(error, command), command)
    except (KeyboardInterrupt, exceptions.Abort):
        return session.fail(interrupted(), command)
    except (BrokenPipeError, Unwritten):
        # There is nobody to report it to, or nothing to report it with: `ecapipe.cli.main` ends quietly.
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename is None and error.errno in _NO_ROOM:
            # What prints for itself, as typer does its help.
            raise Unwritten(error.errno, error.strerror) from None
        if isinstance(error, FileNotFoundError) and not _has_current_folder():
            return session.fail(no_current_folder(), command)
        return session.fail(bug(error), command, _stack(error, session))


def _run(words: list[str], session: CommandSession) -> int:
    """Load the one command that the first word names, and run it."""
    if words[0] in ("-h", "--help"):
        # In front of a command it means the same as behind it.
        words = [*words[1:], words[0]]
    name = words[0]
    if name == "--version":
        raise EcapipeError(usage_error("--version goes with --verbose, and with nothing else.", "ecapipe"))
    if name.startswith("-"):
        raise EcapipeError(usage_error(f"Nonexistent flag: {name}.", "ecapipe"))
    if name not in COMMANDS:
        hints = did_you_mean(name, COMMANDS)
        raise EcapipeError(usage_error(f"{name} is not an ecapipe command.", "ecapipe", *hints))
    if words == [name] and COMMANDS[name].children:
        words = [name, "-h"]
    command = typer.main.get_command(_build_parser(name))
    try:
        # Not typer's own main, which would keep an interrupt and a broken pipe to itself.
        with command.make_context("ecapipe", words, obj=session) as context:
            return int(command.invoke(context) or 0)
    except exceptions.Exit as end:
        # typer leaves this way once it has printed help.
        return end.exit_code


def _build_parser(name: str) -> typer.Typer:
    """The command line with this one command, so that only its imports cost time."""
    parser = typer.Typer(
        cls=Group,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # With a callback typer takes the command's name even where there is just one command.
    parser.callback()(lambda: None)
    module = import_module(f"ecapipe.cli.{name}")
    if COMMANDS[name].children:
        parser.add_typer(module.commands, name=name)
    else:
        command_class = getattr(module, "COMMAND_CLASS", Command)
        parser.command(name, cls=command_class)(getattr(module, name))
    return parser


def _start_log(session: CommandSession) -> None:
    """Log where a variable asks for it; raises `EcapipeError` (UsageError) for a level that does not exist."""
    names = ("ECAPIPE_LOG_LEVEL", "SF_LOG_LEVEL")
    name = next((name for name in names if session.environment.get(name)), None)
    if name is None:
        return
    # Logging is loaded for those who ask for it.
    from ecapipe.render import log

    level = (session.environment.get(name) or "").lower()
    if level not in log.LEVELS:
        levels = ", ".join(log.LEVELS)
        raise EcapipeError(usage_error(f"{name} is {level}, which is no log level.", "ecapipe", f"Use {levels}."))
    log.configure(level, session.err)


def _has_current_folder() -> bool:
    """Whether the folder that we were started in is still there."""
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


def _usage_problem(error: exceptions.TyperException, command: str) -> Problem:
    """What typer says, in our words where it guesses at a name."""
    hints = [f"Did you mean {name}?" for name in getattr(error, "possibilities", None) or ()]
    message = error.format_message()
    if hints:
        message = f"Nonexistent flag: {getattr(error, 'option_name', '')}."
    return usage_error(message, command, *hints)


def _command_name(words: Sequence[str]) -> str:
    """The command of a command line, as usage and the JSON envelope name it."""
    topic, *rest = [word for word in words if not word.startswith("-")][:2] or [""]
    if topic not in COMMANDS:
        return "ecapipe"
    return " ".join(["ecapipe", topic, *(word for word in rest if word in COMMANDS[topic].children)])


def _stack(error: Exception, session: CommandSession) -> str | None:
    """Where it happened, for developers of ecapipe; the frames alone, since messages can hold values."""
    if session.environment.get("SF_ENV") != "development":
        return None
    return "".join(traceback.format_tb(error.__traceback__))
