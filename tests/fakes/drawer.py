"""Keyrings for tests: one that keeps its entries in memory, and one that all processes of a test share."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from keyring import errors
from keyring.backend import KeyringBackend


class Memory:
    """A keyring of one process. `broken`: what it raises instead of working; `asked`: how often it was.

    The library must not find it: it would take it for the system's own from then on.
    """

    name = "drawer Memory"

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}
        self.broken: Exception | None = None
        self.asked = 0

    def _work(self) -> None:
        self.asked += 1
        if self.broken is not None:
            raise self.broken

    def get_password(self, service: str, username: str) -> str | None:
        self._work()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._work()
        self.entries[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self._work()
        if self.entries.pop((service, username), None) is None:
            raise errors.PasswordDeleteError("there is none")


class Drawer:
    """A keyring in a file."""

    name = "drawer Drawer"

    def __init__(self, path: str) -> None:
        self._path = path

    @property
    def _base(self) -> sqlite3.Connection:
        base = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        base.execute("create table if not exists entry (service, user, value, primary key (service, user))")
        return base

    def get_password(self, service: str, username: str) -> str | None:
        with closing(self._base) as base:
            found = base.execute("select value from entry where service = ? and user = ?", (service, username))
            row = found.fetchone()
        return bytes.fromhex(row[0]).decode() if row else None

    def set_password(self, service: str, username: str, password: str) -> None:
        with closing(self._base) as base:
            base.execute(
                "insert or replace into entry values (?, ?, ?)", (service, username, password.encode().hex())
            )

    def delete_password(self, service: str, username: str) -> None:
        with closing(self._base) as base:
            base.execute("delete from entry where service = ? and user = ?", (service, username))


class Shared(KeyringBackend):
    """A drawer that the library finds, in the file that the variable DRAWER names; without it, there is none."""

    priority = 5 if "DRAWER" in os.environ else -1

    @property
    def _drawer(self) -> Drawer:
        return Drawer(os.environ["DRAWER"])

    def get_password(self, service: str, username: str) -> str | None:
        return self._drawer.get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._drawer.set_password(service, username, password)

    def delete_password(self, service: str, username: str) -> None:
        self._drawer.delete_password(service, username)
