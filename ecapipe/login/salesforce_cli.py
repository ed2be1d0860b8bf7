"""The Salesforce CLI, as a port."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

# Ports are imported by every command, the modules of their types are not: start-up stays fast.
if TYPE_CHECKING:
    from ecapipe.login.handover import Handover
    from ecapipe.orgs.org import NamedBy
    from ecapipe.orgs.sf_logins import SfLogin
    from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class SfVersion:
    """The version of the Salesforce CLI, and the lowest version of sfdx-core in it, if that is known."""

    cli: str
    core: str | None

    @property
    def loses_rotated_tokens(self) -> bool:
        """sfdx-core before 9.2.0 throws the new refresh token away that a rotation brings."""
        return self.core is not None and tuple(int(part) for part in self.core.split(".")[:2]) < (9, 2)


class SalesforceCli(Protocol):
    """The Salesforce CLI of this machine (`sf`). It is started when a method needs it, never before: it is slow.

    Every method but `home` and `default_org` raises `EcapipeError`: SfNotFound, SfTooOld, SfTimedOut, SfFailed.
    """

    def home(self) -> str:
        """The folder that its files are in."""

    def version(self) -> SfVersion:
        """Raises SfTooOld, too, for one without all the commands below."""

    def logins(self) -> Sequence[SfLogin]:
        """Its logins (``sf org list auth``, asked once), with those that were handed over since."""

    def named(self) -> Sequence[SfLogin]:
        """Everything that has a name there: logins, broken ones too, and aliases whose login is gone."""

    def default_org(self, root: str | None) -> tuple[str, NamedBy] | None:
        """The alias or username of ``target-org`` in its configuration files, and whose file that is.

        The file of the project at `root` comes first (None: there is none, or it is not trusted), then the user's.
        Starts no process. Raises `EcapipeError` (SfConfigUnreadable).
        """

    def access_token(self, name: str) -> tuple[Secret, str]:
        """The access token of a login, by alias or username, refreshed if it had to be, and its instance URL.

        Raises SfLoginMissing, InvalidClient, SfRefreshRefused, SfUnreachable, too.
        """

    def key_obstacle(self, path: str) -> str | None:
        """Why it cannot use the private key of the JWT bearer flow that the user names; None: it can."""

    def log_in(self, login: Handover) -> SfLogin:
        """Hand a login over, and return it as it is stored there. One at a time: it would lose some otherwise.

        Raises SfUsernameTaken and AliasTaken for one that would take the place of a login to another org, and
        InvalidClient, SfRefreshRefused, SfUnreachable.
        """

    def retrieve(
        self, root: str, name: str, types: Sequence[str], tell: Callable[[str], None], api_version: str | None = None
    ) -> Sequence[str]:
        """Retrieve all components of metadata `types` from the org of a login into the project at `root`, in an API
        version if it is not to be the project's.

        Progress goes to `tell`; returns its warnings. Several may run at once. Raises SfLoginMissing, too.
        """

    def stop(self) -> None:
        """End every command that runs; each fails."""
