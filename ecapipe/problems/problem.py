"""What a problem is: one failure, worded once, with its remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import wraps
from typing import Literal, ParamSpec

Category = Literal["config", "credentials", "policy", "org", "network", "people"]
"""Where the remedy lies: the project or the command line, key and secret, the app's policies, the org,
the way there, or somebody at a browser."""

P = ParamSpec("P")

# Exit statuses. 69 is EX_UNAVAILABLE of sysexits.h, 130 what a shell makes of SIGINT: 128 + 2.
USAGE = 2
BUG = 3
WAITING = 69
INTERRUPTED = 130

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


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `ecapipe explain` says of a problem, whatever its particulars."""

    name: str
    category: Category
    means: str
    remedy: str
    exit_code: int


class EcapipeError(Exception):
    """The one exception for foreseen failures: it carries a `Problem`."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


EXPLANATIONS: dict[str, Explanation] = {}
"""Every problem that has been registered, by its name."""

BUILDERS: dict[str, Callable[..., Problem]] = {}
"""The function that builds each of them; `__wrapped__` is the one that words it."""


@dataclass(frozen=True, slots=True)
class Wording:
    """A problem in one case: the message, the ways out, and the place in a file that it is about."""

    message: str
    actions: tuple[str, ...]
    file: str | None = None
    line: int | None = None


def say(message: str, *actions: str, file: str | None = None, line: int | None = None) -> Wording:
    return Wording(message, actions, file, line)


def problem(
    category: Category, means: str, remedy: str, *, exit_code: int = 1, retryable: bool = False
) -> Callable[[Callable[P, Wording]], Callable[P, Problem]]:
    """Turns a function that words a problem into one that builds it, and registers it.

    The problem is called by the function's name in PascalCase. `means` and `remedy` are what ``ecapipe explain`` says
    of it; `exit_code` and `retryable` are the same in every case.
    """

    def register(word: Callable[P, Wording]) -> Callable[P, Problem]:
        name = "".join(part.capitalize() for part in word.__name__.split("_"))

        # The builder keeps the function's module: the catalogue lists problems by it.
        @wraps(word)
        def build(*args: P.args, **kwargs: P.kwargs) -> Problem:
            wording = word(*args, **kwargs)
            return Problem(
                name=name,
                message=wording.message,
                actions=wording.actions,
                category=category,
                exit_code=exit_code,
                retryable=retryable,
                file=wording.file,
                line=wording.line,
            )

        EXPLANATIONS[name] = Explanation(name, category, means, remedy, exit_code)
        BUILDERS[name] = build
        return build

    return register


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The action for a mistyped `word`: the nearest known one, if any is near."""
    by_fold = {name.casefold(): name for name in known}
    # 0.6 is the default of difflib, written out because people see what follows from it.
    near = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return tuple(f'Did you mean "{by_fold[name]}"?' for name in near)


def listed(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "none"


def retrieve_command(org: str | None = None) -> str:
    """The `sf` command that brings the global OAuth settings of every external client app."""
    return f"sf project retrieve start --metadata ExtlClntAppGlobalOauthSettings --target-org {org or '<alias>'}"
