"""The ports that a login needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ecapipe.exchange.ports import NetworkAccess
from ecapipe.saved.ports import StoreAccess

if TYPE_CHECKING:
    from ecapipe.login.salesforce_cli import SalesforceCli
    from ecapipe.oauth.dpop import ProofKeys
    from ecapipe.oauth.signing import KeyReader
    from ecapipe.secret import Secret


class LoginAccess(NetworkAccess, StoreAccess, Protocol):
    """Access to the org, to the person at the terminal and the browser, to the store, and to the Salesforce CLI."""

    @property
    def person(self) -> bool:
        """Whether there is a person who can be asked to sign in."""

    @property
    def local_browser(self) -> bool:
        """Whether the browser runs on this machine, so that it can reach a loopback address."""

    @property
    def ask(self) -> Callable[[str], Secret | None] | None:
        """Asks for a secret on the terminal, without echo; None if there is no terminal."""

    @property
    def keys(self) -> KeyReader: ...

    @property
    def proof_keys(self) -> ProofKeys: ...

    @property
    def open(self) -> Callable[[str], bool] | None:
        """Opens a URL in a browser, and returns whether that succeeded; None if links are only printed."""

    @property
    def browsers(self) -> Callable[[str], Callable[[str], bool] | None] | None:
        """Returns `open` for a browser that an org names; None if the user chose one browser for all orgs."""

    @property
    def sf(self) -> SalesforceCli: ...
