"""What ``ecapipe doctor`` finds: how this machine is equipped, and what is kept on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ecapipe.problems.problem import Problem

State = Literal["ok", "warn", "fail"]
STATES: tuple[State, ...] = ("ok", "warn", "fail")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `details` are sentences for those who want to know more."""

    name: str
    state: State
    message: str
    actions: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """One place where something is kept. `entries` and `mode` (octal) are None where there is none, or nobody can
    tell; `secret`: it holds what must not be shown."""

    what: str
    where: str
    exists: bool
    mode: str | None
    entries: int | None
    secret: bool
    written_by: str
    removed_by: str


def of_problem(name: str, state: State, problem: Problem, *details: str) -> Check:
    """What a command would fail with, as a check."""
    return Check(name, state, problem.message, problem.actions, details)
