"""The ports that a rotation needs beside the world of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ecapipe.documents.rotation_record import RotationRecord
    from ecapipe.problems.problem import Problem
    from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit status, None after the time that it has, and what it wrote. `unread`: it left
    something of what it was given."""

    status: int | None
    output: str
    unread: bool = False


class Programs(Protocol):
    """Programs that the user names."""

    def find(self, name: str) -> str | None:
        """The absolute path of a program; None where there is none."""

    def feed(self, path: str, arguments: Sequence[str], value: Secret) -> Ended:
        """Run a program without a shell, with `value` on its standard input, for 60 seconds at most."""


class RotationRecords(Protocol):
    """What is remembered of rotations; `id` names a consumer. Methods raise `EcapipeError`."""

    def locked(self, id: str, busy: Problem) -> AbstractContextManager[None]:
        """A lock on the consumer against other processes; raises `busy`."""

    def read(self, id: str) -> RotationRecord | None: ...

    def write(self, id: str, record: RotationRecord) -> None:
        """Write a record over the old one, so that it is there after a power failure, too."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A login that an earlier run handed over to the Salesforce CLI; `key` is the digest of its consumer key."""

    app: str
    org_id: str
    username: str
    key: str | None


@dataclass(frozen=True, slots=True)
class RotationTools:
    """Everything outside that a rotation alone uses."""

    programs: Programs
    records: RotationRecords
    handed_over: Iterable[HandedOver]
    """Read when it is first needed."""
