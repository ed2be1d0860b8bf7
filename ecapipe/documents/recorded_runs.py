"""A run as it was recorded: what each of its subjects went through, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from ecapipe.documents import shards
from ecapipe.events import (
    RUN_STAGES,
    AppDescribed,
    AppFacts,
    Event,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    Stage,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import INTERRUPTED

RECORDED: Final = "recorded"
"""The fact of a stage that was taken over: the run it was taken over from."""
SHARD: Final = "shard"
"""The fact of the first stage that says which part of the targets the run was asked for, as ``2/4``."""
FINGERPRINT: Final = "fingerprint"
"""The fact of the first stage of a login that says, in short hashes, what it depends on."""


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """All that a run came to know of one subject."""

    ended: tuple[StageEnded, ...] = ()
    finished: SubjectFinished | None = None

    @property
    def failed(self) -> bool:
        return any(ended.problem for ended in self.ended)

    @property
    def interrupted(self) -> bool:
        return any(ended.problem and ended.problem.exit_code == INTERRUPTED for ended in self.ended)

    @property
    def skipped(self) -> bool:
        """Whether nothing was done, for a reason."""
        return bool(self.ended) and not self.finished and all(each.outcome == "skipped" for each in self.ended)

    def fact(self, name: str) -> object:
        """What the first stage that tells it says; None: none does."""
        return next((ended.facts[name] for ended in self.ended if name in ended.facts), None)

    def events(self) -> Iterator[Event]:
        yield from self.ended
        if self.finished:
            yield self.finished


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, as far as it was written down. `plan` are its targets in order, as far as they are known; `courses` say
    what became of every subject; `milliseconds` is None for a run of which no end is known."""

    run: str
    started_at: str
    stages: tuple[Stage, ...] = RUN_STAGES
    projects: tuple[ProjectFacts, ...] = ()
    apps: tuple[AppFacts, ...] = ()
    plan: tuple[Subject, ...] = ()
    courses: Mapping[Subject, SubjectRecord] = field(default_factory=dict)
    interrupted: bool = False
    milliseconds: int | None = None

    @property
    def targets(self) -> tuple[Subject, ...]:
        """Every login that was planned or begun."""
        return tuple(dict.fromkeys([*self.plan, *(subject for subject in self.courses if subject.org)]))

    @property
    def shard(self) -> str | None:
        """Which part of the targets the run was asked for, as ``2/4``; None: all of them."""
        told = self.courses.get(Subject(), SubjectRecord()).fact(SHARD)
        return told if isinstance(told, str) and shards.parse(told) else None

    def events(self) -> Iterator[Event]:
        """The run again, as far as it got: for reports and renderers."""
        yield RunStarted(self.run, self.started_at, self.stages)
        yield from self.courses.get(Subject(), SubjectRecord()).events()
        targets: dict[str | None, list[Subject]] = {subject.app: [] for subject in self.courses if subject.app}
        for target in self.targets:
            targets.setdefault(target.app, []).append(target)
        subjects = [subject for app, each in targets.items() for subject in (Subject(app), *each)]
        yield RunPlanned(self.projects, tuple(subjects))
        for app in targets:
            yield from self.courses.get(Subject(app), SubjectRecord()).events()
        yield from map(AppDescribed, self.apps)
        for target in self.targets:
            yield from self.courses.get(target, SubjectRecord()).events()
        yield RunEnded(self.interrupted, self.milliseconds or 0)

    def then(self, later: RecordedRun) -> RecordedRun:
        """What this run and a `later` one that went on with it know of their targets together."""
        plan = tuple(dict.fromkeys([*self.plan, *later.plan]))
        return replace(later, plan=plan, courses={**self.courses, **later.courses})
