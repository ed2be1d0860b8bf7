"""``--report``, and what GitHub Actions is shown without being asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ecapipe.adapters.storage import files
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.events import AppFacts, ProjectFacts
from ecapipe.problems.problem import EcapipeError, Problem, did_you_mean
from ecapipe.problems.usage import interrupted, usage_error
from ecapipe.project.discovery import ProjectSelection
from ecapipe.project.tree import ProjectTree
from ecapipe.render import text

if TYPE_CHECKING:
    from ecapipe.render.report_data import Place, ReportData

_SUMMARY: Final = 1_000_000
"""Bytes of a step summary; GitHub shows none above 1 MiB."""


@dataclass(frozen=True, slots=True)
class Reports:
    """What is to be written once the work is done: files (format and path), and annotations in GitHub Actions.

    `roots`: where files lie while no project has been read.
    """

    session: CommandSession
    command: str
    files: tuple[tuple[str, str], ...]
    roots: tuple[str, ...]

    @contextmanager
    def covering(self) -> Iterator[None]:
        """While the context lasts, a failure or Ctrl-C is reported as what the command came to."""
        try:
            yield
        except EcapipeError as error:
            self._write_failure(error.problem)
            raise
        except KeyboardInterrupt:
            self._write_failure(interrupted())
            raise

    def write(self, result: Callable[[], ReportData]) -> list[str]:
        """Write everything, if there is anything; a sentence for each file that could not be written, which is said
        on standard error, too."""
        if not self.files and not self._in_actions:
            return []
        from ecapipe.render.reports import FORMATS

        account, lost = result(), []
        for name, path in self.files:
            try:
                files.write(path, FORMATS[name](account))
            except EcapipeError as error:
                text.write(self.session.err, text.problem(error.problem))
                lost.append(error.problem.message)
        if self._in_actions:
            self._annotate(account)
        return lost

    def place(self, projects: Iterable[ProjectFacts], apps: Iterable[AppFacts]) -> Place:
        """Where CI systems find a file: relative to the root of its git repository, else of its project."""
        owners: dict[str | None, list[AppFacts]] = {}
        for app in apps:
            owners.setdefault(app.name, []).append(app)
        roots = tuple(project.root for project in projects) or self.roots
        bases = {root: files.repository(root) or root for root in roots}

        def place(file: str, app: str | None, project: str) -> str:
            holders = [owner.project for owner in owners.get(app, ()) if file in owner.files]
            likely = [project] if project else holders or roots
            root = next((root for root in likely if os.path.exists(os.path.join(root, file))), likely[0])
            return os.path.relpath(os.path.join(root, file), bases[root]).replace(os.sep, "/")

        return place

    @property
    def _in_actions(self) -> bool:
        return self.session.environment.get("GITHUB_ACTIONS") == "true"

    def _write_failure(self, problem: Problem) -> None:
        def account() -> ReportData:
            from ecapipe.render.report_data import of_failure

            document = report.failure(problem, self.command)
            return of_failure(problem, document, self.place((), ()), self.command)

        self.write(account)

    def _annotate(self, account: ReportData) -> None:
        from ecapipe.render import annotations, markdown

        text.write(self.session.err, annotations.lines(account), commands=True)
        path = self.session.environment.get("GITHUB_STEP_SUMMARY")
        if path is None:
            return
        page = ""
        for block in markdown.blocks(account):
            if len((page + block).encode()) < _SUMMARY:
                page += f"{block}\n\n"
        try:
            files.append(path, page)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            text.write(self.session.err, [f"Warning: GITHUB_STEP_SUMMARY cannot be written to: {reason}."])


def asked(
    session: CommandSession, command: str, given: Sequence[str] | None, where: ProjectSelection, tree: ProjectTree
) -> Reports:
    """The reports that a command line asks for; raises `EcapipeError` (UsageError)."""
    wanted: dict[str, tuple[str, str]] = {}
    for each in given or ():
        from ecapipe.render.reports import FORMATS

        name, _, path = each.partition("=")
        known = f"Formats: {', '.join(FORMATS)}."
        if path in ("", "-"):
            raise _usage(command, f"--report takes FORMAT=PATH, the path of a file, not {each}.", known)
        if name not in FORMATS:
            raise _usage(command, f"There is no report format {name}.", *did_you_mean(name, FORMATS), known)
        if obstacle := files.obstacle(path):
            raise _usage(
                command, f"The report {path} cannot be written: {obstacle}.", "Name a file in another folder."
            )
        if wanted.setdefault(os.path.realpath(path), (name, path)) != (name, path):
            raise _usage(command, f"--report names {path} twice.")
    starts = [os.path.abspath(each) for each in (*where.directories, *where.metadata_dirs)] or [os.getcwd()]
    return Reports(
        session, command, tuple(wanted.values()), tuple(tree.project_above(each) or each for each in starts)
    )


def _usage(command: str, message: str, *hints: str) -> EcapipeError:
    return EcapipeError(usage_error(message, command, *hints))
