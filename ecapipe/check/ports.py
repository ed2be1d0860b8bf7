"""What a check takes from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, Self

from ecapipe.credentials.sources import ChainAccess
from ecapipe.project.tree import ProjectAccess

if TYPE_CHECKING:
    from ecapipe.check.git import Git
    from ecapipe.events import Clock
    from ecapipe.orgs.lookup import KnownLogin


class SalesforceCliLogins(Protocol):
    """The orgs that the Salesforce CLI is logged in to."""

    def logins(self) -> Sequence[KnownLogin]:
        """Raises `EcapipeError` where the Salesforce CLI cannot be asked."""


class ListingAccess(ProjectAccess, ChainAccess, Protocol):
    """What it takes to know the state of credentials."""


class CheckAccess(ListingAccess, Protocol):
    """What the rules need to know besides the project."""

    @property
    def git(self) -> Callable[[str], Git | None]:
        """The repository around an absolute path, or None. Raises `EcapipeError` (GitUnavailable)."""

    @property
    def write(self) -> Callable[[str, str, bytes], None]:
        """Puts the baseline in place, by root and path, all or nothing; raises `EcapipeError` (UnwritableFile)."""

    @property
    def clock(self) -> Clock: ...

    @property
    def sf(self) -> SalesforceCliLogins: ...

    @property
    def certificate_end(self) -> Callable[[str], str | None]:
        """The last day, in ISO 8601, of a certificate (PEM, or its base64); None for what is none."""

    def staged(self) -> Self:
        """The same access, with the tree as the next commit would have it."""
