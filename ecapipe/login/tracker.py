"""The tracker that turns work into events, stage by stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, NoReturn, TypeVar

from ecapipe.events import (
    CHECK,
    Clock,
    Emit,
    Event,
    Note,
    NoteKind,
    Outcome,
    Stage,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import WAITING, EcapipeError, Problem
from ecapipe.problems.usage import interrupted

T = TypeVar("T")

DRY_RUN: Final = "Dry run: nothing is sent."
"""Why a dry run goes no further."""


class SkipStage(Exception):
    """Raised within a stage: neither it nor what follows applies, for the reason given. `owed`: the failure that it
    is after all, if nothing in the run succeeds."""

    def __init__(self, reason: str, owed: Problem | None = None) -> None:
        super().__init__(reason)
        self.owed = owed


class EndEarly(Exception):
    """Raised within a stage: it is passed over for the reason given, and with it the course has done its work."""


class _Halt(Exception):
    """Ends a course quietly, with the reason why the rest is skipped."""


class _Done(Exception):
    """Ends a course quietly: the run was to stop before the next stage."""


class StageWork:
    """One running stage, as its code sees it."""

    def __init__(self, emit: Emit, stage: Stage, subject: Subject) -> None:
        self._emit, self._stage, self._subject = emit, stage, subject
        self.facts: dict[str, object] = {}
        self.warnings: list[str] = []
        self.passed_over: str | None = None

    def note(self, kind: NoteKind, text: str, *, pasted: bool = False, browser: str | None = None) -> None:
        """Tell people something at once."""
        self._emit(StageNoted(self._stage, self._subject, Note(kind, text, pasted, browser)))

    def warn(self, sentence: str) -> None:
        """Let the stage end with a warning."""
        self.warnings.append(sentence)

    def pass_over(self, reason: str) -> None:
        """Let the stage end as skipped, and the course go on."""
        self.passed_over = reason


class StageSequence:
    """The stages of one subject, in order. A failure ends the course, not the run.

    Its pieces may run on several threads, one after the other.
    """

    def __init__(
        self, emit: Emit, clock: Clock, subject: Subject, stages: Sequence[Stage], owed: list[_Owed] | None = None
    ) -> None:
        self._emit, self._clock, self._subject = emit, clock, subject
        self._left, self._owed = list(stages), owed
        self.finished = False
        self.halted: str | None = None
        """Why it did not finish."""

    @contextmanager
    def piece(self, *, last: bool = True) -> Iterator[None]:
        """Some of the course's stages, as a ``with`` block; what a failure leaves unreached is emitted as skipped,
        with the reason. After the `last` piece the course is finished, unless it was halted."""
        try:
            yield
        except _Done:
            self.finished = True
        except _Halt as halt:
            self._skip_rest(str(halt))
        except KeyboardInterrupt:
            self._skip_rest("Interrupted.")
            raise
        else:
            self.finished = last

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[StageWork]:
        """Run a ``with`` block as `stage`; if the run stops before it, the course is done."""
        if stage not in self._left:
            raise _Done
        self._left.remove(stage)
        self._emit(StageStarted(stage, self._subject))
        work = StageWork(self._emit, stage, self._subject)
        start = self._clock.seconds()

        def end(outcome: Outcome, reason: str | None = None, problem: Problem | None = None) -> None:
            elapsed = round((self._clock.seconds() - start) * 1000)
            at = self._clock.utc()
            self._emit(StageEnded(stage, self._subject, outcome, at, elapsed, reason, work.facts, problem))

        try:
            yield work
        except EndEarly as enough:
            end("skipped", str(enough))
            raise _Done from None
        except SkipStage as skip:
            end("skipped", str(skip))
            if skip.owed and self._owed is not None:
                self._owed.append(_Owed(self._subject, (stage, *self._left), skip.owed))
            raise _Halt(str(skip)) from None
        except EcapipeError as error:
            end("failed", None, error.problem)
            raise _Halt(f"{stage.title} failed.") from None
        except KeyboardInterrupt:
            end("failed", None, interrupted())
            raise
        if work.passed_over is not None:
            end("skipped", work.passed_over)
        else:
            end("warning" if work.warnings else "passed", " ".join(work.warnings) or None)

    def halt(self, reason: str) -> NoReturn:
        """End the course before its next stage."""
        raise _Halt(reason)

    def _skip_rest(self, reason: str) -> None:
        self.halted = reason
        for stage in self._left:
            self._emit(StageEnded(stage, self._subject, "skipped", self._clock.utc(), reason=reason))
        self._left.clear()


@dataclass(frozen=True, slots=True)
class _Owed:
    """What was skipped, with the stages that it left out, and the failure that it is if nothing succeeds."""

    subject: Subject
    stages: tuple[Stage, ...]
    problem: Problem


class Tracker:
    """Makes courses; holds what all of them share. `stages` are those the run is asked for."""

    def __init__(self, emit: Emit, clock: Clock, stages: Sequence[Stage]) -> None:
        self._emit, self._clock, self._stages = emit, clock, stages
        self._owed: list[_Owed] = []
        self.promising = False
        """Something has succeeded, or waits for people and may yet."""

    def emit(self, event: Event) -> None:
        """Tell of `event`."""
        waits = isinstance(event, StageEnded) and event.problem and event.problem.exit_code == WAITING
        self.promising = self.promising or bool(waits) or isinstance(event, SubjectFinished)
        self._emit(event)

    def own_up(self) -> None:
        """If nothing has succeeded, tell of what was skipped again, as the failure that it is then."""
        for owed in () if self.promising else self._owed:
            with self.course(owed.subject, owed.stages) as course, course.stage(owed.stages[0]):
                raise EcapipeError(owed.problem)

    def by(self, emit: Emit) -> Tracker:
        """The same, but told to `emit`."""
        return Tracker(emit, self._clock, self._stages)

    def those(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """The stages among these that the run is asked for."""
        return tuple(stage for stage in stages if self.reaches(stage))

    def reaches(self, stage: Stage) -> bool:
        """Whether the run is asked for `stage`."""
        return stage in self._stages

    def asking(self, ask: Callable[[str], T | None] | None) -> Callable[[str], T | None] | None:
        """`ask`, which lets displays hold still first."""
        if ask is None:
            return None

        def asked(question: str) -> T | None:
            self.emit(StageNoted(CHECK, Subject(), Note("asking", "")))
            return ask(question)

        return asked

    def begin(self, subject: Subject, stages: Sequence[Stage]) -> StageSequence:
        """A course over those of `stages` that the run is asked for."""
        asked = [stage for stage in stages if self.reaches(stage)]
        return StageSequence(self.emit, self._clock, subject, asked, self._owed)

    @contextmanager
    def course(self, subject: Subject, stages: Sequence[Stage]) -> Iterator[StageSequence]:
        """The same, in one piece."""
        course = self.begin(subject, stages)
        with course.piece():
            yield course
