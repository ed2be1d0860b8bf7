"""A run read back from its JSON result, or from a part of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


def load(data: bytes, file: str) -> RecordedRun:
    """A run from the JSON that ``ecapipe run --json`` or ``--report json=`` left in `file`.

    Raises `EcapipeError`: MalformedResult for anything else, NewerFormat for what a later ecapipe wrote, and the
    problem itself for a run that could not do its work at all.
    """
    try:
        return parse_result(json_object.parse(data))
    except MalformedRecord as misfit:
        raise EcapipeError(malformed_result(file, str(misfit))) from None
    except NewerVersion as newer:
        raise EcapipeError(newer_format(file, newer.version)) from None


def parse_result(document: Json) -> RecordedRun:
    """A run from its result, with or without the envelope; raises `MalformedRecord` and `NewerVersion`."""
    whole = JsonObject(document, "the document")
    interrupted = False
    if "result" in document:
        interrupted = whole.number("status") == INTERRUPTED
        whole = whole.object("result")
    elif "exitCode" in document:
        return _failed(whole)
    if (version := whole.number("version")) != VERSION:
        if version > VERSION:
            raise NewerVersion(version)
        raise MalformedRecord(f"{whole.path}.version is {version}")
    started_at = whole.text("startedAt")
    made = parse_part(whole.value, started_at)
    named = {ended.stage for course in made.courses.values() for ended in course.ended}
    reached = tuple(stage for stage in _STAGES.values() if stage in named)
    return replace(
        made,
        run=whole.text("run"),
        stages=reached,
        courses=made.courses if TOKEN in reached else dict(_without_tokens(made.courses)),
        interrupted=interrupted,
        milliseconds=sum(ended.milliseconds for course in made.courses.values() for ended in course.ended),
    )


def parse_part(document: Mapping[str, object], started_at: str = "") -> RecordedRun:
    """What a result, or a part of one, says of projects, apps and subjects; raises `MalformedRecord`.

    Members that are not there say nothing; ones that are not known are passed over.
    """
    whole = JsonObject(document, "result")
    failures = {
        (each.text_or_none("app"), each.text_or_none("org"), each.text("stage")): each
        for each in whole.objects("failures")
    }
    finished = {
        parse_subject(each): SubjectFinished(parse_subject(each), _login(each)) for each in whole.objects("successes")
    }
    ended: dict[Subject, list[StageEnded]] = {}
    for each in whole.objects("stages"):
        stage = _stage(each, failures, started_at)
        ended.setdefault(stage.subject, []).append(stage)
    if "finished" in document:  # said of the one subject of a line
        finished = {subject: finished.get(subject, SubjectFinished(subject, None)) for subject in ended}
    courses = {
        subject: SubjectRecord(tuple(ended.get(subject, ())), finished.get(subject))
        for subject in dict.fromkeys([*ended, *finished])
    }
    for subject, course in courses.items():
        if course.finished and course.failed:
            raise MalformedRecord(f"{whole.path} says of {subject} that it succeeded and that it failed")
    return RecordedRun(
        "",
        started_at,
        projects=tuple(
            ProjectFacts(each.text("root"), each.texts("packageDirectories")) for each in whole.objects("projects")
        ),
        apps=tuple(_app(each) for each in whole.objects("apps")),
        courses=courses,
    )


def _without_tokens(courses: Mapping[Subject, SubjectRecord]) -> Iterator[tuple[Subject, SubjectRecord]]:
    """The courses of a run that was to stop before it asked for a token. Nothing in its result says so outright: what
    came through all the stages that there were has done what it was asked for."""
    logins = any(subject.org for subject in courses)
    for subject, course in courses.items():
        above = courses.get(Subject(subject.app), SubjectRecord())
        through = not course.failed and all(ended.outcome != "skipped" for ended in above.ended)
        asked = subject.org is not None if logins else subject.app is not None or len(courses) == 1
        done = asked and through and not above.failed
        yield subject, replace(course, finished=SubjectFinished(subject, None)) if done else course


def parse_stage_name(stage: str, path: str) -> Stage:
    if stage not in _STAGES:
        raise MalformedRecord(f"{path} speaks of a stage {stage}, which there is not")
    return _STAGES[stage]


def parse_subject(each: JsonObject) -> Subject:
    subject = Subject(each.text_or_none("app"), each.text_or_none("org"))
    if subject.org is not None and subject.app is None:
        raise MalformedRecord(f"{each.path} has an org and no app")
    return subject


def _stage(
    each: JsonObject, failures: Mapping[tuple[str | None, str | None, str], JsonObject], at: str
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
    return StageEnded(
        parse_stage_name(name, each.path),
        subject,
        outcome,
        failure.text("at") if failure and problem else at,
        milliseconds,
        each.text_or_none("reason"),
        dict(each.object("facts").value),
        _problem(problem, failure) if problem and failure else None,
    )


def _problem(problem: JsonObject, failure: JsonObject) -> Problem:
    """A problem from what a stage and a failure say of it; the exit status is what its name stands for."""
    name = problem.text("name")
    known = CATALOGUE.get(name)
    return Problem(
        name,
        problem.text("message"),
        problem.texts("actions"),
        cast(Category, failure.one_of("category", get_args(Category))),
        known.exit_code if known else 1,
        failure.flag("retryable"),
        problem.text_or_none("file"),
        problem.number_or_none("line"),
        failure.text_or_none("host"),
        failure.number_or_none("httpStatus"),
        failure.text_or_none("oauthError"),
    )


def _login(each: JsonObject) -> LoginResult:
    return LoginResult(
        each.text_or_none("username"),
        each.text_or_none("userId"),
        each.text_or_none("orgId"),
        each.text_or_none("instanceUrl"),
        each.texts("scopes"),
        each.text("flow"),
        cast(TokenFate, each.one_of("token", get_args(TokenFate))),
    )


def _app(each: JsonObject) -> AppFacts:
    settings = each.text_or_none("settingsFile")
    distribution = None if each.text_or_none("distribution") is None else each.one_of("distribution", _DISTRIBUTIONS)
    pair = each.object("credentials")
    return AppFacts(
        each.text("name"),
        each.text("project"),
        settings,
        (settings,) if settings else (),
        cast(Literal["Local", "Packaged"] | None, distribution),
        cast(Literal["own", "sourceOrg", "none"], each.one_of("credentialsOf", ("own", "sourceOrg", "none"))),
        each.text_or_none("sourceOrgId"),
        each.texts("callbackUrls"),
        each.texts("flows"),
        _credential(pair.object("consumerKey")),
        _credential(pair.object("consumerSecret")),
    )


_DISTRIBUTIONS: Final = ("Local", "Packaged")
_IN_FILE: Final = ("present", "absent", "placeholder", "duplicate")


def _credential(each: JsonObject) -> CredentialFacts:
    return CredentialFacts(
        cast(Literal["present", "absent", "placeholder", "duplicate"], each.one_of("inFile", _IN_FILE)),
        each.flag("usable"),
        each.text_or_none("source"),
        each.texts("causes"),
        each.flag("required") if "required" in each.value else None,
    )


def _failed(whole: JsonObject) -> RecordedRun:
    """A run that could not do its work at all: its envelope holds the problem that kept it from it."""
    name = whole.text("name")
    known = CATALOGUE.get(name)
    found = Problem(
        name,
        whole.text("message"),
        whole.texts("actions"),
        known.category if known else "config",
        whole.number("exitCode"),
    )
    ended = StageEnded(DISCOVER, Subject(), "failed", "", problem=found)
    return RecordedRun("", "", courses={Subject(): SubjectRecord((ended,))}, milliseconds=0)
