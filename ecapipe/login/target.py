"""One app in one org, and the plan of its login."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.events import Subject
from ecapipe.oauth.dpop import ProofKey
from ecapipe.oauth.flows.flow import UnattendedFlow
from ecapipe.oauth.flows.plans import GrantPlan
from ecapipe.oauth.flows.web import WEB, Callback, WebFlow
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App

NewKey = Callable[[], ProofKey]


@dataclass(frozen=True, slots=True)
class WebPlan:
    """The plan of a web login: the way its answer comes back, and the scopes it requests (None: all of the app's)."""

    callback: Callback
    redirect_uri: str
    scopes: str | None
    flow: WebFlow = WEB
    new_key: NewKey | None = None
    """Makes the key that the token must be bound to, if it is."""

    @property
    def facts(self) -> Mapping[str, object]:
        scopes = (self.scopes or "").split()
        return {"callback": self.callback, "redirectUri": self.redirect_uri, "scopes": scopes}

    @property
    def brings_refresh_token(self) -> bool:
        return self.scopes is not None and self.flow.brings_refresh_token(self.scopes.split())

    @property
    def listens(self) -> str | None:
        """The address to listen on, if any."""
        if self.callback == "listen":
            return self.redirect_uri
        return None


@dataclass(frozen=True, slots=True)
class UnattendedPlan:
    """The plan of a login without a person, and of its grant."""

    flow: UnattendedFlow
    grant: GrantPlan
    new_key: NewKey | None = None

    @property
    def facts(self) -> Mapping[str, object]:
        return self.grant.facts

    @property
    def brings_refresh_token(self) -> bool:
        # It asks for no scopes.
        return self.flow.brings_refresh_token(())


LoginPlan = WebPlan | UnattendedPlan


@dataclass(frozen=True, slots=True)
class Target:
    """An app in an org to log in to, with the credentials that the check resolved."""

    app: App
    org: Org
    resolved: Resolution
    api_version: str
    named: bool = True
    """Whether the user asked for this pair; otherwise it comes from combining all apps with all orgs."""

    @property
    def subject(self) -> Subject:
        return Subject(self.app.name, self.org.name, self.app.tree)

    @property
    def credentials(self) -> Credentials:
        """Raises `EcapipeError` (ConsumerKeyMissing, ConsumerSecretMissing) if there are none for this org."""
        if isinstance(self.resolved.outcome, Problem):
            raise EcapipeError(self.resolved.outcome)
        return self.resolved.outcome
