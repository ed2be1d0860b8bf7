"""The question whether an org accepts a pair, and what counts as an answer."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from billing import KEY, ORG, SECRET, app, proven, proven_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.credentials.resolution import Credentials
from ecapipe.oauth import introspection
from ecapipe.oauth.authorize_probe import ProbeRefusal
from ecapipe.oauth.messages import Response
from ecapipe.problems import oauth
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.problem import EcapipeError

PUBLIC = proven_of(app(settings={"consumerSecret": None, "isConsumerSecretOptional": "true"}))


def answer(body: object, status: int = 200) -> Response:
    return Response(status, "application/json", json.dumps(body).encode())


def error(code: str, description: str = "") -> Response:
    return answer({"error": code, "error_description": description}, 400)


def verdict(given: Response, credentials: Credentials) -> tuple[str | None, str | None]:
    """The part that is refused, and the problem; neither for a pair that is accepted."""
    try:
        introspection.read(given, credentials, ORG)
    except ProbeRefusal as refusal:
        return refusal.part, refusal.problem.name
    except EcapipeError as unclear:
        return None, unclear.problem.name
    return None, None


def test_the_question_carries_the_pair_and_a_worthless_token_in_its_body() -> None:
    request = introspection.request(proven(), ORG)
    assert request.url == f"{ORG.url}/services/oauth2/introspect"
    assert request.form is not None
    assert parse_qs(request.form.reveal(), strict_parsing=True) == {
        "token": ["probe"],
        "token_type_hint": ["access_token"],
        "client_id": [KEY],
        "client_secret": [SECRET],
    }


def test_a_public_client_shows_its_key_alone() -> None:
    request = introspection.request(PUBLIC, ORG)
    assert request.form is not None
    assert "client_secret" not in parse_qs(request.form.reveal())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer({"active": False}), (None, None)),
        (error("invalid_client_id", "client identifier invalid"), ("consumerKey", oauth.invalid_client_id.name)),
        (error("OAUTH_EC_APP_NOT_FOUND"), ("consumerKey", oauth.app_not_found_in_org.name)),
        (error("invalid_client", "invalid client credentials"), ("consumerSecret", oauth.invalid_client.name)),
        (error("invalid_client_credentials"), ("consumerSecret", oauth.invalid_client.name)),
        (answer({"active": True}), (None, unexpected_answer.name)),
        (answer({"active": "false"}), (None, unexpected_answer.name)),
        (answer({}), (None, unexpected_answer.name)),
        (error("invalid_token", "token is invalid"), (None, oauth.token_refused.name)),
        (error("unsupported_token_type"), (None, oauth.token_refused.name)),
        (error("OAUTH_APP_BLOCKED"), (None, oauth.app_blocked.name)),
        (answer({}, 500), (None, oauth.server_busy.name)),
        (answer({}, 404), (None, unexpected_answer.name)),
        (Response(302, "text/html", b""), (None, redirect_refused.name)),
        (Response(200, "text/html", b"<html>"), (None, unexpected_answer.name)),
    ],
)
def test_only_a_clear_answer_is_one(given: Response, expected: tuple[str | None, str | None]) -> None:
    assert verdict(given, proven()) == expected


def test_of_a_public_client_the_key_alone_can_be_told() -> None:
    assert verdict(answer({"active": False}), PUBLIC) == (None, None)
    assert verdict(error("invalid_client_id"), PUBLIC) == ("consumerKey", oauth.invalid_client_id.name)
    assert verdict(error("invalid_client"), PUBLIC) == (None, oauth.probe_needs_secret.name)


@given(st.integers(100, 599), st.binary() | st.dictionaries(st.text(), st.text() | st.booleans()).map(json.dumps))
def test_whatever_an_org_says_a_pair_is_accepted_for_one_answer_only(status: int, body: str | bytes) -> None:
    data = body.encode() if isinstance(body, str) else body
    accepted = verdict(Response(status, "application/json", data), proven()) == (None, None)
    if accepted:
        assert status == 200
        assert json.loads(data)["active"] is False
