"""Keeps logins and consumer secrets: records in private files, their secrets there or in the system's keyring."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from ecapipe.adapters import installation
from ecapipe.adapters.environment import Environment
from ecapipe.adapters.storage import state, writer
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import (
    keyring_failed,
    keyring_not_found,
    login_busy,
    record_damaged,
    record_too_new,
    too_large_for_keyring,
)
from ecapipe.problems.usage import unreadable_file, unwritable_file
from ecapipe.saved import records
from ecapipe.saved.records import RecordKind, SavedRecord, SavedSecrets, StorePlace, UnreadableRecord
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

VERSION: Final = 2
"""Of what holds a key for proofs: an earlier ecapipe would send the tokens without, and write the record without it.
Everything else has version 1."""
PATIENCE: Final = 60.0
"""Seconds that another process may work with a record: a refresh and its retries."""

_FOLDERS: Final[dict[RecordKind, str]] = {"login": "logins", "secret": "secrets"}
_SERVICES: Final[dict[RecordKind, str]] = {"login": "ecapipe login", "secret": "ecapipe consumer secret"}
_NAMES: Final = ("accessToken", "refreshToken", "consumerSecret", "dpopKey")
_LARGEST: Final = 256 * 1024
_PROBE: Final = "probe"
"""No id: what is left of it, if a process is killed, is no record to anybody."""
_PROBE_FILE: Final = 16 * 1024
_PROBE_ENTRY: Final = 1024
"""Characters; Windows takes few."""
_WINDOWS_LIMIT: Final = 1280
"""Characters of an entry of the Windows credential store: 2,560 bytes of UTF-16."""


def system() -> KeyringBackend:
    """The keyring that this user has; raises `EcapipeError` (KeyringNotFound).

    What the library itself does not recommend protects nothing: no backend at all, one that forgets, plain text. A
    chain of several is as good as its best.
    """
    if sys.platform != "darwin":
        # The library loads all of its backends, and to find Apple's libraries ctypes starts gcc and ld, with all that
        # is in our environment. None in sys.modules makes the import fail, which the backend allows for.
        sys.modules.setdefault("keyring.backends.macOS.api", None)  # type: ignore[arg-type]
    try:
        from keyring import core
        from keyring.backends.chainer import ChainerBackend
    except ImportError:
        reason, installing = "the Python package keyring is not installed", installation.adding("keyring")
        raise EcapipeError(keyring_not_found(reason, installing)) from None
    try:
        keyring = core.get_keyring()
        backends = [keyring]
        if isinstance(keyring, ChainerBackend):
            backends = keyring.backends
        backend = next(filter(core.recommended, backends), None)
    except Exception as error:  # a configured backend may fail in any way when it is loaded
        reason = f"it cannot be loaded ({type(error).__name__})"
        raise EcapipeError(keyring_not_found(reason)) from None
    if backend is None:
        reason = "this system has none, or only one that does not protect secrets"
        raise EcapipeError(keyring_not_found(reason))
    return backend


class RecordStore:
    """See `ecapipe.saved.store.SecretStore`. Nothing is made before something is stored, and no keyring is loaded
    before one is needed; `limit` is how many characters an entry of it may have."""

    def __init__(
        self,
        environment: Environment,
        keyring: Callable[[], KeyringBackend] = system,
        limit: int | None = _WINDOWS_LIMIT if sys.platform == "win32" else None,
        patience: float = PATIENCE,
    ) -> None:
        self._environment, self._keyring, self._limit, self._patience = environment, keyring, limit, patience
        self._obstacles: dict[tuple[RecordKind, StorePlace], Problem | None] = {}
        self._locked: Problem | None = None
        """A keyring that stayed locked is not asked again: each time, a window would ask for its password."""

    def obstacle(self, kind: RecordKind, place: StorePlace) -> Problem | None:
        if (kind, place) not in self._obstacles:
            self._obstacles[kind, place] = self._try_out(kind, place)
        return self._obstacles[kind, place]

    def _try_out(self, kind: RecordKind, place: StorePlace) -> Problem | None:
        """Write a record as large as one may be, and remove it; the problem with that."""
        probe = SavedRecord(kind, _PROBE, place, {})
        size = _PROBE_ENTRY if place == "keyring" else _PROBE_FILE
        try:
            with self.locked(kind, _PROBE):
                try:
                    self._unlink(kind, _PROBE)  # of a process that was killed
                    self.put(probe, SavedSecrets(access_token=Secret("x" * size)))
                    if place == "keyring":
                        self._forget_entry(probe)
                finally:
                    self._unlink(kind, _PROBE)
        except EcapipeError as error:
            return error.problem
        return None

    def where(self, kind: RecordKind, place: StorePlace) -> str:
        if place == "file":
            return state.place(self._environment, _FOLDERS[kind])
        return f"the keyring ({_name(self._keyring())})"

    def records(self, kind: RecordKind) -> Iterator[SavedRecord | UnreadableRecord]:
        folder = state.existing(self._environment, _FOLDERS[kind])
        try:
            names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return
        except OSError as error:
            raise EcapipeError(unreadable_file(folder, _reason(error))) from None
        for name in names:
            id, dot, ending = name.partition(".")
            if dot and ending == "json" and records.is_id(id):
                try:
                    record = self.read(kind, id)
                except EcapipeError as error:
                    yield UnreadableRecord(kind, id, error.problem, self._members(kind, id))
                else:
                    if record is not None:  # else it has just been removed
                        yield record

    def holds(self, kind: RecordKind, id: str) -> bool:
        try:
            return os.path.lexists(os.path.join(self.where(kind, "file"), f"{id}.json"))
        except EcapipeError:  # a user without any place for such things keeps nothing
            return False

    def read(self, kind: RecordKind, id: str) -> SavedRecord | None:
        document = self._document(kind, id)
        if document is None:
            return None
        return _record(kind, id, document, self._path(kind, id))

    def _members(self, kind: RecordKind, id: str) -> dict[str, Any]:
        """What can be read of a record that is damaged, or of another version."""
        try:
            with state.open_file(self._path(kind, id)) as file:
                members = (_parse(file.read(_LARGEST)) or {}).get("members")
        except (EcapipeError, OSError):
            return {}
        return members if isinstance(members, dict) else {}

    def unseal(self, record: SavedRecord) -> SavedSecrets:
        path = self._path(record.kind, record.id)
        if record.place == "file":
            document = self._document(record.kind, record.id, private=True)
            if document is None:
                raise EcapipeError(record_damaged(path, "it was just removed", record.removal))
            return _seal(document.get("secrets"), path, record.removal)
        text = self._ask("return an entry", lambda keyring: keyring.get_password(*_entry(record)))
        if text is None:
            raise EcapipeError(record_damaged(path, "its entry in the keyring no longer exists", record.removal))
        entry = _parse(text)
        if entry is None:
            raise EcapipeError(record_damaged(path, "its entry in the keyring is not a JSON object", record.removal))
        _check_version(entry, path, record.removal)
        return _seal(entry.get("secrets"), path, record.removal)

    @contextmanager
    def locked(self, kind: RecordKind, id: str) -> Iterator[None]:
        path = os.path.join(state.folder(self._environment, _FOLDERS[kind]), f"{id}.lock")
        with state.lock(path, login_busy(self._patience), self._patience):
            yield

    def put(self, record: SavedRecord, sealed: SavedSecrets) -> None:
        old = self.read(record.kind, record.id)
        if record.place == "file":
            self._write(record, sealed)
        else:
            entry = self._fitting(sealed)
            if old is None:
                # The record goes first: no secret is ever where nobody would look for it.
                self._write(record, sealed)
            self._ask("save an entry", lambda keyring: keyring.set_password(*_entry(record), entry))
            if old is not None:
                self._write(record, sealed)
        if old is not None and old.place == "keyring" and record.place == "file":
            self._forget_entry(record)

    def remove(self, record: SavedRecord | UnreadableRecord) -> None:
        if isinstance(record, UnreadableRecord):
            # Whether it has an entry is not known; without a keyring it has none.
            try:
                self._forget_entry(record)
            except EcapipeError as error:
                if error.problem.kind is not keyring_not_found:
                    raise
        elif record.place == "keyring":
            self._forget_entry(record)
        self._unlink(record.kind, record.id)

    def _unlink(self, kind: RecordKind, id: str) -> None:
        path = self._path(kind, id)
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise EcapipeError(unwritable_file(path, _reason(error))) from None
        with suppress(OSError):  # Windows keeps a file that is open; whoever waits for the lock finds a new one
            os.unlink(f"{path.removesuffix('.json')}.lock")

    def _path(self, kind: RecordKind, id: str) -> str:
        return os.path.join(state.existing(self._environment, _FOLDERS[kind]), f"{id}.json")

    def _document(self, kind: RecordKind, id: str, *, private: bool = False) -> dict[str, Any] | None:
        """The content of a record; None where there is none. Raises `EcapipeError`.

        `private`: nobody else may read it, either, for its secrets are to be used.
        """
        path = self._path(kind, id)
        try:
            with state.open_file(path, private=private) as file:
                content = file.read(_LARGEST + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise EcapipeError(unreadable_file(path, _reason(error))) from None
        document = _parse(content) if len(content) <= _LARGEST else None
        if document is None:
            raise EcapipeError(record_damaged(path, "it is not a JSON object", records.removal(kind, id)))
        _check_version(document, path, records.removal(kind, id))
        return document

    def _write(self, record: SavedRecord, sealed: SavedSecrets) -> None:
        document: dict[str, object] = {"version": _version(sealed), "kind": record.kind, "place": record.place}
        document["members"] = dict(record.members)
        if record.place == "file":
            document["secrets"] = _reveal(sealed)
        folder = state.folder(self._environment, _FOLDERS[record.kind])
        content = json.dumps(document, indent=2) + "\n"
        writer.write(os.path.join(folder, f"{record.id}.json"), content.encode(), private=True)

    def _fitting(self, sealed: SavedSecrets) -> str:
        """The entry for the keyring, without the access token where there is no room for it."""
        version = _version(sealed)
        entry = json.dumps({"version": version, "secrets": _reveal(sealed)})
        others = _reveal(replace(sealed, access_token=None))
        if self._limit is not None and len(entry) > self._limit and others:
            entry = json.dumps({"version": version, "secrets": others})
        if self._limit is not None and len(entry) > self._limit:
            raise EcapipeError(too_large_for_keyring(len(entry), self._limit))
        return entry

    def _forget_entry(self, record: SavedRecord | UnreadableRecord) -> None:
        def forget(keyring: KeyringBackend) -> None:
            if keyring.get_password(*_entry(record)) is not None:
                keyring.delete_password(*_entry(record))

        self._ask("remove an entry", forget)

    def _ask(self, task: str, work: Callable[[KeyringBackend], str | None]) -> str | None:
        """What the keyring says; raises `EcapipeError` (KeyringNotFound, KeyringFailed)."""
        if self._locked:
            raise EcapipeError(self._locked)
        keyring = self._keyring()
        try:
            return work(keyring)
        except Exception as error:  # backends raise whatever their system does; its words may hold anything
            problem = keyring_failed(_name(keyring), task, type(error).__name__)
            if type(error).__name__ == "KeyringLocked":
                self._locked = problem
            raise EcapipeError(problem) from None


def _parse(text: str | bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _entry(record: SavedRecord | UnreadableRecord) -> tuple[str, str]:
    """The service and user name of a record's entry in the keyring."""
    return _SERVICES[record.kind], record.id


def _name(keyring: KeyringBackend) -> str:
    return str(keyring.name)


def _record(kind: RecordKind, id: str, document: dict[str, Any], path: str) -> SavedRecord:
    place, members = document.get("place"), document.get("members")
    if document.get("kind") != kind or place not in ("keyring", "file") or not isinstance(members, dict):
        raise EcapipeError(
            record_damaged(path, "its kind, place or members are not valid", records.removal(kind, id))
        )
    return SavedRecord(kind, id, place, members, path)


def _version(sealed: SavedSecrets) -> int:
    return VERSION if sealed.dpop_key else 1


def _check_version(document: dict[str, Any], path: str, removal: str) -> None:
    version = document.get("version")
    # To Python, true is an integer.
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise EcapipeError(record_damaged(path, "it has no version", removal))
    if version > VERSION:
        raise EcapipeError(record_too_new(path, version, removal))


def _seal(secrets: object, path: str, removal: str) -> SavedSecrets:
    if not isinstance(secrets, dict):
        secrets = {}
    values = [secrets.get(name) for name in _NAMES]
    if not any(values) or not all(value is None or (isinstance(value, str) and value) for value in values):
        raise EcapipeError(record_damaged(path, "its secrets are missing, or not strings", removal))
    return SavedSecrets(*(Secret(value) if value else None for value in values))


def _reveal(sealed: SavedSecrets) -> dict[str, str]:
    """The values, for the one place that keeps them."""
    secrets = (sealed.access_token, sealed.refresh_token, sealed.consumer_secret, sealed.dpop_key)
    return {name: secret.reveal() for name, secret in zip(_NAMES, secrets, strict=True) if secret is not None}


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()
