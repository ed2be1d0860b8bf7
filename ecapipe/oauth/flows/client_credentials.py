"""The client credentials flow: the app logs in as itself, with key and secret (RFC 6749 §4.4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from ecapipe.credentials.sources import ClientIdentity
from ecapipe.oauth.flows.flow import Means, UnattendedFlow
from ecapipe.oauth.grants import Grant, authentication
from ecapipe.project import metadata
from ecapipe.project.apps import App

# Every command loads the flows.
if TYPE_CHECKING:
    from ecapipe.oauth.flows.plans import GrantInput, GrantPlan


@dataclass(frozen=True, slots=True)
class ClientCredentials(Grant):
    """RFC 6749 §4.4."""

    place = "client-credentials"

    def fields(self, client: ClientIdentity) -> dict[str, str]:
        return authentication(client) | {"grant_type": "client_credentials"}


class ClientCredentialsFlow(UnattendedFlow):
    name = "client-credentials"
    title = "client credentials"
    lacking = "this flow needs the consumer secret, and none was found"
    renewal: ClassVar[Grant | None] = ClientCredentials()

    def allowed_by(self, app: App) -> bool:
        # Salesforce wants it on in the settings and in the policies. Policies that are not in the project are no
        # refusal: the org may have them.
        policies = app.of(metadata.OAUTH_POLICIES)
        if policies and not policies.document.flag("isClientCredentialsFlowEnabled", True):
            return False
        return bool(app.settings and app.settings.document.flag("isClientCredentialsFlowEnabled", False))

    def refusal(self, app: App) -> str:
        return "isClientCredentialsFlowEnabled is not true in its settings and policies"

    def usable(self, means: Means) -> bool:
        return means.secret

    def plan(self, given: GrantInput) -> GrantPlan:
        from ecapipe.oauth.flows.plans import GrantPlan

        return GrantPlan(lambda ahead: ClientCredentials())


CLIENT_CREDENTIALS: Final = ClientCredentialsFlow()
