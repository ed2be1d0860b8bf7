"""The lines of a journal: a header, parts of the JSON result of the run, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe import __version__
from ecapipe.documents import json_object, report, run_results
from ecapipe.documents.json_object import JsonObject, MalformedRecord, NewerVersion
from ecapipe.documents.recorded_runs import RecordedRun, SubjectRecord
from ecapipe.documents.report import Json
from ecapipe.events import (
    AppDescribed,
    AppFacts,
    Event,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.storage import damaged_record, newer_format

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """A run as its journal records it.

    `resumes` names the run that it went on with. `arguments` are those of its command line, which was entered in
    `folder`; None if they cannot be used again.
    """

    recorded: RecordedRun
    resumes: str | None
    arguments: tuple[str, ...] | None
    folder: str


def header(
    started: RunStarted, planned: RunPlanned, resumes: str | None, arguments: Sequence[str] | None, folder: str
) -> Json:
    """The first line of a journal."""
    document: Json = {
        "journal": FORMAT,
        "ecapipe": __version__,
        "run": started.run,
        "startedAt": started.at,
        "asked": [stage.name for stage in started.stages],
        "targets": [{"app": subject.app, "org": subject.org} for subject in planned.subjects if subject.org],
        "resumes": resumes,
        "arguments": None if arguments is None else list(arguments),
        "folder": folder,
    }
    return document | part([planned])


def part(events: Sequence[Event]) -> Json:
    """A further line: what `events` add to the JSON result of the run. None of them may replace another."""
    ended = [event for event in events if isinstance(event, StageEnded)]
    finished = [event for event in events if isinstance(event, SubjectFinished)]
    projects = [facts for event in events if isinstance(event, RunPlanned) for facts in event.projects]
    document: Json = {
        "projects": report.projects(projects),
        "apps": [report.app(event.app) for event in events if isinstance(event, AppDescribed)],
        **report.courses(ended, {event.subject: event.login for event in finished if event.login}),
    }
    # A journal has a line for each login, often thousands: empty members would be most of it.
    line = {name: value for name, value in document.items() if value}
    if finished:
        line["finished"] = True
    return line


def end(ended: RunEnded) -> Json:
    """The last line."""
    return {"ended": {"interrupted": ended.interrupted, "milliseconds": ended.milliseconds}}


def parse(data: bytes, file: str) -> JournalRecord | None:
    """The journal in `data`; None if it lacks even a header. `file` is its name in messages.

    Raises `EcapipeError`: DamagedRecord, NewerFormat.
    """
    # What follows the last line break is a line that a crash cut off, or nothing.
    lines = data.split(b"\n")[:-1]
    if not lines:
        return None
    number = 1
    try:
        journal = _parse_header(lines[0])
        run = journal.recorded
        apps: dict[tuple[str, str], AppFacts] = {}
        courses: dict[Subject, SubjectRecord] = {}
        for line in lines[1:]:
            number += 1
            document = json_object.parse(line)
            if "ended" in document:
                run = _parse_end(document, run)
                continue
            # A later line about a subject replaces an earlier one: stages that started again are written again.
            addition = run_results.parse_part(document, run.started_at)
            courses |= addition.courses
            apps |= {(facts.project, facts.name): facts for facts in addition.apps}
    except MalformedRecord as error:
        raise EcapipeError(damaged_record(file, number, str(error))) from None
    except NewerVersion as error:
        raise EcapipeError(newer_format(file, error.version)) from None
    return replace(journal, recorded=replace(run, apps=tuple(apps.values()), courses=courses))


def _parse_header(line: bytes) -> JournalRecord:
    first = JsonObject(json_object.parse(line), "the header")
    # Before any other member: in another format they may mean something else.
    first.expect_version("journal", FORMAT)
    facts = run_results.parse_part(first.value)
    recorded = RecordedRun(
        run=first.text("run"),
        started_at=first.text("startedAt"),
        stages=tuple(run_results.parse_stage_name(name, first.path) for name in first.texts("asked")),
        projects=facts.projects,
        plan=tuple(run_results.parse_subject(each) for each in first.objects("targets")),
    )
    arguments = None
    if first.value.get("arguments") is not None:
        arguments = first.texts("arguments")
    return JournalRecord(recorded, first.text_or_none("resumes"), arguments, first.text("folder"))


def _parse_end(document: Json, run: RecordedRun) -> RecordedRun:
    ended = JsonObject(document, "the line").object("ended")
    return replace(run, interrupted=ended.flag("interrupted"), milliseconds=ended.number("milliseconds"))
