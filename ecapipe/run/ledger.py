"""What is known of each login of a run, so that an interrupt can end the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ecapipe.events import TARGET_STAGES, Clock, Event, Stage, StageEnded, StageStarted, Subject
from ecapipe.login.tracker import Tracker
from ecapipe.problems.usage import interrupted

INTERRUPTED: Final = "Interrupted."


@dataclass(frozen=True, slots=True)
class LoginOver:
    """The login's thread has nothing more to tell."""

    subject: Subject


class LoginLedger:
    """What has been told of each login: kept by the thread that tells, so that an end can be put to the rest."""

    def __init__(self, subjects: Sequence[Subject], track: Tracker, clock: Clock) -> None:
        self._track, self._clock = track, clock
        self._stages = [stage for stage in TARGET_STAGES if track.reaches(stage)]
        self.open = dict.fromkeys(subjects)
        self.running: dict[Subject, Stage] = {}
        self._reached: dict[Subject, list[Stage]] = {}

    def write(self, told: Event | LoginOver) -> None:
        """Take down, and tell."""
        if isinstance(told, LoginOver):
            self.open.pop(told.subject, None)
            self._reached.pop(told.subject, None)
            return
        if isinstance(told, StageStarted):
            if told.stage is self._stages[0]:
                self._reached[told.subject] = []
            self.running[told.subject] = told.stage
        elif isinstance(told, StageEnded):
            self.running.pop(told.subject, None)
            self._reached.setdefault(told.subject, []).append(told.stage)
        self._track.emit(told)

    def close(self) -> None:
        """Tell of every login that is still open that it was interrupted."""
        for subject in self.open:
            running, reached = self.running.pop(subject, None), self._reached.get(subject, [])
            for stage in self._stages:
                if stage is running:
                    problem = interrupted()
                    self._track.emit(StageEnded(stage, subject, "failed", self._clock.utc(), problem=problem))
                elif stage not in reached:
                    self._track.emit(StageEnded(stage, subject, "skipped", self._clock.utc(), reason=INTERRUPTED))
        self.open.clear()
