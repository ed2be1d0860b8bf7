"""Logins that ecapipe hands over to the Salesforce CLI, and what the Salesforce CLI then does with them."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trees
from interop.program import Ended, started
from interop.salesforce import Sf

from ecapipe import edges
from ecapipe.cli.emulator import registered
from ecapipe.discovery import Where
from ecapipe.edges.environment import Environment
from ecapipe.emulator import Emulator

pytestmark = pytest.mark.interop

PASTED = "https://www.example.com/done"
SCOPES = {"commaSeparatedOauthScopes": "Api, Basic, Web, RefreshToken"}
ROBOT = "robot@acme.example"


@dataclass(frozen=True)
class Scene:
    """A project, two orgs that know its apps, and a Salesforce CLI that trusts them."""

    project: Path
    orgs: Emulator
    sf: Sf

    def run(self, *arguments: str | Path) -> Ended:
        """A hand-over in which the person signs in at each link."""
        command = ("run", "-d", self.project, "--hand-over", "sf", *arguments)
        with started(*command, "--browser", "none", env=self.sf.env) as running:
            running.paste(self.orgs.visit(running.link()))
            return running.ended()

    def target(self, org: str) -> tuple[str, str]:
        return "--target-org", f"{org}={self.orgs.urls[org]}"

    def user_info(self, org: str, token: str) -> httpx.Response:
        trust = ssl.create_default_context(cafile=self.orgs.ca_file)
        with httpx.Client(verify=trust, trust_env=False) as http:
            url = f"{self.orgs.urls[org]}/services/oauth2/userinfo"
            return http.get(url, headers={"Authorization": f"Bearer {token}"})

    def kept(self) -> list[dict[str, Any]]:
        return list(self.sf(self.project, "org", "list", "auth")["result"])

    def token(self, alias: str) -> str:
        """The access token that the Salesforce CLI shows, refreshed if it had to be."""
        shown = self.sf(self.project, "org", "auth", "show-access-token", "--target-org", alias)
        assert shown["status"] == 0, shown
        return str(shown["result"]["accessToken"])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    alone = {"callbackUrl": None, **trees.CLIENT_CREDENTIALS}
    project = trees.plant(
        tmp_path / "project",
        trees.project()
        | trees.app("Billing", settings={"callbackUrl": PASTED}, oauth=SCOPES)
        | trees.app("Portal", settings={"callbackUrl": PASTED, "isConsumerSecretOptional": "true",
                                        "consumerSecret": None, "isSecretRequiredForRefreshToken": "false"},
                    oauth=SCOPES)
        | trees.app("Rotating", settings={"callbackUrl": PASTED, "isRefreshTokenRotationEnabled": "true"},
                    oauth=SCOPES)
        | trees.app("Nightly", settings=alone, oauth=SCOPES,
                    policies={"clientCredentialsFlowUser": ROBOT, **trees.CLIENT_CREDENTIALS}),
    )  # fmt: skip
    apps = registered(Where((str(project),)), edges.real(Environment({})))
    home = tmp_path / "home"
    home.mkdir()
    with Emulator(apps, orgs=("uat", "prod"), tls=True) as orgs:
        assert orgs.ca_file is not None
        yield Scene(project, orgs, Sf(home, {"NODE_EXTRA_CA_CERTS": orgs.ca_file}))


@pytest.mark.parametrize("app", ["Billing", "Portal", "Rotating"])
def test_a_web_login_goes_on_in_the_salesforce_cli(app: str, scene: Scene) -> None:
    ended = scene.run("--name", app, *scene.target("uat"), "--set-default")

    assert ended.status == 0, ended
    login = ended.success
    assert login["token"] == "handedOver"
    assert {"refresh_token", "api", "web"} <= set(login["scopes"])

    (kept,) = scene.kept()
    assert (kept["alias"], kept["username"], kept["orgId"]) == ("uat", login["username"], login["orgId"])
    assert kept["instanceUrl"].rstrip("/") == scene.orgs.urls["uat"]

    shown = scene.sf(scene.project, "org", "display", "--target-org", "uat")["result"]
    assert (shown["username"], shown["id"], shown["connectedStatus"]) == (
        login["username"], login["orgId"], "Connected",
    )  # fmt: skip

    token = scene.token("uat")
    assert scene.user_info("uat", token).json()["preferred_username"] == login["username"]
