"""Answers of orgs: which are taken for JSON, what the others mean, and what of them may be repeated."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
import trees
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth import messages, refusals
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs.org import Address
from ecapipe.problems import oauth
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.problem import EcapipeError, Kind, Problem
from ecapipe.secret import Secret

HOST = "acme.my.salesforce.com"
JSON, HTML, FORM = "application/json", "text/html", "application/x-www-form-urlencoded"
SECRET = Secret(trees.secret("Billing"))


def answer(body: object, status: int = 200, kind: str = JSON) -> Response:
    return Response(status, kind, body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(code: str, description: str = "", *secrets: Secret) -> Problem:
    return refusals.refusal(code, description, HOST, 400, *secrets, place="web", app=None).problem


# --- requests -----------------------------------------------------------------------------------------------


def test_a_request_shows_neither_form_nor_bearer() -> None:
    address = Address("https://acme.my.salesforce.com:8443", "acme.my.salesforce.com:8443", "user")
    request = Request(address, "/x", bearer=SECRET, form=SECRET)
    assert SECRET.reveal() not in repr(request)
    assert request.host == "acme.my.salesforce.com:8443"


# --- answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"a": "b"}', JSON),
        (b'\xef\xbb\xbf {"a": "b"}\n', JSON),
        ('{"a": "b"}'.encode("utf-16"), JSON),
        (b'{"a": "b"}', HTML),
        (b'{"a": "b"}', ""),
        (b"a=b", FORM),
    ],
)
def test_an_object_is_taken_however_it_is_labelled(body: bytes, kind: str) -> None:
    assert messages.members(answer(body, kind=kind), HOST, place="web", app=None) == {"a": "b"}


def test_members_nobody_knows_are_kept() -> None:
    assert messages.members(answer({"access_token": "t", "new": [1, {"x": None}]}), HOST, place="web", app=None)[
        "new"
    ] == [
        1,
        {"x": None},
    ]


@pytest.mark.parametrize("error", [None, "", " ", 7, [], {"code": "x"}, True])
def test_an_error_that_says_nothing_is_no_error(error: object) -> None:
    assert messages.members(answer({"error": error}), HOST, place="web", app=None) == {"error": error}
    assert (
        problem_of(messages.members, answer({"error": error}, 400), HOST, place="web", app=None).kind
        is unexpected_answer
    )


PAGE = b"<html><body>We are down for maintenance.</body></html>"


@pytest.mark.parametrize(
    ("given", "kind", "retryable"),
    [
        (answer(PAGE, 200, HTML), unexpected_answer, True),
        (answer(PAGE, 404, HTML), unexpected_answer, True),
        (answer(PAGE, 503, HTML), oauth.server_busy, True),
        (answer(b"", 200, ""), unexpected_answer, True),
        (answer(b"", 500, ""), oauth.server_busy, True),
        (answer(b'{"access_token": "00D', 200), unexpected_answer, True),
        (answer(b"\xff\xfe\x00", 200), unexpected_answer, True),
        (answer(b"[" * 100_000, 200), unexpected_answer, True),
        (answer(b'{"a": ' + b"7" * 5000 + b"}", 200), unexpected_answer, True),
        (answer([{"a": "b"}], 200), unexpected_answer, True),
        (answer("text", 200), unexpected_answer, True),
        (answer(None, 200), unexpected_answer, True),
        (answer({"a": "b"}, 201), unexpected_answer, True),
        (answer({"a": "b"}, 400), unexpected_answer, True),
        (answer(b"no form", 200, FORM), unexpected_answer, True),
        (answer({"access_token": "t"}, 300), redirect_refused, False),
        (answer({"access_token": "t"}, 399), redirect_refused, False),
        (answer({"access_token": "t"}, 307), redirect_refused, False),
        (answer(b"", 302, ""), redirect_refused, False),
        (answer(b"", 304, ""), redirect_refused, False),
        (answer(PAGE, 429, HTML), oauth.rate_limited, True),
        (answer({"a": "b"}, 429), oauth.rate_limited, True),
        (answer(b"", 502, ""), oauth.server_busy, True),
        (answer({"a": "b"}, 504), oauth.server_busy, True),
        (answer({"error": "invalid_grant", "error_description": "expired authorization code"}, 400),
         oauth.authorization_code_refused, True),
        (answer({"error": "invalid_client_id"}, 200), oauth.invalid_client_id, True),
        (answer({"error": "invalid_client"}, 401), oauth.invalid_client, False),
        (answer({"error": "rate_limit_exceeded"}, 403), oauth.rate_limited, True),
        (answer(b"error=invalid_client&error_description=invalid+client+credentials", 400, FORM),
         oauth.invalid_client, False),
    ],
)  # fmt: skip
def test_any_other_answer_is_a_problem_with_host_and_status(
    given: Response, kind: Kind[...], retryable: bool
) -> None:
    problem = problem_of(messages.members, given, HOST, place="web", app=None)
    assert (problem.kind, problem.retryable) == (kind, retryable)
    assert (problem.host, problem.http_status) == (HOST, given.status)


def test_the_body_of_an_unexpected_answer_is_never_repeated() -> None:
    problem = problem_of(
        messages.members, answer(b"<html>" + SECRET.reveal().encode(), 200, HTML), HOST, place="web", app=None
    )
    assert "<html>" not in repr(problem)
    assert SECRET.reveal()[:8] not in repr(problem)
    assert "HTTP 200" in problem.message
    assert HTML in problem.message


@given(st.integers(100, 599), st.sampled_from((JSON, FORM, HTML, "")), st.binary())
def test_any_answer_is_an_object_or_a_problem(status: int, kind: str, body: bytes) -> None:
    try:
        found = messages.members(Response(status, kind, body), HOST, SECRET, place="web", app=None)
    except EcapipeError:
        return
    assert status == 200
    assert isinstance(found, dict)


VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=2)


@given(st.integers(100, 599), st.dictionaries(st.sampled_from(("error", "error_description", "a")), VALUES))
def test_any_object_is_taken_or_a_problem(status: int, members: dict[str, object]) -> None:
    try:
        found = messages.members(answer(members, status), HOST, SECRET, place="web", app=None)
    except EcapipeError:
        return
    assert (status, found) == (200, members)


# --- refusals -----------------------------------------------------------------------------------------------


def test_an_unknown_refusal_shows_both_code_and_description() -> None:
    assert "something_new: of the next release" in refused("something_new", "of the next release").message
    assert "something_new." in refused("something_new").message


@pytest.mark.parametrize("code", ["invalid_scope", "inactive_user", "server_error", "invalid_app_access"])
def test_a_known_refusal_repeats_its_description_or_else_its_code(code: str) -> None:
    assert "as the org says" in refused(code, "as the org says").message
    assert code in refused(code).message


def test_what_an_org_says_is_one_bounded_line() -> None:
    problem = refused("a\nb\r\n" + "c" * 1000, "d\te\u2028f " + "g" * 5000)
    assert not {"\n", "\r", "\t", "\u2028"} & set(problem.message)
    assert (problem.oauth_error, "a b c" in problem.message) == (None, False), "it has not the form of a code"
    assert "d e f g" in problem.message
    assert len(problem.message) < 800


def parts(text: str, length: int = 8) -> set[str]:
    return {text[at : at + length] for at in range(len(text) - length + 1)}


CODE = Secret("aPrxFAKE+code/of~a.test-1234567890==")
VERIFIER = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")


@pytest.mark.parametrize("secret", [SECRET, CODE, VERIFIER])
@pytest.mark.parametrize(
    "echo",
    [
        "{plain}",
        "client_secret={plain}&grant_type=x",
        "{encoded}",
        "{base64}",
        "Basic {basic}",
        "begins with {head}",
        "ends with {tail}",
        "{plain}{plain}",
    ],
)
def test_a_secret_that_the_org_echoes_is_struck_out(secret: Secret, echo: str) -> None:
    value = secret.reveal()
    forms = {"plain": value, "encoded": quote(value, safe=""), "base64": base64.b64encode(value.encode()).decode()}
    basic = base64.b64encode(f"3MVG9:{value}".encode()).decode()
    said = echo.format(**forms, basic=basic, head=value[:8], tail=value[-8:])
    as_code = refused(said, "", secret)
    assert "[REDACTED]" in as_code.message or as_code.oauth_error is None
    for problem in (refused("invalid_scope", said, secret), refused("made_up", said, secret), as_code):
        assert problem is as_code or "[REDACTED]" in problem.message
        assert not {part for form in forms.values() for part in parts(form) if part in repr(problem)}


def test_what_has_the_shape_of_a_token_is_struck_out_unasked() -> None:
    problem = refused("made_up", "session 00D000000000001!AQEAQFAKE_token and 5Aep861FAKErefresh and aPrxFAKEcode==")
    assert "FAKE" not in repr(problem)
    assert problem.message.count("[REDACTED]") == 3


# --- how resources refuse -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"Bad_OAuth_Token", "Bad_OAuth_Token"),
        (b"Missing_OAuth_Token\n", "Missing_OAuth_Token"),
        (b'[{"errorCode": "INVALID_SESSION_ID", "message": "Session expired"}]', "INVALID_SESSION_ID"),
        (b'{"errorCode": "API_DISABLED_FOR_ORG"}', "API_DISABLED_FOR_ORG"),
        (b'{"error": "invalid_token"}', "invalid_token"),
        (b'"Bad_Id"', "Bad_Id"),
        (PAGE, "no reason given"),
        (b"", "no reason given"),
        (b"[]", "no reason given"),
        (b"{}", "no reason given"),
        (b"null", "no reason given"),
        (b"7", "no reason given"),
        (b"[[1]]", "no reason given"),
        (b'{"errorCode": ["x"]}', "no reason given"),
        (b'{"errorCode": "\\u001b[2J"}', "no reason given"),
        (b"\xff\xfe", "no reason given"),
        (b"[" * 100_000, "no reason given"),
        (b"x" * 81, "no reason given"),
    ],
)
def test_a_resource_says_why_in_a_word_or_not_at_all(body: bytes, said: str) -> None:
    assert messages.refusal_code(Response(403, "", body)) == said


def test_a_resource_that_says_a_secret_says_nothing() -> None:
    assert VERIFIER.reveal()[:8] not in messages.refusal_code(
        Response(401, "", f"got {VERIFIER.reveal()}".encode()), VERIFIER
    )


@given(st.binary())
def test_any_refusal_of_a_resource_is_a_short_word(body: bytes) -> None:
    assert 0 < len(messages.refusal_code(Response(401, "", body))) <= 80
