"""The credentials REST API: which apps an org knows, and who is told their keys and secrets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from emulator.client import FRESH, NIGHTLY, PUBLIC, SECRET, WEB, Client, refusal
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.emulator.registration import EmulatedPair, OrgSetup, RegisteredApp
from ecapipe.emulator.server import Emulator
from ecapipe.secret import Secret

SECOND = EmulatedPair("3MVG9second", Secret("5EC0DD" * 10))
WAITING = EmulatedPair("3MVG9waiting", Secret("AA17" * 16))

NEW = replace(WEB, name="New", consumer_key="3MVG9new", used=False)
MANY = replace(WEB, name="Many", consumer_key="3MVG9many", more_consumers=(SECOND,), staged=WAITING)
ELSEWHERE = replace(WEB, name="Elsewhere", consumer_key="3MVG9elsewhere", orgs=("off",))
APPS = (WEB, NEW, MANY, PUBLIC, NIGHTLY, FRESH, ELSEWHERE)


@dataclass(frozen=True)
class Reader:
    """Somebody with an access token of an org."""

    client: Client
    token: str

    def get(self, path: str, version: int = 66) -> httpx.Response:
        return self.client.get(f"/services/data/v{version}.0/apps/oauth/{path}", self.token)

    def send(self, method: str, path: str, body: object = None) -> httpx.Response:
        url = self.client.url(f"/services/data/v66.0/apps/oauth/{path}")
        return self.client.http.request(method, url, json=body, headers={"Authorization": f"Bearer {self.token}"})

    def listed(self) -> dict[str, str]:
        """Identifiers by app."""
        return {app["developerName"]: app["identifier"] for app in self.get("usage").json()["apps"]}

    def consumers(self, app: RegisteredApp) -> list[dict[str, Any]]:
        return list(self.get(f"credentials/{self.listed()[app.name]}").json()["consumers"])


def logged_in(client: Client) -> Reader:
    return Reader(client, client.of(NIGHTLY).credentials().json()["access_token"])


@pytest.fixture(scope="module")
def client(http: httpx.Client) -> Iterator[Client]:
    orgs = ("emulator", OrgSetup("off", secrets_by_rest=False), OrgSetup("closed", may_view_secrets=False))
    with Emulator(APPS, orgs=orgs) as emulator:
        yield Client(emulator, http)


@pytest.fixture(scope="module")
def reader(client: Client) -> Reader:
    return logged_in(client)


def refused(response: httpx.Response) -> tuple[int, str]:
    (error,) = response.json()
    return response.status_code, error["errorCode"]


def test_usage_lists_the_apps_of_the_org_that_were_used(http: httpx.Client) -> None:
    with Emulator(APPS, orgs=("emulator", "off")) as emulator:
        reader = logged_in(Client(emulator, http))
        assert set(reader.listed()) == {"Web", "Many", "Public", "Nightly", "Fresh"}
        reader.client.of(NEW).token()
        assert "New" in reader.listed()
        assert "Elsewhere" in logged_in(reader.client.at("off")).listed()


def test_an_app_is_described(reader: Reader) -> None:
    first = reader.get("usage").json()["apps"][0]
    assert set(first) == {
        "accessTokenFormat",
        "availableActions",
        "description",
        "developerName",
        "identifier",
        "isFromPackage",
        "usageDetailsUrl",
    }
    assert first["identifier"].startswith("0x")
    assert len(first["identifier"]) == 18


def test_usage_comes_in_pages(reader: Reader) -> None:
    url, names, pages = "usage?pageSize=2", [], 0
    everything = list(reader.listed())
    while url:
        page = reader.get(url).json()
        assert page["currentPageUrl"].endswith(f"page={pages}&pageSize=2")
        names += [app["developerName"] for app in page["apps"]]
        pages += 1
        url = (page["nextPageUrl"] or "").rpartition("/apps/oauth/")[2]
    assert names == everything
    assert pages == (len(everything) + 1) // 2
    assert reader.get("usage?page=99").json()["apps"] == []


def test_the_key_is_told_and_the_secret_only_to_those_who_ask(reader: Reader) -> None:
    (consumer,) = reader.consumers(WEB)
    path = consumer["url"].rpartition("/apps/oauth/")[2]
    assert consumer["key"] == WEB.consumer_key
    assert consumer["id"].startswith("888")
    assert "secret" not in consumer
    assert "secret" not in reader.get(path).json()
    assert "secret" not in reader.get(f"{path}?part=key").json()
    for part in ("secret", "keyandsecret", "keyAndSecret"):
        told = reader.get(f"{path}?part={part}").json()
        assert (told["id"], told["key"], told["secret"]) == (consumer["id"], WEB.consumer_key, SECRET)
    assert reader.get(f"{path[:-3]}?part=key").json() == reader.get(path).json()


def test_a_public_app_has_no_secret_to_tell(reader: Reader) -> None:
    (consumer,) = reader.consumers(PUBLIC)
    path = consumer["url"].rpartition("/apps/oauth/")[2]
    assert reader.get(f"{path}?part=keyandsecret").json()["secret"] is None


def test_several_consumers_are_all_good(reader: Reader) -> None:
    first, second = reader.consumers(MANY)
    assert (first["key"], second["key"]) == (MANY.consumer_key, SECOND.key)
    path = second["url"].rpartition("/apps/oauth/")[2]
    assert reader.get(f"{path}?part=keyandsecret").json()["secret"] == SECOND.secret.reveal()
    other = reader.client.of(replace(MANY, consumer_key=SECOND.key))
    assert other.token(client_secret=SECOND.secret.reveal()).status_code == 200
    assert refusal(other.token())[0] == "invalid_client"
    code = other.visit()["code"]
    assert refusal(reader.client.of(MANY).token(code=code)) == ("invalid_grant", "invalid authorization code")


def test_a_staged_pair_waits(reader: Reader) -> None:
    first, second = reader.consumers(MANY)
    path = first["stagedCredentialsUrl"].rpartition("/apps/oauth/")[2]
    (staged,) = reader.get(path).json()["stagedCredentials"]
    assert (staged["key"], staged["secret"]) == (WAITING.key, WAITING.secret.reveal())
    assert staged["state"] == "Active"
    none = reader.get(second["stagedCredentialsUrl"].rpartition("/apps/oauth/")[2])
    assert none.json()["stagedCredentials"] == []


def good(client: Client, key: str, secret: str) -> bool:
    response = client.introspect("x", client_id=key, client_secret=secret)
    return bool(response.status_code == 200)


def test_a_pair_is_good_from_its_staging_to_the_end_of_the_slot(http: httpx.Client) -> None:
    now = [0.0]
    with Emulator([NIGHTLY, WEB], clock=lambda: now[0] + 1.8e9) as emulator:
        client = Client(emulator, http)
        reader = logged_in(client)
        (consumer,) = reader.consumers(WEB)
        slot = consumer["stagedCredentialsUrl"].rpartition("/apps/oauth/")[2]
        old = (WEB.consumer_key, SECRET)
        staged = reader.send("POST", slot, {}).json()
        new = (staged["key"], staged["secret"])
        assert (staged["state"], good(client, *new), good(client, *old)) == ("Active", True, True)
        assert refused(reader.send("POST", slot, {}))[0] == 400
        assert refused(reader.send("PATCH", f"{slot}/{staged['id']}", {"command": "promote"}))[0] == 400
        rotated = reader.send("PATCH", f"{slot}/{staged['id']}", {"command": "rotate"}).json()
        assert (rotated["state"], rotated["key"]) == ("Rotated", WEB.consumer_key)
        assert rotated["id"] != staged["id"]
        assert reader.consumers(WEB)[0]["key"] == new[0]
        assert refused(reader.send("PATCH", f"{slot}/{staged['id']}", {"command": "rotate"}))[0] == 404
        assert (good(client, *new), good(client, *old)) == (True, True)
        now[0] += 30 * 24 * 3600
        reader = logged_in(client)
        assert reader.get(slot).json()["stagedCredentials"] == []
        assert (good(client, *new), good(client, *old)) == (True, False)
        staged = reader.send("POST", slot, {}).json()
        assert reader.send("DELETE", f"{slot}/{staged['id']}").status_code == 204
        assert refused(reader.send("DELETE", f"{slot}/{staged['id']}"))[0] == 404
        assert not good(client, staged["key"], staged["secret"])
        assert refused(reader.send("DELETE", "usage"))[0] == 405


@pytest.mark.parametrize(
    ("org", "code", "words"),
    [
        ("off", "FUNCTIONALITY_NOT_ENABLED", "not currently enabled"),
        ("closed", "INSUFFICIENT_ACCESS", "not enabled for this user"),
    ],
)
def test_a_switch_and_a_permission_are_needed(client: Client, org: str, code: str, words: str) -> None:
    reader = logged_in(client.at(org))
    response = reader.get(f"credentials/{reader.listed()['Web']}")
    assert refused(response) == (403, code)
    assert words in response.json()[0]["message"]


def test_what_came_with_later_versions(reader: Reader) -> None:
    app = reader.listed()["Many"]
    consumer = reader.get(f"credentials/{app}", 64).json()["consumers"][0]
    assert "stagedCredentialsUrl" not in consumer
    staged = f"credentials/{app}/{consumer['id']}/staged"
    assert refused(reader.get(staged, 64)) == (404, "NOT_FOUND")
    assert reader.get(staged, 65).status_code == 200
    assert refused(reader.get(f"credentials/{app}", 59)) == (404, "NOT_FOUND")
    assert reader.get("usage", 59).status_code == 200
    assert refused(reader.get("usage", 58)) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("usage?pageSize=0", (400, "ILLEGAL_QUERY_PARAMETER_VALUE")),
        ("usage?pageSize=201", (400, "ILLEGAL_QUERY_PARAMETER_VALUE")),
        ("usage?page=-1", (400, "ILLEGAL_QUERY_PARAMETER_VALUE")),
        ("usage?page=1e3", (400, "ILLEGAL_QUERY_PARAMETER_VALUE")),
        ("credentials/{app}/{consumer}?part=all", (400, "ILLEGAL_QUERY_PARAMETER_VALUE")),
        ("credentials/{app}/888000000000000AAA", (404, "NOT_FOUND")),
        ("credentials/{app}/{consumer}/other", (404, "NOT_FOUND")),
        ("credentials/{app}/{consumer}/staged/one", (404, "NOT_FOUND")),
        ("credentials/0xI000000000000AAA", (404, "NOT_FOUND")),
        ("credentials", (404, "NOT_FOUND")),
        ("", (404, "NOT_FOUND")),
    ],
)
def test_refusals(reader: Reader, path: str, expected: tuple[int, str]) -> None:
    (consumer,) = reader.consumers(WEB)
    assert refused(reader.get(path.format(app=reader.listed()["Web"], consumer=consumer["id"]))) == expected


def test_tokens_of_other_orgs_and_other_scopes_tell_nothing(client: Client, reader: Reader) -> None:
    assert refused(Reader(client.at("off"), reader.token).get("usage")) == (401, "INVALID_SESSION_ID")
    without_api = client.token(code=client.visit(scope="id")["code"]).json()["access_token"]
    assert refused(Reader(client, without_api).get("usage")) == (401, "INVALID_SESSION_ID")
    assert refused(Reader(client, "guessed").get("usage")) == (401, "INVALID_SESSION_ID")


def test_two_apps_never_share_a_key() -> None:
    with pytest.raises(ValueError, match="share a consumer key"):
        Emulator([MANY, replace(WEB, consumer_key=SECOND.key)])


@tries(100)
@given(st.text("0xI8/aé%?=&#. ", max_size=20), st.text(max_size=8), st.text(max_size=8))
def test_no_address_breaks_it(reader: Reader, path: str, page: str, part: str) -> None:
    parameters = {"page": page, "pageSize": page, "part": part}
    token = {"Authorization": f"Bearer {reader.token}"}
    for start in ("", "usage", "credentials/", f"credentials/{reader.listed()['Web']}/"):
        url = reader.client.url(f"/services/data/v66.0/apps/oauth/{start}{quote(path)}")
        response = reader.client.http.get(url, params=parameters, headers=token)
        assert response.status_code in (200, 400, 404)
