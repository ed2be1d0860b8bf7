"""What a command did or found, in the one shape that every report format reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from ecapipe.check.findings import LEVELS, NOT_EXAMINED, Finding, Level, Rule
from ecapipe.documents.report import Json, Report
from ecapipe.events import APP_STAGES, DISCOVER, TARGET_STAGES, AppFacts, StageEnded, Subject
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import Problem
from ecapipe.render import text
from ecapipe.render.text import clean

Mark = Literal["passed", "note", "warning", "failed", "skipped", "accepted"]

Place = Callable[[str, str | None, str], str]
"""From a file as its project knows it, the app it is about, and the root of the project (empty where that is not
known), to the path as a CI system knows it."""

_PROJECT_FILE: Final = "sfdx-project.json"
_OF_APPS: Final = frozenset(stage.name for stage in APP_STAGES)
_OF_TARGETS: Final = frozenset(stage.name for stage in TARGET_STAGES)


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """Something that did not pass. `near` is a file even where none is to blame: some formats insist on one."""

    name: str
    level: Level
    message: str
    subject: str
    file: str | None
    near: str
    line: int | None
    actions: tuple[str, ...]
    fingerprint: str
    accepted: bool = False

    @property
    def sentence(self) -> str:
        """The message, with its subject before it unless it names it."""
        return self.message if self.subject in self.message else f"{self.subject}: {self.message}"


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """A stage or a rule. `telling` False: it is left out of tables when everything passed."""

    name: str
    title: str
    telling: bool


@dataclass(frozen=True, slots=True)
class ReportCell:
    """How one stage or rule turned out for one subject, and why, if it did not simply pass."""

    mark: Mark
    entries: tuple[ReportEntry, ...] = ()
    reason: str = ""
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The whole project (an empty `subject`), an app, or an app in an org. `note` is its end in a sentence."""

    subject: str
    cells: Mapping[str, ReportCell]
    note: str = ""
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """What a name that entries carry stands for."""

    name: str
    means: str
    why: str = ""
    remedy: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """One command's result. All text is on one line and harmless on a terminal and in a log; a format adds the
    escaping of its own syntax. `document` is what ``--json`` prints; `completed` False: the command was stopped, or
    could not look at what it had to."""

    command: str
    verdict: str
    document: Json
    columns: tuple[ReportColumn, ...] = ()
    rows: tuple[ReportRow, ...] = ()
    entries: tuple[ReportEntry, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    completed: bool = True
    started_at: str = ""

    @property
    def telling(self) -> tuple[ReportColumn, ...]:
        """The columns that a table for people needs."""
        told = {name for row in self.rows for name, cell in row.cells.items() if cell.mark != "passed"}
        return tuple(column for column in self.columns if column.telling or column.name in told)

    @property
    def open_entries(self) -> tuple[ReportEntry, ...]:
        """The entries that nobody has accepted, the gravest first."""
        left = [entry for entry in self.entries if not entry.accepted]
        return tuple(sorted(left, key=lambda entry: LEVELS.index(entry.level)))


def of_run(report: Report, document: Json, place: Place, command: str) -> ReportData:
    """A run: a row for the project, each app, and each app in each org; a column per stage."""
    home = _homes(report.apps)
    cells: dict[Subject, dict[str, ReportCell]] = {subject: {} for subject in (Subject(), *report.subjects)}
    for ended in report.ended:
        entries = tuple(_of_stage(ended, place, home))
        reason = clean(ended.problem.message if ended.problem else ended.reason or "")
        cells.setdefault(ended.subject, {})[ended.stage.name] = ReportCell(
            ended.outcome, entries, reason, ended.milliseconds
        )
    for subject, done in cells.items():
        for stage in report.stages:
            if _applies(stage.name, subject):
                done.setdefault(stage.name, ReportCell("skipped", reason="Not reached."))
    logins = {
        subject: clean(f"{login.username or login.user_id} in org {login.org_id}")
        for subject, login in report.logins.items()
    }
    rows = [
        ReportRow(clean(str(subject)), done, logins.get(subject) or _note(done.values()), subject.org is not None)
        for subject, done in cells.items()
        if done
    ]
    found = _entries(rows)
    return ReportData(
        command,
        text.status(report),
        document,
        tuple(ReportColumn(stage.name, stage.title, telling=True) for stage in report.stages),
        tuple(rows),
        found,
        {entry.name: _explained(entry.name) for entry in found},
        not report.interrupted and report.fatal is None,
        report.started_at,
    )


def of_check(
    apps: Sequence[AppFacts],
    findings: Sequence[Finding],
    rules: Iterable[Rule],
    document: Json,
    place: Place,
    command: str,
    fails: Callable[[Finding], bool] = lambda finding: finding.level == "error",
) -> ReportData:
    """A check: a row per app (and one for files of no app), a column per rule. `fails` says which findings do."""
    topics = {rule.name: Topic(rule.name, rule.means, rule.why, rule.remedy, rule.source) for rule in rules}
    home = _homes(apps)
    passed = ReportCell("passed")
    by_subject: dict[str, dict[str, list[tuple[Finding, ReportEntry]]]] = {}
    entries = []
    for finding in findings:
        entry = _of_finding(finding, place, home)
        entries.append(entry)
        by_subject.setdefault(entry.subject, {}).setdefault(entry.name, []).append((finding, entry))
    rows = []
    nobody = [subject for subject in by_subject if not subject]
    for subject in dict.fromkeys([*nobody, *(clean(app.name) for app in apps), *by_subject]):
        found = by_subject.get(subject, {})
        cells = {name: passed for name in topics if subject or name in found}
        for name, pairs in found.items():
            cells[name] = ReportCell(_mark(pairs, fails), tuple(entry for _, entry in pairs))
        rows.append(ReportRow(subject, cells))
    return ReportData(
        command,
        _counts(entries),
        document,
        tuple(ReportColumn(name, name, telling=False) for name in topics),
        tuple(rows),
        tuple(entries),
        topics,
        not any(finding.rule == NOT_EXAMINED and finding.level == "error" for finding in findings),
    )


def of_failure(problem: Problem, document: Json, place: Place, command: str) -> ReportData:
    """A command that could not do its work at all."""
    entry = _of_problem(problem, Subject(), "", place, {})
    cell = ReportCell("failed", (entry,), entry.message)
    return ReportData(
        command,
        "Failed",
        document,
        (ReportColumn(DISCOVER.name, DISCOVER.title, telling=True),),
        (ReportRow("", {DISCOVER.name: cell}, entry.name),),
        (entry,),
        {entry.name: _explained(entry.name)},
        completed=False,
    )


def _homes(apps: Iterable[AppFacts]) -> dict[str | None, str]:
    """A file of each app: where an entry belongs that has none of its own."""
    return {app.name: app.settings_file or next(iter(app.files), _PROJECT_FILE) for app in apps}


def _applies(stage: str, subject: Subject) -> bool:
    if subject.org:
        return stage in _OF_TARGETS
    return stage in _OF_APPS if subject.app else stage not in _OF_APPS | _OF_TARGETS


def _of_stage(ended: StageEnded, place: Place, home: Mapping[str | None, str]) -> Iterable[ReportEntry]:
    """What a stage has to report: its failure, or its warning, which goes by the stage's own name."""
    if ended.problem:
        yield _of_problem(ended.problem, ended.subject, ended.stage.name, place, home)
    elif ended.outcome == "warning":
        subject, near = ended.subject, home.get(ended.subject.app, _PROJECT_FILE)
        yield ReportEntry(
            ended.stage.name,
            "warning",
            clean(ended.reason or ""),
            clean(str(subject)),
            None,
            clean(place(near, subject.app, subject.tree or "")),
            None,
            (),
            _fingerprint(ended.stage.name, str(subject)),
        )


def _of_problem(
    problem: Problem, subject: Subject, stage: str, place: Place, home: Mapping[str | None, str]
) -> ReportEntry:
    file = clean(place(problem.file, subject.app, subject.tree or "")) if problem.file else None
    return ReportEntry(
        problem.name,
        "error",
        clean(problem.message),
        clean(str(subject)),
        file,
        file or clean(place(home.get(subject.app, _PROJECT_FILE), subject.app, subject.tree or "")),
        problem.line,
        tuple(clean(action) for action in problem.actions),
        _fingerprint(problem.name, str(subject), stage, problem.file or ""),
    )


def _of_finding(finding: Finding, place: Place, home: Mapping[str | None, str]) -> ReportEntry:
    file = clean(place(finding.file, finding.app, finding.project)) if finding.file else None
    return ReportEntry(
        finding.rule,
        finding.level,
        clean(finding.message),
        clean(finding.app or ""),
        file,
        file or clean(place(home.get(finding.app, _PROJECT_FILE), finding.app, finding.project)),
        finding.line,
        tuple(clean(action) for action in finding.actions),
        finding.fingerprint,
        finding.accepted,
    )


def _mark(found: Sequence[tuple[Finding, ReportEntry]], fails: Callable[[Finding], bool]) -> Mark:
    left = [finding for finding, _ in found if not finding.accepted]
    if not left:
        return "accepted"
    if any(fails(finding) for finding in left):
        return "failed"
    return "note" if all(finding.level == "note" for finding in left) else "warning"


def _note(cells: Iterable[ReportCell]) -> str:
    """Why the row ended as it did: the name of its failure, else the first reason there is."""
    shown = list(cells)
    failures = [entry.name for cell in shown if cell.mark == "failed" for entry in cell.entries]
    return next(iter([*failures, *(cell.reason for cell in shown if cell.reason)]), "")


def _entries(rows: Iterable[ReportRow]) -> tuple[ReportEntry, ...]:
    return tuple(entry for row in rows for cell in row.cells.values() for entry in cell.entries)


def _counts(entries: Sequence[ReportEntry]) -> str:
    def several(count: int, word: str) -> str:
        return f"{count} {word}{'' if count == 1 else 's'}"

    left = [entry.level for entry in entries if not entry.accepted]
    said = [several(left.count(level), level) for level in LEVELS]
    accepted = len(entries) - len(left)
    return ", ".join([*said, *([f"{accepted} accepted"] if accepted else [])])


def _explained(name: str) -> Topic:
    known = CATALOGUE.get(name)
    if known is None:
        return Topic(name, f"The stage {name} ended with a warning.")
    return Topic(name, known.means, remedy=known.remedy)


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
