"""A run read back from its JSON result, or from a part of one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from ecapipe.documents import codec, json_object, run_document
from ecapipe.documents.codec import Document
from ecapipe.documents.json_object import MalformedRecord, NewerVersion
from ecapipe.documents.recorded_runs import RecordedRun, SubjectRecord
from ecapipe.documents.report import Json
from ecapipe.documents.run_document import Failure, JournalHeader, RecordedProject, RunPart, RunResult
from ecapipe.events import (
    ALL_STAGES,
    DISCOVER,
    TOKEN,
    AppFacts,
    CredentialFacts,
    LoginResult,
    OrgFacts,
    Origin,
    ProjectFacts,
    Stage,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import INTERRUPTED, EcapipeError, Problem
from ecapipe.problems.storage import newer_format
from ecapipe.problems.usage import malformed_result

_STAGES: Final = {stage.name: stage for stage in ALL_STAGES}


class _Envelope(Document):
    """What surrounds the result of a run that did its work."""

    status: int


class _FailedEnvelope(Document):
    """What stands for a run that could not do its work at all."""

    name: str
    message: str
    exit_code: int
    actions: tuple[str, ...]


def load(data: bytes, file: str) -> RecordedRun:
    """The run in `data`, the JSON that ``ecapipe run --json`` or ``--report json=`` wrote to `file`.

    Raises `EcapipeError`: MalformedResult for anything else, NewerFormat for what a later ecapipe wrote, and the
    problem itself for a run that could not do its work at all.
    """
    try:
        return parse_result(json_object.parse(data))
    except MalformedRecord as error:
        raise EcapipeError(malformed_result(file, str(error))) from None
    except NewerVersion as error:
        raise EcapipeError(newer_format(file, error.version)) from None


def parse_result(document: Json) -> RecordedRun:
    """A run from its result, with or without the envelope; raises `MalformedRecord` and `NewerVersion`."""
    if "result" in document:
        # Only the envelope, which ``--json`` writes, says that the run was interrupted.
        interrupted = codec.convert(document, _Envelope).status == INTERRUPTED
        result = codec.convert(document["result"], RunResult, "result")
    elif "exitCode" in document:
        return _failed_run(codec.convert(document, _FailedEnvelope))
    else:
        interrupted = False
        result = codec.convert(document, RunResult)
    courses = parse_courses(result, result.started_at)
    stages_by_subject = [course.ended for course in courses.values()]
    reached = {ended.stage for stages in stages_by_subject for ended in stages}
    # In the order of a run, whichever subject the result begins with.
    stages = tuple(stage for stage in ALL_STAGES if stage in reached)
    if TOKEN not in stages:
        courses = _finish_without_token(courses)
    return replace(
        parse_head(result),
        stages=stages,
        apps=tuple(map(parse_app, result.apps)),
        courses=courses,
        interrupted=interrupted,
        # A result has no duration of its own: this is the work in it, which may have been done side by side.
        milliseconds=sum(ended.milliseconds for stages in stages_by_subject for ended in stages),
    )


def parse_head(head: RunResult | JournalHeader) -> RecordedRun:
    """What a result, or the first line of a journal, says of the run as a whole."""
    trees = [app.project for app in head.apps] if isinstance(head, RunResult) else []
    return RecordedRun(
        run=head.run,
        started_at=head.started_at,
        options=tuple(head.invocation.options) if head.invocation else None,
        origin=codec.of(head.origin, Origin) if head.origin else None,
        projects=tuple(_parse_project(each, trees) for each in head.projects),
        orgs=tuple(codec.of(org, OrgFacts) for org in head.orgs or ()),
    )


def parse_courses(
    part: RunPart | RunResult, started_at: str, *, finished: bool = False
) -> dict[Subject, SubjectRecord]:
    """What a result, or a part of one, says of each subject; raises `MalformedRecord`.

    `started_at` stands in for the times of stages that did not fail: a result does not have them. `finished`: the
    one subject of the part got through all its stages.
    """
    # A failure of the result belongs to the stage of the same name: each has members that the other lacks.
    failures = {(parse_subject(each), each.stage): each for each in part.failures}
    logins = {parse_subject(each): codec.of(each, LoginResult) for each in part.successes}
    ended: dict[Subject, list[StageEnded]] = {}
    for number, each in enumerate(part.stages):
        stage = _parse_stage(each, f"stages[{number}]", failures, started_at)
        ended.setdefault(stage.subject, []).append(stage)
    courses = {}
    for subject in dict.fromkeys([*ended, *logins]):
        end = SubjectFinished(subject, logins.get(subject)) if finished or subject in logins else None
        courses[subject] = SubjectRecord(tuple(ended.get(subject, ())), end)
        if end and courses[subject].failed:
            raise MalformedRecord(f"it says of {subject} that it succeeded and that it failed")
    return courses


def _finish_without_token(courses: Mapping[Subject, SubjectRecord]) -> dict[Subject, SubjectRecord]:
    """The courses of a run that was to stop before it asked for a token (``--until``).

    Nothing in its result says which subjects succeeded: those that came through all the stages there were.
    """
    logins = any(subject.is_login for subject in courses)
    completed = {}
    for subject, course in courses.items():
        app_course = courses.get(subject.whole_app, SubjectRecord())
        undisturbed = not (course.failed or app_course.failed or _any_skipped(app_course))
        if undisturbed and _is_asked_for(subject, courses, logins):
            course = replace(course, finished=SubjectFinished(subject, None))
        completed[subject] = course
    return completed


def _any_skipped(course: SubjectRecord) -> bool:
    return any(ended.outcome == "skipped" for ended in course.ended)


def _is_asked_for(subject: Subject, courses: Mapping[Subject, SubjectRecord], logins: bool) -> bool:
    """Whether a run is for subjects of this kind: its logins, else its apps, else the project as a whole."""
    if logins:
        return subject.is_login
    return subject.app is not None or len(courses) == 1


def parse_stage_name(stage: str, path: str) -> Stage:
    """The stage called `stage`; raises `MalformedRecord`, which names `path`."""
    if stage not in _STAGES:
        raise MalformedRecord(f"{path} names an unknown stage, {stage}")
    return _STAGES[stage]


def parse_subject(each: run_document.AboutSubject) -> Subject:
    """The subject of a part of a result; raises `MalformedRecord`."""
    # 0.1.0 did not write the tree.
    subject = Subject(each.app, each.org, each.project or None)
    if subject.org is not None and subject.app is None and subject.tree != f"org:{subject.org}":
        raise MalformedRecord(f"it names the org {subject.org} without an app")
    return subject


def _parse_stage(
    each: run_document.Stage, path: str, failures: Mapping[tuple[Subject, str], Failure], started_at: str
) -> StageEnded:
    subject = parse_subject(each)
    failure, problem = failures.get((subject, each.stage)), each.problem
    if (each.outcome == "failed") != (problem is not None):
        raise MalformedRecord(f"{path} has a problem and has not failed, or the other way round")
    if problem is not None and failure is None:
        raise MalformedRecord(f"{path} has failed, and no failure says so")
    ended = StageEnded(
        parse_stage_name(each.stage, path),
        subject,
        each.outcome,
        at=started_at,
        milliseconds=each.milliseconds,
        reason=each.reason,
        facts=each.facts,
    )
    if problem and failure:
        return replace(ended, at=failure.at, problem=_parse_problem(problem, failure))
    return ended


def _parse_problem(problem: run_document.Problem, failure: Failure) -> Problem:
    """The problem of a failed stage, of which the stage and the failure each have a part."""
    known = CATALOGUE.get(problem.name)
    return Problem(
        _problem_name(problem.name),
        problem.message,
        actions=tuple(problem.actions),
        category=failure.category,
        # A result does not have the exit status of each problem. A name that the catalogue lacks may be of another
        # version: it counts as an ordinary failure.
        exit_code=known.exit_code if known else 1,
        retryable=failure.retryable,
        file=problem.file,
        line=problem.line,
        host=failure.host,
        http_status=failure.http_status,
        oauth_error=failure.oauth_error,
    )


def _problem_name(name: str) -> str:
    """A name as all have it, whoever wrote the result: names are shown as they are."""
    return "".join(re.findall("[A-Za-z0-9]", name))


def _parse_project(each: run_document.Project, trees: Iterable[str]) -> ProjectFacts:
    """A project, and the one of `trees` that it is; a journal says which, a result leaves it to the folder."""
    tree = each.root
    if isinstance(each, RecordedProject):
        tree = each.project or tree
    else:
        tree = max((name for name in trees if _is_tree(each.root, name)), key=len, default=tree)
    return ProjectFacts(each.root, tuple(each.package_directories), tree)


def _is_tree(root: str, tree: str) -> bool:
    """Whether `tree` may name the folder `root`, as a path below the repository."""
    return tree == "." or f"/{root}".endswith(f"/{tree}")


def parse_app(each: run_document.App) -> AppFacts:
    return codec.of(
        each,
        AppFacts,
        # A result names no other file of an app.
        files=(each.settings_file,) if each.settings_file else (),
        consumer_key=_parse_credential(each.credentials.consumer_key),
        consumer_secret=_parse_credential(each.credentials.consumer_secret),
    )


def _parse_credential(each: run_document.Credential) -> CredentialFacts:
    return codec.of(each, CredentialFacts, required=each.required)


def _failed_run(envelope: _FailedEnvelope) -> RecordedRun:
    """A run that could not do its work at all: its envelope holds the problem instead of a result."""
    known = CATALOGUE.get(envelope.name)
    problem = Problem(
        _problem_name(envelope.name),
        envelope.message,
        actions=envelope.actions,
        # The envelope has no category. A configuration error is the likeliest reason to stop before any work.
        category=known.category if known else "config",
        exit_code=known.exit_code if known else 1,
    )
    ended = StageEnded(DISCOVER, Subject(), "failed", at="", problem=problem)
    return RecordedRun(run="", started_at="", courses={Subject(): SubjectRecord((ended,))}, milliseconds=0)
