"""What a token is good for: UserInfo, the REST root, and being revoked."""

from __future__ import annotations

import pytest
from emulator.client import NO_PKCE, Client, refusal

USERINFO = "/services/oauth2/userinfo"
REVOKE = "/services/oauth2/revoke"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_userinfo_says_who_and_where(client: Client, method: str) -> None:
    said = client.token().json()
    headers = {"Authorization": f"bearer {said['access_token']}"}
    response = client.http.request(method, client.url(USERINFO), headers=headers)
    assert response.status_code == 200
    user = response.json()
    assert user["sub"] == said["id"] == client.url(f"/id/{user['organization_id']}/{user['user_id']}")
    assert user["preferred_username"] == client.emulator.login(client.org)[0]
    assert user["urls"]["custom_domain"] == said["instance_url"]
    assert user["active"] is True


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (None, "Missing_OAuth_Token"),
        ("Bearer", "Missing_OAuth_Token"),
        ("Basic x", "Missing_OAuth_Token"),
        ("Bearer 00Dguessed!x", "Bad_OAuth_Token"),
    ],
)
def test_userinfo_refuses_in_plain_text(client: Client, header: str | None, body: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    response = client.http.get(client.url(USERINFO), headers=headers)
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == body


def test_a_token_in_the_address_is_no_token(client: Client) -> None:
    token = client.token().json()["access_token"]
    assert client.get(f"{USERINFO}?access_token={token}").text == "Missing_OAuth_Token"


def test_the_rest_root_needs_a_token(client: Client) -> None:
    token = client.token().json()["access_token"]
    resources = client.get("/services/data/v66.0/", token)
    assert resources.status_code == 200
    assert resources.json()["sobjects"] == "/services/data/v66.0/sobjects"
    assert client.get("/services/data/v66.0", token).status_code == 200


@pytest.mark.parametrize("token", [None, "00Dguessed!x"])
def test_the_rest_root_without_one(client: Client, token: str | None) -> None:
    refused = client.get("/services/data/v66.0/", token)
    assert refused.status_code == 401
    assert refused.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def test_the_rest_root_needs_an_api_scope(client: Client) -> None:
    token = client.of(NO_PKCE).token().json()["access_token"]
    assert client.get(USERINFO, token).status_code == 200
    assert client.get("/services/data/v66.0/", token).status_code == 401


def test_versions_need_no_token(client: Client) -> None:
    versions = client.get("/services/data/").json()
    assert versions[-1] == {"label": "Winter '27", "url": "/services/data/v68.0", "version": "68.0"}
    assert {"label": "Summer '25", "url": "/services/data/v64.0", "version": "64.0"} in versions
    assert client.get(versions[-1]["url"]).status_code == 401


@pytest.mark.parametrize("version", ["v99.0", "v66", "66.0", "v66.5"])
def test_there_are_no_other_versions(client: Client, version: str) -> None:
    assert client.get(f"/services/data/{version}/").status_code == 404


def test_a_revoked_token_is_worthless(client: Client) -> None:
    token = client.token().json()["access_token"]
    response = client.post(REVOKE, {"token": token})
    assert (response.status_code, response.text) == (200, "")
    assert client.get(USERINFO, token).text == "Bad_OAuth_Token"
    assert refusal(client.post(REVOKE, {"token": token}))[0] == "invalid_token"


def test_a_revoked_refresh_token_takes_its_access_token_along(client: Client) -> None:
    first, second = client.token().json(), client.token().json()
    assert client.post(REVOKE, {"token": first["refresh_token"]}).status_code == 200
    assert client.get(USERINFO, first["access_token"]).status_code == 403
    assert client.get(USERINFO, second["access_token"]).status_code == 200
    assert refusal(client.post(REVOKE, {"token": first["refresh_token"]}))[0] == "invalid_token"


def test_a_revoked_access_token_leaves_its_refresh_token(client: Client) -> None:
    said = client.token().json()
    assert client.post(REVOKE, {"token": said["access_token"]}).status_code == 200
    assert client.post(REVOKE, {"token": said["refresh_token"]}).status_code == 200


def test_revoke_takes_a_token_in_a_form(client: Client) -> None:
    token = client.token().json()["access_token"]
    assert refusal(client.get(f"{REVOKE}?token={token}")) == ("invalid_request", "must use HTTP POST")
    assert refusal(client.http.post(client.url(f"{REVOKE}?token={token}"))) == (
        "invalid_request",
        "missing required parameter: token",
    )
    assert refusal(client.post(REVOKE, {"token": "guessed"}))[0] == "invalid_token"
    assert client.get(USERINFO, token).status_code == 200


@pytest.mark.parametrize("path", ["/", "/favicon.ico", "/services/oauth2/", "/logins", "/id/00D/005", "/..%2f.."])
def test_anything_else_is_not_found(client: Client, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("path", "status"), [("/services/oauth2/authorize", 400), (USERINFO, 403), ("/services/data/", 200), ("/", 404)]
)
def test_head_is_get_without_a_body(client: Client, path: str, status: int) -> None:
    response = client.http.head(client.url(path))
    assert (response.status_code, response.content) == (status, b"")
