"""A refresh token: what it brings, when it needs the secret, how it rotates, and when it dies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from emulator.client import FRESH, NO_PKCE, SECRET, WEB, Client, refusal

from ecapipe.emulator.server import Emulator

ROTATING = replace(WEB, name="Rotating", consumer_key="3MVG9rotating", rotates=True)
KEYLESS = replace(WEB, name="Keyless", consumer_key="3MVG9keyless", refresh_needs_secret=False)
ZERO = replace(WEB, name="Zero", consumer_key="3MVG9zero", refresh_tokens=False)

DEAD = ("invalid_grant", "expired access/refresh token")
WRONG = ("invalid_client", "invalid client credentials")
START = 1_750_000_000.0


@pytest.fixture(scope="module")
def refreshing(http: httpx.Client) -> Iterator[Client]:
    with Emulator([WEB, ROTATING, KEYLESS, ZERO, FRESH]) as emulator:
        yield Client(emulator, http)


def test_a_refresh_brings_an_access_token_and_keeps_the_refresh_token(refreshing: Client) -> None:
    first = refreshing.token().json()
    second = refreshing.refresh(first["refresh_token"]).json()
    assert set(second) == set(first) - {"refresh_token"}
    assert second["access_token"] != first["access_token"]
    assert (second["id"], second["scope"]) == (first["id"], first["scope"])
    assert refreshing.works(first["access_token"])
    assert refreshing.works(second["access_token"])
    assert refreshing.refresh(first["refresh_token"]).status_code == 200


def test_a_rotating_app_gets_a_new_refresh_token_each_time(refreshing: Client) -> None:
    rotating = refreshing.of(ROTATING)
    tokens = [rotating.token().json()]
    for _ in range(3):
        tokens.append(rotating.refresh(tokens[-1]["refresh_token"]).json())
    assert len({each["refresh_token"] for each in tokens}) == 4
    assert all(rotating.works(each["access_token"]) for each in tokens)


@pytest.mark.parametrize("used", [0, 1])
def test_using_an_old_refresh_token_revokes_everything_that_came_of_it(refreshing: Client, used: int) -> None:
    rotating = refreshing.of(ROTATING)
    other = rotating.token().json()
    tokens = [rotating.token().json()]
    for _ in range(2):
        tokens.append(rotating.refresh(tokens[-1]["refresh_token"]).json())

    assert refusal(rotating.refresh(tokens[used]["refresh_token"])) == DEAD

    assert refusal(rotating.refresh(tokens[-1]["refresh_token"])) == DEAD
    assert not any(rotating.works(each["access_token"]) for each in tokens)
    assert rotating.works(other["access_token"])
    assert rotating.refresh(other["refresh_token"]).status_code == 200


def test_a_refused_refresh_leaves_the_old_token_good(refreshing: Client) -> None:
    rotating = refreshing.of(ROTATING)
    token = rotating.token().json()["refresh_token"]
    assert refusal(rotating.refresh(token, client_secret="wrong")) == WRONG
    assert rotating.refresh(token).status_code == 200


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client_secret": None}, WRONG),
        ({"client_secret": ""}, WRONG),
        ({"client_secret": "wrong"}, WRONG),
        ({"client_id": "unknown"}, ("invalid_client_id", "client identifier invalid")),
        ({"client_id": FRESH.consumer_key}, DEAD),
        ({"refresh_token": "5Aep861guessed"}, DEAD),
        ({"refresh_token": None}, ("invalid_request", "missing required parameter: refresh_token")),
    ],
)
def test_refusals(refreshing: Client, changes: dict[str, str | None], expected: tuple[str, str]) -> None:
    token = refreshing.token().json()["refresh_token"]
    assert refusal(refreshing.refresh(token, **changes)) == expected
    assert refreshing.refresh(token).status_code == 200


def test_an_access_token_does_not_refresh(refreshing: Client) -> None:
    assert refusal(refreshing.refresh(refreshing.token().json()["access_token"])) == DEAD


def test_where_no_secret_is_needed_one_that_is_sent_has_to_be_right(refreshing: Client) -> None:
    keyless = refreshing.of(KEYLESS)
    token = keyless.token().json()["refresh_token"]
    assert keyless.refresh(token, client_secret=None).status_code == 200
    assert keyless.refresh(token).status_code == 200
    assert refusal(keyless.refresh(token, client_secret="wrong")) == WRONG


def test_policies_may_allow_no_refresh_token(refreshing: Client) -> None:
    said = refreshing.of(ZERO).token().json()
    assert "refresh_token" in said["scope"].split()
    assert "refresh_token" not in said


def test_a_revoked_refresh_token_takes_its_access_tokens_along(refreshing: Client) -> None:
    rotating = refreshing.of(ROTATING)
    first = rotating.token().json()
    second = rotating.refresh(first["refresh_token"]).json()
    revoked = {"token": first["refresh_token"]}
    assert refusal(rotating.post("/services/oauth2/revoke", revoked))[0] == "invalid_token"
    assert rotating.post("/services/oauth2/revoke", {"token": second["refresh_token"]}).status_code == 200
    assert not rotating.works(first["access_token"])
    assert not rotating.works(second["access_token"])
    assert refusal(rotating.refresh(second["refresh_token"])) == DEAD


def test_the_sixth_approval_revokes_the_oldest(http: httpx.Client) -> None:
    with Emulator([WEB, ROTATING]) as emulator:
        client = Client(emulator, http)
        tokens = [client.token().json() for _ in range(5)]
        rotating = client.of(ROTATING)
        elsewhere = rotating.token().json()
        assert all(client.refresh(each["refresh_token"]).status_code == 200 for each in tokens)

        sixth = client.token().json()

        assert refusal(client.refresh(tokens[0]["refresh_token"])) == DEAD
        assert not client.works(tokens[0]["access_token"])
        assert all(client.refresh(each["refresh_token"]).status_code == 200 for each in [*tokens[1:], sixth])
        assert rotating.refresh(elsewhere["refresh_token"]).status_code == 200


def test_a_rotation_makes_an_approval_no_younger(http: httpx.Client) -> None:
    with Emulator([ROTATING]) as emulator:
        client = Client(emulator, http, ROTATING)
        tokens = [client.token().json()["refresh_token"] for _ in range(5)]
        rotated = client.refresh(tokens[0]).json()["refresh_token"]
        client.token()
        assert refusal(client.refresh(rotated)) == DEAD
        assert client.refresh(tokens[1]).status_code == 200


def test_logins_without_a_refresh_token_are_no_approvals(http: httpx.Client) -> None:
    with Emulator([WEB]) as emulator:
        client = Client(emulator, http)
        token = client.token().json()["refresh_token"]
        for _ in range(6):
            client.token(code=client.visit(scope="api")["code"])
        assert client.refresh(token).status_code == 200


@pytest.mark.parametrize(("hours", "works"), [(1.99, True), (2, False)])
def test_an_access_token_lives_two_hours(http: httpx.Client, hours: float, works: bool) -> None:
    now = [START]
    with Emulator([WEB], clock=lambda: now[0]) as emulator:
        client = Client(emulator, http)
        said = client.token().json()
        now[0] += hours * 3600
        assert client.works(said["access_token"]) is works
        assert client.get("/services/data/v66.0/", said["access_token"]).status_code == (200 if works else 401)
        assert client.refresh(said["refresh_token"]).status_code == 200


def test_introspecting_an_access_token(http: httpx.Client) -> None:
    with Emulator([WEB], clock=lambda: START) as emulator:
        client = Client(emulator, http)
        said = client.token().json()
        about = {
            "active": True,
            "scope": "api id refresh_token",
            "client_id": WEB.consumer_key,
            "username": emulator.login("emulator")[0],
            "sub": said["id"],
            "iat": int(START),
            "nbf": int(START),
        }
        assert client.introspect(said["access_token"]).json() == about | {
            "token_type": "access_token",
            "exp": int(START) + 7200,
        }
        assert client.introspect(said["refresh_token"]).json() == about | {"token_type": "refresh_token"}


def test_a_worthless_token_is_only_inactive(client: Client) -> None:
    said = client.token().json()
    client.post("/services/oauth2/revoke", {"token": said["refresh_token"]})
    for token in ("worthless", said["access_token"], said["refresh_token"]):
        response = client.introspect(token)
        assert response.status_code == 200
        assert response.json() == {"active": False}


def test_only_an_app_that_may_introspects_the_tokens_of_others(http: httpx.Client) -> None:
    curious = replace(NO_PKCE, name="Curious", consumer_key="3MVG9curious", introspects_all=True)
    with Emulator([WEB, NO_PKCE, curious]) as emulator:
        client = Client(emulator, http)
        token = client.token().json()["access_token"]
        assert client.of(NO_PKCE).introspect(token).json() == {"active": False}
        assert client.of(curious).introspect(token).json()["client_id"] == WEB.consumer_key


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client_secret": None}, WRONG),
        ({"client_secret": "wrong"}, WRONG),
        ({"client_id": "unknown"}, ("invalid_client_id", "client identifier invalid")),
        ({"client_id": None, "client_secret": None}, ("invalid_request", "missing required parameter: client_id")),
        ({"token": None}, ("invalid_request", "missing required parameter: token")),
    ],
)
def test_who_may_not_introspect(client: Client, changes: dict[str, str | None], expected: tuple[str, str]) -> None:
    assert refusal(client.introspect("worthless", **changes)) == expected


@pytest.mark.parametrize(("secret", "status"), [(SECRET, 200), ("wrong", 400)])
def test_the_pair_may_come_in_the_header(client: Client, secret: str, status: int) -> None:
    response = client.http.post(
        client.url("/services/oauth2/introspect"), data={"token": "worthless"}, auth=(WEB.consumer_key, secret)
    )
    assert response.status_code == status


def test_introspection_is_for_post_only(client: Client) -> None:
    assert refusal(client.get("/services/oauth2/introspect?token=x")) == ("invalid_request", "must use HTTP POST")
