"""The check of a real org, held against the emulator: it agrees with itself, and notices what differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trees
from commandline import ROOT, environment
from fakes.orgs import registered
from fakes.salesforce_cli import StandIn, login
from live import check

from ecapipe.adapters import composition
from ecapipe.adapters.environment import Environment
from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator
from ecapipe.project import discovery
from ecapipe.project.discovery import ProjectSelection

CHECK = ROOT / "tests/live/check.py"
CALLBACKS = "http://127.0.0.1:1717/cb\nhttps://www.example.com"
CREDENTIALS = {"clientCredentialsFlowUser": "robot@example.com", **trees.CLIENT_CREDENTIALS}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    app = trees.app(settings={"callbackUrl": CALLBACKS, **trees.CLIENT_CREDENTIALS}, policies=CREDENTIALS)
    return trees.plant(tmp_path / "project", trees.project() | app)


def ran(tmp_path: Path, project: Path, *faults: Fault, retrieved: dict[str, str] | None = None) -> tuple[int, str]:
    """The check of an emulator that the Salesforce CLI has a login to; exit status and output."""
    (known,) = registered(project)
    with Emulator([known], faults=faults) as emulator:
        stand_in = StandIn(tmp_path / "sf")
        stand_in.keeps(login("live", url=emulator.urls["emulator"]))
        stand_in.gives("org auth show-access-token", {"accessToken": _token(emulator, project)})
        stand_in.says("project retrieve start", files=retrieved or {})
        command = [sys.executable, str(CHECK), "live", "--source-dir", str(project), "--name", "Billing"]
        path = os.pathsep.join([str(stand_in.folder), os.environ["PATH"]])
        done = subprocess.run(
            command, env=environment(tmp_path, PATH=path), capture_output=True, text=True, check=False, timeout=100
        )
    assert done.stderr == "", done.stderr
    assert trees.secret("Billing") not in done.stdout
    assert trees.key("Billing") not in done.stdout
    return done.returncode, done.stdout


def _token(emulator: Emulator, project: Path) -> str:
    (known,) = registered(project)
    (app,) = discovery.discover(ProjectSelection((str(project),)), composition.real_world(Environment({}))).apps
    token = check.own_token(emulator, app, known)
    assert token
    return token.reveal()


def test_the_emulator_agrees_with_itself_and_what_is_open_is_told(tmp_path: Path, project: Path) -> None:
    settings = trees.app(settings={"isPkceRequired": "true"})
    files = {path: str(text) for path, text in settings.items() if "ecaGlblOauth" in path}
    security = {"isEnforceRefreshTokenTTL": "true", "externalClientApplication": "Billing"}
    files["force-app/x/B.ecaOauthSecurity-meta.xml"] = trees.xml("ExtlClntAppOauthSecuritySettings", security)
    status, out = ran(tmp_path, project, retrieved=files)
    first, *lines = out.splitlines()
    assert first.endswith(" questions, 0 answered differently."), out
    assert status == 0
    assert all(line.startswith("open     ") for line in lines)
    assert "A retrieve holds consumerSecret; elements: callbackUrl, consumerKey," in out
    assert "ExtlClntAppOauthSecuritySettings holds: externalClientApplication, isEnforceRefreshTokenTTL." in out
    assert "isPkceRequired of a retrieve: true." in out
    assert "A callback on 127.0.0.1: asks to sign in." in out
    assert "UserInfo refuses (403, Missing_OAuth_Token) without a token," in out
    assert "The slot of the consumer: HTTP 200, no pair." in out


def test_a_pair_in_the_slot_is_told_of_and_not_shown(tmp_path: Path, project: Path) -> None:
    pair = {"id": "1SC000000000001AAA", "key": "3MVG9" + "A" * 40, "secret": "5EC0DD" * 10, "state": "Rotated"}
    slot: Fault = Fault("*/staged", {"status": 200, "body": {"stagedCredentials": [pair]}})
    status, out = ran(tmp_path, project, slot)
    assert "The slot of the consumer: HTTP 200, Rotated (id, key, secret, state)." in out
    assert status == 1, "an unknown consumer and an old version have none"
    assert pair["key"] not in out
    assert pair["secret"] not in out


def test_an_org_that_differs_is_noticed(tmp_path: Path, project: Path) -> None:
    status, out = ran(
        tmp_path,
        project,
        Fault("/services/oauth2/userinfo", {"status": 401, "body": {"error": "invalid_token"}}),
        Fault("/services/oauth2/introspect", {"status": 200, "body": {"active": False, "more": 1}}, times=1),
        Fault("/services/oauth2/authorize", {"html": {"error": "OAUTH_EC_APP_NOT_FOUND", "error_description": "x"}},
              after=1, times=1),
    )  # fmt: skip
    assert status == 1
    differing = [line for line in out.splitlines() if line.startswith("differs  ")]
    assert {line.split(":")[0].removeprefix("differs  ") for line in differing} == {
        "authorize", "introspect, worthless token", "user info, no token", "user info, made-up token", "user info"
    }  # fmt: skip
    assert (
        "user info, no token: the org refuses (401, invalid_token: no description); the emulator refuses (403, "
        "Missing_OAuth_Token)" in out
    )
    assert "authorize: the org shows OAUTH_EC_APP_NOT_FOUND (x); the emulator asks to sign in" in out


def test_an_unknown_login_is_explained(tmp_path: Path, project: Path) -> None:
    stand_in = StandIn(tmp_path / "sf")
    command = [sys.executable, str(CHECK), "nobody", "--source-dir", str(project), "--name", "Billing"]
    path = os.pathsep.join([str(stand_in.folder), os.environ["PATH"]])
    done = subprocess.run(
        command, env=environment(tmp_path, PATH=path), capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "nobody" in done.stdout
