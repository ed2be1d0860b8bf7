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


def parse(data: bytes, file: str) -> JournalRecord | None:
    """A journal; None if it has not even a header. A last line without its end was not written to its end, and counts
    for nothing. A later line about a subject replaces an earlier one.

    Raises `EcapipeError`: DamagedRecord, NewerFormat.
    """
    number, lines = 1, data.split(b"\n")[:-1]
    if not lines:
        return None
    try:
        made = _header(JsonObject(json_object.parse(lines[0]), "the header"))
        began = made.recorded
        apps, courses, ended = dict[tuple[str, str], AppFacts](), dict[Subject, SubjectRecord](), began
        for line in lines[1:]:
            number += 1
            document = json_object.parse(line)
            if "ended" in document:
                last = JsonObject(document, "the line").object("ended")
                ended = replace(began, interrupted=last.flag("interrupted"), milliseconds=last.number("milliseconds"))
            else:
                told = run_results.parse_part(document, began.started_at)
                courses |= told.courses
                apps |= {(facts.project, facts.name): facts for facts in told.apps}
    except MalformedRecord as misfit:
        raise EcapipeError(damaged_record(file, number, str(misfit))) from None
    except NewerVersion as newer:
        raise EcapipeError(newer_format(file, newer.version)) from None
    return replace(made, recorded=replace(ended, apps=tuple(apps.values()), courses=courses))


def _header(first: JsonObject) -> JournalRecord:
    if (version := first.number("journal")) != FORMAT:
        raise NewerVersion(version) if version > FORMAT else MalformedRecord(f"{first.path}.journal is {version}")
    planned = run_results.parse_part(first.value)
    recorded = RecordedRun(
        first.text("run"),
        first.text("startedAt"),
        tuple(run_results.parse_stage_name(name, first.path) for name in first.texts("asked")),
        planned.projects,
        plan=tuple(run_results.parse_subject(each) for each in first.objects("targets")),
    )
    arguments = None if first.value.get("arguments") is None else first.texts("arguments")
    return JournalRecord(recorded, first.text_or_none("resumes"), arguments, first.text("folder"))
