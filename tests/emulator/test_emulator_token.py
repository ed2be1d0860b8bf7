"""The token endpoint: codes, client authentication, client credentials."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import replace

import httpx
import pytest
from emulator.client import (
    APPS,
    CALLBACK,
    FRESH,
    NIGHTLY,
    NO_PKCE,
    NOBODY,
    PUBLIC,
    SECRET,
    VERIFIER,
    WEB,
    Client,
    refusal,
)

from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.server import Emulator

TOKEN = "/services/oauth2/token"


def basic(key: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:{secret}".encode()).decode()


def suffix(short: str) -> str:
    """The three letters that make a 15-character id one of 18."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    bits = "".join("1" if letter.isupper() else "0" for letter in short)
    return "".join(letters[int(bits[at : at + 5][::-1], 2)] for at in (0, 5, 10))


def test_a_code_becomes_a_token(client: Client) -> None:
    response = client.token()
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    said = response.json()
    assert set(said) == {
        "access_token",
        "refresh_token",
        "signature",
        "scope",
        "instance_url",
        "id",
        "token_type",
        "issued_at",
        "token_format",
    }
    assert said["instance_url"] == client.url("")
    assert said["scope"] == "api id refresh_token"
    assert said["token_type"] == "Bearer"
    assert said["token_format"] == "opaque"
    assert said["issued_at"].isdigit()
    assert len(said["issued_at"]) == 13
    base, org_id, user_id = said["id"].rsplit("/", 2)
    assert base == client.url("/id")
    assert re.fullmatch(r"00D\w{15}", org_id)
    assert re.fullmatch(r"005\w{15}", user_id)
    assert suffix("001A0000006Vm9r") == "IAC"
    assert all(suffix(one[:15]) == one[15:] for one in (org_id, user_id))
    assert re.fullmatch(rf"{org_id[:15]}![\w.]{{96}}", said["access_token"])
    assert re.fullmatch(r"5Aep861[\w.]{80}", said["refresh_token"])


def test_the_signature_can_be_checked(client: Client) -> None:
    said = client.token().json()
    digest = hmac.digest(SECRET.encode(), (said["id"] + said["issued_at"]).encode(), hashlib.sha256)
    assert base64.b64decode(said["signature"]) == digest


@pytest.mark.parametrize("asked", ["api", "id api", "api api"])
def test_only_the_scopes_asked_for_are_granted(client: Client, asked: str) -> None:
    said = client.token(code=client.visit(scope=asked)["code"]).json()
    assert set(said["scope"].split()) == set(asked.split())
    assert "refresh_token" not in said


def test_a_public_client_needs_no_secret_and_gets_no_signature(client: Client) -> None:
    said = client.of(PUBLIC).token(client_secret=None).json()
    assert "access_token" in said
    assert "signature" not in said


def test_a_public_client_that_sends_a_secret_sends_the_right_one(client: Client, http: httpx.Client) -> None:
    assert refusal(client.of(PUBLIC).token()) == ("invalid_client", "invalid client credentials")
    lenient = replace(WEB, secret_optional=True)
    with Emulator([lenient]) as emulator:
        mine = Client(emulator, http, lenient)
        assert mine.token(client_secret=None).status_code == 200
        assert mine.token().status_code == 200
        assert refusal(mine.token(client_secret="wrong")) == ("invalid_client", "invalid client credentials")


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"client_id": None}, "invalid_request", "missing required parameter: client_id"),
        ({"client_id": "unknown"}, "invalid_client_id", "client identifier invalid"),
        ({"client_secret": None}, "invalid_client", "invalid client credentials"),
        ({"client_secret": ""}, "invalid_client", "invalid client credentials"),
        ({"client_secret": SECRET.lower()}, "invalid_client", "invalid client credentials"),
        ({"client_id": FRESH.consumer_key}, "invalid_grant", "invalid authorization code"),
        ({"code": None}, "invalid_request", "missing required parameter: code"),
        ({"code": "aPrxguessed=="}, "invalid_grant", "invalid authorization code"),
        ({"redirect_uri": None}, "invalid_request", "missing required parameter: redirect_uri"),
        (
            {"redirect_uri": "https://www.example.com"},
            "redirect_uri_mismatch",
            "redirect_uri must match configuration",
        ),
        ({"redirect_uri": f"{CALLBACK}/"}, "redirect_uri_mismatch", "redirect_uri must match configuration"),
        ({"code_verifier": None}, "invalid_grant", "invalid code verifier"),
        ({"code_verifier": VERIFIER[::-1]}, "invalid_grant", "invalid code verifier"),
        ({"grant_type": None}, "unsupported_grant_type", "grant type not supported"),
        ({"grant_type": "password"}, "unsupported_grant_type", "grant type not supported"),
        ({"scope": "api"}, "invalid_request", "scope parameter not supported"),
    ],
)
def test_refusals(client: Client, changes: dict[str, str | None], error: str, description: str) -> None:
    assert refusal(client.token(**changes)) == (error, description)


def test_a_code_still_encoded_is_not_a_code(client: Client) -> None:
    code = client.visit()["code"]
    assert refusal(client.token(code=code.replace("=", "%3D")))[0] == "invalid_grant"


def test_a_code_works_once(client: Client) -> None:
    code = client.visit()["code"]
    assert client.token(code=code).status_code == 200
    assert refusal(client.token(code=code)) == ("invalid_grant", "invalid authorization code")


def test_a_failed_attempt_uses_the_code_up(client: Client) -> None:
    code = client.visit()["code"]
    assert refusal(client.token(code=code, code_verifier="x" * 43)) == ("invalid_grant", "invalid code verifier")
    assert refusal(client.token(code=code)) == ("invalid_grant", "invalid authorization code")


def test_a_verifier_without_a_challenge_is_refused(client: Client) -> None:
    mine = client.of(NO_PKCE)
    code = mine.visit(code_challenge=None, code_challenge_method=None)["code"]
    assert refusal(mine.token(code=code)) == ("invalid_grant", "invalid code verifier")


def test_without_a_challenge_no_verifier_is_needed(client: Client) -> None:
    mine = client.of(NO_PKCE)
    code = mine.visit(code_challenge=None, code_challenge_method=None)["code"]
    assert mine.token(code=code, code_verifier=None).status_code == 200


@pytest.mark.parametrize(("minutes", "works"), [(14.9, True), (15, False)])
def test_a_code_lives_fifteen_minutes(http: httpx.Client, minutes: float, works: bool) -> None:
    now = [1_750_000_000.0]
    with Emulator(APPS, clock=lambda: now[0]) as emulator:
        client = Client(emulator, http)
        code = client.visit()["code"]
        now[0] += minutes * 60
        response = client.token(code=code)
        if works:
            assert response.json()["issued_at"] == str(int(now[0] * 1000))
        else:
            assert refusal(response) == ("invalid_grant", "expired authorization code")


def test_the_secret_may_come_in_the_header(client: Client) -> None:
    form = {"grant_type": "authorization_code", "code": client.visit()["code"]}
    form |= {"redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    response = client.post(TOKEN, form, authorization=basic(WEB.consumer_key, SECRET))
    assert response.status_code == 200


@pytest.mark.parametrize(
    "header",
    [basic(WEB.consumer_key, "wrong"), basic(WEB.consumer_key, ""), "Basic !", "Basic", "Basic /w==", "Bearer x"],
)
def test_a_header_that_proves_nothing(client: Client, header: str) -> None:
    form: dict[str, str | None] = {"grant_type": "authorization_code", "client_id": WEB.consumer_key}
    assert refusal(client.post(TOKEN, form, authorization=header)) == (
        "invalid_client",
        "invalid client credentials",
    )


def test_a_pair_in_the_form_wins_over_the_header(client: Client) -> None:
    form: dict[str, str | None] = {"grant_type": "client_credentials"}
    pair: dict[str, str | None] = {"client_id": NIGHTLY.consumer_key, "client_secret": SECRET}
    right, wrong = basic(NIGHTLY.consumer_key, SECRET), basic(NIGHTLY.consumer_key, "wrong")
    assert client.post(TOKEN, form | pair, authorization=wrong).status_code == 200
    refused = client.post(TOKEN, form | pair | {"client_secret": "wrong"}, authorization=right)
    assert refusal(refused) == ("invalid_client", "invalid client credentials")


@pytest.mark.parametrize("name", ["grant_type", "client_id", "code", "anything"])
def test_a_repeated_parameter_is_refused(client: Client, name: str) -> None:
    form = "grant_type=authorization_code&client_id=x&code=y&anything=z&" + f"{name}=again"
    response = client.http.post(
        client.url(TOKEN), content=form, headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert refusal(response) == ("invalid_request", f"parameter given more than once: {name}")


def test_what_is_not_a_form_has_no_grant_type(client: Client) -> None:
    form = {"grant_type": "client_credentials", "client_id": NIGHTLY.consumer_key, "client_secret": SECRET}
    expected = ("unsupported_grant_type", "grant type not supported")
    assert refusal(client.http.post(client.url(TOKEN), json=form)) == expected
    assert refusal(client.http.post(client.url(TOKEN), params=form)) == expected


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post(client: Client, method: str) -> None:
    assert refusal(client.http.request(method, client.url(TOKEN))) == ("invalid_request", "must use HTTP POST")


def test_client_credentials(client: Client) -> None:
    said = client.of(NIGHTLY).credentials().json()
    assert said["scope"] == "api id"
    assert "refresh_token" not in said
    user = client.get("/services/oauth2/userinfo", said["access_token"]).json()
    assert user["preferred_username"] == "robot@example.com"
    assert said["id"].endswith(user["user_id"])
    assert user["user_id"] != client.token().json()["id"].rpartition("/")[2]


def test_client_credentials_are_always_the_same_user(client: Client) -> None:
    nightly = client.of(NIGHTLY)
    assert nightly.credentials().json()["id"] == nightly.credentials().json()["id"]


@pytest.mark.parametrize("app", [WEB, NOBODY])
def test_client_credentials_have_to_be_enabled(client: Client, app: RegisteredApp) -> None:
    assert refusal(client.of(app).credentials()) == ("invalid_grant", "no client credentials user enabled")


@pytest.mark.parametrize("secret", [None, "wrong"])
def test_client_credentials_need_the_secret(client: Client, secret: str | None) -> None:
    assert refusal(client.of(NIGHTLY).credentials(client_secret=secret)) == (
        "invalid_client",
        "invalid client credentials",
    )


def test_client_credentials_take_no_scope(client: Client) -> None:
    assert refusal(client.of(NIGHTLY).credentials(scope="api")) == (
        "invalid_request",
        "scope parameter not supported",
    )
