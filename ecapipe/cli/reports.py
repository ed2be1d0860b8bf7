"""``--report``, and what CI systems are shown without being asked."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ecapipe.adapters.storage import files, writer
from ecapipe.cli import ci_systems
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


@dataclass(frozen=True, slots=True)
class ReportTarget:
    """A value of ``--report``: the name of a format, and the path of a file."""

    format: str
    path: str


@dataclass(frozen=True, slots=True)
class Reports:
    """What is to be written once the work is done: files, annotations and a summary.

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
        show = ci_systems.current(self.session.environment)
        if not self.files and show is None:
            return []
        data, problems = result(), []
        for target in self.files:
            try:
                writer.write_report(target.path, FORMATS[target.format](data).encode(), trees=self.trees)
            except EcapipeError as error:
                # The other reports are written all the same.
                problems.append(error.problem)
        lines = [line for problem in problems for line in text.problem(problem)]
        shown = show(data, self.session.environment) if show else ci_systems.Shown(())
        # Standard error comes last: it may have no room.
        self.session.tell([*lines, *shown.warnings])
        text.write(self.session.err, shown.commands, commands=True)
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

    def _write_failure(self, problem: Problem) -> None:
        def failure_data() -> ReportData:
            from ecapipe.render.report_data import of_failure

            document = report.failure(problem, self.command)
            return of_failure(problem, document, self.place(()), self.command)

        self.write(failure_data)


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
            raise _usage_error(command, f"--report specifies {target.path} more than once.")
    return Reports(session, command, tuple(targets.values()), roots, trees)


def _parse_target(value: str, command: str, trees: Sequence[str]) -> ReportTarget:
    """A value of ``--report``, FORMAT=PATH."""
    format, _, path = value.partition("=")
    formats = f"Formats: {', '.join(FORMATS)}."
    if not format or path in ("", "-"):
        raise _usage_error(command, f"Expected --report to be FORMAT=PATH, not {value}.", formats)
    if format not in FORMATS:
        raise _usage_error(command, f"Unknown report format: {format}.", *did_you_mean(format, FORMATS), formats)
    if obstacle := writer.obstacle(path, trees):
        reason, advice = obstacle
        raise _usage_error(command, f"Can't write the report {path}: {reason}.", advice)
    return ReportTarget(format, path)


def _usage_error(command: str, message: str, *hints: str) -> EcapipeError:
    return EcapipeError(usage_error(message, command, *hints))
