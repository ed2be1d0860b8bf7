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
    subjects = [subject for run in runs for subject in (*run.plan, *run.courses)]
    ordered = sorted((run.known_as((), subjects) for run in runs), key=lambda run: run.started_at)
    courses, origins = _latest(ordered)
    for subject in dict.fromkeys(each for run in ordered for each in run.courses if each.org is None):
        courses[subject] = _shared(subject, ordered, origins)
    missing = _missing_shards(ordered)
    if missing and not courses.get(Subject(), SubjectRecord()).failed:
        problem = shards_missing(missing)
        ended = StageEnded(DISCOVER, Subject(), "failed", ordered[-1].started_at, problem=problem)
        courses[Subject()] = SubjectRecord((ended,))
    elif len(ordered) > 1 and Subject() in courses:
        courses[Subject()] = _whole_project(courses)
    apps = {facts.subject: facts for run in ordered for facts in run.apps}
    orgs = {org.name: org for run in ordered for org in run.orgs}
    # An interrupted run counts no longer for a target that a later one has completed.
    unreached = [target for target, number in origins.items() if ordered[number].interrupted]
    return RecordedRun(
        run=ordered[-1].run,
        started_at=ordered[0].started_at,
        stages=tuple(stage for stage in ALL_STAGES if any(stage in run.stages for run in ordered)),
        # Of several command lines, that of the run that gives its name.
        options=ordered[-1].options,
        origin=next((run.origin for run in reversed(ordered) if run.origin), None),
        projects=tuple(dict.fromkeys(project for run in ordered for project in run.projects)),
        orgs=tuple(orgs.values()),
        apps=tuple(apps.values()),
        # An org that was retrieved from in the end is no target.
        plan=tuple(
            target
            for target in dict.fromkeys(target for run in ordered for target in run.targets)
            if target.app or courses[target].failed
        ),
        courses=courses,
        interrupted=any(course.interrupted for course in courses.values())
        or any(not courses[target].ended for target in unreached),
        milliseconds=sum(run.milliseconds or 0 for run in ordered),
    )


def _latest(ordered: Sequence[RecordedRun]) -> tuple[dict[Subject, SubjectRecord], dict[Subject, int]]:
    """What became of each target last, and the place of the run that says so."""
    courses: dict[Subject, SubjectRecord] = {}
    origins: dict[Subject, int] = {}
    for number, run in enumerate(ordered):
        for target in dict.fromkeys((*run.targets, *(each for each in run.courses if each.org))):
            course = run.courses.get(target, SubjectRecord())
            # A run that did not reach a target says nothing against what is known of it.
            if course.ended or target not in courses:
                courses[target], origins[target] = course, number
    return courses, origins


def _whole_project(courses: Mapping[Subject, SubjectRecord]) -> SubjectRecord:
    """The course of the project, with the facts of all the runs rather than of one; the whole is no shard."""
    apps = {subject.whole_app for subject in courses if subject.app}
    orgs = dict.fromkeys(subject.org for subject in courses if subject.org)
    facts = {"apps": len(apps), "orgs": list(orgs)}
    course = courses[Subject()]
    return replace(course, ended=tuple(replace(ended, facts=facts) for ended in course.ended))


def _shared(subject: Subject, ordered: Sequence[RecordedRun], origins: Mapping[Subject, int]) -> SubjectRecord:
    """The course of a project or an app that several runs went through: a failed one, if it kept the run from all
    its work or a target still stands as that run left it; else the last."""
    numbers = [number for number, run in enumerate(ordered) if subject in run.courses]
    current = {number for target, number in origins.items() if target.whole_app == subject}
    failed = [
        number
        for number in numbers
        if (subject.app is None or number in current or number == numbers[-1])
        and ordered[number].courses[subject].failed
    ]
    return ordered[(failed or numbers)[-1]].courses[subject]


def _missing_shards(runs: Iterable[RecordedRun]) -> list[str]:
    """The shards that are not there, as ``K/N``, of the sets that some are there of."""
    present = {run.shard for run in runs if run.shard}
    counts = {int(shard.partition("/")[2]) for shard in present}
    expected = [f"{k}/{count}" for count in sorted(counts) for k in range(1, count + 1)]
    return [shard for shard in expected if shard not in present]
