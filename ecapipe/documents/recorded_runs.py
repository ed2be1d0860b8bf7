"""A run as it was recorded: what each of its subjects went through, and how it ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from ecapipe.documents import shards
from ecapipe.events import (
    RUN_STAGES,
    AppDescribed,
    AppFacts,
    Event,
    OrgFacts,
    Origin,
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

    def of(self, subject: Subject) -> SubjectRecord:
        """The same record, of a subject that is called otherwise."""
        finished = self.finished._replace(subject=subject) if self.finished else None
        return SubjectRecord(tuple(replace(each, subject=subject) for each in self.ended), finished)

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
    options: tuple[str, ...] | None = None
    origin: Origin | None = None
    projects: tuple[ProjectFacts, ...] = ()
    orgs: tuple[OrgFacts, ...] = ()
    apps: tuple[AppFacts, ...] = ()
    plan: tuple[Subject, ...] = ()
    courses: Mapping[Subject, SubjectRecord] = field(default_factory=dict)
    interrupted: bool = False
    milliseconds: int | None = None

    @property
    def targets(self) -> tuple[Subject, ...]:
        """Every login that was planned or begun, and every org that could not be retrieved from."""
        begun = (each for each, course in self.courses.items() if each.is_login or (each.org and course.failed))
        return tuple(dict.fromkeys([*self.plan, *begun]))

    def outcome(self, target: Subject) -> Literal["finished", "failed", "skipped", "open"]:
        """How a login ended; one that was left out because its app had failed has failed, too."""
        course, app = (self.courses.get(each, SubjectRecord()) for each in (target, target.whole_app))
        if course.finished:
            return "finished"
        if course.failed or (course.skipped and app.failed):
            return "failed"
        return "skipped" if course.skipped else "open"

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
        yield RunStarted(self.run, self.started_at, self.stages, self.options, self.origin)
        for subject, course in self.courses.items():
            if subject.app is None:
                yield from course.events()
        targets: dict[Subject, list[Subject]] = {subject.whole_app: [] for subject in self.courses if subject.app}
        for target in self.targets:
            targets.setdefault(target.whole_app if target.app else Subject(), []).append(target)
        # Displays and reports expect each app right before its own targets.
        retrieves = targets.pop(Subject(), [])
        subjects = [subject for app, its_targets in targets.items() for subject in (app, *its_targets)] + retrieves
        yield RunPlanned(self.projects, tuple(subjects), self.orgs)
        for app in targets:
            yield from self.courses.get(app, SubjectRecord()).events()
        yield from map(AppDescribed, self.apps)
        for target in filter(lambda each: each.app, self.targets):
            yield from self.courses.get(target, SubjectRecord()).events()
        yield RunEnded(self.interrupted, self.milliseconds or 0)

    def then(self, later: RecordedRun) -> RecordedRun:
        """The `later` run that resumed this one, with what this one recorded of targets that it did not touch."""
        this = self.known_as(later.projects, (*later.plan, *later.courses))
        plan = tuple(dict.fromkeys([*this.plan, *later.plan]))
        return replace(later, plan=plan, courses={**this.courses, **later.courses})

    def known_as(self, projects: Iterable[ProjectFacts], subjects: Iterable[Subject]) -> RecordedRun:
        """The same run, in which subjects are called as by another run, of `projects` and `subjects`.

        The trees of both may have been named in different folders; a record of 0.1.0 does not name them, but mostly
        just one app of a name can be meant.
        """
        trees = {project.root: project.tree for project in projects}
        renamed = {project.tree: trees.get(project.root, project.tree) for project in self.projects}
        namesakes: dict[str, set[Subject]] = {}
        for subject in subjects:
            if subject.tree:
                namesakes.setdefault(str(subject), set()).add(subject)

        def known(subject: Subject) -> Subject:
            subject = subject._replace(tree=renamed.get(subject.tree or "", subject.tree))
            candidates = namesakes.get(str(subject), set())
            # A name relative to a repository means the same on every machine; a root need not be there on another.
            certain = subject in candidates or (subject.tree and not subject.tree.startswith("/"))
            return subject if certain or len(candidates) != 1 else next(iter(candidates))

        return replace(
            self,
            plan=tuple(map(known, self.plan)),
            courses={known(subject): course.of(known(subject)) for subject, course in self.courses.items()},
        )
