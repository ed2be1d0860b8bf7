"""The sample project: whole, consistent, and obviously made up."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from emulator.client import Client

from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.secret import Secret

ROOT = Path(__file__).parents[2] / "sample-project"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"
APPS = {"Billing_Sync", "Partner_Portal", "Nightly_Reports", "Field_Mobile", "Desk_Assistant"}
SCOPES = {"Api": "api", "Basic": "id", "MCP": "mcp_api", "OpenID": "openid", "RefreshToken": "refresh_token"}


def read(file: Path) -> dict[str, str]:
    """A flat metadata file."""
    root = ElementTree.parse(file).getroot()
    assert all(child.tag.startswith(NAMESPACE) for child in root)
    names = [child.tag.removeprefix(NAMESPACE) for child in root]
    assert names == sorted(names), file
    return dict(zip(names, (child.text or "" for child in root), strict=True))


def files(suffix: str) -> dict[str, dict[str, str]]:
    """The files of one kind, by the app they belong to."""
    found = [(file, read(file)) for file in ROOT.rglob(f"*.{suffix}-meta.xml")]
    by_app = {values.get("externalClientApplication", file.name.partition(".")[0]): values for file, values in found}
    assert len(by_app) == len(found)
    return by_app


@pytest.mark.parametrize("suffix", ["eca", "ecaGlblOauth", "ecaOauth", "ecaOauthPlcy", "ecaPlcy"])
def test_every_app_has_every_file(suffix: str) -> None:
    assert set(files(suffix)) == APPS


def test_the_project_file_names_its_packages_and_no_orgs() -> None:
    project = json.loads((ROOT / "sfdx-project.json").read_text())
    assert [one["path"] for one in project["packageDirectories"]] == ["force-app", "integrations"]
    assert project["packageDirectories"][0]["default"] is True
    assert project["plugins"] == {"ecapipe": {"baseline": "ecapipe-baseline.json"}}


def test_keys_and_secrets_have_the_right_shape_and_are_made_up() -> None:
    settings = files("ecaGlblOauth").values()
    keys = [one["consumerKey"] for one in settings]
    secrets = [one["consumerSecret"] for one in settings if "consumerSecret" in one]
    assert len(set(keys)) == 5
    assert all(
        re.fullmatch(r"3MVG9SAMPLE\.PROJECT\.FAKE\.KEY\.[A-Za-z0-9._]+", key) and len(key) == 85 for key in keys
    )
    assert len(set(secrets)) == 3
    assert all(re.fullmatch(r"(FA4E){15}[0-9A-F]{4}", secret) for secret in secrets)


def test_links_and_switches_agree() -> None:
    for name, header in files("eca").items():
        org = header["orgScopedExternalApp"].removesuffix(f":{name}")
        assert files("ecaOauth")[name]["oauthLink"].startswith(f"{org}:888")
        settings, policies = files("ecaGlblOauth")[name], files("ecaOauthPlcy")[name]
        assert settings["isClientCredentialsFlowEnabled"] == policies["isClientCredentialsFlowEnabled"]
        assert ("clientCredentialsFlowUser" in policies) is (name == "Nightly_Reports")
        assert ("consumerSecret" not in settings) is (settings["isConsumerSecretOptional"] == "true")
        assert ("callbackUrl" not in settings) is (name == "Nightly_Reports")


def test_every_app_can_log_in_at_the_emulator(http: httpx.Client) -> None:
    apps = [_registered(name) for name in sorted(APPS)]
    with Emulator(apps) as emulator:
        for app in apps:
            client = Client(emulator, http, app)
            secret = app.consumer_secret.reveal() if app.consumer_secret else None
            response = (
                client.token(client_secret=secret) if app.callback_urls else client.credentials(client_secret=secret)
            )
            assert response.status_code == 200, response.text


def _registered(name: str) -> RegisteredApp:
    settings, policies = files("ecaGlblOauth")[name], files("ecaOauthPlcy")[name]
    return RegisteredApp(
        name,
        settings["consumerKey"],
        Secret(settings["consumerSecret"]) if "consumerSecret" in settings else None,
        tuple(settings.get("callbackUrl", "").split()),
        tuple(SCOPES[one] for one in files("ecaOauth")[name]["commaSeparatedOauthScopes"].split(", ")),
        secret_optional=settings["isConsumerSecretOptional"] == "true",
        client_credentials=policies["isClientCredentialsFlowEnabled"] == "true",
        run_as_user=policies.get("clientCredentialsFlowUser"),
    )
