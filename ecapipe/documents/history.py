"""A run as it is recorded, in the shape of its JSON result, and as it is read back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal, TypeVar, cast, get_args

from ecapipe import __version__
from ecapipe.documents import report, shards
from ecapipe.documents.report import VERSION, Json, Report
from ecapipe.events import (
    ALL_STAGES,
    DISCOVER,
    RUN_STAGES,
    TOKEN,
    AppDescribed,
    AppFacts,
    CredentialFacts,
    Event,
    LoginResult,
    Outcome,
    ProjectFacts,
    RunEnded,
    RunPlanned,
    RunStarted,
    Stage,
    StageEnded,
    Subject,
    SubjectFinished,
    TokenFate,
)
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import INTERRUPTED, Category, EcapipeError, Problem
from ecapipe.problems.storage import damaged_record, newer_format
from ecapipe.problems.usage import malformed_result

T = TypeVar("T")

RECORDED: Final = "recorded"
"""The fact of a stage that was taken over: the run it was taken over from."""
SHARD: Final = "shard"
"""The fact of the first stage that says which part of the targets the run was asked for, as ``2/4``."""
FINGERPRINT: Final = "fingerprint"
"""The fact of the first stage of a login that says, in short hashes, what it depends on."""

_STAGES: Final = {stage.name: stage for stage in ALL_STAGES}


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


# --- journals: a header, and parts of the result, a line each ---------------------------------------------------

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A run as its journal has it. `resumes` names the run it went on with, `arguments` are those of its command
    line (None: they do not serve again), which was given in `folder`."""

    recorded: RecordedRun
    resumes: str | None
    arguments: tuple[str, ...] | None
    folder: str


def header(
    started: RunStarted, planned: RunPlanned, resumes: str | None, arguments: Sequence[str] | None, folder: str
) -> Json:
    """The first line of a journal."""
    return {
        "journal": FORMAT,
        "ecapipe": __version__,
        "run": started.run,
        "startedAt": started.at,
        "asked": [stage.name for stage in started.stages],
        "targets": [{"app": subject.app, "org": subject.org} for subject in planned.subjects if subject.org],
        "resumes": resumes,
        "arguments": None if arguments is None else list(arguments),
        "folder": folder,
        **part([planned]),
    }


def part(events: Sequence[Event]) -> Json:
    """What `events` come to, none of which replaces another, as a part of the JSON result: a further line."""
    ended = [event for event in events if isinstance(event, StageEnded)]
    finished = [event for event in events if isinstance(event, SubjectFinished)]
    planned = next((event for event in events if isinstance(event, RunPlanned)), None)
    result = {
        "projects": report.projects(planned.projects if planned else ()),
        "apps": [report.app(event.app) for event in events if isinstance(event, AppDescribed)],
        **report.courses(ended, {event.subject: event.login for event in finished if event.login}),
    }
    return {name: told for name, told in result.items() if told} | ({"finished": True} if finished else {})


def end(ended: RunEnded) -> Json:
    """The last line."""
    return {"ended": {"interrupted": ended.interrupted, "milliseconds": ended.milliseconds}}


def journal(data: bytes, file: str) -> JournalRecord | None:
    """A journal; None if it has not even a header. A last line without its end was not written to its end, and counts
    for nothing. A later line about a subject replaces an earlier one.

    Raises `EcapipeError`: DamagedRecord, NewerFormat.
    """
    number, lines = 1, data.split(b"\n")[:-1]
    if not lines:
        return None
    try:
        made = _header(_Object(parse(lines[0]), "the header"))
        began = made.recorded
        apps, courses, ended = dict[tuple[str, str], AppFacts](), dict[Subject, SubjectRecord](), began
        for line in lines[1:]:
            number += 1
            document = parse(line)
            if "ended" in document:
                last = _Object(document, "the line").object("ended")
                ended = replace(began, interrupted=last.flag("interrupted"), milliseconds=last.number("milliseconds"))
            else:
                told = piece(document, began.started_at)
                courses |= told.courses
                apps |= {(facts.project, facts.name): facts for facts in told.apps}
    except MalformedRecord as misfit:
        raise EcapipeError(damaged_record(file, number, str(misfit))) from None
    except NewerVersion as newer:
        raise EcapipeError(newer_format(file, newer.version)) from None
    return replace(made, recorded=replace(ended, apps=tuple(apps.values()), courses=courses))


def _header(first: _Object) -> JournalRecord:
    if (version := first.number("journal")) != FORMAT:
        raise NewerVersion(version) if version > FORMAT else MalformedRecord(f"{first.path}.journal is {version}")
    planned = piece(first.value)
    recorded = RecordedRun(
        first.text("run"),
        first.text("startedAt"),
        tuple(_named(name, first.path) for name in first.texts("asked")),
        planned.projects,
        plan=tuple(_subject(each) for each in first.objects("targets")),
    )
    arguments = None if first.value.get("arguments") is None else first.texts("arguments")
    return JournalRecord(recorded, first.text_or_none("resumes"), arguments, first.text("folder"))


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run stands. `status` is the exit status it ended with, None if it has not, or was broken off; the counts
    are of targets; `open`: not reached, or not to their end."""

    run: str
    started_at: str
    state: Literal["going", "ended", "interrupted", "brokenOff"]
    status: int | None
    projects: tuple[str, ...]
    shard: str | None
    resumes: str | None
    planned: int
    finished: int
    failed: int
    skipped: int
    open: int

    @property
    def command(self) -> str | None:
        """What goes on with it; None if there is nothing left to do, or somebody is at work on it."""
        left = self.failed + self.open
        return f"ecapipe run --resume {self.run}" if left and self.state != "going" else None

    @property
    def json(self) -> Json:
        """A run of ``ecapipe runs list``, version 1."""
        return {
            "run": self.run,
            "startedAt": self.started_at,
            "state": self.state,
            "status": self.status,
            "projects": list(self.projects),
            "shard": self.shard,
            "resumes": self.resumes,
            "targets": {
                "planned": self.planned,
                "finished": self.finished,
                "failed": self.failed,
                "skipped": self.skipped,
                "open": self.open,
            },
            "command": self.command,
        }


def summary(written: JournalRecord, *, going: bool) -> RunSummary:
    """How the run of a journal stands; `going`: somebody is at work on it."""
    run = written.recorded
    seen = Report()
    for event in run.events():
        seen(event)
    courses = [run.courses.get(target, SubjectRecord()) for target in run.targets]
    finished, failed = (
        sum(course.finished is not None for course in courses),
        sum(course.failed for course in courses),
    )
    skipped = sum(course.skipped for course in courses)
    ended = run.milliseconds is not None
    return RunSummary(
        run.run,
        run.started_at,
        "going" if going else "interrupted" if run.interrupted else "ended" if ended else "brokenOff",
        seen.status if ended else None,
        tuple(project.root for project in run.projects),
        run.shard,
        written.resumes,
        len(courses),
        finished,
        failed,
        skipped,
        len(courses) - finished - failed - skipped,
    )


# --- results ----------------------------------------------------------------------------------------------------


def load(data: bytes, file: str) -> RecordedRun:
    """A run from the JSON that ``ecapipe run --json`` or ``--report json=`` left in `file`.

    Raises `EcapipeError`: MalformedResult for anything else, NewerFormat for what a later ecapipe wrote, and the
    problem itself for a run that could not do its work at all.
    """
    try:
        return result(parse(data))
    except MalformedRecord as misfit:
        raise EcapipeError(malformed_result(file, str(misfit))) from None
    except NewerVersion as newer:
        raise EcapipeError(newer_format(file, newer.version)) from None


class MalformedRecord(Exception):
    """The text is no JSON, or the JSON is no result of a run; says where and why."""


class NewerVersion(Exception):
    """It was written by a later version, whose format has this number."""

    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version


def parse(data: bytes) -> Json:
    """A JSON object; raises `Misfit`."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        document = json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except UnicodeDecodeError:
        raise MalformedRecord("it is not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise MalformedRecord(f"it is not JSON (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise MalformedRecord("it is not JSON that any result holds") from None
    if not isinstance(document, dict):
        raise MalformedRecord("it is not a JSON object")
    return document


def result(document: Json) -> RecordedRun:
    """A run from its result, with or without the envelope; raises `Misfit` and `NewerVersion`."""
    whole = _Object(document, "the document")
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
    made = piece(whole.value, started_at)
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


def piece(document: Mapping[str, object], started_at: str = "") -> RecordedRun:
    """What a result, or a part of one, says of projects, apps and subjects; raises `Misfit`.

    Members that are not there say nothing; ones that are not known are passed over.
    """
    whole = _Object(document, "result")
    failures = {
        (each.text_or_none("app"), each.text_or_none("org"), each.text("stage")): each
        for each in whole.objects("failures")
    }
    finished = {_subject(each): SubjectFinished(_subject(each), _login(each)) for each in whole.objects("successes")}
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


def _named(stage: str, path: str) -> Stage:
    if stage not in _STAGES:
        raise MalformedRecord(f"{path} speaks of a stage {stage}, which there is not")
    return _STAGES[stage]


class _Object:
    """A JSON object on its way to a value; `path` is where it stands. Every method raises `Misfit`."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise MalformedRecord(f"{path} is not an object")
        self.value: Mapping[str, object] = value
        self.path = path

    def _member(self, name: str, kind: type[T], article: str) -> T:
        value = self.value.get(name)
        if name not in self.value:
            raise MalformedRecord(f"{self.path}.{name} is missing")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise MalformedRecord(f"{self.path}.{name} is not {article}")
        return value

    def text(self, name: str) -> str:
        return self._member(name, str, "a string")

    def text_or_none(self, name: str) -> str | None:
        return None if name in self.value and self.value[name] is None else self.text(name)

    def number(self, name: str) -> int:
        return self._member(name, int, "an integer")

    def number_or_none(self, name: str) -> int | None:
        return None if name in self.value and self.value[name] is None else self.number(name)

    def flag(self, name: str) -> bool:
        return self._member(name, bool, "true or false")

    def one_of(self, name: str, words: Sequence[str]) -> str:
        word = self.text(name)
        if word not in words:
            raise MalformedRecord(f"{self.path}.{name} is none of {', '.join(words)}")
        return word

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._member(name, list, "a list")
        if not all(isinstance(value, str) for value in values):
            raise MalformedRecord(f"{self.path}.{name} holds something that is not a string")
        return tuple(values)

    def object(self, name: str) -> _Object:
        return _Object(self._member(name, dict, "an object"), f"{self.path}.{name}")

    def object_or_none(self, name: str) -> _Object | None:
        return None if name in self.value and self.value[name] is None else self.object(name)

    def objects(self, name: str) -> list[_Object]:
        """None for a member that is not there."""
        values = self._member(name, list, "a list") if name in self.value else []
        return [_Object(value, f"{self.path}.{name}[{index}]") for index, value in enumerate(values)]


def _subject(each: _Object) -> Subject:
    subject = Subject(each.text_or_none("app"), each.text_or_none("org"))
    if subject.org is not None and subject.app is None:
        raise MalformedRecord(f"{each.path} has an org and no app")
    return subject


def _stage(each: _Object, failures: Mapping[tuple[str | None, str | None, str], _Object], at: str) -> StageEnded:
    subject, name = _subject(each), each.text("stage")
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
        _named(name, each.path),
        subject,
        outcome,
        failure.text("at") if failure and problem else at,
        milliseconds,
        each.text_or_none("reason"),
        dict(each.object("facts").value),
        _problem(problem, failure) if problem and failure else None,
    )


def _problem(problem: _Object, failure: _Object) -> Problem:
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


def _login(each: _Object) -> LoginResult:
    return LoginResult(
        each.text_or_none("username"),
        each.text_or_none("userId"),
        each.text_or_none("orgId"),
        each.text_or_none("instanceUrl"),
        each.texts("scopes"),
        each.text("flow"),
        cast(TokenFate, each.one_of("token", get_args(TokenFate))),
    )


def _app(each: _Object) -> AppFacts:
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


def _credential(each: _Object) -> CredentialFacts:
    return CredentialFacts(
        cast(Literal["present", "absent", "placeholder", "duplicate"], each.one_of("inFile", _IN_FILE)),
        each.flag("usable"),
        each.text_or_none("source"),
        each.texts("causes"),
        each.flag("required") if "required" in each.value else None,
    )


def _failed(whole: _Object) -> RecordedRun:
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
