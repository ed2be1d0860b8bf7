"""Results of several runs, shards of one or a resumed one, put together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ecapipe.documents.recorded_runs import RecordedRun, SubjectRecord
from ecapipe.events import ALL_STAGES, DISCOVER, StageEnded, Subject
from ecapipe.problems.usage import shards_missing


def merge(runs: Sequence[RecordedRun]) -> RecordedRun:
    """One run made of several: of a target that is in more than one of them, what became of it last counts.

    A part that a set of shards lacks is a failure of the whole. `runs` is not empty.
    """
    ordered = sorted(runs, key=lambda run: run.started_at)
    courses: dict[Subject, SubjectRecord] = {}
    holder: dict[Subject, RecordedRun] = {}
    for run in ordered:
        for target in run.targets:
            course = run.courses.get(target, SubjectRecord())
            if course.ended or target not in courses:  # one that was not reached says nothing against what is known
                courses[target], holder[target] = course, run
    for subject in dict.fromkeys(each for run in ordered for each in run.courses if each.org is None):
        courses[subject] = _shared(subject, ordered, holder)
    if (lacking := _lacking(ordered)) and not courses.get(Subject(), SubjectRecord()).failed:
        missing = shards_missing(lacking)
        ended = StageEnded(DISCOVER, Subject(), "failed", ordered[-1].started_at, problem=missing)
        courses[Subject()] = SubjectRecord((ended,))
    elif len(ordered) > 1 and Subject() in courses:
        courses[Subject()] = _of_all(courses)
    apps = {(facts.project, facts.name): facts for run in ordered for facts in run.apps}
    return RecordedRun(
        ordered[-1].run,
        ordered[0].started_at,
        tuple(stage for stage in ALL_STAGES if any(stage in run.stages for run in ordered)),
        tuple(dict.fromkeys(project for run in ordered for project in run.projects)),
        tuple(apps.values()),
        tuple(dict.fromkeys(target for run in ordered for target in run.targets)),
        courses,
        any(course.interrupted for course in courses.values())
        or any(run.interrupted and not courses[target].ended for target, run in holder.items()),
        sum(run.milliseconds or 0 for run in ordered),
    )


def _of_all(courses: Mapping[Subject, SubjectRecord]) -> SubjectRecord:
    """The course of the project, with the facts of all the runs rather than of one; the whole is no shard."""
    apps = {subject.app for subject in courses if subject.app}
    orgs = dict.fromkeys(subject.org for subject in courses if subject.org)
    facts = {"apps": len(apps), "orgs": list(orgs)}
    course = courses[Subject()]
    return replace(course, ended=tuple(replace(ended, facts=facts) for ended in course.ended))


def _shared(subject: Subject, ordered: Sequence[RecordedRun], holder: Mapping[Subject, RecordedRun]) -> SubjectRecord:
    """The course of a project or an app that several runs went through: a failed one, if it kept the run from all
    its work or a target still stands as that run left it; else the last."""
    through = [run for run in ordered if subject in run.courses]
    standing = {id(run) for target, run in holder.items() if target.app == subject.app}
    counted = [run for run in through if subject.app is None or id(run) in standing or run is through[-1]]
    failed = [run for run in counted if run.courses[subject].failed]
    return (failed or through)[-1].courses[subject]


def _lacking(runs: Iterable[RecordedRun]) -> list[str]:
    """The shards that are not there, as ``K/N``, of the sets that some are there of."""
    there = {run.shard for run in runs if run.shard}
    counts = {int(shard.partition("/")[2]) for shard in there}
    return [shard for count in sorted(counts) for k in range(1, count + 1) if (shard := f"{k}/{count}") not in there]
