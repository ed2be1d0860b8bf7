"""A run read back from its JSON result, or from a part of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal, cast, get_args

from ecapipe.documents import json_object
from ecapipe.documents.json_object import JsonObject, MalformedRecord, NewerVersion
from ecapipe.documents.recorded_runs import RecordedRun, SubjectRecord
from ecapipe.documents.report import VERSION, Json
from ecapipe.events import (
    ALL_STAGES,
    DISCOVER,
    TOKEN,
    AppFacts,
    CredentialFacts,
    LoginResult,
    Outcome,
    ProjectFacts,
    Stage,
    StageEnded,
    Subject,
    SubjectFinished,
    TokenFate,
)
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import INTERRUPTED, Category, EcapipeError, Problem
from ecapipe.problems.storage import newer_format
from ecapipe.problems.usage import malformed_result

_STAGES: Final = {stage.name: stage for stage in ALL_STAGES}
_DISTRIBUTIONS: Final = ("Local", "Packaged")
_CREDENTIAL_OWNERS: Final = ("own", "sourceOrg", "none")
_IN_FILE: Final = ("present", "absent", "placeholder", "duplicate")


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
    result = JsonObject(document, "the document")
    interrupted = False
    if "result" in document:
        # Only the envelope, which ``--json`` writes, says that the run was interrupted.
        interrupted = result.number("status") == INTERRUPTED
        result = result.object("result")
    elif "exitCode" in document:
        return _failed_run(result)
    result.expect_version("version", VERSION)
    run = parse_part(result.value, result.text("startedAt"))
    stages_by_subject = [course.ended for course in run.courses.values()]
    reached = {ended.stage for stages in stages_by_subject for ended in stages}
    # In the order of a run, whichever subject the result begins with.
    stages = tuple(stage for stage in _STAGES.values() if stage in reached)
    courses = run.courses
    if TOKEN not in stages:
        courses = _finish_without_token(courses)
    return replace(
        run,
        run=result.text("run"),
        stages=stages,
        courses=courses,
        interrupted=interrupted,
        # A result has no duration of its own: this is the work in it, which may have been done side by side.
        milliseconds=sum(ended.milliseconds for stages in stages_by_subject for ended in stages),
    )


def parse_part(document: Mapping[str, object], started_at: str = "") -> RecordedRun:
    """What a result, or a part of one, says of projects, apps and subjects; raises `MalformedRecord`.

    Members that are missing say nothing, and unknown ones are ignored. `started_at` stands in for the times of stages
    that did not fail: a result does not have them.
    """
    whole = JsonObject(document, "result")
    # A failure of the result belongs to the stage of the same name: each has members that the other lacks.
    failures = {
        (failure.text_or_none("app"), failure.text_or_none("org"), failure.text("stage")): failure
        for failure in whole.objects("failures")
    }
    finished = {}
    for success in whole.objects("successes"):
        subject = parse_subject(success)
        finished[subject] = SubjectFinished(subject, _parse_login(success))
    ended: dict[Subject, list[StageEnded]] = {}
    for each in whole.objects("stages"):
        stage = _parse_stage(each, failures, started_at)
        ended.setdefault(stage.subject, []).append(stage)
    if "finished" in document:
        # Only lines of a journal have it, and such a line is about one subject.
        finished = {subject: finished.get(subject, SubjectFinished(subject, None)) for subject in ended}
    courses = {
        subject: SubjectRecord(tuple(ended.get(subject, ())), finished.get(subject))
        for subject in dict.fromkeys([*ended, *finished])
    }
    for subject, course in courses.items():
        if course.finished and course.failed:
            raise MalformedRecord(f"{whole.path} says of {subject} that it succeeded and that it failed")
    return RecordedRun(
        run="",
        started_at=started_at,
        projects=tuple(
            ProjectFacts(project.text("root"), project.texts("packageDirectories"))
            for project in whole.objects("projects")
        ),
        apps=tuple(_parse_app(app) for app in whole.objects("apps")),
        courses=courses,
    )


def _finish_without_token(courses: Mapping[Subject, SubjectRecord]) -> dict[Subject, SubjectRecord]:
    """The courses of a run that was to stop before it asked for a token (``--until``).

    Nothing in its result says which subjects succeeded: those that came through all the stages there were.
    """
    logins = any(subject.org for subject in courses)
    completed = {}
    for subject, course in courses.items():
        app_course = courses.get(Subject(subject.app), SubjectRecord())
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
        return subject.org is not None
    return subject.app is not None or len(courses) == 1


def parse_stage_name(stage: str, path: str) -> Stage:
    """The stage called `stage`; raises `MalformedRecord`, which names `path`."""
    if stage not in _STAGES:
        raise MalformedRecord(f"{path} speaks of a stage {stage}, which there is not")
    return _STAGES[stage]


def parse_subject(each: JsonObject) -> Subject:
    """The subject of a part of a result; raises `MalformedRecord`."""
    subject = Subject(each.text_or_none("app"), each.text_or_none("org"))
    if subject.org is not None and subject.app is None:
        raise MalformedRecord(f"{each.path} has an org and no app")
    return subject


def _parse_stage(
    each: JsonObject, failures: Mapping[tuple[str | None, str | None, str], JsonObject], started_at: str
) -> StageEnded:
    subject, name = parse_subject(each), each.text("stage")
    outcome = cast(Outcome, each.one_of("outcome", get_args(Outcome)))
    failure = failures.get((subject.app, subject.org, name))
    problem = each.object_or_none("problem")
    if (outcome == "failed") != (problem is not None):
        raise MalformedRecord(f"{each.path} has a problem and has not failed, or the other way round")
    if problem is not None and failure is None:
        raise MalformedRecord(f"{each.path} has failed, and no failure says so")
    milliseconds = each.number("milliseconds")
    if milliseconds < 0:
        raise MalformedRecord(f"{each.path}.milliseconds is negative")
    ended = StageEnded(
        parse_stage_name(name, each.path),
        subject,
        outcome,
        at=started_at,
        milliseconds=milliseconds,
        reason=each.text_or_none("reason"),
        facts=dict(each.object("facts").value),
    )
    if problem and failure:
        return replace(ended, at=failure.text("at"), problem=_parse_problem(problem, failure))
    return ended


def _parse_problem(problem: JsonObject, failure: JsonObject) -> Problem:
    """The problem of a failed stage, of which the stage and the failure each have a part."""
    name = problem.text("name")
    return Problem(
        name,
        problem.text("message"),
        actions=problem.texts("actions"),
        category=cast(Category, failure.one_of("category", get_args(Category))),
        # A result does not have the exit status of each problem. A name that the catalogue lacks may be of another
        # version: it counts as an ordinary failure.
        exit_code=CATALOGUE[name].exit_code if name in CATALOGUE else 1,
        retryable=failure.flag("retryable"),
        file=problem.text_or_none("file"),
        line=problem.number_or_none("line"),
        host=failure.text_or_none("host"),
        http_status=failure.number_or_none("httpStatus"),
        oauth_error=failure.text_or_none("oauthError"),
    )


def _parse_login(each: JsonObject) -> LoginResult:
    return LoginResult(
        username=each.text_or_none("username"),
        user_id=each.text_or_none("userId"),
        org_id=each.text_or_none("orgId"),
        instance_url=each.text_or_none("instanceUrl"),
        scopes=each.texts("scopes"),
        flow=each.text("flow"),
        token=cast(TokenFate, each.one_of("token", get_args(TokenFate))),
    )


def _parse_app(each: JsonObject) -> AppFacts:
    settings = each.text_or_none("settingsFile")
    distribution = each.text_or_none("distribution")
    if distribution is not None:
        each.one_of("distribution", _DISTRIBUTIONS)
    credentials = each.object("credentials")
    return AppFacts(
        name=each.text("name"),
        project=each.text("project"),
        settings_file=settings,
        # A result names no other file of an app.
        files=(settings,) if settings else (),
        distribution=cast(Literal["Local", "Packaged"] | None, distribution),
        credentials_of=cast(Literal["own", "sourceOrg", "none"], each.one_of("credentialsOf", _CREDENTIAL_OWNERS)),
        source_org_id=each.text_or_none("sourceOrgId"),
        callback_urls=each.texts("callbackUrls"),
        flows=each.texts("flows"),
        consumer_key=_parse_credential(credentials.object("consumerKey")),
        consumer_secret=_parse_credential(credentials.object("consumerSecret")),
    )


def _parse_credential(each: JsonObject) -> CredentialFacts:
    required = None
    if "required" in each.value:
        required = each.flag("required")
    return CredentialFacts(
        in_file=cast(Literal["present", "absent", "placeholder", "duplicate"], each.one_of("inFile", _IN_FILE)),
        usable=each.flag("usable"),
        source=each.text_or_none("source"),
        causes=each.texts("causes"),
        required=required,
    )


def _failed_run(envelope: JsonObject) -> RecordedRun:
    """A run that could not do its work at all: its envelope holds the problem instead of a result."""
    name = envelope.text("name")
    problem = Problem(
        name,
        envelope.text("message"),
        actions=envelope.texts("actions"),
        # The envelope has no category. A configuration error is the likeliest reason to stop before any work.
        category=CATALOGUE[name].category if name in CATALOGUE else "config",
        exit_code=envelope.number("exitCode"),
    )
    ended = StageEnded(DISCOVER, Subject(), "failed", at="", problem=problem)
    return RecordedRun(run="", started_at="", courses={Subject(): SubjectRecord((ended,))}, milliseconds=0)
