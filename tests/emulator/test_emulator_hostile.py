"""Text from outside: it cannot break the emulator, its pages, or where it redirects to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import httpx
import pytest
from emulator.client import APPS, CALLBACK, CHALLENGE, WEB, Client
from hypothesis import given
from hypothesis import strategies as st
from profiles import tries

from ecapipe.emulator.org import EmulatedOrg
from ecapipe.emulator.registration import OrgSetup
from ecapipe.emulator.server import Emulator
from ecapipe.emulator.site import answer as respond
from ecapipe.emulator.wire import Call, Parameters

NAMES = ("response_type", "client_id", "redirect_uri", "scope", "state", "code_challenge", "code_challenge_method")
REGISTERED = {callback for app in APPS for callback in app.callback_urls}
KEYS = [app.consumer_key for app in APPS]
VALUES = ("code", "S256", "plain", "api", "", CHALLENGE, *KEYS, *sorted(REGISTERED))

quickly = tries(100)
parameters = st.lists(
    st.tuples(st.sampled_from(NAMES) | st.text(max_size=8), st.sampled_from(VALUES) | st.text(max_size=20)),
    max_size=10,
)
raw = st.text("%&=+;?/\\[]@:.aZ09é\x00\x7f ", max_size=30)


def check(response: httpx.Response) -> None:
    assert response.status_code in (200, 302, 400)
    if response.status_code == 302:
        location = response.headers["location"]
        assert any(location.startswith((f"{one}?", f"{one}&")) for one in REGISTERED) or re.fullmatch(
            r"/login\?id=[\w-]+", location
        )
    else:
        assert "location" not in response.headers


@quickly
@given(parameters)
def test_no_query_breaks_authorize_or_leads_astray(client: Client, query: list[tuple[str, str]]) -> None:
    check(client.http.get(client.url(f"/services/oauth2/authorize?{urlencode(query)}")))


@quickly
@given(parameters, raw)
def test_no_query_added_to_a_good_one_does(client: Client, query: list[tuple[str, str]], tail: str) -> None:
    check(client.http.get(f"{client.authorize_url()}&{urlencode(query)}&{quote(tail, safe='%&=+;?/[]@:')}"))


@quickly
@given(parameters, st.binary(max_size=30))
def test_no_form_breaks_an_endpoint(client: Client, form: list[tuple[str, str]], tail: bytes) -> None:
    body = urlencode(form).encode() + b"&" + tail
    for path in (
        "/login",
        "/approve",
        "/services/oauth2/token",
        "/services/oauth2/introspect",
        "/services/oauth2/revoke",
    ):
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        assert client.http.post(client.url(path), content=body, headers=headers).status_code == 400


@quickly
@given(st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40))
def test_no_header_breaks_an_endpoint(client: Client, header: str) -> None:
    value = header.encode("latin-1").strip()
    for scheme in (b"Basic ", b"Bearer ", b""):
        headers = [(b"Authorization", (scheme + value).strip())]
        assert client.http.get(client.url("/services/oauth2/userinfo"), headers=headers).status_code in (400, 403)
        assert client.http.post(client.url("/services/oauth2/token"), headers=headers).status_code == 400


@quickly
@given(st.text(min_size=1))
def test_a_state_comes_back_as_it_was(client: Client, state: str) -> None:
    location = client.authorize(scope="web", state=state).headers["location"]
    assert location.isascii()
    assert dict(parse_qsl(urlsplit(location).query))["state"] == state


@given(name=st.text(), org_name=st.text(), hint=st.text(), scope=st.text())
def test_hostile_text_stays_text(name: str, org_name: str, hint: str, scope: str) -> None:
    login, approval = _pages(name, org_name, hint, scope)
    assert [page.tags for page in (login, approval)] == [page.tags for page in _pages("Web", "org", "", "api")]
    assert login.texts["title"] == [f"Log in to {org_name} - ecapipe emulator"]
    assert login.texts["strong"] == [name]
    assert login.values["username"] == hint
    assert approval.texts["strong"] == [name, org_name]
    assert approval.texts["code"] == [scope]


def _pages(name: str, org_name: str, hint: str, scope: str) -> tuple[Page, Page]:
    """Login and approval page of an app, without the network in between."""
    app = replace(WEB, name=name, scopes=(scope,))
    org = EmulatedOrg(OrgSetup(org_name), 1, "http://localhost", [app], lambda: 0.0)
    query = {"response_type": "code", "client_id": app.consumer_key, "redirect_uri": CALLBACK}
    query |= {"code_challenge": CHALLENGE, "login_hint": hint}
    login = Page.of(org, "GET", "/services/oauth2/authorize", query, {})
    form = {"id": login.values["id"], "username": org.person.username, "password": org.password}
    return login, Page.of(org, "POST", "/login", {}, form)


class Page(HTMLParser):
    """The tags of a page, the texts in them, and the values of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: dict[str, list[str]] = {}
        self.values: dict[str, str] = {}
        self._open = ""

    @classmethod
    def of(cls, org: EmulatedOrg, method: str, path: str, query: dict[str, str], form: dict[str, str]) -> Page:
        page = cls()
        call = Call(method, path, Parameters(urlencode(query)), Parameters(urlencode(form)), "")
        response = respond(org, call)
        if response.headers.get("location", "").startswith("/login?"):
            query = dict(parse_qsl(urlsplit(response.headers["location"]).query))
            response = respond(org, Call("GET", "/login", Parameters(urlencode(query)), Parameters(""), ""))
        page.feed(bytes(response.body).decode())
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open = tag
        self.tags.append(tag)
        self.texts.setdefault(tag, []).append("")
        if tag == "input":
            given = dict(attrs)
            self.values[given["name"] or ""] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open][-1] += data


CALLBACKS = (
    "https://a.example/; script-src *",
    "https://a.example/\r\nSet-Cookie: x=y",
    "http://[not-an-address",
    "https://bücher.example/Œuvre",
    "javascript:alert(1)",
    "no scheme at all",
    "; script-src *",
)


@pytest.fixture(scope="module")
def hostile(http: httpx.Client) -> Iterator[Client]:
    app = replace(WEB, callback_urls=CALLBACKS)
    with Emulator([app]) as emulator:
        yield Client(emulator, http, app)


@pytest.mark.parametrize("callback", CALLBACKS)
def test_a_hostile_callback_changes_nothing_else(hostile: Client, callback: str) -> None:
    approval = hostile.log_in(hostile.authorize(redirect_uri=callback))
    assert approval.status_code == 200
    policy = approval.headers["content-security-policy"]
    assert policy.count(";") == 5
    assert "script-src" not in policy
    location = hostile.emulator.visit(hostile.authorize_url(redirect_uri=callback, scope="web"))
    assert location.isascii()
    assert location.isprintable()
    assert dict(parse_qsl(location))["error_description"] == "the requested scope is not allowed"
