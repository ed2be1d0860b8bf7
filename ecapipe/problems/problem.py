"""What a problem is: one failure, worded once, with its remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, ParamSpec

Category = Literal["config", "credentials", "policy", "org", "network", "people"]
"""Where the remedy lies: the project or the command line, key and secret, the app's policies, the org,
the way there, or somebody at a browser."""

P = ParamSpec("P")

USAGE = 2

BUG = 3

WAITING = 69

INTERRUPTED = 130

MISTAKES_SHOWN = 100


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

BUILDERS: dict[str, Callable[..., Problem]] = {}


@dataclass(frozen=True, slots=True)
class Wording:
    message: str
    actions: tuple[str, ...]
    place: dict[str, str | int | None] = field(default_factory=dict)


def say(message: str, *actions: str, file: str | None = None, line: int | None = None) -> Wording:
    return Wording(message, actions, {"file": file, "line": line})


def problem(
    category: Category, means: str, remedy: str, *, exit_code: int = 1, retryable: bool = False
) -> Callable[[Callable[P, Wording]], Callable[P, Problem]]:
    """Register the problem under the PascalCase form of the function's name."""

    def register(words: Callable[P, Wording]) -> Callable[P, Problem]:
        name = "".join(part.capitalize() for part in words.__name__.split("_"))

        def build(*args: P.args, **kwargs: P.kwargs) -> Problem:
            said = words(*args, **kwargs)
            file, line = said.place["file"], said.place["line"]
            return Problem(
                name,
                said.message,
                said.actions,
                category,
                exit_code,
                retryable,
                file if isinstance(file, str) else None,
                line if isinstance(line, int) else None,
            )

        EXPLANATIONS[name] = Explanation(name, category, means, remedy, exit_code)
        BUILDERS[name] = build
        build.__wrapped__ = words  # type: ignore[attr-defined]  # lets a test read the parameters
        return build

    return register


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """The action for a mistyped `word`: the nearest known one, if any is near."""
    by_fold = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return tuple(f'Did you mean "{by_fold[name]}"?' for name in near)


def listed(words: Sequence[str]) -> str:
    return ", ".join(words) if words else "none"


def retrieve_command(org: str | None = None) -> str:
    """The `sf` command that brings the global OAuth settings of every external client app."""
    return f"sf project retrieve start --metadata ExtlClntAppGlobalOauthSettings --target-org {org or '<alias>'}"
