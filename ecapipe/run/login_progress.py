"""How far each login of a run has come, so that an interrupt can end the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ecapipe.events import TARGET_STAGES, Clock, Event, Stage, StageEnded, StageStarted, Subject
from ecapipe.login.tracker import Tracker
from ecapipe.problems.problem import Problem
from ecapipe.problems.usage import interrupted

INTERRUPTED: Final = "Interrupted."


@dataclass(frozen=True, slots=True)
class LoginOver:
    """The last message about a login: no thread works on it any more."""

    subject: Subject


class LoginProgress:
    """The events of all logins, as they are emitted. Used by the emitting thread alone, so that it needs no lock."""

    def __init__(self, subjects: Sequence[Subject], tracker: Tracker, clock: Clock) -> None:
        self._tracker, self._clock = tracker, clock
        self._stages = [stage for stage in TARGET_STAGES if tracker.reaches(stage)]
        # A dict for its order: what an interrupt ends is emitted in the order of the logins.
        self.open = dict.fromkeys(subjects)
        self.running: dict[Subject, Stage] = {}
        self._ended: dict[Subject, list[Stage]] = {}

    def record(self, message: Event | LoginOver) -> None:
        """Note what a message says of its login, and emit it."""
        match message:
            case LoginOver(subject):
                self.open.pop(subject, None)
                self._ended.pop(subject, None)
                return
            case StageStarted(stage, subject):
                # A login that begins again on the board goes through all of its stages again.
                if stage is self._stages[0]:
                    self._ended[subject] = []
                self.running[subject] = stage
            case StageEnded(stage=stage, subject=subject):
                self.running.pop(subject, None)
                self._ended.setdefault(subject, []).append(stage)
            case _:
                pass
        self._tracker.emit(message)

    def interrupt(self) -> None:
        """Emit of every login that is still open that it was interrupted: the stage that runs fails, those that did
        not begin are skipped."""
        for subject in self.open:
            self._end(subject, self.running.pop(subject, None), interrupted(), INTERRUPTED)
        self.open.clear()

    def fail(self, subject: Subject, problem: Problem) -> None:
        """Emit of a login that a bug ended outside of its stages that the next one of them failed."""
        remaining = [stage for stage in self._stages if stage not in self._ended.get(subject, [])]
        failed = self.running.pop(subject, None) or next(iter(remaining), None)
        if failed is not None and subject in self.open:
            self._end(subject, failed, problem, f"{failed.title} failed.")

    def _end(self, subject: Subject, failed: Stage | None, problem: Problem, reason: str) -> None:
        """One stage fails with `problem`, those that have not ended are skipped for a reason."""
        ended = self._ended.setdefault(subject, [])
        for stage in self._stages:
            if stage is failed:
                self._tracker.emit(StageEnded(stage, subject, "failed", self._clock.utc(), problem=problem))
            elif stage not in ended:
                self._tracker.emit(StageEnded(stage, subject, "skipped", self._clock.utc(), reason=reason))
        ended[:] = self._stages
