"""Tokens: the form that is sent, and the answers that are taken."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs, urlencode

import pytest
from billing import KEY, ORG, ORG_ID, SECRET, USER_ID, app, proven, proven_of
from disguises import DISGUISES
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth import tokens
from ecapipe.oauth.flows.client_credentials import ClientCredentials
from ecapipe.oauth.flows.jwt import JwtBearer
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.oauth.grants import Grant, RefreshToken
from ecapipe.oauth.messages import Response
from ecapipe.oauth.tokens import Token
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org
from ecapipe.problems import oauth
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.problem import EcapipeError, Kind
from ecapipe.secret import Secret

VERIFIER = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
GRANT = AuthorizationCode(Secret("aPrxFAKEcode1234567890=="), "https://www.example.com/?a=b&c=d", VERIFIER)
ACCESS, REFRESH = "00D000000000001!AQEAQFAKEaccess.token", "5Aep861FAKErefresh.token"
IDENTITY = f"https://login.salesforce.com/id/{ORG_ID}/{USER_ID}"


def signed(identity: str, issued_at: str, secret: str = SECRET) -> str:
    """The ``signature`` that Salesforce sends with these two."""
    return base64.b64encode(hmac.digest(secret.encode(), (identity + issued_at).encode(), hashlib.sha256)).decode()


ISSUED = {"issued_at": "1795000000000", "signature": signed(IDENTITY, "1795000000000")}
WHOLE = {
    "access_token": ACCESS,
    "refresh_token": REFRESH,
    "instance_url": ORG.url,
    "id": IDENTITY,
    "token_type": "Bearer",
    "scope": "api id refresh_token",
    **ISSUED,
}


def read(answer: Response | dict[str, object]) -> Token:
    given = answer if isinstance(answer, Response) else Response(200, "application/json", json.dumps(answer).encode())
    return tokens.read(given, GRANT, proven(), ORG, app=None)


def revealed(token: Token) -> tuple[str, str | None]:
    return token.access_token.reveal(), token.refresh_token.reveal() if token.refresh_token else None


# --- out ----------------------------------------------------------------------------------------------------


def form(grant: Grant, *, org: Org = ORG) -> dict[str, list[str]]:
    request = tokens.request(grant, proven(), org)
    assert request.url == f"{org.url}/services/oauth2/token"
    assert request.bearer is None
    assert request.form is not None
    return parse_qs(request.form.reveal(), strict_parsing=True)


def test_a_refresh_token_is_sent_with_the_pair() -> None:
    assert form(RefreshToken(Secret(REFRESH))) == {
        "grant_type": ["refresh_token"],
        "client_id": [KEY],
        "client_secret": [SECRET],
        "refresh_token": [REFRESH],
    }


def test_an_org_that_repeats_a_refresh_token_is_not_repeated() -> None:
    told = {"error": "unheard_of", "error_description": f"no {REFRESH} here, nor {REFRESH[:12]}"}
    answer = Response(400, "application/json", json.dumps(told).encode())
    problem = problem_of(tokens.read, answer, RefreshToken(Secret(REFRESH)), proven(), ORG, app=None)
    assert REFRESH[:8] not in problem.message


def test_a_code_is_redeemed_with_its_verifier_and_its_redirect_uri() -> None:
    assert form(GRANT) == {
        "grant_type": ["authorization_code"],
        "client_id": [KEY],
        "client_secret": [SECRET],
        "code": ["aPrxFAKEcode1234567890=="],
        "redirect_uri": ["https://www.example.com/?a=b&c=d"],
        "code_verifier": [VERIFIER.reveal()],
    }


def test_client_credentials_are_all_that_their_grant_needs() -> None:
    assert form(ClientCredentials()) == {
        "grant_type": ["client_credentials"],
        "client_id": [KEY],
        "client_secret": [SECRET],
    }


ASSERTION = Secret("eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJmYWtlIn0.c2lnbmVk-_")


def test_an_assertion_goes_alone() -> None:
    assert form(JwtBearer(ASSERTION)) == {
        "grant_type": ["urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "assertion": [ASSERTION.reveal()],
    }


def test_an_org_that_repeats_an_assertion_is_not_repeated() -> None:
    told = f"invalid assertion {ASSERTION.reveal()[20:]}"
    said = json.dumps({"error": "invalid_grant", "error_description": told}).encode()
    answer = Response(400, "application/json", said)
    problem = problem_of(tokens.read, answer, JwtBearer(ASSERTION), proven(), ORG, app=None)
    assert problem.kind is oauth.assertion_refused
    assert ASSERTION.reveal()[20:28] not in problem.message


def test_a_public_client_sends_no_secret() -> None:
    public = proven_of(app(settings={"consumerSecret": None, "isConsumerSecretOptional": "true"}))
    sent = tokens.request(GRANT, public, ORG).form
    assert sent is not None
    assert "client_secret" not in sent.reveal()


def test_the_token_endpoint_is_that_of_the_org() -> None:
    site = selection.choose("https://acme.my.site.com/partners", {}, ())
    assert form(ClientCredentials(), org=site)
    assert tokens.request(GRANT, proven(), site).host == "acme.my.site.com"


def test_no_secret_stands_in_the_url_or_can_be_shown() -> None:
    request = tokens.request(GRANT, proven(), ORG)
    for secret in (SECRET, GRANT.code.reveal(), VERIFIER.reveal()):
        assert secret not in repr(request)


def test_a_revocation_carries_the_token_in_its_body() -> None:
    request = tokens.revocation(Secret(ACCESS), ORG)
    assert request.url == f"{ORG.url}/services/oauth2/revoke"
    assert request.form is not None
    assert parse_qs(request.form.reveal(), strict_parsing=True) == {"token": [ACCESS]}
    assert ACCESS not in repr(request)


# --- back ---------------------------------------------------------------------------------------------------


def test_a_whole_answer_is_a_token() -> None:
    token = read({**WHOLE, "token_format": "opaque", "sfdc_community_url": "https://x", "new": {"a": [1]}})
    assert revealed(token) == (ACCESS, REFRESH)
    assert (token.org_id, token.user_id) == (ORG_ID, USER_ID)
    assert token.instance_url == ORG.url
    assert token.scopes == ("api", "id", "refresh_token")
    assert ACCESS not in repr(token)
    assert REFRESH not in repr(token)


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "bEARER", "", None])
def test_a_bearer_token_is_one_in_any_case_or_if_nothing_is_said(token_type: object) -> None:
    assert revealed(read({**WHOLE, "token_type": token_type})) == (ACCESS, REFRESH)
    assert revealed(read({name: value for name, value in WHOLE.items() if name != "token_type"})) == (ACCESS, REFRESH)


@pytest.mark.parametrize(
    ("members", "name", "value"),
    [
        ({"refresh_token": None}, "refresh_token", None),
        ({"refresh_token": ""}, "refresh_token", None),
        ({"scope": None}, "scopes", ()),
        ({"scope": ""}, "scopes", ()),
        ({"scope": "  id   api "}, "scopes", ("id", "api")),
        ({"instance_url": None}, "instance_url", None),
        ({"instance_url": f"{ORG.url}/"}, "instance_url", ORG.url),
        ({"instance_url": "https://Acme.my.salesforce.com"}, "instance_url", "https://acme.my.salesforce.com"),
        ({"instance_url": "http://localhost:8443/uat"}, "instance_url", "http://localhost:8443"),
        ({"instance_url": "http://[::1]:8443"}, "instance_url", "http://[::1]:8443"),
        ({"scope": "a:b/c.d_e"}, "scopes", ("a:b/c.d_e",)),
        ({"expires_in": "7200"}, "org_id", ORG_ID),
        ({"expires_in": 7200}, "org_id", ORG_ID),
        ({"id": f"https://acme.my.salesforce.com:8443/id/{ORG_ID}/{USER_ID}", "signature": None}, "user_id", USER_ID),
        ({"id": f"https://x.test/id/{ORG_ID[:15]}/{USER_ID[:15]}", "signature": None}, "org_id", ORG_ID[:15]),
    ],
)
def test_what_is_not_needed_may_be_missing_or_odd(members: dict[str, object], name: str, value: object) -> None:
    assert getattr(read({**WHOLE, **members}), name) == value


@pytest.mark.parametrize(
    "members",
    [
        {"access_token": None},
        {"access_token": ""},
        {"access_token": 7},
        {"access_token": [ACCESS]},
        {"access_token": "FAKE" * 4097},
        {"refresh_token": 7},
        {"refresh_token": "5Aep861FAKE\r\nX: y"},
        {"refresh_token": {"FAKE": 1}},
        {"signature": 7},
        {"issued_at": 1795000000000},
        {"token_type": ["Bearer"]},
        {"scope": ["api", "FAKE"]},
        {"instance_url": {"url": ORG.url}},
        {"instance_url": f"{ORG.url}/FAKE"},
        {"access_token": "00D!\r\nX-Injected: yes"},
        {"access_token": "00D! with space"},
        {"access_token": "00D!é"},
        {"access_token": "00D!\ud800"},
        {"token_type": "mac"},
        {"token_type": "DPoP"},
        {"id": None},
        {"id": ""},
        {"id": 7},
        {"id": "https://["},
        {"id": f"/id/{ORG_ID}/{USER_ID}"},
        {"id": f"{ORG_ID}/{USER_ID}"},
        {"id": "https://x.test/id//"},
        {"id": f"https://x.test/id/{ORG_ID}"},
        {"id": f"https://x.test/id/{ORG_ID}/"},
        {"id": f"https://x.test/id/{ORG_ID}/{USER_ID}/more"},
        {"id": f"https://x.test/id/{ORG_ID}/{USER_ID}?a=b"},
        {"id": f"https://x.test/id/{ORG_ID}/{USER_ID[:14]}"},
        {"id": f"https://x.test/di/{ORG_ID}/{USER_ID}"},
        {"id": f"https://x.test/id/{ORG_ID}/\x1b[2J0000000000000"},
        {"id": f"https://x.test/id/{ORG_ID[:16]}/{USER_ID}"},
        {"id": f"https://x.test/id/{USER_ID}/{ORG_ID}"},
        {"id": f"https://x.test/id/{ORG_ID}/{ORG_ID}"},
        {"scope": "api FAKE\x1b[2J"},
        {"scope": 'api "FAKE"'},
        {"scope": "FAKE\\"},
        {"scope": f"api {'FAKE' * 33}"},
        {"scope": "FAKE " * 201},
        {"scope": "FAK\u200bE"},
        {"instance_url": "FAKE"},
        {"instance_url": "http://FAKE.test"},
        {"instance_url": "http://localhost.FAKE.test"},
        {"instance_url": "https://FAKE@acme.test"},
        {"instance_url": "https://acme.test?FAKE"},
        {"instance_url": "https://acme.test/#FAKE"},
        {"instance_url": "https://acme.test/ FAKE"},
        {"instance_url": "https://FAKE_.test"},
        {"instance_url": f"https://{'FAKE' * 64}"},
        {"instance_url": "https://acme.test:FAKE"},
        {"instance_url": "https://FAKE\n"},
    ],
)
def test_an_answer_that_lacks_what_is_needed_or_has_it_in_another_form_is_unexpected(
    members: dict[str, object],
) -> None:
    with pytest.raises(tokens.Unusable) as raised:
        read({**WHOLE, **members})
    problem = raised.value.problem
    assert problem.kind is unexpected_answer
    assert (problem.host, problem.http_status) == (ORG.host, 200)
    assert f"its {next(iter(members))} " in problem.message
    assert "FAKE" not in repr(problem)
    assert issued(raised.value) == [
        token for token in (ACCESS, REFRESH) if token not in (WHOLE[name] for name in members)
    ]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Response(200, "text/html", b"<html>Down for maintenance</html>"), unexpected_answer),
        (Response(200, "", b""), unexpected_answer),
        (Response(200, "application/json", json.dumps(WHOLE).encode()[:-9]), unexpected_answer),
        (Response(200, "application/json", json.dumps([WHOLE]).encode()), unexpected_answer),
        (Response(201, "application/json", json.dumps(WHOLE).encode()), unexpected_answer),
        (Response(307, "application/json", json.dumps(WHOLE).encode()), redirect_refused),
        (Response(429, "text/html", b""), oauth.rate_limited),
        (Response(503, "text/html", b"<html>"), oauth.server_busy),
        (Response(400, "application/json", b'{"error": "invalid_client_id"}'), oauth.invalid_client_id),
        (Response(200, "application/json",
                  b'{"error": "invalid_grant", "error_description": "invalid code verifier"}'),
         oauth.code_verifier_refused),
        (Response(200, "application/json", json.dumps({**WHOLE, "error": "invalid_scope"}).encode()),
         oauth.invalid_scope),
    ],
)  # fmt: skip
def test_any_other_answer_is_no_token(answer: Response, kind: Kind[...]) -> None:
    assert problem_of(read, answer).kind is kind


@pytest.mark.parametrize(
    ("status", "error"), [(200, {}), (200, {"error": "made_up"}), (400, {"error": "invalid_grant"}), (500, {})]
)
def test_tokens_beside_an_error_can_be_revoked_and_are_not_repeated(status: int, error: dict[str, str]) -> None:
    members = {**WHOLE, "id": None, "access_token": "MADE0UP0ACCESS0", "refresh_token": "MADE0UP0REFRESH", **error}
    members["error_description"] = "got MADE0UP0ACCESS0 and MADE%30UP0REFRESH"
    with pytest.raises(tokens.Unusable) as raised:
        read(Response(status, "application/json", json.dumps(members).encode()))
    assert len(issued(raised.value)) == 2
    for token in issued(raised.value):
        assert token[:8] not in raised.value.problem.message.replace("%30", "0")


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([WHOLE]),
        json.dumps({"result": WHOLE}),
        json.dumps(WHOLE).replace("{", '{"access_token": "OTHER", ', 1),
        f"{urlencode(WHOLE)}&access_token=OTHER",
    ],
)
def test_all_tokens_can_be_revoked_wherever_they_are(body: str) -> None:
    kind = "application/json" if body[0] in "[{" else "application/x-www-form-urlencoded"
    with pytest.raises(tokens.Unusable) as raised:
        read(Response(200, kind, body.encode()))
    assert raised.value.problem.kind is unexpected_answer
    assert {ACCESS, REFRESH, *(["OTHER"] if "OTHER" in body else [])} == set(issued(raised.value))


@pytest.mark.parametrize("token", ["::add-path::/FAKE", "##vso[task.prependpath]/FAKE", "x##teamcity[FAKE]"])
def test_a_token_that_is_a_command_to_a_ci_system_is_none(token: str) -> None:
    assert "its access_token is not a valid token" in problem_of(read, {**WHOLE, "access_token": token}).message


def test_a_code_that_is_struck_out_is_nothing_to_search_for() -> None:
    body = json.dumps({"error": SECRET, "error_description": SECRET}).encode()
    problem = problem_of(read, Response(400, "application/json", body))
    assert not any("[REDACTED]" in action for action in problem.actions)


@pytest.mark.parametrize("secret", [SECRET, GRANT.code.reveal(), VERIFIER.reveal()])
def test_what_was_sent_is_struck_out_of_what_the_org_says(secret: str) -> None:
    body = json.dumps({"error": "made_up", "error_description": f"got {secret}"}).encode()
    problem = problem_of(read, Response(400, "application/json", body))
    assert "got [REDACTED]" in problem.message
    assert secret[:8] not in repr(problem)


def issued(error: tokens.Unusable) -> list[str]:
    return [token.reveal() for token in (*error.access_tokens, *error.refresh_tokens)]


SHOWN = ("id", "scope", "instance_url")
"""The members that are shown."""


def echo(name: str, text: str) -> str:
    """`text` where the form of a member has room for it."""
    return {
        "id": f"https://x.test/id/00D{text[:12]:0<12}/{USER_ID}",
        "scope": f"api {text[:128]}",
        "instance_url": f"https://{text[:63]}.my.salesforce.com",
    }[name]


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize(
    "secret", [SECRET, GRANT.code.reveal(), VERIFIER.reveal(), ACCESS.partition("!")[2], REFRESH]
)
def test_an_answer_that_repeats_what_was_sent_or_issued_is_refused(
    name: str, disguise: Callable[[str], str], secret: str
) -> None:
    for text in (disguise(secret), disguise(secret[4:])):
        with pytest.raises(tokens.Unusable) as raised:
            read({**WHOLE, "signature": None, name: echo(name, text)})
        problem = raised.value.problem
        assert (problem.kind, problem.host) == (unexpected_answer, ORG.host)
        assert re.search(rf"\bits {name}\b", problem.message)
        assert text[:8] not in repr(problem)
        assert REFRESH in issued(raised.value), "so that it can be revoked"


def test_an_assertion_is_not_repeated_either() -> None:
    assertion = "eyJhbGciOiJSUzI1NiJ9.eyJGQUtFIjoiRkFLRSJ9.FAKEsignature_of_an-assertion"
    answer = Response(200, "application/json", json.dumps({**WHOLE, "scope": f"id {assertion[40:52]}"}).encode())
    grant, keyless = JwtBearer(Secret(assertion)), replace(proven(), consumer_secret=None)
    assert "repeats a secret in its scope" in problem_of(tokens.read, answer, grant, keyless, ORG, app=None).message


def test_the_content_type_of_a_refused_answer_is_one_that_is_known() -> None:
    problem = problem_of(read, Response(200, f"text/{SECRET.lower()}", b"x"))
    assert problem.message.endswith("expected a JSON object (another content type).")


# --- the signature ------------------------------------------------------------------------------------------


def test_a_signature_that_openssl_makes_is_right() -> None:
    # printf '<id><issued_at>' | openssl dgst -sha256 -hmac fake-secret -binary | base64
    example = {
        "id": "https://login.salesforce.com/id/00Dx0000000BV7z/005x00000012Q9P",
        "issued_at": "1278448832702",
        "signature": "/9NsnuJZOxWz9/nuEm+SU2dmDtKU0XNQUZrRYUrH7PQ=",
    }
    answer = Response(200, "application/json", json.dumps({**WHOLE, **example}).encode())
    keyed = replace(proven(), consumer_secret=Secret("fake-secret"))
    assert tokens.read(answer, GRANT, keyed, ORG, app=None).org_id == "00Dx0000000BV7z"


@pytest.mark.parametrize("changed", [{"signature": signed(IDENTITY, "0")}, {"issued_at": "1"}, {"issued_at": None},
                                     {"signature": "x"}, {"signature": "\ud800"}, {"signature": "é"}])  # fmt: skip
def test_a_wrong_signature_is_refused(changed: dict[str, object]) -> None:
    problem = problem_of(read, {**WHOLE, **changed})
    assert (problem.kind, problem.host) == (oauth.signature_mismatch, ORG.host)


def test_a_signature_made_with_another_secret_is_refused() -> None:
    forged = signed(IDENTITY, ISSUED["issued_at"], "another secret")
    assert problem_of(read, {**WHOLE, "signature": forged}).kind is oauth.signature_mismatch


@pytest.mark.parametrize("signature", [None, ""])
def test_an_answer_without_a_signature_proves_nothing_and_is_taken(signature: object) -> None:
    assert revealed(read({**WHOLE, "signature": signature})) == (ACCESS, REFRESH)


def test_a_public_client_has_nothing_to_check_a_signature_with() -> None:
    public = replace(proven(), consumer_secret=None)
    answer = Response(200, "application/json", json.dumps({**WHOLE, "signature": "x"}).encode())
    assert revealed(tokens.read(answer, GRANT, public, ORG, app=None)) == (ACCESS, REFRESH)


# --- properties ---------------------------------------------------------------------------------------------

ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.text(st.characters(categories=("Cs", "Cc")), max_size=3)
)


@given(st.integers(200, 201), st.dictionaries(st.sampled_from(sorted(WHOLE)), ODD, max_size=3))
def test_any_answer_is_a_token_or_a_problem(status: int, changes: dict[str, object]) -> None:
    answer = Response(status, "application/json", json.dumps({**WHOLE, **changes}).encode())
    try:
        token = read(answer)
    except EcapipeError:
        return
    assert status == 200
    assert token.access_token.reveal().isprintable()
    assert token.access_token.reveal().isascii()
    assert len(token.org_id) in range(15, 19)
