"""What a rotation of one app in one org works with, once the consumer is found."""

from __future__ import annotations

from dataclasses import dataclass

from ecapipe.events import Subject
from ecapipe.rotate.memory import Memory
from ecapipe.rotate.ports import RotationTools
from ecapipe.rotate.target import Found, RotationOptions, Target
from ecapipe.run.world import World


@dataclass(frozen=True, slots=True)
class Case:
    """The app and its consumer, what is asked for, and what this machine remembers of it."""

    target: Target
    found: Found
    memory: Memory
    options: RotationOptions
    world: World
    tools: RotationTools

    @property
    def subject(self) -> Subject:
        return self.target.subject

    @property
    def names(self) -> tuple[str, str]:
        """App and org, as problems take them."""
        return self.target.app.name, self.target.org.name
