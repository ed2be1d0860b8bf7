"""The lines of a journal: a header, parts of the JSON result of the run, and its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ecapipe import __version__
from ecapipe.documents import codec, json_object, run_document, run_results
from ecapipe.documents.codec import Document
from ecapipe.documents.json_object import MalformedRecord, NewerVersion
from ecapipe.documents.recorded_runs import RecordedRun, SubjectRecord
from ecapipe.documents.run_document import (
    FORMAT,
    App,
    Invocation,
    JournalHeader,
    OfSubject,
    Org,
    Origin,
    RecordedProject,
    RunPart,
)
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


class _Line(RunPart, omit_defaults=True):
    # A journal has a line for each login, often thousands: empty members would be most of it.
    finished: bool = False


class _Ended(Document):
    interrupted: bool
    milliseconds: int


class _End(Document):
    ended: _Ended


def header(
    started: RunStarted, planned: RunPlanned, resumes: str | None, arguments: Sequence[str] | None, folder: str
) -> Document:
    """The first line of a journal."""
    return JournalHeader(
        ecapipe=__version__,
        run=started.run,
        started_at=started.at,
        asked=[stage.name for stage in started.stages],
        targets=[OfSubject.of(subject) for subject in planned.subjects if subject.org],
        resumes=resumes,
        arguments=arguments,
        folder=folder,
        invocation=Invocation.of(started.options),
        origin=Origin.of(started.origin),
        projects=list(map(RecordedProject.of, planned.projects)),
        orgs=list(map(Org.of, planned.orgs)),
    )


def part(events: Sequence[Event]) -> Document:
    """A further line: what `events` add to the JSON result of the run. None of them may replace another."""
    finished = [event for event in events if isinstance(event, SubjectFinished)]
    return _Line(
        apps=[App.of(event.app) for event in events if isinstance(event, AppDescribed)],
        finished=bool(finished),
        **run_document.courses(
            [event for event in events if isinstance(event, StageEnded)],
            {event.subject: event.login for event in finished if event.login},
        ),
    )


def end(ended: RunEnded) -> Document:
    """The last line."""
    return _End(_Ended(ended.interrupted, ended.milliseconds))


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
        apps: dict[Subject, AppFacts] = {}
        courses: dict[Subject, SubjectRecord] = {}
        for line in lines[1:]:
            number += 1
            document = json_object.parse(line)
            if "ended" in document:
                end = codec.convert(document, _End).ended
                run = replace(run, interrupted=end.interrupted, milliseconds=end.milliseconds)
                continue
            # A later line about a subject replaces an earlier one: stages that started again are written again.
            part = codec.convert(document, _Line)
            courses |= run_results.parse_courses(part, run.started_at, finished=part.finished)
            apps |= {facts.subject: facts for facts in map(run_results.parse_app, part.apps)}
    except MalformedRecord as error:
        raise EcapipeError(damaged_record(file, number, str(error))) from None
    except NewerVersion as error:
        raise EcapipeError(newer_format(file, error.version)) from None
    return replace(journal, recorded=replace(run, apps=tuple(apps.values()), courses=courses))


def _parse_header(line: bytes) -> JournalRecord:
    document = json_object.parse(line)
    # Before any other member: in another format they may mean something else.
    codec.expect_version(document, "journal", FORMAT)
    head = codec.convert(document, JournalHeader)
    recorded = replace(
        run_results.parse_head(head),
        stages=tuple(run_results.parse_stage_name(name, "the header") for name in head.asked),
        plan=tuple(map(run_results.parse_subject, head.targets)),
    )
    arguments = None if head.arguments is None else tuple(head.arguments)
    return JournalRecord(recorded, head.resumes, arguments, head.folder)
