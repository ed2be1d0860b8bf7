"""What saved logins and secrets ask of a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from ecapipe.credentials import sources
from ecapipe.problems.problem import Problem
from ecapipe.saved.ports import StoreAccess

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.problems.problem import Problem
    from ecapipe.saved.records import RecordKind, SavedRecord, SavedSecrets, StorePlace


def has_saved_secret(world: StoreAccess) -> sources.HasSavedSecret:
    """Whether a consumer secret is kept for a consumer key, without a look at it: no keyring is asked."""

    def holds(consumer_key: str) -> bool:
        from ecapipe.saved import records  # needed only where a secret is missing

        return world.store.holds("secret", records.owner_id(consumer_key))

    return holds


class SecretStore(Protocol):
    """Where logins and consumer secrets are kept from one command to the next, for this user alone.

    Methods raise `EcapipeError`: KeyringNotFound, KeyringFailed, RecordDamaged, RecordTooNew, and where files or
    their folder cannot be used. What is damaged, or of a newer version, is never written over.
    """

    def obstacle(self, kind: RecordKind, place: StorePlace) -> Problem | None:
        """What would keep `put` from its work, as far as can be known before; None: nothing. Makes the folder."""

    def where(self, kind: RecordKind, place: StorePlace) -> str:
        """What a person calls the place: a keyring, or a folder."""

    def records(self, kind: RecordKind) -> Iterator[SavedRecord | Problem]:
        """Everything that is kept, without secrets; a problem for each record that cannot be read."""

    def holds(self, kind: RecordKind, id: str) -> bool:
        """Whether there is such a record; asks no keyring and makes nothing."""

    def read(self, kind: RecordKind, id: str) -> SavedRecord | None: ...

    def unseal(self, record: SavedRecord) -> SavedSecrets:
        """The secrets of a record."""

    def locked(self, kind: RecordKind, id: str) -> AbstractContextManager[None]:
        """While the context lasts, no other process or thread has this record: for read, refresh and write.

        Raises `EcapipeError` (LoginBusy).
        """

    def put(self, record: SavedRecord, sealed: SavedSecrets) -> None:
        """Keep a record in the place of what it held; whenever the process ends, the old or the new is there.

        Raises `EcapipeError` (TooLargeForKeyring), too.
        """

    def remove(self, record: SavedRecord) -> None:
        """Forget a record and its secrets; the last thing to do while it is locked."""
