"""What one login takes from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from ecapipe.exchange.ports import NetworkAccess
from ecapipe.saved.ports import StoreAccess

if TYPE_CHECKING:
    from ecapipe.login.salesforce_cli import SalesforceCli
    from ecapipe.login.signing import KeyReader
    from ecapipe.secret import Secret


class LoginAccess(NetworkAccess, StoreAccess, Protocol):
    """The way to an org and to a person, a store for what is saved, and the Salesforce CLI."""

    @property
    def person(self) -> bool:
        """Whether somebody can be asked to sign in."""

    @property
    def local_browser(self) -> bool:
        """Whether the browser is on this very machine."""

    @property
    def ask(self) -> Callable[[str], Secret | None] | None:
        """A hidden question on the terminal; None where there is none to ask on."""

    @property
    def keys(self) -> KeyReader: ...

    @property
    def open(self) -> Callable[[str], bool] | None:
        """Shows a URL in a browser, False if that failed; None when URLs are only printed."""

    @property
    def browsers(self) -> Callable[[str], Callable[[str], bool] | None] | None:
        """What `open` is for a browser that an org names; None where one was chosen for all orgs."""

    @property
    def sf(self) -> SalesforceCli: ...
