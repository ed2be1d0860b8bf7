"""A command line from its words to its exit code."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Final

import typer
from typer import exceptions

from ecapipe.adapters import environment
from ecapipe.cli import help, mistakes
from ecapipe.cli.commands import Command, Group, load_topic
from ecapipe.cli.help import COMMANDS
from ecapipe.cli.interrupts import Interrupts
from ecapipe.cli.session import CommandSession, open_session
from ecapipe.events import Unwritten
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import bug, interrupted, no_current_folder, usage_error
from ecapipe.render import text

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)
"""How the system says that a stream takes nothing."""


def main(words: list[str], interrupts: Interrupts) -> int:
    """Run the command line `words`, which is not empty; the exit status.

    Raises `BrokenPipeError` and `Unwritten` where the output does not take what was done.
    """
    words = _spell_out(list(_apart(words)))
    session = open_session(words, environment.process(), sys.stdout, sys.stderr, interrupts)
    command = _command_name(words)
    try:
        _start_log(session)
        return _run(words, session)
    except EcapipeError as error:
        return session.fail(error.problem, command, about=error.about)
    except exceptions.TyperException as error:
        return session.fail(mistakes.usage_problem(error, command), command)
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
    if name == help.HELP:
        return _help(words[1:], session)
    if name == "--version":
        raise EcapipeError(usage_error("--version can only be used with --verbose.", "ecapipe"))
    if name not in COMMANDS:
        raise EcapipeError(mistakes.unknown_word(words, "ecapipe", [*COMMANDS, help.HELP]))
    if words == [name] and COMMANDS[name].children:
        words = [name, "-h"]
    command = typer.main.get_command(_build_parser(words))
    try:
        # Not typer's own main, which would keep an interrupt and a broken pipe to itself.
        with command.make_context("ecapipe", words, obj=session) as context:
            return int(command.invoke(context) or 0)
    except exceptions.Exit as end:
        # typer leaves this way once it has printed help.
        return end.exit_code


def _apart(words: Sequence[str]) -> Iterator[str]:
    """``-o=VALUE`` in two words, as `sf` takes it."""
    rest = iter(words)
    for word in rest:
        if word == "--":
            yield word
            yield from rest
        elif re.match("-[a-z]=", word):
            yield from (word[:2], word[3:])
        else:
            yield word


def _spell_out(words: list[str]) -> list[str]:
    """``help COMMAND`` as the flag of that command, which may be written as `sf` does, ``app:list``."""
    topic = [word for word in words[1:] if word not in ("-h", "--help")]
    if words[0] == help.HELP and topic and topic[0] not in (*help.TOPICS, help.HELP):
        return [*topic[0].split(":"), *topic[1:], "--help"]
    return words


def _help(words: list[str], session: CommandSession) -> int:
    """Print the overview, or the page of a topic; raises `EcapipeError` (UsageError) for more words."""
    names = [word for word in words if word not in ("-h", "--help", help.HELP)]
    extra = names[1:] if names[:1] and names[0] in help.TOPICS else names
    if extra:
        raise EcapipeError(usage_error(f"Unexpected argument: {extra[0]}.", "ecapipe"))
    lines = help.topic(names[0]) if names else help.overview(full=True)
    text.write(session.out, lines)
    return 0


def _build_parser(words: Sequence[str]) -> typer.Typer:
    """The command line with the one command that `words` begin with, so that only its imports and flags cost time."""
    name = words[0]
    parser = typer.Typer(
        cls=Group,
        rich_markup_mode=None,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # With a callback typer takes the command's name even where there is just one command.
    parser.callback()(lambda: None)
    if children := COMMANDS[name].children:
        # All of them where none is named, or one that does not exist.
        named = [child for child in children if child in words[1:2]]
        parser.add_typer(load_topic(name, named or children), name=name)
    else:
        module = import_module(f"ecapipe.cli.{name}")
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
        raise EcapipeError(
            usage_error(f"{name} is set to {level}, which isn't a log level.", "ecapipe", f"Use {levels}.")
        )
    log.configure(level, session.err)


def _has_current_folder() -> bool:
    """Whether the folder that we were started in is still there."""
    try:
        return bool(os.getcwd())
    except FileNotFoundError:
        return False


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
