"""``--report``, and what GitHub Actions is shown without being asked."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ecapipe.adapters.storage import files, writer
from ecapipe.cli.arguments import conceal
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.events import ProjectFacts, Subject
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import interrupted, usage_error
from ecapipe.project.discovery import ProjectSelection
from ecapipe.project.tree import ProjectTree
from ecapipe.render import text
from ecapipe.render.reports import FORMATS

if TYPE_CHECKING:
    from ecapipe.render.report_data import Place, ReportData

_SUMMARY_SIZE: Final = 1_000_000
"""Bytes of a step summary; GitHub shows none above 1 MiB."""


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """A value of ``--report``: the name of a format, and the path of a file."""

    format: str
    path: str


@dataclass(frozen=True, slots=True)
class Reports:
    """What is to be written once the work is done: files, and annotations in GitHub Actions.

    `roots`: where files lie while no project has been read; `trees`: no report is written through a link in these.
    """

    session: CommandSession
    command: str
    files: tuple[ReportTarget, ...]
    roots: tuple[str, ...]
    trees: tuple[str, ...]

    @contextmanager
    def covering(self) -> Iterator[None]:
        """While the context lasts, a failure or Ctrl-C is reported as what the command came to."""
        try:
            yield
        except EcapipeError as error:
            self._write_failure(conceal(error.problem, self.session.words))
            raise
        except KeyboardInterrupt:
            self._write_failure(interrupted())
            raise

    def write(self, result: Callable[[], ReportData]) -> list[str]:
        """Write everything, if there is anything to write.

        Returns a sentence for each file that could not be written; standard error says so, too. Nothing interrupts
        it, or what follows.
        """
        self.session.interrupts.retire()
        if not self.files and not self._in_actions:
            return []
        data, problems = result(), []
        for target in self.files:
            try:
                writer.write_report(target.path, FORMATS[target.format](data).encode(), trees=self.trees)
            except EcapipeError as error:
                # The other reports are written all the same.
                problems.append(error.problem)
        lines = [line for problem in problems for line in text.problem(problem)]
        if self._in_actions:
            lines += self._summarize(data)
        # Standard error comes last: it may have no room.
        self.session.tell(lines)
        if self._in_actions:
            from ecapipe.render import annotations

            text.write(self.session.err, annotations.lines(data), commands=True)
        return [problem.message for problem in problems]

    def place(self, projects: Iterable[ProjectFacts]) -> Place:
        """Where CI systems find a file: relative to the root of its git repository, else of its project."""
        roots = tuple(project.root for project in projects) or self.roots
        bases = {root: files.repository(root) or root for root in roots}

        def place(file: str, subject: Subject) -> str:
            if subject.tree and not os.path.isabs(subject.tree):
                # Relative to the repository, which may have been in another place on the machine of a merged result.
                return posixpath.normpath(posixpath.join(subject.tree, file))
            candidates = [subject.tree] if subject.tree else roots
            existing = (root for root in candidates if os.path.exists(os.path.join(root, file)))
            root = next(existing, candidates[0])
            return os.path.relpath(os.path.join(root, file), bases.get(root, root)).replace(os.sep, "/")

        return place

    @property
    def _in_actions(self) -> bool:
        return self.session.environment.get("GITHUB_ACTIONS") == "true"

    def _write_failure(self, problem: Problem) -> None:
        def failure_data() -> ReportData:
            from ecapipe.render.report_data import of_failure

            document = report.failure(problem, self.command)
            return of_failure(problem, document, self.place(()), self.command)

        self.write(failure_data)

    def _summarize(self, data: ReportData) -> list[str]:
        """Add to the page that GitHub shows for the step, as far as it fits; a warning if that fails."""
        from ecapipe.render import markdown

        path = self.session.environment.get("GITHUB_STEP_SUMMARY")
        if path is None:
            return []
        summary = ""
        for block in markdown.blocks(data):
            if len((summary + block).encode()) < _SUMMARY_SIZE:
                summary += f"{block}\n\n"
        try:
            # Other steps of the job write to the same file.
            files.append(path, summary)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            return [f"Warning: GITHUB_STEP_SUMMARY cannot be written to: {reason}."]
        return []


def parse(
    session: CommandSession,
    command: str,
    values: Sequence[str] | None,
    project: ProjectSelection,
    tree: ProjectTree,
) -> Reports:
    """The reports that the `values` of ``--report`` ask for; raises `EcapipeError` (UsageError).

    A path that cannot be written to is refused here, before the work that the report is about.
    """
    folders = [os.path.abspath(folder) for folder in (*project.directories, *project.metadata_dirs)] or [os.getcwd()]
    roots = tuple(tree.project_above(folder) or folder for folder in folders)
    # A report of one project may be written into another: the one that the user is in.
    here = tree.project_above(os.getcwd()) or files.repository(os.getcwd())
    trees = (*roots, here) if here else roots
    targets: dict[str, ReportTarget] = {}
    for value in values or ():
        target = _parse_target(value, command, trees)
        # By the real path: two names of one file would have the second report overwrite the first.
        if targets.setdefault(os.path.realpath(target.path), target) != target:
            raise _usage_error(command, f"--report names {target.path} twice.")
    return Reports(session, command, tuple(targets.values()), roots, trees)


def _parse_target(value: str, command: str, trees: Sequence[str]) -> ReportTarget:
    """A value of ``--report``, FORMAT=PATH."""
    format, _, path = value.partition("=")
    formats = f"Formats: {', '.join(FORMATS)}."
    if path in ("", "-"):
        raise _usage_error(command, f"--report takes FORMAT=PATH, the path of a file, not {value}.", formats)
    if format not in FORMATS:
        raise _usage_error(command, f"There is no report format {format}.", *did_you_mean(format, FORMATS), formats)
    if obstacle := writer.obstacle(path, trees):
        sentence = f"The report {path} cannot be written: {obstacle}."
        raise _usage_error(command, sentence, "Name a file in another folder, without links on the way to it.")
    return ReportTarget(format, path)


def _usage_error(command: str, message: str, *hints: str) -> EcapipeError:
    return EcapipeError(usage_error(message, command, *hints))
