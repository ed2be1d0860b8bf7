"""The person who logs in when nobody is there."""

from __future__ import annotations

import socket

import pytest
from emulator.client import CALLBACK, Client, answer

from ecapipe.emulator.visitor import VisitError


def test_a_visit_ends_at_the_callback(client: Client) -> None:
    location = client.emulator.visit(client.authorize_url())
    assert location.startswith(f"{CALLBACK}?code=aPrx")
    assert answer(location)["state"] == "some state"


def test_a_visit_ignores_a_hint_for_somebody_else(client: Client) -> None:
    assert "code" in client.visit(login_hint="somebody@else.example")


def test_an_error_at_the_callback_is_an_answer(client: Client) -> None:
    assert client.visit(scope="web")["error"] == "invalid_scope"


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"client_id": "unknown"}, "invalid_client_id", "client identifier invalid"),
        ({"redirect_uri": "https://evil.example"}, "redirect_uri_mismatch", "redirect_uri must match configuration"),
    ],
)
def test_an_error_page_is_a_failure(client: Client, changes: dict[str, str], error: str, description: str) -> None:
    with pytest.raises(VisitError) as caught:
        client.visit(**changes)
    assert (caught.value.error, caught.value.description) == (error, description)


@pytest.mark.parametrize(
    "url", ["https://www.example.com/", "http://localhost:1/services/oauth2/authorize", "not an address", ""]
)
def test_a_visitor_stays_at_home(client: Client, url: str) -> None:
    with pytest.raises(VisitError, match="not an address of the emulator"):
        client.emulator.visit(url)


def test_a_visitor_does_not_follow_a_host_that_only_looks_right(client: Client) -> None:
    with pytest.raises(VisitError, match="not an address of the emulator"):
        client.emulator.visit(f"{client.url('')}.example/services/oauth2/authorize")


def test_a_visitor_uses_no_proxy(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        proxy = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy)
        assert "code" in client.visit()


def test_a_page_without_a_form_is_a_failure(client: Client) -> None:
    with pytest.raises(VisitError, match="there is no such page here"):
        client.emulator.visit(client.url("/"))
