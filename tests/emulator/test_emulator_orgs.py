"""Several orgs: nothing of one is worth anything in another."""

from __future__ import annotations

from dataclasses import replace

import pytest
from emulator.client import APPS, NIGHTLY, WEB, Client, held, refusal

from ecapipe.emulator.faults import Fault
from ecapipe.emulator.server import Emulator
from ecapipe.emulator.visitor import VisitError


def test_every_org_is_one_of_its_own(client: Client) -> None:
    other = client.at("other")
    here, there = client.token().json(), other.token().json()
    assert here["instance_url"] != there["instance_url"]
    assert all(
        mine != theirs for mine, theirs in zip(here["id"].split("/")[4:], there["id"].split("/")[4:], strict=True)
    )
    assert all(
        mine != theirs
        for mine, theirs in zip(client.emulator.login("emulator"), client.emulator.login("other"), strict=True)
    )


def test_a_code_is_worthless_elsewhere(client: Client) -> None:
    code = client.visit()["code"]
    assert refusal(client.at("other").token(code=code)) == ("invalid_grant", "invalid authorization code")
    assert client.token(code=code).status_code == 200


def test_a_token_is_worthless_elsewhere(client: Client) -> None:
    token = client.token().json()["access_token"]
    other = client.at("other")
    assert other.get("/services/oauth2/userinfo", token).text == "Bad_OAuth_Token"
    assert other.get("/services/data/v66.0/", token).status_code == 401
    assert refusal(other.post("/services/oauth2/revoke", {"token": token}))[0] == "invalid_token"


def test_a_login_is_worthless_elsewhere(client: Client) -> None:
    username, password = client.emulator.login("other")
    form = {**held(client.authorize()), "username": username, "password": password}
    assert client.at("other").post("/login", form).status_code == 400


def test_the_port_decides_and_not_the_host_header(client: Client) -> None:
    elsewhere = client.url("").replace("http://", "")
    response = client.http.get(client.at("other").url("/services/oauth2/authorize"), headers={"Host": elsewhere})
    assert response.status_code == 400
    assert client.emulator.requests[-1].org == "other"


def test_names_are_remembered_and_values_are_not(client: Client) -> None:
    with Emulator(APPS) as emulator:
        mine = Client(emulator, client.http)
        code = mine.visit(scope="api")["code"]
        mine.token(code=code)
        told = [(one.method, one.path) for one in emulator.requests]
        assert told == [
            ("GET", "/services/oauth2/authorize"),
            ("GET", "/login"),
            ("POST", "/login"),
            ("POST", "/approve"),
            ("POST", "/services/oauth2/token"),
        ]
        assert [one.status for one in emulator.requests] == [302, 200, 200, 302, 200]
        assert {one.org for one in emulator.requests} == {"emulator"}
        assert "scope" in emulator.requests[0].parameters
        assert "client_secret" in emulator.requests[4].parameters
        assert code not in str(emulator.requests)
        assert emulator.login("emulator")[1] not in str(emulator.requests)


def test_an_app_can_be_missing_in_an_org(client: Client) -> None:
    apps = [replace(app, orgs=("home",)) for app in (WEB, NIGHTLY)]
    with Emulator(apps, orgs=("home", "away")) as emulator:
        home, away = Client(emulator, client.http, org="home"), Client(emulator, client.http, org="away")
        assert home.token().status_code == 200
        page = away.authorize()
        assert page.status_code == 400
        assert "location" not in page.headers
        with pytest.raises(VisitError) as caught:
            away.visit()
        assert caught.value.error == "OAUTH_EC_APP_NOT_FOUND"
        assert caught.value.description == "External client app is not installed in this org"
        assert home.of(NIGHTLY).credentials().status_code == 200
        assert refusal(away.of(NIGHTLY).credentials()) == ("invalid_client_id", "client identifier invalid")
        with pytest.raises(VisitError, match="invalid_client_id"):
            away.visit(client_id="nobody's")


def test_a_name_that_is_no_org_is_refused() -> None:
    with pytest.raises(ValueError, match='there is no org "elsewhere"'):
        Emulator([replace(WEB, orgs=("emulator", "elsewhere"))])
    with pytest.raises(ValueError, match='there is no org "elsewhere"'):
        Emulator(APPS, faults=[Fault("/", {"reset": True}, org="elsewhere")])


@pytest.mark.parametrize("orgs", [(), ("same", "same")])
def test_orgs_have_names_of_their_own(orgs: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="needs its own name"):
        Emulator(APPS, orgs=orgs)


def test_keys_are_unique() -> None:
    with pytest.raises(ValueError, match="share a consumer key"):
        Emulator([*APPS, APPS[0]])


@pytest.mark.parametrize("port", [-1, 65535])
def test_ports_have_an_end(port: int) -> None:
    with pytest.raises(ValueError, match="ports are not valid"):
        Emulator(APPS, orgs=("a", "b"), port=port)
