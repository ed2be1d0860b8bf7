"""How far a target has come before anyone signs in: ready for its login, or why there will be none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecapipe.login.target import LoginPlan, Target
from ecapipe.problems.problem import Problem

if TYPE_CHECKING:
    from ecapipe.documents.verdicts import ProbeCheck


@dataclass(frozen=True, slots=True)
class Ready:
    """A target that can be logged in to, and how; `check` is what its org said of that, if it was asked."""

    target: Target
    plan: LoginPlan
    check: ProbeCheck | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A target that cannot be logged in to: the problem is that of its first stage."""

    target: Target
    problem: Problem


@dataclass(frozen=True, slots=True)
class Skipped:
    """A target that nobody named and that cannot be logged in to: its first stage is skipped because of the problem,
    and fails with it only if nothing in the run succeeds."""

    target: Target
    problem: Problem


@dataclass(frozen=True, slots=True)
class Blocked:
    """A target whose app did not come through its own stages: none of its stages begins, for that reason."""

    target: Target
    reason: str


Candidate = Target | Refused | Blocked
"""A target after the stages of its app: one that is still just a target can be planned."""

Readiness = Ready | Refused | Skipped | Blocked
"""A target after the preflight."""
