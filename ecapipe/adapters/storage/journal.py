"""Journals: what each of the last runs has done, on disk while it does it, so that another can go on."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import reduce
from typing import Final, assert_never

from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import state
from ecapipe.adapters.storage.background_file import BackgroundFile, write_all
from ecapipe.documents import codec, journal_lines
from ecapipe.documents.codec import Document
from ecapipe.documents.journal_lines import JournalRecord
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.events import (
    TARGET_STAGES,
    AppDescribed,
    Event,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import newer_format
from ecapipe.problems.usage import run_ambiguous, run_going_on, run_not_found, unreadable_file, usage_error
from ecapipe.secret import members_without_known, without_known

KEPT: Final = 50
"""Runs, unless ``ECAPIPE_KEEP_RUNS`` says otherwise; older ones go when a new one begins."""
_MOST: Final = 100_000

# O_EXCL: never over the journal of another run. O_BINARY: Windows is to leave line ends alone.
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
_FOLDER: Final = "runs"
_SUFFIX: Final = ".jsonl"
_LARGEST: Final = 512 * 2**20
_LONGEST_HEAD: Final = 2**20
_PATIENCE: Final = 1.0
"""Seconds to wait for somebody who only looks whether a run is going on."""


@dataclass(frozen=True, slots=True)
class JournalFile:
    """A journal that is kept; `going`: its run has not ended, and somebody is at work on it."""

    path: str
    journal: JournalRecord
    going: bool = False

    @property
    def run(self) -> str:
        return self.journal.recorded.run


class JournalWriter:
    """An `Emit` that writes down a run with logins: a header, then a line for each app and for each login that ended.

    A line is a part of the run's JSON result, so it holds no secret. Nothing but the end of the run waits for the
    disk. A disk that cannot be written to ends the journal, not the run: `lost` says so then, in a sentence. All
    events have to come one after the other.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        arguments: Sequence[str] | None = None,
        resumes: str | None = None,
    ) -> None:
        """Raises `EcapipeError` (UsageError) for a number of runs that is none."""
        self._environment, self._kept = environment, kept(environment)
        self._arguments, self._resumes = arguments, resumes
        self._started: RunStarted | None = None
        self._stage_count = 0
        """How many stages a login has in this run."""
        self._pending: dict[Subject, list[Event]] = {}
        self._file: BackgroundFile | None = None
        self._closing = ExitStack()
        self._over = False
        self.run: str | None = None
        """The run's name, once it can be resumed."""
        self.lost: str | None = None

    def __call__(self, event: Event) -> None:
        if self._over:
            return
        try:
            self._record(event)
        except OSError as error:
            self._give_up(_reason(error))
        except EcapipeError as error:
            self._give_up(" ".join((error.problem.message, *error.problem.actions)))

    def close(self) -> None:
        """Let go of the journal, whatever has happened."""
        try:
            self._end()
        except OSError as error:
            self.lost = self.lost or self._sentence(_reason(error))

    def _end(self) -> None:
        """Raises `OSError` if not everything came to the disk."""
        self._over = True
        file, self._file = self._file, None
        try:
            if file:
                file.finish()
        finally:
            self._closing.close()

    def _record(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._started = event
                self._stage_count = sum(stage in TARGET_STAGES for stage in event.stages)
            case RunPlanned():
                self._begin(event)
            case StageStarted():
                self._restart(event)
            case StageEnded():
                course = self._gather(event.subject, event)
                # A login that failed may be tried again, so its end may come late: what is known goes down at once.
                if event.subject.org and len(course) == self._stage_count and any(map(_failed, course)):
                    self._write(event.subject)
            case AppDescribed():
                subject = event.app.subject
                self._gather(subject, event)
                self._write(subject)
            case SubjectFinished():
                self._gather(event.subject, event)
                self._write(event.subject)
            case RunEnded():
                for subject in list(self._pending):
                    self._write(subject)
                self._put(journal_lines.end(event))
                self._end()
            case StageNoted():
                pass
            case _:
                assert_never(event)

    def _restart(self, event: StageStarted) -> None:
        """Forget what is pending of a login that goes through a stage for the second time: it is tried again."""
        course = self._pending.get(event.subject, ())
        if any(isinstance(each, StageEnded) and each.stage == event.stage for each in course):
            del self._pending[event.subject]

    def _gather(self, subject: Subject, event: Event) -> list[Event]:
        course = self._pending.setdefault(subject, [])
        course.append(event)
        return course

    def _begin(self, planned: RunPlanned) -> None:
        if self._started is None or not any(subject.org for subject in planned.subjects):
            self._over = True  # there is nothing that a run could go on with
            return
        folder, run = state.folder(self._environment, _FOLDER), self._started.run
        self._closing.enter_context(state.lock(_lock(folder, run), run_going_on(run), _PATIENCE))
        path = _path(folder, run)
        file = os.open(path, _NEW, 0o600)
        self._closing.callback(os.close, file)
        header = journal_lines.header(self._started, planned, self._resumes, self._arguments, os.getcwd())
        # The only line that is waited for: without it the others say nothing.
        write_all(file, _line(header))
        os.fsync(file)
        self._file = BackgroundFile(file)
        self.run = run
        self._write(Subject())
        _prune(folder, self._kept)

    def _write(self, subject: Subject) -> None:
        """Write down what is known of the subject by now."""
        if self._file:
            self._put(journal_lines.part(self._pending.pop(subject, [])))

    def _put(self, document: Document) -> None:
        if self._file:
            self._file.put(_line(document))

    def _give_up(self, reason: str) -> None:
        self.lost = self._sentence(reason)
        self.close()

    def _sentence(self, reason: str) -> str:
        lost = "The rest of this run" if self.run else "This run"
        return f"{lost} is not recorded, so it cannot be resumed: {reason.rstrip('.')}."


def entries(environment: Environment) -> tuple[list[JournalFile], list[Problem]]:
    """The runs that there are journals of, the newest first, and a problem for each journal that cannot be read.

    Raises `EcapipeError` (StateDirectoryUnusable).
    """
    folder = state.existing(environment, _FOLDER)
    files: list[JournalFile] = []
    failures: list[Problem] = []
    for run in _runs(folder):
        try:
            if file := _read(folder, run):
                files.append(file)
        except EcapipeError as error:
            failures.append(error.problem)
    return sorted(files, key=lambda file: file.journal.recorded.started_at, reverse=True), failures


def names(environment: Environment) -> list[str]:
    """The names of the runs that there are journals of, the newest first; none where there can be none."""
    try:
        return _runs(state.existing(environment, _FOLDER))
    except EcapipeError:
        return []


def find(
    environment: Environment, name: str | None, roots: Collection[str] | None = None, started_in: str | None = None
) -> JournalFile:
    """The run called `name`, or by what only its name starts with; for None the latest one: if `roots` are given, of
    a project in one of them, or `started_in` that folder.

    Raises `EcapipeError`: RunNotFound, RunAmbiguous, StateDirectoryUnusable, or what keeps it from being read.
    """
    folder = state.existing(environment, _FOLDER)
    runs = _runs(folder)
    if name is None:
        # The first line is enough to choose by; journals of thousands of logins are large.
        heads = _heads(folder, runs)
        candidates = [
            run for run, head in heads if roots is None or _is_of(head, roots) or head.folder == started_in
        ][:1]
    else:
        candidates = [run for run in runs if name and run.startswith(name)]
    if len(candidates) > 1:
        raise EcapipeError(run_ambiguous(name or "", candidates))
    if candidates and (file := _read(folder, candidates[0])):
        return file
    raise EcapipeError(run_not_found(name, runs, resumes=roots is not None))


@contextmanager
def held(entry: JournalFile) -> Iterator[RecordedRun]:
    """What the run of `entry`, those it resumed and those that resumed it know together.

    While the context lasts, nobody else resumes any of them. Raises `EcapipeError` (RunGoingOn).
    """
    folder = os.path.dirname(entry.path)
    # The oldest first: so locks are always taken in one order, and what is known later wins.
    runs = _related(entry.run, list(reversed(_heads(folder, _runs(folder)))))
    with ExitStack() as stack:
        for run in runs:
            stack.enter_context(state.lock(_lock(folder, run), run_going_on(run), _PATIENCE))
        # Read under the locks: a run that has just ended may have written more.
        recorded = [file.journal.recorded for run in runs if (file := _read(folder, run))]
        yield reduce(RecordedRun.then, recorded) if recorded else entry.journal.recorded


def _related(run: str, heads: Sequence[tuple[str, JournalRecord]]) -> list[str]:
    """`run`, and the runs that it resumed or that resumed it, over any number of others; in the order of `heads`."""
    links = [(each, head.resumes) for each, head in heads if head.resumes]
    related, size = {run}, 0
    while len(related) > size:
        size = len(related)
        related |= {each for link in links if related.intersection(link) for each in link}
    return [each for each, _ in heads if each in related]


def _line(document: Document) -> bytes:
    line = codec.encode(document)
    text = line.decode()
    if without_known(text) != text:
        import json

        line = json.dumps(members_without_known(json.loads(line)), separators=(",", ":")).encode()
    return line + b"\n"


def _failed(event: Event) -> bool:
    return isinstance(event, StageEnded) and event.problem is not None


def _runs(folder: str) -> list[str]:
    """The names of the runs, the newest first."""
    try:
        names = os.listdir(folder)
    except OSError:  # there has not been any
        return []
    # A run is named after the time of its start.
    return sorted((name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)), reverse=True)


def _path(folder: str, run: str) -> str:
    return os.path.join(folder, run + _SUFFIX)


def _lock(folder: str, run: str) -> str:
    return os.path.join(folder, f"{run}.lock")


def _heads(folder: str, runs: Iterable[str]) -> list[tuple[str, JournalRecord]]:
    """What the first lines say, those of the run that started last first. A damaged one says nothing; raises
    `EcapipeError` (NewerFormat) for one that could say anything."""
    heads = []
    for run in runs:
        path = _path(folder, run)
        try:
            with state.open_file(path) as file:
                head = journal_lines.parse(_first_line(file.read(_LONGEST_HEAD)), path)
        except OSError:  # it has just been removed, or is nobody's to read
            continue
        except EcapipeError as error:
            if error.problem.kind is newer_format:
                raise
            continue
        if head:
            heads.append((run, head))
    return sorted(heads, key=lambda each: each[1].recorded.started_at, reverse=True)


def _first_line(data: bytes) -> bytes:
    return data[: data.find(b"\n") + 1]


def _is_of(head: JournalRecord, roots: Collection[str]) -> bool:
    return any(project.root in roots for project in head.recorded.projects)


def _read(folder: str, run: str) -> JournalFile | None:
    """A journal; None if nothing whole is in it. Raises `EcapipeError`."""
    path = _path(folder, run)
    try:
        with state.open_file(path) as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise EcapipeError(unreadable_file(path, _reason(error))) from None
    if len(data) > _LARGEST:
        raise EcapipeError(unreadable_file(path, f"it is larger than {_LARGEST // 2**20} MiB"))
    record = journal_lines.parse(data, path)
    if record is None:
        return None
    return JournalFile(path, record, going=record.recorded.milliseconds is None and _is_locked(folder, run))


def _is_locked(folder: str, run: str) -> bool:
    try:
        with state.lock(_lock(folder, run), run_going_on(run)):
            return False
    except EcapipeError:
        return True


def kept(environment: Environment) -> int:
    """How many runs are recorded at most; raises `EcapipeError` (UsageError)."""
    text = environment.get("ECAPIPE_KEEP_RUNS") or str(KEPT)
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= _MOST:
        sentence = f"ECAPIPE_KEEP_RUNS must be a number from 1 to {_MOST}."
        raise EcapipeError(usage_error(sentence, "ecapipe run", "Correct it, or unset it."))
    return int(text)


def _prune(folder: str, kept: int) -> None:
    """Remove all but the last runs, and any that are going on."""
    # Also of those that only a lock is left of.
    runs = {name.partition(".")[0] for name in os.listdir(folder) if name.endswith((_SUFFIX, ".lock"))}
    for run in sorted(runs, reverse=True)[kept:]:
        lock = _lock(folder, run)
        with suppress(EcapipeError), state.lock(lock, run_going_on(run)):
            for path in (_path(folder, run), lock):
                with suppress(FileNotFoundError):  # another run that has just begun was faster
                    os.unlink(path)


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
