"""The result of a command, in the one shape that every report format reads."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from ecapipe import __version__
from ecapipe.check.findings import LEVELS, NOT_EXAMINED, Finding, Level
from ecapipe.documents.report import Json, Report
from ecapipe.events import (
    APP_STAGES,
    DISCOVER,
    TARGET_STAGES,
    AppFacts,
    LoginResult,
    Origin,
    ProjectFacts,
    StageEnded,
    Subject,
    SubjectNames,
)
from ecapipe.problems.catalogue import CATALOGUE
from ecapipe.problems.problem import Problem
from ecapipe.render import text
from ecapipe.render.text import clean, location, plural

if TYPE_CHECKING:
    from ecapipe.check.rules.rule import Rule

Mark = Literal["passed", "note", "warning", "failed", "skipped", "accepted"]

Place = Callable[[str, Subject], str]
"""From a file as its project names it, and the subject it is about, to the path as a CI system knows it."""

_PROJECT_FILE: Final = "sfdx-project.json"
_OF_APPS: Final = frozenset(stage.name for stage in APP_STAGES)
_OF_TARGETS: Final = frozenset(stage.name for stage in TARGET_STAGES)


@dataclass(frozen=True, slots=True)
class ReportEntry:
    """Something that did not pass. `near` is a file even where none is to blame: SARIF and GitLab insist on one."""

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
        if self.subject in self.message:
            return self.message
        return f"{self.subject}: {self.message}"

    @property
    def location(self) -> str:
        """``file:line``, as far as it is known."""
        return location(self.file, self.line)


@dataclass(frozen=True, slots=True)
class ReportGroup:
    """Entries that say the same, each of its own subject, and the number that links of a page know them by."""

    number: int
    entries: tuple[ReportEntry, ...]

    @property
    def first(self) -> ReportEntry:
        """The entry whose words stand for all of them."""
        return self.entries[0]

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(entry.subject for entry in self.entries if entry.subject))


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """A stage or a rule. `always` False: tables leave it out when everything passed."""

    name: str
    title: str
    always: bool


@dataclass(frozen=True, slots=True)
class ReportCell:
    """How one stage or rule turned out for one subject, and why, if it did not simply pass."""

    mark: Mark
    entries: tuple[ReportEntry, ...] = ()
    reason: str = ""
    milliseconds: int = 0


@dataclass(frozen=True, slots=True)
class ReportRow:
    """The whole project (an empty `subject`), an app, or an app in an org. `note` says how it ended."""

    subject: str
    cells: Mapping[str, ReportCell]
    note: str = ""
    is_target: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """The explanation of a rule, or of a problem, that entries name."""

    name: str
    means: str
    why: str = ""
    remedy: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """One command's result.

    All text is on one line and harmless on a terminal and in a log; a format adds the escaping of its own syntax.
    `document` is what ``--json`` prints. `completed` False: the command was stopped, or could not examine all that it
    had to.
    """

    command: str
    verdict: str
    document: Json
    columns: tuple[ReportColumn, ...] = ()
    rows: tuple[ReportRow, ...] = ()
    entries: tuple[ReportEntry, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)
    completed: bool = True
    started_at: str = ""
    provenance: tuple[tuple[str, str], ...] = ()
    """What an auditor asks for, by its name, such as project, commit and actor, as far as it is known."""

    @property
    def has_stages(self) -> bool:
        """Whether the columns are stages, not rules."""
        return any(column.always for column in self.columns)

    @property
    def table_columns(self) -> tuple[ReportColumn, ...]:
        """The columns that a table for people needs."""
        # There are some fifty rules: a column for each of them would hide the few that found something.
        notable = {name for row in self.rows for name, cell in row.cells.items() if cell.mark != "passed"}
        return tuple(column for column in self.columns if column.always or column.name in notable)

    @property
    def open_entries(self) -> tuple[ReportEntry, ...]:
        """The entries that nobody has accepted, the gravest first."""
        entries = [entry for entry in self.entries if not entry.accepted]
        return tuple(sorted(entries, key=lambda entry: LEVELS.index(entry.level)))

    @property
    def identified_entries(self) -> Iterator[tuple[str, ReportEntry]]:
        """The open entries, each with a fingerprint of its own: CI systems drop what has one that they know."""
        count = Counter[str]()
        for entry in self.open_entries:
            count[entry.fingerprint] += 1
            yield _unique(entry.fingerprint, count[entry.fingerprint]), entry

    @property
    def accepted_entries(self) -> tuple[ReportEntry, ...]:
        """The entries that the baseline accepts."""
        return tuple(entry for entry in self.entries if entry.accepted)

    @property
    def groups(self) -> tuple[ReportGroup, ...]:
        """All entries, those that say the same together: by rule or problem, the open and the gravest first."""
        entries = (*self.open_entries, *self.accepted_entries)
        names = {name: rank for rank, name in enumerate(dict.fromkeys(entry.name for entry in entries))}
        by_words: dict[object, list[ReportEntry]] = {}
        for entry in sorted(entries, key=lambda entry: (entry.accepted, names[entry.name])):
            by_words.setdefault(_words(entry), []).append(entry)
        return tuple(ReportGroup(number, tuple(each)) for number, each in enumerate(by_words.values(), 1))


@dataclass(frozen=True, slots=True)
class _Names:
    """What reports call subjects, and the paths of entries as a CI system knows them. `homes` has a file of each
    app."""

    name: SubjectNames
    place: Place
    homes: Mapping[Subject, str]

    def path(self, file: str, subject: Subject) -> str:
        return clean(self.place(file, subject))

    def home(self, subject: Subject) -> str:
        """Where an entry belongs that has no file of its own."""
        return self.path(self.homes.get(subject.whole_app, _PROJECT_FILE), subject)


@dataclass(frozen=True, slots=True)
class _Result:
    """A finding, the app it is about, and the entry made of it."""

    finding: Finding
    subject: Subject
    entry: ReportEntry


def of_run(report: Report, document: Json, place: Place, command: str) -> ReportData:
    """A run: a row for the project, each app, and each app in each org; a column per stage."""
    name, logins = report.name, report.logins
    rows = [
        _of_subject(name(subject), cells, logins.get(subject), is_target=subject.org is not None)
        for subject, cells in _run_cells(report, place).items()
        if cells
    ]
    entries = _entries(rows)
    return ReportData(
        command,
        text.status(report),
        document,
        columns=tuple(ReportColumn(stage.name, stage.title, always=True) for stage in report.stages),
        rows=tuple(rows),
        entries=entries,
        topics={entry.name: _topic(entry.name) for entry in entries},
        completed=not report.interrupted and report.fatal is None,
        started_at=clean(report.started_at),
        provenance=tuple(_provenance(report.projects, report.origin, run=report.run)),
    )


def _words(entry: ReportEntry) -> object:
    """What an entry says, without the names of its subject: equal for entries that say the same of several."""
    names = sorted(filter(None, {entry.subject, *entry.subject.split("@")}), key=len, reverse=True)

    def without_names(text: str) -> str:
        for name in names:
            text = text.replace(name, "\0")
        return text

    return entry.name, entry.level, entry.accepted, without_names(entry.message), *map(without_names, entry.actions)


def _provenance(
    projects: Iterable[ProjectFacts], origin: Origin | None, **more: str | None
) -> Iterator[tuple[str, str]]:
    """Where a result comes from; `more` comes after the project, by its name with a capital."""
    known = {
        "Project": ", ".join(dict.fromkeys(map(_project_name, projects))),
        **{name.capitalize(): value for name, value in more.items()},
    }
    if origin:
        known |= {"Commit": origin.commit, "Branch": origin.branch, "Actor": origin.actor, "System": origin.system}
    yield from ((name, clean(value)) for name, value in known.items() if value)
    yield "ecapipe", __version__


def _project_name(project: ProjectFacts) -> str:
    """The path of a project in its repository; of one that is the repository, the name of its folder."""
    if project.tree != ".":
        return project.tree
    return project.root.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _run_cells(report: Report, place: Place) -> dict[Subject, dict[str, ReportCell]]:
    """How each stage ended for each subject; the project comes first."""
    names = _Names(report.name, place, _homes(report.apps))
    cells: dict[Subject, dict[str, ReportCell]] = {subject: {} for subject in (Subject(), *report.subjects)}
    for ended in report.ended:
        cells.setdefault(ended.subject, {})[ended.stage.name] = ReportCell(
            ended.outcome,
            tuple(_of_stage(ended, names)),
            reason=clean(ended.problem.message if ended.problem else ended.reason or ""),
            milliseconds=ended.milliseconds,
        )
    # A stage that was never begun has to be seen: without it a run that broke off looks like one that passed.
    for subject, stages in cells.items():
        for stage in report.stages:
            if _applies(stage.name, subject):
                stages.setdefault(stage.name, ReportCell("skipped", reason="Not reached."))
    return cells


def _of_subject(
    name: str, cells: Mapping[str, ReportCell], login: LoginResult | None, *, is_target: bool
) -> ReportRow:
    if login:
        note = clean(f"{login.username or login.user_id} in org {login.org_id}")
    else:
        note = _note(cells.values())
    return ReportRow(clean(name), cells, note=note, is_target=is_target)


def of_check(
    projects: Sequence[ProjectFacts],
    apps: Sequence[AppFacts],
    findings: Sequence[Finding],
    rules: Iterable[Rule],
    document: Json,
    place: Place,
    command: str,
    fails: Callable[[Finding], bool] = lambda finding: finding.level == "error",
    *,
    started_at: str = "",
    purpose: str | None = None,
    commit: str | None = None,
    origin: Origin | None = None,
) -> ReportData:
    """A check: a row per app (and one for files of no app), a column per rule. `fails` says which findings do.

    `commit`: what is checked out, where no CI system says.
    """
    projects = tuple(projects)
    topics = {
        rule.name: Topic(rule.name, rule.means, why=rule.why, remedy=rule.remedy, source=rule.source)
        for rule in rules
    }
    subjects = [app.subject for app in apps]
    names = _Names(SubjectNames(subjects), place, _homes(apps))
    trees = {project.root: project.tree for project in projects}
    results = [_result(finding, trees.get(finding.project), names) for finding in findings]
    entries = tuple(result.entry for result in results)
    return ReportData(
        command,
        _counts(entries),
        document,
        columns=tuple(ReportColumn(name, name, always=False) for name in topics),
        rows=tuple(_check_rows(subjects, results, topics, fails, names.name)),
        entries=entries,
        topics=topics,
        started_at=started_at,
        provenance=tuple(_provenance(projects, origin, purpose=purpose, commit=commit)),
        completed=not any(finding.rule == NOT_EXAMINED and finding.level == "error" for finding in findings),
    )


def _check_rows(
    apps: Iterable[Subject],
    results: Iterable[_Result],
    rules: Iterable[str],
    fails: Callable[[Finding], bool],
    name: SubjectNames,
) -> Iterator[ReportRow]:
    by_subject: dict[Subject, dict[str, list[_Result]]] = {}
    for result in results:
        by_subject.setdefault(result.subject, {}).setdefault(result.entry.name, []).append(result)
    passed = ReportCell("passed")
    no_app = [subject for subject in by_subject if not subject.app]
    for subject in dict.fromkeys([*no_app, *apps, *by_subject]):
        by_rule = by_subject.get(subject, {})
        # A rule passes for an app. For files of no app that says nothing: most rules do not look at them.
        cells = {rule: passed for rule in rules if subject.app or rule in by_rule}
        for rule, group in by_rule.items():
            cells[rule] = ReportCell(_mark(group, fails), tuple(result.entry for result in group))
        yield ReportRow(clean(name(subject)), cells)


def of_failure(problem: Problem, document: Json, place: Place, command: str) -> ReportData:
    """A command that could not do its work at all."""
    entry = _of_problem(problem, Subject(), "", _Names(SubjectNames(), place, {}))
    cell = ReportCell("failed", (entry,), entry.message)
    return ReportData(
        command,
        "Failed",
        document,
        columns=(ReportColumn(DISCOVER.name, DISCOVER.title, always=True),),
        rows=(ReportRow("", {DISCOVER.name: cell}, entry.name),),
        entries=(entry,),
        topics={entry.name: _topic(entry.name)},
        completed=False,
    )


def _homes(apps: Iterable[AppFacts]) -> dict[Subject, str]:
    return {app.subject: app.settings_file or next(iter(app.files), _PROJECT_FILE) for app in apps}


def _applies(stage: str, subject: Subject) -> bool:
    """Whether the stage works on such a subject."""
    if subject.is_login:
        return stage in _OF_TARGETS
    if subject.app:
        return stage in _OF_APPS
    return stage not in _OF_APPS | _OF_TARGETS


def _of_stage(ended: StageEnded, names: _Names) -> Iterator[ReportEntry]:
    """What a stage has to report: its failure, or its warning, which goes by the stage's own name."""
    subject, stage = ended.subject, ended.stage.name
    if ended.problem:
        yield _of_problem(ended.problem, subject, stage, names)
    elif ended.outcome == "warning":
        yield ReportEntry(
            name=stage,
            level="warning",
            message=clean(ended.reason or ""),
            subject=clean(names.name(subject)),
            file=None,
            near=names.home(subject),
            line=None,
            actions=(),
            fingerprint=_fingerprint(stage, names.name(subject)),
        )


def _of_problem(problem: Problem, subject: Subject, stage: str, names: _Names) -> ReportEntry:
    file = names.path(problem.file, subject) if problem.file else None
    return ReportEntry(
        name=problem.name,
        level="error",
        message=clean(problem.message),
        subject=clean(names.name(subject)),
        file=file,
        near=file or names.home(subject),
        line=problem.line,
        actions=tuple(clean(action) for action in problem.actions),
        # Neither message nor line: the same problem stays the same when its words or the file around it change.
        fingerprint=_fingerprint(problem.name, names.name(subject), stage, problem.file or ""),
    )


def _result(finding: Finding, tree: str | None, names: _Names) -> _Result:
    about = Subject(finding.app, tree=tree)
    file = names.path(finding.file, about) if finding.file else None
    subject = about if finding.app else Subject()
    entry = ReportEntry(
        name=finding.rule,
        level=finding.level,
        message=clean(finding.message),
        subject=clean(names.name(subject)),
        file=file,
        near=file or names.home(about),
        line=finding.line,
        actions=tuple(clean(action) for action in finding.actions),
        fingerprint=finding.fingerprint,
        accepted=finding.accepted,
    )
    return _Result(finding, subject, entry)


def _mark(results: Sequence[_Result], fails: Callable[[Finding], bool]) -> Mark:
    """The gravest that the findings of one rule and subject come to."""
    findings = [result.finding for result in results if not result.finding.accepted]
    if not findings:
        return "accepted"
    if any(fails(finding) for finding in findings):
        return "failed"
    if all(finding.level == "note" for finding in findings):
        return "note"
    return "warning"


def _note(cells: Iterable[ReportCell]) -> str:
    """Why the row ended as it did: the name of its failure, else the first reason there is."""
    cells = list(cells)
    failures = [entry.name for cell in cells if cell.mark == "failed" for entry in cell.entries]
    return next(iter([*failures, *(cell.reason for cell in cells if cell.reason)]), "")


def _entries(rows: Iterable[ReportRow]) -> tuple[ReportEntry, ...]:
    return tuple(entry for row in rows for cell in row.cells.values() for entry in cell.entries)


def _counts(entries: Sequence[ReportEntry]) -> str:
    levels = [entry.level for entry in entries if not entry.accepted]
    counts = [plural(levels.count(level), level) for level in LEVELS]
    if len(entries) > len(levels):
        counts.append(f"{len(entries) - len(levels)} accepted")
    return ", ".join(counts)


def _topic(name: str) -> Topic:
    explanation = CATALOGUE.get(name)
    if explanation is None:
        return Topic(name, f"The stage {name} ended with a warning.")
    return Topic(name, explanation.means, remedy=explanation.remedy)


def _fingerprint(*parts: str) -> str:
    # NUL parts them, as it stands in no name; a file name that is no UTF-8 comes with lone surrogates.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _unique(fingerprint: str, number: int) -> str:
    """The fingerprint of the `number`th entry that has it."""
    # The first stays as it is, so that it is known again however many follow.
    if number == 1:
        return fingerprint
    return _fingerprint(fingerprint, str(number))
