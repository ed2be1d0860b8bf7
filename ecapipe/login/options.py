"""The user's choices for logins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from ecapipe.events import TokenFate
from ecapipe.oauth.flows.registry import AUTO
from ecapipe.oauth.flows.web import Callback
from ecapipe.orgs.org import Org
from ecapipe.saved.records import StorePlace
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.oauth.dpop import TokenType


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """The user's choices for a login.

    `wait` and `settle` are in minutes: how long people have to sign in, and how long refusals are retried that a
    recent deployment explains. `deliver` is called with the access token; `keep` is the place to save the login in.
    `key_file` holds the private key that signs assertions for `audience`; None: the audience that fits the org.
    """

    flow: str = AUTO
    """One of `oauth.flows.registry.CHOICES`."""
    callback: Literal["auto"] | Callback = "auto"
    settled: frozenset[str] = frozenset()
    """Those of ``flow`` and ``callback`` that the user has chosen, be it "auto"."""
    scopes: str | None = None
    wait: float | None = None
    settle: float = 0.0
    revoke: bool = False
    deliver: Callable[[Secret, TokenType], None] | None = None
    dry_run: bool = False
    probe: bool = False
    """With ``dry_run``: ask orgs whether the logins could begin."""
    key_file: str | None = None
    audience: str | None = None
    keep: StorePlace | None = None
    hand_over: bool = False
    """Hand the login over to the Salesforce CLI; `set_default`: as its default org; `replace_alias`: even if it has
    the alias for another org."""
    set_default: bool = False
    replace_alias: bool = False
    dpop: bool = False
    """Bind tokens to keys, also of apps whose files do not ask for it."""

    @property
    def fate(self) -> TokenFate | None:
        """The fate of the tokens that the user asked for, if any."""
        if self.hand_over:
            return "handedOver"
        if self.keep:
            return "saved"
        if self.revoke:
            return "revoked"
        if self.deliver:
            return "printed"
        return None

    def of(self, org: Org) -> LoginOptions:
        """The choices for one org: options that the user left open are those of the org file."""
        if org.flow is None and org.callback is None and org.scopes is None:
            return self
        options = replace(self, scopes=self.scopes or org.scopes)
        if self.flow == AUTO and "flow" not in self.settled:
            options = replace(options, flow=org.flow or AUTO)
        if self.callback == "auto" and "callback" not in self.settled:
            options = replace(options, callback=org.callback or "auto")
        return options
