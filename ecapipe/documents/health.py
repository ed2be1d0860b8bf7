"""The results of ``ecapipe doctor``: how this machine is equipped, and what is stored on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecapipe.problems.problem import Problem
from ecapipe.secret import redact

State = Literal["ok", "warn", "fail"]
STATES: tuple[State, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `details` are sentences for those who want to know more."""

    name: str
    state: State
    message: str
    actions: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """One place where something is stored.

    `mode` (octal) and the number of `entries` are None where there are none, or where it cannot be found out.
    `secret`: the place holds what must not be shown.
    """

    what: str
    where: str
    exists: bool
    mode: str | None
    entries: int | None
    secret: bool
    written_by: str
    removed_by: str


def of_problem(name: str, state: State, problem: Problem, *details: str) -> Check:
    """The problem that a command would fail with, as a check."""
    return Check(name, state, problem.message, actions=problem.actions, details=details)


def redacted(check: Check) -> Check:
    """The same without secrets: variables may hold anything."""
    actions, details = (tuple(map(redact, texts)) for texts in (check.actions, check.details))
    return Check(check.name, check.state, redact(check.message), actions, details)
