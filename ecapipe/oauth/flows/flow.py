"""What a flow says of itself. Each is a module of this package, and `registry` lists them all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from ecapipe.oauth.grants import Grant
from ecapipe.oauth.scopes import LONG_LIVED
from ecapipe.project.apps import App

# Every command loads the flows.
if TYPE_CHECKING:
    from ecapipe.oauth.flows.plans import GrantInput, GrantPlan


@dataclass(frozen=True, slots=True)
class Means:
    """What a login has besides the app: somebody who can be asked to sign in, the consumer secret, a private key."""

    person: bool
    secret: bool
    key: bool


class Flow(ABC):
    """A way to a token. Attributes that are set here are those of most flows."""

    name: ClassVar[str]
    """In options, org files and results; a promise."""
    title: ClassVar[str]
    """In a sentence."""
    lacking: ClassVar[str]
    """Why it cannot be used, although the app allows it and it was asked for."""
    lacking_in_auto: ClassVar[str | None] = None
    """The same, where it was only one of the choices; None if then another reason says more."""
    attended: ClassVar[bool] = False
    """Whether a person takes part."""
    signs: ClassVar[bool] = False
    """Whether a private key stands in for the consumer secret. A key that is given decides for such a flow."""
    hands_over_key: ClassVar[bool] = False
    """Whether the Salesforce CLI can log in itself, with the private key, where there is no refresh token."""
    needs_file: ClassVar[bool] = False
    """Whether it needs more of the settings file than key and secret."""
    settings_decide: ClassVar[bool] = True
    """Whether the org refuses what the settings do not allow. Otherwise the flow is tried for who asks for it."""
    refreshes: ClassVar[bool] = False
    """Whether a refresh token can come of it. Each is an approval, of which Salesforce grants a user few."""
    renewal: ClassVar[Grant | None] = None
    """The grant that brings another token for key and secret alone."""
    advice_without_secret: ClassVar[str | None] = None
    """What to do where the consumer secret is missing."""

    @property
    def advice(self) -> str:
        """What to do to use it."""
        return f"Use --flow {self.name}."

    @property
    def flags(self) -> tuple[str, ...]:
        """What a command line says for it."""
        return "--flow", self.name

    @abstractmethod
    def allowed_by(self, app: App) -> bool:
        """Whether the settings of `app`, which has some, and its policies allow it."""

    @abstractmethod
    def refusal(self, app: App) -> str:
        """Why they do not."""

    @abstractmethod
    def usable(self, means: Means) -> bool:
        """Whether it can be chosen for somebody who asked for no flow."""

    def usable_on_demand(self, means: Means) -> bool:
        """Whether it can be used by somebody who asked for it."""
        return self.usable(means)

    def needs_secret(self, app: App) -> bool:
        """Whether the token request of `app` needs the consumer secret."""
        return not self.signs

    def brings_refresh_token(self, scopes: Collection[str]) -> bool:
        """Whether a login with these scopes comes with a refresh token."""
        return self.refreshes and not LONG_LIVED.isdisjoint(scopes)


class UnattendedFlow(Flow):
    """A flow that no person takes part in: one token request with a grant."""

    @abstractmethod
    def plan(self, given: GrantInput) -> GrantPlan:
        """How its grant is made, before anything is sent. Raises `EcapipeError` for what is missing."""
