"""What an org's REST API tells of consumers, and what is made of it when it is not as it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

import pytest
from billing import KEY, ORG, SECRET
from disguises import DISGUISES
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth import credentials_api
from ecapipe.oauth.credentials_api import Consumer, ConsumersPage, StagedPair, UsagePage
from ecapipe.oauth.messages import Response
from ecapipe.problems import credentials
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.oauth import rate_limited, server_busy
from ecapipe.problems.problem import EcapipeError, Kind
from ecapipe.secret import Secret

BEARER = Secret("00D000000000001!AQ.MADE.UP")
APP, ID = "0xI000000000001AAA", "888000001000001"
CONSUMER = Consumer(ID, KEY)


def answer(body: object, status: int = 200) -> Response:
    return Response(status, "application/json", json.dumps(body).encode())


def test_requests_carry_the_bearer_in_the_header_and_nothing_secret_in_the_url() -> None:
    root = f"{ORG.url}/services/data/v65.0/apps/oauth"
    for request, url in (
        (credentials_api.usage(ORG, BEARER, 3), f"{root}/usage?page=3&pageSize=100"),
        (credentials_api.consumers(ORG, BEARER, APP), f"{root}/credentials/{APP}"),
        (credentials_api.pair(ORG, BEARER, APP, CONSUMER), f"{root}/credentials/{APP}/{ID}?part=keyandsecret"),
        (credentials_api.staging(ORG, BEARER, APP, CONSUMER), f"{root}/credentials/{APP}/{ID}/staged"),
    ):
        assert (request.url, request.bearer, request.form) == (url, BEARER, None)


def test_apps_are_listed_page_by_page() -> None:
    apps = [{"developerName": "Billing", "identifier": APP}, {"developerName": "Odd", "identifier": None}]
    more = {"apps": apps, "nextPageUrl": "https://evil.example/next"}
    assert credentials_api.listed(answer(more), ORG, BEARER) == UsagePage({"Billing": APP}, False)
    assert credentials_api.listed(answer({"apps": apps, "nextPageUrl": None}), ORG, BEARER).last


def test_what_is_left_out_is_absent() -> None:
    found = answer({"consumers": [{"id": None, "key": KEY}, {"id": ""}, {"id": ID, "key": KEY}]})
    assert credentials_api.known(found, ORG, BEARER) == ConsumersPage((CONSUMER,), None)
    for secret in (None, ""):
        assert credentials_api.secret(answer({"key": KEY, "secret": secret}), ORG, BEARER, CONSUMER) is None


@pytest.mark.parametrize(
    ("read", "around", "member"),
    [
        (credentials_api.listed, "apps", "identifier"),
        (credentials_api.listed, "apps", "developerName"),
        (credentials_api.known, "consumers", "id"),
        (credentials_api.known, "consumers", "key"),
        (credentials_api.staged, "stagedCredentials", "key"),
        (credentials_api.staged, "stagedCredentials", "expirationDate"),
        (partial(credentials_api.secret, consumer=CONSUMER), None, "secret"),
    ],
)
@pytest.mark.parametrize(
    "value",
    ["../../FAKE", "888?part=FAKE", 7, ["FAKE"], "FAKE" * 200, "888000001000001\n", "FA\u200bKE", "FAKE \x1b[2J"],
)
def test_a_member_of_another_form_is_named_and_not_repeated(
    read: Callable[..., object], around: str | None, member: str, value: object
) -> None:
    if member == "secret" and value in ("../../FAKE", "888?part=FAKE"):
        pytest.skip("a secret may have all of these characters")
    object = {"state": "Active", "key": KEY, member: value}
    problem = problem_of(read, answer({around: [object]} if around else object), ORG, BEARER)
    assert problem.kind is unexpected_answer
    assert f"its {member} has an invalid format" in problem.message
    assert "FAKE" not in repr(problem)


def test_a_secret_belongs_to_the_key_that_was_asked_for() -> None:
    found = credentials_api.secret(answer({"key": KEY, "secret": SECRET}), ORG, BEARER, CONSUMER)
    assert found is not None
    assert found.reveal() == SECRET
    other = answer({"key": "3MVG9OTHER", "secret": SECRET})
    problem = problem_of(credentials_api.secret, other, ORG, BEARER, CONSUMER)
    assert problem.kind is unexpected_answer
    assert SECRET[:8] not in problem.message


def test_only_a_pair_in_waiting_counts_as_staged() -> None:
    rotated = {"state": "Rotated", "key": "old", "expirationDate": "2026-01-01"}
    active = {"state": "Active", "key": "new", "expirationDate": "2026-02-04"}
    told = answer({"stagedCredentials": [rotated, active]})
    assert credentials_api.staged(told, ORG, BEARER) == StagedPair("new", "2026-02-04")
    assert credentials_api.staged(answer({"stagedCredentials": [rotated]}), ORG, BEARER) is None


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (answer([{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}], 401),
         credentials.rest_session_refused),
        (answer([{"errorCode": "X", "message": "This feature is not currently enabled"}], 403),
         credentials.rest_switch_off),
        (answer([{"errorCode": "X", "message": "The feature is not enabled."}], 400), credentials.rest_switch_off),
        (answer([{"errorCode": "FUNCTIONALITY_NOT_ENABLED", "message": ""}], 403), credentials.rest_switch_off),
        (answer([{"errorCode": "X", "message": "feature is not enabled for this user"}], 403),
         credentials.rest_permission_missing),
        (answer([{"errorCode": "INSUFFICIENT_ACCESS", "message": ""}], 403), credentials.rest_permission_missing),
        (answer([{"errorCode": "NOT_FOUND", "message": "no such resource"}], 404), credentials.rest_refused),
        (answer([], 403), credentials.rest_refused),
        (Response(403, "text/html", b"<html>"), credentials.rest_refused),
        (answer({}, 429), rate_limited),
        (answer({}, 503), server_busy),
        (Response(302, "text/html", b""), redirect_refused),
        (Response(200, "text/html", b"<html>"), unexpected_answer),
    ],
)  # fmt: skip
def test_a_refusal_says_what_is_missing(given: Response, kind: Kind[...]) -> None:
    problem = problem_of(credentials_api.listed, given, ORG, BEARER)
    assert (problem.kind, problem.host, problem.http_status) == (kind, ORG.host, given.status)


@pytest.mark.parametrize("disguise", ["plain", "hexadecimal", "spelled out", "base64"])
def test_a_refusal_repeats_no_token_and_no_secret_that_the_org_gave(disguise: str) -> None:
    pair = {"key": KEY, "secret": "MADE+UP!staged=secret", "state": "Active"}
    assert credentials_api.staged(answer({"stagedCredentials": [pair]}), ORG, BEARER)
    for value in ("AQ.MADE.UP", "MADE+UP!staged=secret"):
        told = answer([{"errorCode": "X", "message": f"bad {DISGUISES[disguise](value)}"}], 400)
        message = problem_of(credentials_api.known, told, ORG, BEARER).message
        assert "X: bad [REDACTED]" in message
        assert DISGUISES[disguise](value)[:12] not in message


NAMES = """apps consumers stagedCredentials developerName identifier id key secret state expirationDate nextPageUrl
errorCode message""".split()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
)


@given(st.integers(100, 599), VALUES)
def test_any_answer_is_read_or_a_problem(status: int, body: object) -> None:
    told = answer(body, status)
    for read in (
        lambda: credentials_api.listed(told, ORG, BEARER),
        lambda: credentials_api.known(told, ORG, BEARER),
        lambda: credentials_api.secret(told, ORG, BEARER, CONSUMER),
        lambda: credentials_api.staged(told, ORG, BEARER),
    ):
        try:
            read()
        except EcapipeError:
            continue
        # An empty slot is no mistake.
        assert status in (200, 201, 404)
