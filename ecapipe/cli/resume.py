"""``--resume``: the command line of a run that goes on with an earlier one, and what is known of that one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from ecapipe.adapters.project_tree.disk import Disk
from ecapipe.adapters.storage import files
from ecapipe.cli import mistakes
from ecapipe.cli.arguments import Parameter, presentable, values
from ecapipe.cli.commands import Command
from ecapipe.cli.session import CommandSession
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.orgs.org_file import OrgFile
from ecapipe.orgs.org_rows import OrgRow, RowPlace
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import options_not_repeatable, usage_error
from ecapipe.secret import REDACTED

if TYPE_CHECKING:
    from typer import Context

FLAG: Final = "--resume"

_MAX_RESULT: Final = 512 * 2**20
"""Bytes of a JSON result; 100,000 logins take half of that."""
_DISPLAY_FLAGS: Final = frozenset({"--json", "--concise", "--verbose", "--no-progress"})
"""Flags that say how the run is shown: each time anew."""
_TREES: Final = frozenset(("source_dir", "metadata_dir", "credentials_dir"))
"""Options that say where the apps are. With one of them a command line stands for itself."""
_ORGS: Final = frozenset(("target_org", "file", "all_orgs", "emulator"))
SELECTIONS: Final = (frozenset(("name",)), _ORGS)
"""Options that say which apps are meant, and which orgs: one of them replaces all of its kind."""
_OF_RESULT: Final = frozenset(
    (
        *("source_dir", "name", "no_project_config", "emulator", "flow", "callback", "browser", "scopes", "username"),
        *("until", "wait", "settle", "concurrency", "shard", "secret_from", "save", "store", "hand_over", "retrieve"),
        *("revoke", "dpop"),
    )
)
"""Options that a JSON result may bring along. It may come from anybody: where secrets go, which files are read or
written and what they replace is for the user to say."""


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The command line of an earlier run: what is recorded of it (None: it may hold a secret), and the folder that
    its paths are relative to."""

    run: str
    arguments: Sequence[str] | None
    folder: str


class ResumableCommand(Command):
    """A command whose ``--resume`` may stand alone, and then stands for the whole command line of that run."""

    rotates = False
    kinds: Sequence[frozenset[str]] = SELECTIONS
    """Options of which one replaces all of its kind."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:  # type: ignore[override]
        words = _check_words(ctx, self, args)
        typed = {each.name for each in _each_option(words, self.params)}
        # What the earlier run was given, a flag here replaces.
        if any(_is_resume(word) for word in words) and typed.isdisjoint(_TREES):
            words = self.repeat(ctx.obj, words)
            repeated = {each.name for each in _each_option(words, self.params)} - typed
            ctx.obj = replace(ctx.obj, repeated=frozenset(repeated))
        repeatable = [word for word in words if word not in _DISPLAY_FLAGS and not _is_resume(word)]
        shown = presentable(repeatable, self.params)
        ctx.obj = replace(ctx.obj, options=tuple(shown))
        if shown == list(repeatable):
            ctx.obj = replace(ctx.obj, arguments=tuple(repeatable))
        return super(Command, self).parse_args(ctx, words)

    def earlier(self, session: CommandSession, name: str) -> CommandLine:
        """The command line of a run on this machine, the latest one for an empty name. Raises `EcapipeError`."""
        from ecapipe.adapters.storage import journal

        here = os.getcwd()
        entry = journal.find(session.environment, name or None, [Disk().project_above(here) or here], here)
        return CommandLine(entry.run, entry.journal.arguments, entry.journal.folder)

    def repeat(self, session: CommandSession, words: list[str]) -> list[str]:
        """The words of the earlier run, but for the apps or orgs where `words` say which are meant, then `words`.

        Raises `EcapipeError`: as `earlier` and `options_of`, and OptionsNotRepeatable.
        """
        *_, flag = (word for word in words if _is_resume(word))
        name = flag.partition("=")[2]
        if is_file(name):
            return [*self._without_replaced(self.options_of(name), words), *words]
        earlier = self.earlier(session, name)
        # Paths on a command line are relative to the folder it is given in.
        folder = earlier.folder if earlier.folder != os.getcwd() else None
        if earlier.arguments is None or folder:
            if any(option.name in _ORGS for option in _each_option(words, self.params)):
                return words  # the options were passed again
            folder = None if earlier.arguments is None else folder
            raise EcapipeError(options_not_repeatable(earlier.run, folder, rotates=self.rotates))
        rest = [word for word in words if not _is_resume(word)]
        # `rest` comes second, since of two values of an option typer takes the last one.
        return [*self._without_replaced(earlier.arguments, words), *rest, f"{FLAG}={earlier.run}"]

    def _without_replaced(self, recorded: Sequence[str], words: Sequence[str]) -> Iterator[str]:
        """The words of an earlier run without those that `words` replace."""
        typed = {option.name for option in _each_option(words, self.params)}
        replaced = frozenset[str]().union(*(each for each in self.kinds if each & typed))
        for option in _each_option(recorded, self.params):
            if option.name not in replaced:
                yield from option.words

    def options_of(self, path: str) -> list[str]:
        """What a JSON result says of the command line of its run. Raises `EcapipeError`."""
        return _options_of(path, self.params)


@contextmanager
def open_earlier_run(
    session: CommandSession, value: str | None, roots: Sequence[str]
) -> Iterator[tuple[RecordedRun | None, str | None]]:
    """The run that the `value` of ``--resume`` names, and its name: the latest of a project in `roots` for an empty
    one, a run by the start of its name, a JSON result by its path. Nobody else goes on with it while the context
    lasts.

    Raises `EcapipeError`: RunNotFound, RunAmbiguous, RunGoingOn, or what keeps it from being read.
    """
    if value is None:
        yield None, None
        return
    # Most runs go on with none, and need nothing that reads one.
    from ecapipe.documents import run_results

    if is_file(value):
        run = run_results.load(files.read(value, _MAX_RESULT, FLAG), value)
        yield run, run.run or None
    else:
        from ecapipe.adapters.storage import journal

        entry = journal.find(session.environment, value or None, roots)
        with journal.held(entry) as recorded:
            yield recorded, entry.run


def _is_resume(word: str) -> bool:
    """Whether `word` is ``--resume`` with its value."""
    return word.startswith(f"{FLAG}=")


def _check_words(ctx: Context, command: Command, args: Sequence[str]) -> list[str]:
    """The words of a command line with each ``--resume`` joined to its value, empty for none.

    Raises `EcapipeError` (UsageError) for what `mistakes.refuse` refuses, and for a value that is given and empty.
    """
    if f"{FLAG}=" in args or (FLAG, "") in pairwise(args):
        raise EcapipeError(usage_error(f"{FLAG} expects a run or a file, but it is empty.", ctx.command_path))
    words = join_values(args)
    if sum(map(_is_resume, words)) > 1:
        raise EcapipeError(usage_error(f"{FLAG} can only be given once.", ctx.command_path))
    mistakes.refuse(ctx, command, [word for word in words if word != f"{FLAG}="])
    return words


def join_values(words: Sequence[str]) -> list[str]:
    """The words of a command line with each ``--resume`` joined to its value, empty for none.

    typer knows no option whose value may be left out.
    """
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == FLAG:
            joined[-1] = f"{FLAG}="
            if not word.startswith("-"):
                joined[-1] += word
                continue
        joined.append(word)
    if joined and joined[-1] == FLAG:
        joined[-1] = f"{FLAG}="
    return joined


@dataclass(frozen=True, slots=True)
class _Option:
    """An option of a command line: its name, its words, and the folders among them."""

    name: str
    words: list[str]
    folders: list[str]


def _each_option(words: Sequence[str], parameters: Sequence[Parameter]) -> list[_Option]:
    """The options of a command line, in order."""
    names = {word: each.name for each in parameters for word in each.opts}
    options: list[_Option] = []
    for before, value, kind in values(words, parameters):
        if before or value in names or not options:
            options.append(_Option(names.get(before.removesuffix("=") or value, ""), [], []))
        options[-1].words.append(before + value)
        if kind == "DIR":
            options[-1].folders.append(value)
    return options


def orgs_of(run: RecordedRun, name: str) -> OrgFile:
    """The orgs of an earlier run, as an org file has them. What a JSON result says counts as the tree's word."""
    apps_of: dict[str, set[str]] = {}
    trees: dict[str, str] = {}
    for target in run.targets:
        if target.app and target.org:
            apps_of.setdefault(target.org, set()).add(target.app)
            trees[target.org] = target.tree or ""
    every = set().union(*apps_of.values())
    rows, file = [], name or run.run
    for org in run.orgs:
        apps = apps_of.get(org.name, every)
        source_dir, tree = org.source_dir, trees.get(org.name, "")
        # The name of a tree means the same on every machine.
        if source_dir and tree and not tree.startswith("/"):
            source_dir = tree
        rows.append(
            OrgRow(
                RowPlace(org.name, ", ", file=file),
                alias=org.name if org.name != urlsplit(org.url).netloc else None,
                url=org.url,
                apps=() if run.shard or apps == every else tuple(sorted(apps)),
                source_dir=source_dir,
            )
        )
    # Our own record is as good as the command line that it is of.
    foreign = is_file(name) or any(org.named_by == "tree" for org in run.orgs)
    return OrgFile(tuple(rows), named_by="tree" if foreign else "user", resumed=True)


def _options_of(path: str, parameters: Sequence[Parameter]) -> list[str]:
    """The options of a JSON result that may be repeated on its word; raises `EcapipeError` (OptionsNotRepeatable)."""
    from ecapipe.documents import run_results

    run = run_results.load(files.read(path, _MAX_RESULT, FLAG), path)
    kept = [
        word
        for option in _each_option(run.options or (), parameters)
        if option.name in _OF_RESULT and all(_is_below(folder) for folder in option.folders)
        for word in option.words
    ]
    if any(REDACTED in word for word in kept):
        raise EcapipeError(options_not_repeatable(run.run or path, None, rotates=False))
    return kept


def _is_below(folder: str) -> bool:
    """Whether a folder that a result names is one of the tree around the current folder, and no link out of it."""
    if os.path.isabs(folder) or ".." in folder.split("/"):
        return False
    return Disk().holds(os.getcwd(), os.path.abspath(folder))


def is_file(name: str) -> bool:
    """Whether a value of ``--resume`` is a path: the name of a run has no dot and no separator."""
    return os.sep in name or "." in name or os.path.isfile(name)
