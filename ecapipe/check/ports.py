"""What a check takes from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from ecapipe.project.tree import ProjectAccess
from ecapipe.saved.ports import StoreAccess

if TYPE_CHECKING:
    from ecapipe.check.git import Git
    from ecapipe.secret import Secret


class ListingAccess(ProjectAccess, StoreAccess, Protocol):
    """What it takes to know the state of credentials."""

    @property
    def variable(self) -> Callable[[str], Secret | None]: ...


class CheckAccess(ListingAccess, Protocol):
    """What the rules need to know besides the project."""

    @property
    def git(self) -> Callable[[str], Git | None]:
        """The repository around an absolute path, or None. Raises `EcapipeError` (GitUnavailable)."""

    @property
    def write(self) -> Callable[[str, bytes], None]:
        """Puts the baseline in place, all or nothing; raises `EcapipeError` (UnwritableFile)."""

    def staged(self) -> Self:
        """The same access, with the tree as the next commit would have it."""
