"""What a problem is: one failure, worded once, with its remedies."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Final, Generic, Literal, ParamSpec

Category = Literal["config", "credentials", "policy", "org", "network", "people"]
"""Where the remedy lies: the project or the command line, key and secret, the app's policies, the org,
the way there, or somebody at a browser."""

P = ParamSpec("P")

# Exit statuses. 69 is EX_UNAVAILABLE of sysexits.h, 130 what a shell makes of SIGINT: 128 + 2.
USAGE = 2
BUG = 3
WAITING = 69
INTERRUPTED = 130

SPREADING: Final = "up to 15 minutes (30 for a new app)"
"""How long a change of an app takes to reach all of Salesforce. Salesforce Help says 2 to 10 minutes, field reports
up to 15, and its guide to hosted MCP servers 30 for a new app."""

_SINGLE: Final = re.compile("['\u2018-\u201b]")
"""Single quotes (about_Quoting_Rules of PowerShell)."""
_ANY_ORG: Final = "--target-org ALIAS"
"""In a command of advice: the org is for the user to insert."""
_READ_BY_FISH: Final = re.compile(rf"\\(?:[\\]|{_SINGLE.pattern}|$)")
"""A backslash that escapes what follows it, between single quotes, too (The fish language, Quotes)."""

MISTAKES_SHOWN = 100
"""Mistakes of one file that are named; a batch file may have thousands of rows."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One failure and its way out. `exit_code` is what a command ends with if this alone stopped it."""

    name: str
    message: str
    actions: tuple[str, ...]
    category: Category
    exit_code: int = 1
    retryable: bool = False
    file: str | None = None
    line: int | None = None
    host: str | None = None
    http_status: int | None = None
    oauth_error: str | None = None
    retrievals: tuple[str, ...] = field(default=(), compare=False)
    """Those of its actions that are a retrieve and nothing else."""

    @property
    def kind(self) -> Kind[...] | None:
        """What it was made by; None for the problem of another version that was read back."""
        return _KINDS.get(self.name)

    @property
    def text(self) -> str:
        """Its message and what to do, in one line."""
        return " ".join((self.message, *self.actions))

    def in_org(self, alias: str | None) -> Problem:
        """The same, where an org has answered that is known by `alias`: with it in the commands of advice."""
        if not (alias and self.host):
            return self
        actions, retrievals = (
            tuple(re.sub(f"{_ANY_ORG}(?!\\S)", lambda _: option("target_org", alias), action) for action in some)
            for some in (self.actions, self.retrievals)
        )
        return replace(self, actions=actions, retrievals=retrievals)

    def after_retrieve(self) -> Problem:
        """The same for whoever has just retrieved: without the advice to do that again, where there is other."""
        others = tuple(action for action in self.actions if action not in self.retrievals)
        return replace(self, actions=others or self.actions)


class EcapipeError(Exception):
    """The one exception for foreseen failures: it carries a `Problem`, and the name of the login that it is `about`
    where nothing else tells."""

    def __init__(self, problem: Problem, about: str = "") -> None:
        super().__init__(problem.message)
        self.problem, self.about = problem, about


@dataclass(frozen=True, slots=True)
class Wording:
    """A problem in one case: the message, the ways out, and the place in a file that it is about."""

    message: str
    actions: tuple[str, ...]
    file: str | None = None
    line: int | None = None
    retrievals: tuple[str, ...] = ()


class Retrieval(str):
    """An action that is a retrieve and nothing else."""

    __slots__ = ()


def say(message: str, *actions: str, file: str | None = None, line: int | None = None) -> Wording:
    retrievals = tuple(str(action) for action in actions if isinstance(action, Retrieval))
    return Wording(message, tuple(map(str, actions)), file, line, retrievals)


def alternatives(*actions: str) -> list[str]:
    """Several ways out: "or" begins each after the first."""
    return [*actions[:1], *(f"Or {action[:1].lower()}{action[1:]}" for action in actions[1:])]


@dataclass(frozen=True, slots=True, eq=False)
class Kind(Generic[P]):
    """A kind of problem, as a constant: called, it makes the problem of one case. There is one object of each, so
    that ``problem.kind is refused_host`` tells them apart.

    `means` and `remedy` are what ``ecapipe explain`` says of it; `exit_code` and `retryable` are the same in every
    case.
    """

    name: str
    category: Category
    means: str = field(repr=False)
    remedy: str = field(repr=False)
    exit_code: int
    retryable: bool
    word: Callable[P, Wording] = field(repr=False)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Problem:
        wording = self.word(*args, **kwargs)
        return Problem(
            name=self.name,
            message=wording.message,
            actions=wording.actions,
            category=self.category,
            exit_code=self.exit_code,
            retryable=self.retryable,
            file=wording.file,
            line=wording.line,
            retrievals=wording.retrievals,
        )


_KINDS: Final[dict[str, Kind[...]]] = {}
"""Every kind whose module is loaded, by its name: what a problem that was read back is known by."""


def problem(
    category: Category, means: str, remedy: str, *, exit_code: int = 1, retryable: bool = False
) -> Callable[[Callable[P, Wording]], Kind[P]]:
    """Turns a function that words a problem into its kind, which is called by the function's name in PascalCase."""

    def register(word: Callable[P, Wording]) -> Kind[P]:
        name = "".join(part.capitalize() for part in word.__name__.split("_"))
        kind = Kind(name, category, means, remedy, exit_code, retryable, word)
        _KINDS[name] = kind
        return kind

    return register


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The action for a mistyped `word`: the nearest known one, if any is near."""
    by_fold = {name.casefold(): name for name in known}
    # 0.6 is the default of difflib, written out because people see what follows from it.
    near = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return tuple(f'Did you mean "{by_fold[name]}"?' for name in near)


def listed(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "none"


def minutes_in_words(minutes: float) -> str:
    """1 minute, 2 minutes 30 seconds, 30 seconds."""
    whole, seconds = divmod(max(1, round(minutes * 60)), 60)
    parts = ((whole, "minute"), (seconds, "second"))
    return " ".join(f"{count} {unit}{'' if count == 1 else 's'}" for count, unit in parts if count)


def command(line: str, *operands: str, **options: str) -> str:
    """A command to paste into a shell: `line`, which is ours, then options and operands, which may be anybody's.

    These are quoted, and none is taken for an option. Every command that is printed is made by this.
    """
    words = [line, *(option(name, value) for name, value in options.items())]
    if any(operand.startswith("-") for operand in operands):
        words.append("--")
    return " ".join([*words, *map(quote, operands)])


def option(name: str, value: str) -> str:
    """A part of a command line: an option with its value."""
    separator = "=" if value.startswith("-") else " "
    return f"--{name.replace('_', '-')}{separator}{quote(value)}"


def quote(word: str) -> str:
    """`word` for a shell, and as displays show it: they take out what could move the cursor.

    Read alike by POSIX shells, by zsh, which takes =git for its path, by fish, to which a backslash may mean
    something between single quotes, and by PowerShell, to which each of `_SINGLE` is one.
    """
    if not word.isprintable():
        return "$'" + "".join(map(_escape, word)) + "'"
    if shlex.quote(word) == word and not word.startswith("="):
        return word
    # Only where fish needs it: PowerShell takes it for another path.
    quoted = _SINGLE.sub(r"""'"\g<0>"'""", word)
    return "'" + (quoted.replace("\\", r"'\\'") if _READ_BY_FISH.search(word) else quoted) + "'"


def _escape(character: str) -> str:
    if character.isprintable() and character not in "\\!" and not _SINGLE.match(character):
        return character
    # A byte of a file name that is no UTF-8 is a surrogate here.
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\{byte:03o}" for byte in character.encode(errors=errors))


def retrieval(sentence: str, org: str | None = None, metadata: str = "ExtlClntAppGlobalOauthSettings") -> Retrieval:
    """The action to run `retrieve_command`, which ends `sentence`."""
    return Retrieval(f"{sentence}: {retrieve_command(org, metadata)}")


def retrieve_command(org: str | None = None, metadata: str = "ExtlClntAppGlobalOauthSettings") -> str:
    """The `sf` command that brings the files of a type, by default the global OAuth settings, of every app."""
    return command(f"sf project retrieve start --metadata {metadata}", target_org=org or "ALIAS")
