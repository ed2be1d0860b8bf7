"""Logins that ecapipe hands over to the Salesforce CLI, and what the Salesforce CLI then does with them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trees
from fakes.orgs import emulated
from interop import installed
from interop.program import Ended, ran, started
from interop.salesforce import Sf

from ecapipe.adapters import salesforce_cli
from ecapipe.adapters.environment import Environment
from ecapipe.emulator.server import Emulator
from ecapipe.login.handover import Handover
from ecapipe.orgs import selection
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

pytestmark = pytest.mark.interop

PASTED = "https://www.example.com/done"
SCOPES = {"commaSeparatedOauthScopes": "Api, Basic, Web, RefreshToken"}
ROBOT = "nightly@acme.example"


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

    def end(self, org: str, token: str) -> None:
        """Let the session of an access token be over."""
        trust = ssl.create_default_context(cafile=self.orgs.ca_file)
        with httpx.Client(verify=trust, trust_env=False) as http:
            http.post(f"{self.orgs.urls[org]}/services/oauth2/revoke", data={"token": token})
        assert self.user_info(org, token).status_code != 200

    def refreshes(self) -> int:
        return sum("refresh_token" in asked.parameters for asked in self.orgs.requests)

    def kept(self) -> list[dict[str, Any]]:
        return list(self.sf(self.project, "org", "list", "auth")["result"])

    def token(self, alias: str) -> str:
        """The access token that the Salesforce CLI shows, refreshed if it had to be."""
        shown = self.sf(self.project, "org", "auth", "show-access-token", "--target-org", alias)
        assert shown["status"] == 0, shown
        return str(shown["result"]["accessToken"])


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    project = trees.plant(
        tmp_path / "project",
        trees.project()
        | trees.app("Billing", settings={"callbackUrl": PASTED}, oauth=SCOPES)
        | trees.app("Portal", settings={"callbackUrl": PASTED, "isConsumerSecretOptional": "true",
                                        "consumerSecret": None, "isSecretRequiredForRefreshToken": "false"},
                    oauth=SCOPES)
        | trees.app("Rotating", settings={"callbackUrl": PASTED, "isRefreshTokenRotationEnabled": "true"},
                    oauth=SCOPES)
        | trees.robot("Nightly", oauth=SCOPES),
    )  # fmt: skip
    home = tmp_path / "home"
    home.mkdir()
    with emulated(project, ("uat", "prod"), tls=True) as orgs:
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

    for refreshed in (1, 2, 3):
        token = scene.token("uat")
        assert scene.user_info("uat", token).json()["preferred_username"] == login["username"]
        assert scene.refreshes() == refreshed
        scene.end("uat", token)  # with rotation, the next one comes of a refresh token that it got with this one
    assert scene.sf(scene.project, "config", "get", "target-org")["result"][0]["value"] == "uat"


def test_a_login_without_refresh_token_goes_over_as_well(scene: Scene) -> None:
    ended = ran("run", "-d", scene.project, "--name", "Nightly", *scene.target("uat"), "--hand-over", "sf", "-p",
                env=scene.sf.env)  # fmt: skip

    assert (ended.status, ended.success["token"]) == (0, "handedOver"), ended
    (kept,) = scene.kept()
    assert (kept["alias"], kept["username"], kept["oauthMethod"]) == ("uat", ROBOT, "token")
    assert scene.user_info("uat", scene.token("uat")).json()["preferred_username"] == ROBOT
    assert scene.refreshes() == 0


def test_one_user_in_two_orgs_is_handed_over_once(scene: Scene) -> None:
    ended = ran("run", "-d", scene.project, "--name", "Nightly", *scene.target("uat"), *scene.target("prod"),
                "--hand-over", "sf", "-p", env=scene.sf.env)  # fmt: skip

    assert ended.status == 68, ended
    assert ended.failure["name"] == "SfUsernameTaken"
    (kept,) = scene.kept()
    assert {kept["alias"], ended.failure["org"]} == {"uat", "prod"}


def test_a_second_hand_over_takes_the_place_of_the_first(scene: Scene) -> None:
    for app in ("Billing", "Portal"):
        assert scene.run("--name", app, *scene.target("uat")).status == 0
    shown = scene.sf(scene.project, "org", "display", "--target-org", "uat")["result"]
    assert shown["clientId"] == trees.key("Portal")
    assert len(scene.kept()) == 1
    assert scene.user_info("uat", scene.token("uat")).status_code == 200


def test_a_rotation_goes_through_its_login_and_spares_the_pair_that_it_uses(scene: Scene, tmp_path: Path) -> None:
    assert scene.run("--name", "Billing", *scene.target("uat")).status == 0
    program = tmp_path / "put"
    program.write_text('#!/bin/sh\ncat > "$1"\n')
    program.chmod(0o755)
    rotate = ("app", "rotate", "-d", scene.project, "-n", "Billing", *scene.target("uat"))

    rotated = ran(*rotate, "--deliver", f"{program} {tmp_path}/{{field}}", env=scene.sf.env)
    assert rotated.status == 0, rotated
    assert (tmp_path / "consumerKey").read_text() != trees.key("Billing")
    refused = ran(*rotate, "--end-previous", env=scene.sf.env)
    assert refused.failure["name"] == "PreviousPairInUse"
    assert "the login of user@uat.example in the Salesforce CLI" in refused.failure["message"]

    scene.end("uat", scene.token("uat"))
    renewed = scene.token("uat")
    assert scene.user_info("uat", renewed).status_code == 200, "refreshed with the previous pair"
    assert ran(*rotate, "--end-previous", "--force", env=scene.sf.env).status == 0
    scene.end("uat", renewed)
    assert scene.user_info("uat", scene.token("uat")).status_code != 200, "it shows the token that has ended"


# --- what the real one says, as ecapipe understands it ---


def given(scene: Scene, secret: str, refresh: str, host: str = "") -> Handover:
    org = selection.choose(f"uat=https://{host}" if host else f"uat={scene.orgs.urls['uat']}", {}, ())
    key = trees.key("Billing")
    url = Secret(f"force://{key}:{secret}:{refresh}@{org.host}")
    known = (Secret(secret), Secret(refresh))
    return Handover(url, True, "user@uat.example", "00D000000000001EAA", org, False, known)


def test_its_refusals_are_told_apart(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scene.sf.home)  # in this repository, its programs are passed over
    edge = salesforce_cli.Sf(Environment(scene.sf.env))
    nobody = "localhost:9"
    for login, name in (
        (given(scene, "0" * 64, "5Aep861.made.up.refresh.token"), "InvalidClient"),
        (given(scene, trees.secret("Billing"), "5Aep861.made.up.refresh.token"), "SfRefreshRefused"),
        (given(scene, trees.secret("Billing"), "5Aep861.made.up.refresh.token", nobody), "SfUnreachable"),
    ):
        with pytest.raises(EcapipeError) as refused:
            edge.log_in(login)
        problem = refused.value.problem
        assert problem.name == name, problem
        assert login.org.host in problem.message
        assert not any("stored refresh token" in action for action in problem.actions)
    assert scene.kept() == []


def test_what_it_keeps_is_read_as_it_is(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(scene.sf.home)  # in this repository, its programs are passed over
    scene.run("--name", "Billing", *scene.target("uat"))
    # Colours and secrets that somebody asked for elsewhere do not upset anything.
    edge = salesforce_cli.Sf(Environment({**scene.sf.env, "FORCE_COLOR": "1", "SF_TEMP_SHOW_SECRETS": "true"}))

    (kept,) = edge.logins()
    assert (kept.aliases, kept.username, kept.instance_url) == (("uat",), "user@uat.example", scene.orgs.urls["uat"])
    for name in ("uat", "user@uat.example"):
        token, url = edge.access_token(name)
        assert (url, scene.user_info("uat", token.reveal()).status_code) == (scene.orgs.urls["uat"], 200)
    with pytest.raises(EcapipeError, match="no login"):
        edge.access_token("nobody")

    version = edge.version()
    core = json.loads((installed.FOLDER / "node_modules/@salesforce/core/package.json").read_text())["version"]
    cli = json.loads((installed.FOLDER / "package.json").read_text())["dependencies"]["@salesforce/cli"]
    assert (version.cli, version.core, version.loses_rotated_tokens) == (cli, core, False)


def test_its_default_org_is_read_from_its_files(scene: Scene) -> None:
    edge = salesforce_cli.Sf(Environment(scene.sf.env))
    scene.run("--name", "Billing", *scene.target("uat"))
    assert edge.default_org(str(scene.project)) is None

    scene.sf(scene.project, "config", "set", "target-org", "user@uat.example", "--global")
    assert edge.default_org(str(scene.project)) == ("user@uat.example", "salesforceCli")

    scene.sf(scene.project, "config", "set", "target-org", "uat")
    assert edge.default_org(str(scene.project)) == ("uat", "tree")
    assert edge.default_org(None) == ("user@uat.example", "salesforceCli")


def test_a_retrieve_goes_as_far_as_the_org_lets_it(scene: Scene) -> None:
    """The emulator has no Metadata API: the Salesforce CLI accepts every type, sends its request, and is refused."""
    scene.run("--name", "Billing", *scene.target("uat"))
    ended = ran("run", "-d", scene.project, "--retrieve", "-o", "uat", "--until", "check", env=scene.sf.env)

    assert (ended.status, ended.data["name"]) == (1, "SfFailed"), ended
    assert "project retrieve start" in ended.data["message"]
    assert "<" not in ended.data["message"]
    assert "Salesforce CLI: Sending request to org" in ended.err
    assert any(asked.path.startswith("/services/Soap/m/") for asked in scene.orgs.requests)
