"""What an answer at authorize says of an app, without anybody who signs in."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlencode

import pytest
import trees
from billing import ORG, SECRET, proven
from failure import problem_of
from hypothesis import given
from hypothesis import strategies as st

from ecapipe.oauth import authorize, authorize_probe
from ecapipe.oauth.authorize_probe import ProbeRefusal
from ecapipe.oauth.messages import Response
from ecapipe.orgs import selection
from ecapipe.problems import oauth
from ecapipe.problems.problem import EcapipeError

LOGIN = authorize.build_request(proven(), ORG, trees.LOOPBACK, "api id", bytes)
APPROVAL = "/setup/secur/RemoteAccessAuthorizationPage.apexp"
WORDS = {
    "invalid_client_id": ("client identifier invalid", oauth.invalid_client_id, "consumerKey"),
    "OAUTH_EC_APP_NOT_FOUND": (
        "External client app is not installed in this org",
        oauth.app_not_found_in_org,
        "consumerKey",
    ),
    "redirect_uri_mismatch": ("redirect_uri must match configuration", oauth.redirect_uri_mismatch, "callback"),
    "invalid_scope": ("the requested scope is not allowed", oauth.invalid_scope, "scopes"),
    "unsupported_scope": ("the requested scope is not allowed", oauth.invalid_scope, "scopes"),
    "invalid_request": ("missing required code challenge", oauth.code_challenge_missing, None),
    "OAUTH_APP_BLOCKED": ("this app is blocked by admin", oauth.app_blocked, None),
    "access_denied": ("end-user denied authorization", oauth.oauth_refused, None),
    "made_up_error": ("nobody knows", oauth.oauth_refused, None),
}


def redirect(location: str, status: int = 302) -> Response:
    return Response(status, "text/html", b"", location=location)


def page(text: str, status: int = 400) -> Response:
    return Response(status, "text/html", f"<!doctype html><html><body>{text}</body></html>".encode())


ACCEPTED = "accepted", None, None


def told(response: Response) -> tuple[str, str | None, object]:
    """The verdict, what is refused, and the kind of the problem."""
    try:
        authorize_probe.read(response, LOGIN)
    except ProbeRefusal as refusal:
        return "refused", refusal.part, refusal.problem.kind
    except EcapipeError as error:
        return "unclear", None, error.problem.kind
    return ACCEPTED


@pytest.mark.parametrize("error", ["access_denied", "made_up_error", "invalid_client_id"])
def test_a_refusal_repeats_no_secret(error: str) -> None:
    for text in (SECRET.encode().hex(), "00D000000000001!AQEAQFAKE.session_token"):
        query = urlencode({"error": error, "error_description": f"not {text}"})
        with pytest.raises(ProbeRefusal) as raised:
            authorize_probe.read(redirect(f"{trees.LOOPBACK}?{query}"), LOGIN)
        assert text[:16] not in raised.value.problem.message


def test_it_is_asked_for_what_a_browser_would_ask_for_and_carries_no_secret() -> None:
    request = authorize_probe.request(LOGIN)
    assert (request.url, request.form, request.bearer) == (LOGIN.authorize_url, None, None)
    site = selection.choose("https://acme.my.site.com/partners", {}, ())
    at_site = authorize.build_request(proven(), site, trees.LOOPBACK, None, bytes)
    assert authorize_probe.request(at_site).url == at_site.authorize_url


@pytest.mark.parametrize(
    "location",
    [
        APPROVAL,
        f"{ORG.url}{APPROVAL}?source=CAAA&display=page",
        f"{ORG.url}:443{APPROVAL}",
        f"/?{urlencode({'ec': '302', 'startURL': f'{APPROVAL}?source=CAAA'})}",
        "/login?id=1",
        f"{ORG.url}/login.jsp",
        "/partners/s/login/?startURL=x",
        "/partners/CommunitiesLogin",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307])
def test_a_redirect_to_the_login_page_of_the_same_host_is_acceptance(location: str, status: int) -> None:
    assert told(redirect(location, status)) == ACCEPTED


@pytest.mark.parametrize(
    "response",
    [
        redirect(f"https://sso.example{APPROVAL}"),
        redirect(f"http://{ORG.host}/login"),
        redirect(f"{ORG.url}:8443/login"),
        redirect(f"https://{ORG.host}@sso.example/login"),
        redirect("//sso.example/login"),
        redirect("https://sso.example/?error=invalid_client_id"),
        redirect("/maintenance"),
        redirect("/catalogin/"),
        redirect("/"),
        redirect(trees.LOOPBACK),
        redirect(f"{trees.LOOPBACK}?code=aPrx"),
        redirect("http://[not-an-address"),
        redirect("http://localhost:port/login"),
        Response(302, "text/html", b""),
        page("<form><input type=password></form>", 200),
        page("<script>error=invalid_client_id</script><!-- invalid_client_id -->Data Not Available", 200),
        page("An error: try again later", 404),
        page(f"&#{'1' * 5000};", 200),
        Response(200, "application/json", b'{"error": ""}'),
    ],
)
def test_what_is_neither_is_unclear(response: Response) -> None:
    assert told(response) == ("unclear", None, oauth.authorize_unclear)


@pytest.mark.parametrize(
    "response", [page("Data Not Available", 503), redirect(f"{trees.LOOPBACK}?error=server_error")]
)
def test_a_fault_of_the_org_says_nothing_about_the_app(response: Response) -> None:
    assert told(response) == ("unclear", None, oauth.server_busy)
    assert told(page("", 429)) == ("unclear", None, oauth.rate_limited)


@pytest.mark.parametrize("code", WORDS)
def test_an_error_is_a_refusal_wherever_it_stands(code: str) -> None:
    description, kind, part = WORDS[code]
    query = urlencode({"error": code, "error_description": description})
    responses = [
        redirect(f"{trees.LOOPBACK}?{query}&state={LOGIN.state}"),
        redirect(f"{ORG.url}/setup/secur/RemoteAccessErrorPage.apexp?{query}"),
        page(query.replace("&", "&amp;"), 200),
        page(f"<b>error</b>: {code}<p><b>error_description</b>: {description}</p>"),
        Response(400, "application/json", f'{{"error": "{code}", "error_description": "{description}"}}'.encode()),
    ]
    if code != "made_up_error":  # nothing else tells that a word is a code
        responses += [page(f"{code} : {description}"), page(f"<p>{code}</p>\n<p>{description}</p>", 200)]
    assert {told(response) for response in responses} == {("refused", part, kind)}
    problem = problem_of(authorize_probe.read, responses[0], LOGIN)
    assert (problem.oauth_error, problem.host) == (code, ORG.host)


@given(
    st.binary() | st.text("<>!-/scripterrorinvalid_client:= \n&;").map(str.encode), st.text(), st.integers(200, 599)
)
def test_no_answer_breaks_it_or_is_acceptance_without_a_redirect(body: bytes, location: str, status: int) -> None:
    assert told(Response(status, "text/html", body)) != ACCEPTED
    assert told(Response(status, "text/html", body, location=f"https://sso.example/{location}")) != ACCEPTED


@pytest.mark.parametrize("piece", ["<script ", "<!--", "<", "error:a_", "error=x&", "OAUTH_", "\n"])
def test_a_page_takes_time_that_grows_with_its_size_alone(piece: str) -> None:
    # Pages are bounded; what grew faster would take minutes here.
    assert told(replace(page(""), body=piece.encode() * (1024 * 1024 // len(piece)))) != ACCEPTED
