"""What ``ecapipe run`` prints and writes: events as they come, then reports and the result."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, NoReturn

from ecapipe.cli.arguments import conceal
from ecapipe.cli.reports import Reports
from ecapipe.cli.run_flags import COMMAND, RunFlags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.documents.report import Json, Report
from ecapipe.events import DISCOVER, Emit, Event, Note, RunEnded, StageEnded, StageNoted, Subject, Unwritten
from ecapipe.problems.problem import INTERRUPTED, WAITING, command
from ecapipe.render import json as json_output
from ecapipe.render import log
from ecapipe.render.plain_display import PlainDisplay

if TYPE_CHECKING:
    from ecapipe.adapters.storage.journal import JournalWriter
    from ecapipe.render.live_display import LiveDisplay
    from ecapipe.render.report_data import ReportData


@dataclass(frozen=True, slots=True)
class RunOutput:
    """Everything that hears of a run's events; `board` is the page for signing in, where there is one."""

    session: CommandSession
    reports: Reports
    journal: JournalWriter | None
    board: Emit | None
    result: Report = field(default_factory=Report)
    warnings: list[str] = field(default_factory=list)
    unshown: list[OSError] = field(default_factory=list)
    """Why displays could not go on, if they could not."""

    @contextmanager
    def display(self, flags: RunFlags) -> Iterator[Emit]:
        """While the context lasts, what is emitted is recorded, logged and shown."""
        with ExitStack() as stack:
            display = self._guarded(self._open_display(flags, stack))
            # The journal comes first: what a display shows has then been recorded. The display comes after the
            # result, since it reads what it shows from there.
            candidates = (self.journal, self.result, log.log, self.board, display)
            listeners = [listener for listener in candidates if listener is not None]

            def emit(event: Event) -> None:
                if isinstance(event, StageEnded) and event.problem:
                    event = replace(event, problem=conceal(event.problem, self.session.words))
                # An interrupt waits until all have heard of the event, or they would disagree about the run; after
                # the last event it has nothing left to interrupt.
                with self.session.interrupts.defer(last=isinstance(event, RunEnded)):
                    # Progress is for those who watch.
                    passing = isinstance(event, StageNoted) and event.note.kind == "progress"
                    for listener in (display,) if passing else listeners:
                        listener(event)
                    self._warn_of_lost_journal(display)

            yield emit

    def _guarded(self, display: Emit) -> Emit:
        """The display; where its output takes no more, the rest is told on standard error. Where that takes nothing
        either, the run ends as if it were interrupted: nobody would see its links."""
        displays: list[Emit] = [display, PlainDisplay(self.session.err, self.session.err, self.result, stages=False)]

        def show(event: Event) -> None:
            while displays:
                try:
                    displays[0](event)
                    return
                except OSError as error:
                    self.unshown.append(error)
                    del displays[0]
            self.session.interrupts.interrupt()

        return show

    def finish(self) -> int:
        """Write the reports and print the result; the exit status."""
        # A document of thousands of logins takes its time, and may be needed for the reports and for --json.
        document = cache(self._document)
        unwritten = self.reports.write(lambda: self._report_data(document()))
        self._suggest_resume()
        if self.unshown:
            self._raise_unshown(self.unshown[0])
        status = self.result.status or int(bool(unwritten))
        if self.session.json:
            warnings = [*self.warnings, *unwritten]
            # The document of a failure does not tell the warnings of the run.
            if not self.result.fatal:
                warnings = [*self.result.warnings, *warnings]
            try:
                json_output.write(self.session.out, {**document(), "status": status, "warnings": warnings})
            except BrokenPipeError as error:
                self._raise_unshown(error)
        return status

    def _open_display(self, flags: RunFlags, stack: ExitStack) -> Emit:
        session = self.session
        if session.json:
            return json_output.Links(session.err)
        prints_token = flags.print_token is not None
        # A printed token is alone on standard output, also where that is the terminal: a live display would write
        # into its line.
        out = session.err if prints_token else session.out
        verbose = flags.verbose or flags.dry_run
        if session.live and not prints_token and not flags.concise and not flags.no_progress:
            from ecapipe.render.live_display import LiveDisplay

            live = LiveDisplay(out, session.err, self.result, colour=session.screen.colour, verbose=verbose)
            stack.callback(_close, live)
            return live
        return PlainDisplay(
            out, session.err, self.result, stages=not flags.concise, verbose=verbose, screen=session.screen
        )

    def _warn_of_lost_journal(self, display: Emit) -> None:
        """Say once that the run is no longer recorded, as soon as that is so."""
        if self.journal and self.journal.lost and not self.warnings:
            self.warnings.append(self.journal.lost)
            display(StageNoted(DISCOVER, Subject(), Note("hint", f"Warning: {self.journal.lost}")))

    def _suggest_resume(self) -> None:
        """Say how to go on, if something is left of several logins, or of one that people were too slow for."""
        result = self.result
        several = sum(subject.org is not None for subject in result.subjects) > 1
        worthwhile = result.status in (WAITING, INTERRUPTED) or (several and result.status)
        if worthwhile and self.journal and self.journal.run and not self.session.json:
            line = f"To resume: {command('ecapipe run', resume=self.journal.run)}"
            self.session.tell([line])

    def _raise_unshown(self, error: OSError) -> NoReturn:
        """A reader who has gone is no fault, but it is to be known that there is a record."""
        if self.journal and self.journal.run and isinstance(error, BrokenPipeError):
            raise Unwritten(error.errno, "the reader has closed it")
        raise error

    def _document(self) -> Json:
        if self.result.fatal:
            return report.failure(self.result.fatal, COMMAND)
        return report.success(self.result.result(), self.result.warnings, self.result.status)

    def _report_data(self, document: Json) -> ReportData:
        from ecapipe.render.report_data import of_run

        place = self.reports.place(self.result.projects)
        return of_run(self.result, document, place, COMMAND)


def _close(display: LiveDisplay) -> None:
    # What it is shown on may be gone.
    with suppress(OSError):
        display.close()
