"""``--resume``: the command line of a run that goes on with an earlier one, and what is known of that one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from ecapipe.adapters.project_tree.disk import Disk
from ecapipe.adapters.storage import files, journal
from ecapipe.cli.commands import Command
from ecapipe.cli.session import CommandSession
from ecapipe.documents import run_results
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import options_not_repeatable
from ecapipe.secret import redact

if TYPE_CHECKING:
    from typer import Context

FLAG: Final = "--resume"
KEY: Final = "--jwt-key-file"
"""What holds no file may hold the key itself, and is not recorded."""
ARGUMENTS: Final = "ecapipe.arguments"
"""Where the context has the arguments that serve a run again."""

_LARGEST: Final = 512 * 2**20
_DISPLAY_FLAGS: Final = frozenset({"--json", "--concise", "--verbose", "--no-progress"})
"""Flags that say how the run is shown: each time anew."""
_MODE_FLAGS: Final = _DISPLAY_FLAGS | {FLAG, "--no-prompt", "-p", "--dry-run", "--no-journal", "--no-board"}
"""Flags that do not say what is to be done, but how."""
_MODE_OPTIONS: Final = frozenset({"--wait", "-w", "--concurrency", "--browser", "-b", "--board-port", "--report"})
"""The same, with a value."""


class ResumableCommand(Command):
    """A command whose ``--resume`` may stand alone, and then stands for the whole command line of that run."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]
        given = _join_values(args)
        if any(each.startswith(f"{FLAG}=") for each in given) and _only_modes(given):
            given = _repeat(ctx.obj, given)
        again = [each for each in given if each not in _DISPLAY_FLAGS and not each.startswith(f"{FLAG}=")]
        recordable = not any(redact(each) != each for each in again) and all(map(os.path.isfile, _values(again, KEY)))
        ctx.meta[ARGUMENTS] = again if recordable else None
        return super().parse_args(ctx, given)


@contextmanager
def open_earlier_run(
    session: CommandSession, given: str | None, roots: Sequence[str]
) -> Iterator[tuple[RecordedRun | None, str | None]]:
    """What is known of the run that `given` means, and its name: the latest of a project in `roots` for an empty one,
    a run by the start of its name, a JSON result by its path. Nobody else goes on with it while the context lasts.

    Raises `EcapipeError`: RunNotFound, RunAmbiguous, RunGoingOn, or what keeps it from being read.
    """
    if given is None:
        yield None, None
    elif _is_file(given):
        found = run_results.load(files.read(given, _LARGEST, FLAG), given)
        yield found, found.run or None
    else:
        entry = journal.find(session.environment, given or None, roots)
        with journal.held(entry) as recorded:
            yield recorded, entry.run


def _join_values(args: Sequence[str]) -> list[str]:
    """The arguments with each ``--resume`` joined to its value, empty for none."""
    filled: list[str] = []
    waiting = False
    for each in args:
        if waiting:
            waiting = False
            if not each.startswith("-"):
                filled[-1] += each
                continue
        waiting = each == FLAG
        filled.append(f"{FLAG}=" if waiting else each)
    return filled


def _values(given: Sequence[str], flag: str) -> list[str]:
    """What each `flag` in `given` is given."""
    joined = [each.partition("=")[2] for each in given if each.startswith(f"{flag}=")]
    return joined + [value for each, value in pairwise([*given, ""]) if each == flag]


def _only_modes(given: Sequence[str]) -> bool:
    """Whether nothing in `given` says what is to be done, so that the run that is meant has to."""
    words = iter(given)
    for each in words:
        name, joined, _ = each.partition("=")
        if name in _MODE_OPTIONS:
            if not joined:
                next(words, None)
        elif name not in _MODE_FLAGS:
            return False
    return True


def _repeat(session: CommandSession, given: list[str]) -> list[str]:
    """The arguments of the run that is meant, and `given`; these alone for a JSON result, which has none.

    Raises `EcapipeError`: as `open_earlier_run`, and OptionsNotRepeatable.
    """
    *_, flag = (each for each in given if each.startswith(f"{FLAG}="))
    name = flag.partition("=")[2]
    if _is_file(name):
        return given
    here = os.getcwd()
    entry = journal.find(session.environment, name or None, [Disk().project_above(here) or here], here)
    written = entry.journal
    if written.arguments is None or written.folder != here:
        folder = None if written.arguments is None else written.folder
        raise EcapipeError(options_not_repeatable(entry.run, folder))
    rest = [each for each in given if not each.startswith(f"{FLAG}=")]
    return [*written.arguments, *rest, f"{FLAG}={entry.run}"]  # of two values the last one counts


def _is_file(name: str) -> bool:
    return os.sep in name or "." in name or os.path.isfile(name)
