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
    """The stages of one subject that ended, in order, and whether the subject got through all of them."""

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
        """Whether every stage was left out, each with its reason."""
        return bool(self.ended) and not self.finished and all(each.outcome == "skipped" for each in self.ended)

    def fact(self, name: str) -> object:
        """The value of a fact in the first stage that has it; None if no stage does."""
        return next((ended.facts[name] for ended in self.ended if name in ended.facts), None)

    def events(self) -> Iterator[Event]:
        yield from self.ended
        if self.finished:
            yield self.finished


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, as far as it was written down.

    `plan` holds its targets in order, as far as they are known; `courses` holds the record of every subject.
    `milliseconds` is None for a run without a recorded end.
    """

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
        shard = self.courses.get(Subject(), SubjectRecord()).fact(SHARD)
        # A result file may have been edited: only text that names a shard is shown as one.
        if isinstance(shard, str) and shards.parse(shard):
            return shard
        return None

    def events(self) -> Iterator[Event]:
        """The events of the run, as far as it got, in the order in which a run emits them."""
        yield RunStarted(self.run, self.started_at, self.stages)
        yield from self.courses.get(Subject(), SubjectRecord()).events()
        targets: dict[str | None, list[Subject]] = {subject.app: [] for subject in self.courses if subject.app}
        for target in self.targets:
            targets.setdefault(target.app, []).append(target)
        # Displays and reports expect each app right before its own targets.
        subjects = [subject for app, its_targets in targets.items() for subject in (Subject(app), *its_targets)]
        yield RunPlanned(self.projects, tuple(subjects))
        for app in targets:
            yield from self.courses.get(Subject(app), SubjectRecord()).events()
        yield from map(AppDescribed, self.apps)
        for target in self.targets:
            yield from self.courses.get(target, SubjectRecord()).events()
        yield RunEnded(self.interrupted, self.milliseconds or 0)

    def then(self, later: RecordedRun) -> RecordedRun:
        """The `later` run that resumed this one, with what this one recorded of targets that it did not touch."""
        plan = tuple(dict.fromkeys([*self.plan, *later.plan]))
        return replace(later, plan=plan, courses={**self.courses, **later.courses})
