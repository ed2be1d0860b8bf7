"""What saved logins and secrets take from outside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from ecapipe.project.tree import ProjectAccess

if TYPE_CHECKING:
    from ecapipe.events import Clock
    from ecapipe.oauth.messages import Send
    from ecapipe.saved.store import SecretStore
    from ecapipe.secret import Secret


class StoreAccess(Protocol):
    """Where logins and consumer secrets are saved."""

    @property
    def store(self) -> SecretStore: ...


class SecretsAccess(ProjectAccess, StoreAccess, Protocol):
    """What finding the owner of a secret in a project takes."""

    @property
    def clock(self) -> Clock: ...

    @property
    def variable(self) -> Callable[[str], Secret | None]:
        """One credential variable of the environment, or the content of the file that its ``…_FILE`` names."""


class SessionsAccess(StoreAccess, Protocol):
    """What using, refreshing and ending a saved login takes."""

    @property
    def send(self) -> Send: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def chance(self) -> Callable[[int], bytes]: ...

    @property
    def variable(self) -> Callable[[str], Secret | None]: ...

    @property
    def interrupts(self) -> Callable[[Callable[[], None]], AbstractContextManager[object]]:
        """While the context lasts, an interrupt calls the function, and is over."""

    @property
    def parted(self) -> Callable[[], None]:
        """Closes the connections of the thread that calls it."""
