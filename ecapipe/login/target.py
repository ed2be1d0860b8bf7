"""One app in one org, and how its login is planned."""

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
    """A web login as planned: how its answer comes back, and the scopes it asks for (None: all the app has)."""

    callback: Callback
    redirect_uri: str
    scopes: str | None

    @property
    def listens(self) -> str | None:
        """The address that has to be listened on."""
        return self.redirect_uri if self.callback == "listen" else None


@dataclass(frozen=True, slots=True)
class JwtPlan:
    """A login with a private key, as planned. `sign` makes its grant, which lives for minutes, for an org whose clock
    is so many seconds ahead; `doubts` are sentences about the key."""

    username: str
    audience: str
    key_file: str
    sign: Callable[[float], JwtBearer]
    doubts: tuple[str, ...] = ()


UnattendedPlan = ClientCredentials | JwtPlan
"""A login that needs nobody: its plan is, or makes, its grant."""

LoginPlan = WebPlan | UnattendedPlan


@dataclass(frozen=True, slots=True)
class Target:
    """The subject of a login: an app in an org, and what the check proved."""

    app: App
    org: Org
    resolved: Resolution
    api_version: str
    named: bool = True
    """Somebody asked for this app there; otherwise it comes from the crossing of all apps and orgs."""

    @property
    def subject(self) -> Subject:
        return Subject(self.app.name, self.org.name)

    @property
    def credentials(self) -> Credentials:
        """Raises `EcapipeError` (ConsumerKeyMissing, ConsumerSecretMissing) if this very org was not served."""
        if isinstance(self.resolved.outcome, Problem):
            raise EcapipeError(self.resolved.outcome)
        return self.resolved.outcome
