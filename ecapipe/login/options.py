"""The user's choices for logins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ecapipe.events import TokenFate
from ecapipe.oauth.flows import Callback
from ecapipe.orgs.org import Org
from ecapipe.project.apps import Flow
from ecapipe.saved.records import StorePlace
from ecapipe.secret import Secret


@dataclass(frozen=True, slots=True)
class LoginOptions:
    """The user's choices for a login. `wait` and `record_unstarted` are in minutes; `deliver` is given the access
    token, `keep`
    says where a login is kept.

    `key_file` holds the private key that signs assertions; their audience is `assertion_audience`, or None for what
    fits the
    org.
    """

    flow: Literal["auto"] | Flow = "auto"
    callback: Literal["auto"] | Callback = "auto"
    scopes: str | None = None
    wait: float | None = None
    settle: float = 0.0
    revoke: bool = False
    deliver: Callable[[Secret], None] | None = None
    dry_run: bool = False
    key_file: str | None = None
    audience: str | None = None
    keep: StorePlace | None = None
    hand_over: bool = False
    """Let the Salesforce CLI keep the login; `set_default`: as its default org; `replace_alias`: even if it knows the
    alias for another org."""
    set_default: bool = False
    replace_alias: bool = False

    @property
    def fate(self) -> TokenFate | None:
        """What somebody asks to become of the tokens."""
        if self.hand_over:
            return "handedOver"
        if self.keep:
            return "saved"
        return "revoked" if self.revoke else "printed" if self.deliver else None

    def of(self, org: Org) -> LoginOptions:
        """The choices for one org: where nothing is chosen for all, what is said of it counts."""
        if org.flow is None and org.callback is None and org.scopes is None:
            return self
        return replace(
            self,
            flow=self.flow if self.flow != "auto" else org.flow or "auto",
            callback=self.callback if self.callback != "auto" else org.callback or "auto",
            scopes=self.scopes or org.scopes,
        )
