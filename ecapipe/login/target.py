"""One app in one org, and the plan of its login."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.events import Subject
from ecapipe.oauth.flows import Callback
from ecapipe.oauth.grants import ClientCredentials, JwtBearer
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App


@dataclass(frozen=True, slots=True)
class WebPlan:
    """The plan of a web login: the way its answer comes back, and the scopes it requests (None: all of the app's)."""

    callback: Callback
    redirect_uri: str
    scopes: str | None

    @property
    def listens(self) -> str | None:
        """The address to listen on, if any."""
        if self.callback == "listen":
            return self.redirect_uri
        return None


@dataclass(frozen=True, slots=True)
class JwtPlan:
    """The plan of a login with a private key.

    `sign` makes the grant, which is valid for minutes only; its argument is by how many seconds the org's clock is
    ahead. `doubts` are sentences about the key.
    """

    username: str
    audience: str
    key_file: str
    sign: Callable[[float], JwtBearer]
    doubts: tuple[str, ...] = ()


UnattendedPlan = ClientCredentials | JwtPlan
"""The plan of a login without a person: it is its grant, or makes it."""

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
