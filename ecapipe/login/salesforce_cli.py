"""What logins ask of the Salesforce CLI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # the world is described in words of modules that most commands do without
    from ecapipe.login.handover import Handover
    from ecapipe.orgs.org import NamedBy
    from ecapipe.orgs.salesforce_cli import SfLogin
    from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class SfVersion:
    """The version of the Salesforce CLI, and the lowest of the sfdx-core that it runs on, if that was found."""

    cli: str
    core: str | None

    @property
    def loses_rotated_tokens(self) -> bool:
        """sfdx-core before 9.2.0 throws the new refresh token away that a rotation brings."""
        return self.core is not None and tuple(int(part) for part in self.core.split(".")[:2]) < (9, 2)


class SalesforceCli(Protocol):
    """The Salesforce CLI of this machine (`sf`). It is started when a method needs it, never before.

    Every method but `default_org` raises `EcapipeError`: SfNotFound, SfTooOld, SfTimedOut, SfFailed.
    """

    def version(self) -> SfVersion:
        """Raises SfTooOld, too, for one without all the commands below."""

    def logins(self) -> Sequence[SfLogin]:
        """What it keeps (``sf org list auth``), and what it was given since; asked once."""

    def named(self) -> Sequence[SfLogin]:
        """Whatever has a name with it: its logins, those that are broken, and those that only an alias is left of."""

    def default_org(self, root: str | None) -> tuple[str, NamedBy] | None:
        """The alias or username of ``target-org`` from its configuration files: those in `root`, the project (None:
        there is none, or it is not trusted), then the user's; and which of the two. Starts no process. Raises
        `EcapipeError` (SfConfigUnreadable)."""

    def access_token(self, name: str) -> tuple[Secret, str]:
        """The access token of a login, by alias or username, refreshed if it had to be, and its instance URL.

        Raises SfLoginMissing, InvalidClient, SfRefreshRefused, SfUnreachable, too.
        """

    def log_in(self, login: Handover) -> SfLogin:
        """Let it keep a login, and say under which name. One at a time: it would lose some otherwise.

        Raises SfUsernameTaken and AliasTaken for one that would take the place of a login to another org, and
        InvalidClient, SfRefreshRefused, SfUnreachable.
        """

    def retrieve(self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None]) -> Sequence[str]:
        """Let it retrieve all components of metadata `types` from the org of a login into the project at `root`.

        What it is at goes to `tell` meanwhile; its warnings are given back. Raises SfLoginMissing, too.
        """
