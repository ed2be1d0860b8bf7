"""The ports that saved logins and secrets need."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from ecapipe.credentials.sources import ChainAccess, VariableAccess
from ecapipe.exchange.ports import NetworkAccess
from ecapipe.project.tree import ProjectAccess

if TYPE_CHECKING:
    from ecapipe.events import Clock
    from ecapipe.oauth.dpop import ProofKeys
    from ecapipe.saved.store import SecretStore


class StoreAccess(Protocol):
    """Access to the store of logins and consumer secrets."""

    @property
    def store(self) -> SecretStore: ...


class SecretsAccess(ProjectAccess, ChainAccess, StoreAccess, Protocol):
    """What it takes to find the owner of a secret in a project."""

    @property
    def clock(self) -> Clock: ...


class SessionsAccess(StoreAccess, VariableAccess, NetworkAccess, Protocol):
    """What it takes to use, refresh and end a saved login."""

    @property
    def proof_keys(self) -> ProofKeys: ...

    @property
    def interrupts(self) -> Callable[[Callable[[], None]], AbstractContextManager[object]]:
        """A context in which an interrupt calls the function, and does nothing else."""

    @property
    def close_connections(self) -> Callable[[], None]:
        """Closes the connections of the calling thread."""
