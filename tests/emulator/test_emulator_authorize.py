"""The authorize endpoint and its pages."""

from __future__ import annotations

import httpx
import pytest
from emulator.client import CALLBACK, CHALLENGE, FRESH, NO_PKCE, PUBLIC, Client, answer, held

from ecapipe.emulator.server import Emulator


def test_a_person_logs_in_and_allows(client: Client) -> None:
    login = client.authorize()
    assert login.status_code == 200
    approval = client.log_in(login)
    assert "Allow Access?" in approval.text
    assert all(
        text in approval.text for text in ("Web", "emulator", "<code>api</code>", "<code>refresh_token</code>")
    )
    allowed = client.post("/approve", {**held(approval), "decision": "allow"})
    assert allowed.status_code == 302
    location = allowed.headers["location"]
    assert location.startswith(f"{CALLBACK}?code=aPrx")
    assert "%3D%3D&state=some%20state" in location


def test_deny_says_so_at_the_callback(client: Client) -> None:
    approval = client.log_in(client.authorize())
    denied = client.post("/approve", {**held(approval), "decision": "deny"})
    assert answer(denied.headers["location"]) == {
        "error": "access_denied",
        "error_description": "end-user denied authorization",
        "state": "some state",
    }


def test_a_wrong_password_asks_again(client: Client) -> None:
    again = client.log_in(client.authorize(), password="wrong")
    assert again.status_code == 200
    assert "Please check your username and password." in again.text
    assert f'value="{client.emulator.login(client.org)[0]}"' in again.text
    assert "Allow Access?" in client.log_in(again).text


def test_a_wrong_username_asks_again(client: Client) -> None:
    assert "Please check your username" in client.log_in(client.authorize(), username="nobody").text


def test_a_form_works_once(client: Client) -> None:
    login = client.authorize()
    approval = client.log_in(login)
    assert client.log_in(login).status_code == 400
    decision = {**held(approval), "decision": "allow"}
    assert client.post("/approve", decision).status_code == 302
    assert client.post("/approve", decision).status_code == 400


def test_nothing_is_allowed_without_a_login(client: Client) -> None:
    skipped = client.post("/approve", {**held(client.authorize()), "decision": "allow"})
    assert skipped.status_code == 400
    assert "location" not in skipped.headers


@pytest.mark.parametrize("path", ["/login", "/approve"])
@pytest.mark.parametrize("form", [{}, {"id": "guessed"}])
def test_a_form_nobody_was_given_is_refused(client: Client, path: str, form: dict[str, str | None]) -> None:
    assert client.post(path, form).status_code == 400


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"client_id": None}, "invalid_request", "missing required parameter: client_id"),
        ({"client_id": "unknown"}, "invalid_client_id", "client identifier invalid"),
        ({"redirect_uri": None}, "redirect_uri_missing", "redirect_uri must be given"),
        ({"redirect_uri": f"{CALLBACK}/"}, "redirect_uri_mismatch", "redirect_uri must match configuration"),
        ({"redirect_uri": CALLBACK.replace("1717", "1718")}, "redirect_uri_mismatch", None),
        ({"redirect_uri": CALLBACK.replace("localhost", "127.0.0.1")}, "redirect_uri_mismatch", None),
        ({"redirect_uri": "https://www.example.com/"}, "redirect_uri_mismatch", None),
        ({"redirect_uri": "https://evil.example"}, "redirect_uri_mismatch", None),
    ],
)
def test_what_cannot_be_trusted_is_refused_on_a_page(
    client: Client, changes: dict[str, str | None], error: str, description: str | None
) -> None:
    page = client.authorize(**changes)
    assert page.status_code == 400
    assert "location" not in page.headers
    assert f'<code id="error">{error}</code>' in page.text
    assert (description or "redirect_uri must match configuration") in page.text


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_repeated_client_or_callback_is_refused_on_a_page(client: Client, name: str) -> None:
    page = client.http.get(client.authorize_url() + f"&{name}=https%3A%2F%2Fwww.example.com")
    assert page.status_code == 400
    assert f"parameter given more than once: {name}" in page.text


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"response_type": None}, "invalid_request", "missing required parameter: response_type"),
        ({"response_type": ""}, "invalid_request", "missing required parameter: response_type"),
        ({"response_type": "token"}, "unsupported_response_type", "response type must be code"),
        ({"scope": "api web"}, "invalid_scope", "the requested scope is not allowed"),
        ({"code_challenge": None}, "invalid_request", "missing required code challenge"),
        ({"code_challenge": "short"}, "invalid_request", "invalid code challenge"),
        ({"code_challenge": f"{CHALLENGE}="}, "invalid_request", "invalid code challenge"),
        ({"code_challenge_method": "plain"}, "invalid_request", "code challenge method must be S256"),
    ],
)
def test_other_refusals_go_to_the_callback(
    client: Client, changes: dict[str, str | None], error: str, description: str
) -> None:
    response = client.authorize(**changes)
    assert response.status_code == 302
    assert response.headers["location"].startswith(f"{CALLBACK}?")
    assert answer(response.headers["location"]) == {
        "error": error,
        "error_description": description,
        "state": "some state",
    }


def test_a_repeated_state_is_refused_and_not_echoed(client: Client) -> None:
    response = client.http.get(client.authorize_url() + "&state=another")
    assert answer(response.headers["location"]) == {
        "error": "invalid_request",
        "error_description": "parameter given more than once: state",
    }


def test_no_state_is_no_state(client: Client) -> None:
    assert set(client.visit(state=None)) == {"code"}


def test_a_challenge_without_a_method_counts_as_s256(client: Client) -> None:
    code = client.visit(code_challenge_method=None)["code"]
    assert client.token(code=code).status_code == 200


def test_pkce_can_be_left_out_where_it_is_not_required(client: Client) -> None:
    assert "code" in client.of(NO_PKCE).visit(code_challenge=None, code_challenge_method=None)


def test_a_fresh_app_has_the_api_scope(client: Client) -> None:
    assert client.of(FRESH).token().json()["scope"] == "api"
    assert client.of(FRESH).visit(scope="id")["error"] == "invalid_scope"


def test_a_callback_with_a_query_keeps_it(client: Client) -> None:
    location = client.emulator.visit(client.of(PUBLIC).authorize_url())
    assert location.startswith("mobile://done?from=org&code=aPrx")


def test_unknown_parameters_are_ignored(client: Client) -> None:
    assert client.authorize(prompt="login", display="page", nonce="n", whatever="x").status_code == 200


def test_the_hint_fills_in_the_username(client: Client) -> None:
    assert 'name="username" value="ada@example.com"' in client.authorize(login_hint="ada@example.com").text


def test_pages_work_without_a_mouse_and_say_what_they_are(client: Client) -> None:
    page = client.authorize().text
    assert '<html lang="en">' in page
    assert '<main class="card">' in page
    assert "<title>Log in to emulator - ecapipe emulator</title>" in page
    for name in ("username", "password"):
        assert f'<label for="{name}">' in page
        assert f'<input id="{name}"' in page
    assert page.count("autofocus") == 1
    assert "<script" not in page


@pytest.mark.parametrize(
    ("page", "form_action"),
    [("login", "form-action 'self'"), ("approval", "form-action 'self' http:"), ("error", "form-action 'none'")],
)
def test_pages_are_locked_down(client: Client, page: str, form_action: str) -> None:
    match page:
        case "login":
            response = client.authorize()
        case "approval":
            response = client.log_in(client.authorize())
        case _:
            response = client.authorize(client_id="unknown")
    headers = response.headers
    directives = headers["content-security-policy"].split("; ")
    assert directives[0] == "default-src 'none'"
    assert "frame-ancestors 'none'" in directives
    assert directives[-1] == form_action
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


def test_a_custom_scheme_callback_may_follow_the_approval(client: Client) -> None:
    mobile = client.of(PUBLIC)
    policy = mobile.log_in(mobile.authorize()).headers["content-security-policy"]
    assert policy.endswith("form-action 'self' mobile:")


def test_a_login_nobody_finishes_expires(http: httpx.Client) -> None:
    now = [1000.0]
    with Emulator([NO_PKCE], clock=lambda: now[0]) as emulator:
        client = Client(emulator, http, NO_PKCE)
        page = client.authorize()
        now[0] += 15 * 60
        assert client.log_in(page).status_code == 400
