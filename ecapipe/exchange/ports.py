"""The ports of the exchange with orgs: what it needs from outside."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ecapipe.events import Clock
    from ecapipe.oauth.messages import Send
    from ecapipe.orgs.sf_logins import SfLogin
    from ecapipe.secret import Secret


class NetworkAccess(Protocol):
    """The way to orgs: requests, time, and random bytes."""

    @property
    def send(self) -> Send: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def random_bytes(self) -> Callable[[int], bytes]: ...

    @property
    def nonces(self) -> MutableMapping[str, str]:
        """The last nonce of each origin, for proofs."""


class SfSessions(Protocol):
    """The sessions of the Salesforce CLI; see `ecapipe.login.salesforce_cli.SalesforceCli`."""

    def logins(self) -> Sequence[SfLogin]: ...

    def access_token(self, name: str) -> tuple[Secret, str]:
        """An access token for a username or alias, and the instance URL that it is for. Raises `EcapipeError`."""


class CredentialsAccess(Protocol):
    """What it takes to ask an org for the credentials of an app."""

    @property
    def send(self) -> Send: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def sf(self) -> SfSessions: ...
