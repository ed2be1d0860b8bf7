"""The store of saved logins and secrets, as a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

# Ports are imported by every command, the modules of their types are not: start-up stays fast.
if TYPE_CHECKING:
    from ecapipe.problems.problem import Problem
    from ecapipe.saved.records import RecordKind, SavedRecord, SavedSecrets, StorePlace, UnreadableRecord


class SecretStore(Protocol):
    """A store of logins and consumer secrets that outlive a command, for this user alone.

    Methods raise `EcapipeError`: KeyringNotFound, KeyringFailed, RecordDamaged, RecordTooNew, and the problems of
    files and their folder. A record that is damaged, or of a newer version, is never overwritten.
    """

    def obstacle(self, kind: RecordKind, place: StorePlace) -> Problem | None:
        """The problem that `put` would meet, if any: a record is written there and removed, once for each place."""

    def where(self, kind: RecordKind, place: StorePlace) -> str:
        """The name of the place in output: a keyring, or a folder."""

    def records(self, kind: RecordKind) -> Iterator[SavedRecord | UnreadableRecord]:
        """All records of a kind, without their secrets, and those that cannot be read."""

    def holds(self, kind: RecordKind, id: str) -> bool:
        """Whether there is such a record, to be believed or not; asks no keyring and creates nothing."""

    def read(self, kind: RecordKind, id: str) -> SavedRecord | None: ...

    def unseal(self, record: SavedRecord) -> SavedSecrets:
        """The secrets of a record."""

    def locked(self, kind: RecordKind, id: str) -> AbstractContextManager[None]:
        """A lock on the record against other processes and threads, for as long as the context lasts.

        Raises `EcapipeError` (LoginBusy).
        """

    def put(self, record: SavedRecord, sealed: SavedSecrets) -> None:
        """Write a record and its secrets over the old ones; if the process dies, either the old or the new are there.

        Raises `EcapipeError` (TooLargeForKeyring), too.
        """

    def remove(self, record: SavedRecord | UnreadableRecord) -> None:
        """Remove a record and its secrets; the last thing to do while it is locked."""
