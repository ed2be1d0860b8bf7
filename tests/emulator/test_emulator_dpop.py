"""Tokens bound to keys (RFC 9449): when the emulator demands a proof, which it takes, and what a token is without."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from emulator.client import APPS, CALLBACK, NIGHTLY, SECRET, VERIFIER, WEB, Client, answer

from ecapipe.adapters.signer import EcKey, EcKeys
from ecapipe.emulator.server import Emulator
from ecapipe.oauth.dpop import sign_proof, thumbprint
from ecapipe.secret import Secret

START = 1_750_000_000.0
BOUND = replace(WEB, name="Bound", consumer_key="3MVG9bound", dpop_required=True)
TOKEN, USERINFO, REST = "/services/oauth2/token", "/services/oauth2/userinfo", "/services/data/v60.0/"
ONE, TWO = EcKeys().new(), EcKeys().new()


class Now:
    seconds = START


@dataclass
class Holder:
    """A client with a key, which proves as it is told."""

    client: Client
    key: EcKey = ONE
    nonce: str | None = None

    def proof(self, method: str, path: str, **changes: Any) -> str:
        given: dict[str, Any] = {"at": Now.seconds, "random": os.urandom(16), "nonce": self.nonce}
        return sign_proof(self.key, method, self.client.url(path), **given | changes).reveal()

    def token(self, proof: str | None = None, key: str = BOUND.consumer_key, **form: str) -> httpx.Response:
        """The answer of the token endpoint; with a proof of its own where none is given."""
        pair = {"client_id": key, "client_secret": SECRET}
        response = self.client.post(TOKEN, pair | form, DPoP=proof or self.proof("POST", TOKEN))
        self.nonce = response.headers["DPoP-Nonce"]
        return response

    def code(self, **more: str) -> dict[str, str]:
        code = answer(self.client.emulator.visit(self.client.authorize_url(**more)))["code"]
        return {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}

    def get(self, path: str, token: str, proof: str | None = None, scheme: str = "DPoP") -> httpx.Response:
        headers = {"Authorization": f"{scheme} {token}"} | ({"DPoP": proof} if proof else {})
        return self.client.http.get(self.client.url(path), headers=headers)


@pytest.fixture(scope="module")
def org(http: httpx.Client) -> Iterator[Client]:
    with Emulator([*APPS, BOUND], clock=lambda: Now.seconds) as emulator:
        yield Client(emulator, http, BOUND)


@pytest.fixture
def holder(org: Client) -> Holder:
    """A client that knows the nonce."""
    holder = Holder(org)
    holder.token()
    return holder


@pytest.fixture
def tokens(holder: Holder) -> Mapping[str, str]:
    response = holder.token(**holder.code(dpop_jkt=thumbprint(ONE)))
    return dict(response.json())


def error(response: httpx.Response) -> str:
    assert response.status_code == 400
    return str(response.json()["error"])


def test_the_first_proof_lacks_a_nonce_and_costs_nothing(org: Client) -> None:
    holder = Holder(org)
    code = holder.code(dpop_jkt=thumbprint(ONE))
    refused = holder.token(**code)
    assert error(refused) == "use_dpop_nonce"
    granted = holder.token(**code)
    assert (granted.status_code, granted.json()["token_type"]) == (200, "DPoP")


def test_a_nonce_lasts_for_a_while(holder: Holder) -> None:
    later = Holder(holder.client, nonce=holder.nonce)
    for seconds, expected in ((299, "unsupported_grant_type"), (601, "use_dpop_nonce")):
        Now.seconds = START + seconds
        later.nonce = holder.nonce
        assert error(later.token()) == expected
    Now.seconds = START


def test_an_app_that_requires_dpop_has_no_other_tokens(org: Client, holder: Holder) -> None:
    refused = org.token()
    assert (error(refused), refused.json()["error_description"]) == ("invalid_dpop_proof", "DPoP proof is required")


def test_any_app_gets_a_bound_token_for_a_proof_and_a_bearer_token_without(org: Client, holder: Holder) -> None:
    key = NIGHTLY.consumer_key
    assert holder.token(key=key, grant_type="client_credentials").json()["token_type"] == "DPoP"
    assert org.of(NIGHTLY).credentials().json()["token_type"] == "Bearer"


def test_a_code_goes_with_its_key_alone(org: Client, holder: Holder) -> None:
    thief = Holder(org, TWO, holder.nonce)
    assert error(thief.token(**holder.code(dpop_jkt=thumbprint(ONE)))) == "invalid_grant"
    assert "error" in answer(org.emulator.visit(org.authorize_url(dpop_jkt="short")))


def test_a_refresh_token_goes_with_its_key_alone(holder: Holder, tokens: Mapping[str, str]) -> None:
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    thief = Holder(holder.client, TWO, holder.nonce)
    assert error(thief.token(**refresh)) == "invalid_dpop_proof"
    assert error(holder.client.refresh(tokens["refresh_token"])) == "invalid_dpop_proof"
    assert holder.token(**refresh).json()["token_type"] == "DPoP"


def forged(proof: str, part: int, **changes: object) -> str:
    """A proof with other members than its key has signed."""
    parts = proof.split(".")
    padded = parts[part] + "=" * (-len(parts[part]) % 4)
    members = json.loads(urlsafe_b64decode(padded)) | changes
    parts[part] = urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()
    return ".".join(parts)


def test_a_proof_is_for_one_request(holder: Holder) -> None:
    url = holder.client.url(TOKEN)
    other = sign_proof(TWO, "POST", url, at=START, random=b"0" * 16, nonce=holder.nonce).reveal()
    wrong = [
        holder.proof("GET", TOKEN),
        holder.proof("POST", USERINFO),
        holder.proof("POST", TOKEN, at=START - 61),
        holder.proof("POST", TOKEN, at=START + 61),
        holder.proof("POST", TOKEN, random=b""),
        forged(holder.proof("POST", TOKEN), 1, nonce="another"),
        forged(holder.proof("POST", TOKEN), 0, typ="JWT"),
        forged(holder.proof("POST", TOKEN), 0, alg="none"),
        forged(holder.proof("POST", TOKEN), 0, jwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        holder.proof("POST", TOKEN).rpartition(".")[0] + "." + other.rpartition(".")[2],
        "no.proof",
        "eyJ9.e30.AA",
    ]
    for proof in wrong:
        refused = holder.token(proof)
        assert error(refused) == "invalid_dpop_proof", refused.json()
    twice = [("DPoP", holder.proof("POST", TOKEN)), ("DPoP", holder.proof("POST", TOKEN))]
    assert error(holder.client.http.post(url, data={"grant_type": "x"}, headers=twice)) == "invalid_dpop_proof"


def test_a_proof_is_good_once(holder: Holder) -> None:
    proof = holder.proof("POST", TOKEN)
    assert error(holder.token(proof)) == "unsupported_grant_type"
    assert error(holder.token(proof)) == "invalid_dpop_proof"


@pytest.mark.parametrize("path", [USERINFO, REST])
def test_a_bound_token_is_taken_with_a_fresh_proof_of_its_own_key(
    holder: Holder, tokens: Mapping[str, str], path: str
) -> None:
    token = tokens["access_token"]
    secret = Secret(token)
    proof = holder.proof("GET", path, token=secret)
    assert holder.get(path, token, proof).status_code == 200
    thief = Holder(holder.client, TWO, holder.nonce)
    for refused in (
        holder.get(path, token, scheme="Bearer"),
        holder.get(path, token, holder.proof("GET", path, token=secret), scheme="Bearer"),
        holder.get(path, token),
        thief.get(path, token, thief.proof("GET", path, token=secret)),
    ):
        assert refused.status_code == (403 if path == USERINFO else 401)
        assert ("Bad_OAuth_Token" if path == USERINFO else "INVALID_SESSION_ID") in refused.text
    for fault, refused in {
        "used": holder.get(path, token, proof),
        "other": holder.get(path, token, holder.proof("GET", path, token=Secret("another"))),
        "none": holder.get(path, token, holder.proof("GET", path)),
    }.items():
        assert 'error="invalid_dpop_proof"' in refused.headers["WWW-Authenticate"], fault
        assert refused.status_code == 401
    stale = holder.get(path, token, holder.proof("GET", path, token=secret, nonce=None))
    assert 'error="use_dpop_nonce"' in stale.headers["WWW-Authenticate"]
    assert stale.headers["DPoP-Nonce"] == holder.nonce


def test_a_bearer_token_is_no_bound_one(org: Client, holder: Holder) -> None:
    token = org.of(NIGHTLY).credentials().json()["access_token"]
    assert holder.get(USERINFO, token, holder.proof("GET", USERINFO, token=Secret(token))).status_code == 403
    assert org.works(token)
