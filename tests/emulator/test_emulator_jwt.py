"""The JWT bearer flow: whose assertion gets a token, and how every other one is refused."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import keypairs
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from emulator.client import NIGHTLY, SECRET, WEB, Client, refusal
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.emulator.registration import OrgSetup, RegisteredApp
from ecapipe.emulator.server import Emulator

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
PEM = keypairs.certificate(keypairs.rsa_key())
BODY = "\n".join(PEM.strip().splitlines()[1:-1])

ROBOT = replace(WEB, name="Robot", consumer_key="3MVG9robot", certificate=PEM)
BARE = replace(ROBOT, name="Bare", consumer_key="3MVG9bare", certificate=BODY)
DROPPED = replace(ROBOT, name="Dropped", consumer_key="3MVG9dropped", certificate=None)
BROKEN = replace(ROBOT, name="Broken", consumer_key="3MVG9broken", certificate="no certificate")
CURVED = replace(
    ROBOT,
    name="Curved",
    consumer_key="3MVG9curved",
    certificate=keypairs.certificate(ec.generate_private_key(ec.SECP256R1())),
)
OFF = replace(ROBOT, name="Off", consumer_key="3MVG9off", enabled=False)
CLOSED = replace(ROBOT, name="Closed", consumer_key="3MVG9closed", approved=False)
ASKING = replace(ROBOT, name="Asking", consumer_key="3MVG9asking", pre_authorized=False)
ELSEWHERE = replace(ROBOT, name="Elsewhere", consumer_key="3MVG9elsewhere", orgs=("other",))
APPS = (ROBOT, BARE, DROPPED, BROKEN, CURVED, OFF, CLOSED, ASKING, ELSEWHERE, NIGHTLY)

INVALID = ("invalid_grant", "invalid assertion")
AUDIENCE = ("invalid_grant", "audience is invalid")
EXPIRED = ("invalid_grant", "expired authorization code")
NOT_APPROVED = ("invalid_grant", "user hasn't approved this consumer")

Claims = dict[str, Any]


@dataclass(frozen=True)
class Signing:
    """A client that signs."""

    client: Client

    def of(self, app: RegisteredApp) -> Signing:
        return Signing(self.client.of(app))

    def claims(self, **changes: object) -> Claims:
        """Good claims with `changes`; None leaves one out."""
        usual = {
            "iss": self.client.app.consumer_key,
            "sub": self.client.emulator.login(self.client.org)[0],
            "aud": "https://login.salesforce.com",
            "exp": int(time.time()) + 150,
        }
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def ask(self, **changes: object) -> httpx.Response:
        return self.send(signed(self.claims(**changes)))

    def send(self, assertion: str | None) -> httpx.Response:
        return self.client.post("/services/oauth2/token", {"grant_type": JWT_BEARER, "assertion": assertion})


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(claims: object, **header: object) -> str:
    parts = ({"alg": "RS256", "typ": "JWT"} | header, claims)
    return ".".join(encoded(json.dumps(part).encode()) for part in parts)


def signed(claims: object, key: RSAPrivateKey | None = None, **header: object) -> str:
    text = unsigned(claims, **header)
    signature = (key or keypairs.rsa_key()).sign(text.encode(), PKCS1v15(), hashes.SHA256())
    return f"{text}.{encoded(signature)}"


@pytest.fixture(scope="module")
def robot(http: httpx.Client) -> Iterator[Signing]:
    with Emulator(APPS, orgs=("emulator", "other", OrgSetup("login", login_host=True))) as emulator:
        yield Signing(Client(emulator, http, ROBOT))


@pytest.mark.parametrize("app", [ROBOT, BARE])
def test_a_signed_assertion_becomes_a_token(robot: Signing, app: RegisteredApp) -> None:
    response = robot.of(app).ask()
    assert response.status_code == 200
    said = response.json()
    assert said["scope"] == "api id"
    assert "refresh_token" not in said
    who = robot.client.get("/services/oauth2/userinfo", said["access_token"]).json()
    assert who["preferred_username"] == robot.client.emulator.login("emulator")[0]


def test_an_app_may_act_for_a_user_that_another_runs_as(robot: Signing) -> None:
    token = robot.ask(sub=NIGHTLY.run_as_user).json()["access_token"]
    who = robot.client.get("/services/oauth2/userinfo", token).json()
    assert who["preferred_username"] == NIGHTLY.run_as_user


@pytest.mark.parametrize("audience", ["https://login.salesforce.com", "https://test.salesforce.com", "the org"])
def test_audiences(robot: Signing, audience: str) -> None:
    mine = robot.client.url("") if audience == "the org" else audience
    assert robot.ask(aud=mine).status_code == 200
    assert robot.ask(aud=["https://somewhere.example", mine]).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [None, "", "https://LOGIN.salesforce.com", "https://login.salesforce.com/", "http://login.salesforce.com", [],
     [{}], {"https://login.salesforce.com": 1}, 7, "the other org"],
)  # fmt: skip
def test_other_audiences_are_refused(robot: Signing, audience: object) -> None:
    other = robot.client.at("other").url("")
    assert refusal(robot.ask(aud=other if audience == "the other org" else audience)) == AUDIENCE


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-3600, EXPIRED), (-61, EXPIRED), (-50, None), (0, None), (180, None), (230, None), (300, INVALID),
     (86400, INVALID)],
)  # fmt: skip
def test_an_assertion_lives_for_minutes_on_clocks_that_differ(
    robot: Signing, seconds: int, expected: tuple[str, str] | None
) -> None:
    response = robot.ask(exp=int(time.time()) + seconds)
    if expected is None:
        assert response.status_code == 200
    else:
        assert refusal(response) == expected


@pytest.mark.parametrize("expires", [None, "soon", True, [1], {}, -1, float("nan"), float("inf"), 10**400])
def test_a_time_that_is_none(robot: Signing, expires: object) -> None:
    assert refusal(robot.ask(exp=expires)) == INVALID


def test_milliseconds_are_taken_as_the_salesforce_cli_writes_them(robot: Signing) -> None:
    assert robot.ask(exp=int(time.time() * 1000) + 300).status_code == 200


@pytest.mark.parametrize(("seconds", "works"), [(-5, True), (50, True), (120, False)])
def test_an_assertion_may_be_for_later(robot: Signing, seconds: int, works: bool) -> None:
    response = robot.ask(nbf=int(time.time()) + seconds)
    assert response.status_code == 200 if works else refusal(response) == INVALID


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (DROPPED, INVALID),
        (BROKEN, INVALID),
        (CURVED, INVALID),
        (OFF, ("OAUTH_APP_BLOCKED", "this app is blocked by admin")),
        (CLOSED, ("invalid_app_access", "user is not admin approved to access this app")),
        (ASKING, NOT_APPROVED),
        (ELSEWHERE, ("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")),
        (WEB, ("invalid_client_id", "client identifier invalid")),
    ],
)
def test_apps_that_get_none(robot: Signing, app: RegisteredApp, expected: tuple[str, str]) -> None:
    assert refusal(robot.of(app).ask()) == expected


@pytest.mark.parametrize("subject", ["nobody@example.com", "user@other.example", ""])
def test_a_user_who_does_not_exist_has_approved_nothing(robot: Signing, subject: str) -> None:
    assert refusal(robot.ask(sub=subject)) == NOT_APPROVED


def test_where_users_approve_themselves_a_web_login_comes_first(robot: Signing) -> None:
    asking = robot.of(ASKING)
    token = asking.client.token().json()["refresh_token"]
    assert asking.ask().status_code == 200
    asking.client.post("/services/oauth2/revoke", {"token": token})
    assert refusal(asking.ask()) == NOT_APPROVED


def test_a_shared_login_host_knows_no_app(robot: Signing) -> None:
    at = Signing(robot.client.at("login"))
    assert refusal(at.ask())[0] == "OAUTH_EC_APP_NOT_FOUND"
    assert "OAUTH_EC_APP_NOT_FOUND" in at.client.authorize().text
    assert refusal(at.client.of(NIGHTLY).credentials()) == ("invalid_grant", "request not supported on this domain")


def test_who_signed(robot: Signing) -> None:
    claims = robot.claims()
    good = signed(claims)
    head, body, signature = good.split(".")
    public = keypairs.rsa_key().public_key()
    mac = hmac.HMAC(PEM.encode(), hashes.SHA256())
    mac.update(unsigned(claims, alg="HS256").encode())
    for assertion in (
        signed(claims, keypairs.rsa_key("two")),
        unsigned(claims, alg="none") + ".",
        f"{unsigned(claims, alg='HS256')}.{encoded(mac.finalize())}",
        signed(claims, alg="RS512"),
        signed(claims, alg=None),
        f"{head}.{encoded(json.dumps(claims | {'sub': 'x'}).encode())}.{signature}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{head}.{body}.{signature}.{signature}",
        f"{head}.{body}.{signature}==",
        f"{head}.{body}.{encoded(public.public_numbers().n.to_bytes(256, 'big'))}",
        f".{good}",
        "",
    ):
        expected = INVALID if assertion else ("invalid_request", "missing required parameter: assertion")
        assert refusal(robot.send(assertion)) == expected
    assert robot.send(good).status_code == 200


@pytest.mark.parametrize("claims", [[], "text", None, {"iss": 1}, {"iss": ROBOT.consumer_key}, {"iss": None}])
def test_claims_that_are_none(robot: Signing, claims: object) -> None:
    assert refusal(robot.send(signed(claims))) == INVALID


def test_no_secret_is_needed(robot: Signing) -> None:
    form = {"grant_type": JWT_BEARER, "assertion": signed(robot.claims())}
    assert robot.client.post("/services/oauth2/token", form | {"client_secret": SECRET}).status_code == 200


@tries(150)
@given(st.text(max_size=30), st.text("abc.=-_+/é", max_size=30), st.recursive(st.none() | st.floats() | st.text(
    max_size=5), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4))  # fmt: skip
def test_no_assertion_breaks_it(robot: Signing, anything: str, tail: str, value: object) -> None:
    good = signed(robot.claims())
    assert robot.send(anything or "x").status_code == 400
    assert robot.send(f"{good}{tail or '.'}").status_code == 400
    for name in ("iss", "aud", "exp"):
        assert robot.send(signed(robot.claims() | {name: value})).status_code == 400
    assert robot.send(signed(value)).status_code == 400
