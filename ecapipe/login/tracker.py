"""Turning work into events, stage by stage: what a stage raises decides how it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from ecapipe.events import (
    CHECK,
    DISCOVER,
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
    Unwritten,
    progress,
)
from ecapipe.problems.problem import WAITING, EcapipeError, Problem
from ecapipe.problems.usage import bug, interrupted

T = TypeVar("T")


class SkipStage(Exception):
    """Raised within a stage: it is skipped for a reason, and so are the stages after it.

    `deferred` is the failure that is reported instead if nothing in the run succeeds.
    """

    def __init__(self, reason: str, deferred: Problem | None = None) -> None:
        super().__init__(reason)
        self.deferred = deferred


class EndEarly(Exception):
    """Raised within a stage: it is skipped for a reason, and its subject is finished all the same."""


class _Halt(Exception):
    """Leaves the block of a sequence; the stages that remain are skipped for its reason."""


class _EndSequence(Exception):
    """Leaves the block of a sequence, which is finished: the run is not asked for the next stage."""


class StageWork:
    """One running stage, in the hands of the code that does its work."""

    def __init__(self, emit: Emit, stage: Stage, subject: Subject) -> None:
        self._emit, self._stage, self._subject = emit, stage, subject
        self.facts: dict[str, object] = {}
        self.warnings: list[str] = []
        self.passed_over: str | None = None

    def note(self, kind: NoteKind, text: str, *, pasted: bool = False, browser: str | None = None) -> None:
        """Show people something at once."""
        self._emit(StageNoted(self._stage, self._subject, Note(kind, text, pasted, browser)))

    def warn(self, sentence: str) -> None:
        """Let the stage end with a warning."""
        self.warnings.append(sentence)

    def pass_over(self, reason: str) -> None:
        """Let the stage end as skipped, and the next one begin."""
        self.passed_over = reason


class StageSequence:
    """The stages of one subject, in order. A failure ends the sequence, not the run.

    Its pieces may run on several threads, one after the other.
    """

    def __init__(
        self,
        emit: Emit,
        clock: Clock,
        subject: Subject,
        stages: Sequence[Stage],
        deferred: list[_Owed] | None = None,
        *,
        retrieved: bool = False,
        alias: str | None = None,
    ) -> None:
        self._emit, self._clock, self._subject, self._retrieved = emit, clock, subject, retrieved
        self._alias = alias
        self._remaining, self._owed = list(stages), deferred
        self.finished = False
        self.halted: str | None = None
        """The reason why it did not finish."""

    @contextmanager
    def piece(self, *, last: bool = True) -> Iterator[None]:
        """A ``with`` block around some of the stages. After the `last` piece the sequence is finished.

        Stages that a failure leaves unreached are emitted as skipped, each with the reason.
        """
        try:
            yield
        except _EndSequence:
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
        """A ``with`` block that is `stage`. It ends the piece if the run is not asked for that stage."""
        if stage not in self._remaining:
            raise _EndSequence
        self._remaining.remove(stage)
        self._emit(StageStarted(stage, self._subject))
        work = StageWork(self._emit, stage, self._subject)
        start = self._clock.seconds()

        def end(outcome: Outcome, reason: str | None = None, problem: Problem | None = None) -> None:
            elapsed = round((self._clock.seconds() - start) * 1000)
            ended = StageEnded(
                stage,
                self._subject,
                outcome,
                at=self._clock.utc(),
                milliseconds=elapsed,
                reason=reason,
                facts=work.facts,
                problem=problem,
            )
            self._emit(ended)

        try:
            yield work
        except EndEarly as early:
            end("skipped", str(early))
            raise _EndSequence from None
        except SkipStage as skip:
            end("skipped", str(skip))
            if skip.deferred and self._owed is not None:
                self._owed.append(_Owed(self._subject, (stage, *self._remaining), skip.deferred))
            raise _Halt(str(skip)) from None
        except EcapipeError as error:
            problem = error.problem.in_org(self._alias)
            end("failed", None, problem.after_retrieve() if self._retrieved else problem)
            raise _Halt(f"{stage.title} failed.") from None
        except KeyboardInterrupt:
            end("failed", None, interrupted())
            raise
        except (BrokenPipeError, Unwritten):
            raise  # nobody can be told anything more
        except Exception as error:  # a bug, which is no reason to lose what others came to
            end("failed", None, bug(error))
            raise _Halt(f"{stage.title} failed.") from None
        if work.passed_over is not None:
            end("skipped", work.passed_over)
        elif work.warnings:
            end("warning", " ".join(work.warnings))
        else:
            end("passed")

    def halt(self, reason: str) -> NoReturn:
        """End the sequence before its next stage."""
        raise _Halt(reason)

    def _skip_rest(self, reason: str) -> None:
        self.halted = reason
        for stage in self._remaining:
            self._emit(StageEnded(stage, self._subject, "skipped", self._clock.utc(), reason=reason))
        self._remaining.clear()


@dataclass(frozen=True, slots=True)
class _Owed:
    """A skipped subject, the stages that it missed, and the failure that it is if nothing in the run succeeds."""

    subject: Subject
    stages: tuple[Stage, ...]
    problem: Problem


class Tracker:
    """Begins the sequences of a run, and holds what they share. `stages` are those the run is asked for; `retrieved`:
    it begins with a retrieve."""

    def __init__(self, emit: Emit, clock: Clock, stages: Sequence[Stage], retrieved: bool = False) -> None:
        self._emit, self._clock, self._stages, self._retrieved = emit, clock, stages, retrieved
        self._owed: list[_Owed] = []
        self.may_succeed = False
        """Whether something has succeeded, or waits for people and still may."""

    def emit(self, event: Event) -> None:
        """Pass `event` on."""
        waits = isinstance(event, StageEnded) and event.problem and event.problem.exit_code == WAITING
        self.may_succeed = self.may_succeed or bool(waits) or isinstance(event, SubjectFinished)
        self._emit(event)

    def report_skipped_failures(self) -> None:
        """Report skipped subjects once more, as failures, if nothing in the run has succeeded.

        A pair that only came from combining all apps with all orgs, and cannot work, is no failure as long as others
        work. If none does, it is the reason. To displays and reports it is a stage that starts again.
        """
        if self.may_succeed:
            return
        for deferred in self._owed:
            with self.course(deferred.subject, deferred.stages) as course, course.stage(deferred.stages[0]):
                raise EcapipeError(deferred.problem)

    def by(self, emit: Emit) -> Tracker:
        """A tracker of the same run that passes its events to `emit`."""
        return Tracker(emit, self._clock, self._stages, self._retrieved)

    def those(self, stages: Sequence[Stage]) -> tuple[Stage, ...]:
        """Those of `stages` that the run is asked for."""
        return tuple(stage for stage in stages if self.reaches(stage))

    def reaches(self, stage: Stage) -> bool:
        """Whether the run is asked for `stage`."""
        return stage in self._stages

    def asking(self, ask: Callable[[str], T | None] | None) -> Callable[[str], T | None] | None:
        """`ask`, but displays are told first: one that redraws would paint over the question."""
        if ask is None:
            return None

        def announce_and_ask(question: str) -> T | None:
            self.emit(StageNoted(CHECK, Subject(), Note("asking", "")))
            return ask(question)

        return announce_and_ask

    def tell(self, work: str, done: int, total: int) -> None:
        """See `ecapipe.events.Tell`."""
        self.emit(StageNoted(DISCOVER, Subject(), Note("progress", progress(work, done, total))))

    def begin(self, subject: Subject, stages: Sequence[Stage], alias: str | None = None) -> StageSequence:
        """The sequence of those of `stages` that the run is asked for; `alias` is that of the org."""
        return StageSequence(
            self.emit, self._clock, subject, self.those(stages), self._owed, retrieved=self._retrieved, alias=alias
        )

    @contextmanager
    def course(self, subject: Subject, stages: Sequence[Stage]) -> Iterator[StageSequence]:
        """The same as a ``with`` block, in one piece."""
        sequence = self.begin(subject, stages)
        with sequence.piece():
            yield sequence
