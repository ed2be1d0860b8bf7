"""Apps that an administrator has switched off, or has approved nobody for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from emulator.client import NIGHTLY, WEB, Client, answer, refusal

from ecapipe.emulator.server import Emulator
from ecapipe.emulator.visitor import VisitError

OFF = replace(WEB, name="Off", consumer_key="3MVG9off", enabled=False)
OFF_NIGHTLY = replace(NIGHTLY, name="OffNightly", consumer_key="3MVG9offnightly", enabled=False)
CLOSED = replace(WEB, name="Closed", consumer_key="3MVG9closed", approved=False)
CLOSED_NIGHTLY = replace(NIGHTLY, name="ClosedNightly", consumer_key="3MVG9closednightly", approved=False)


@pytest.fixture(scope="module")
def guarded(http: httpx.Client) -> Iterator[Client]:
    with Emulator([OFF, OFF_NIGHTLY, CLOSED, CLOSED_NIGHTLY]) as emulator:
        yield Client(emulator, http)


def test_an_app_that_is_switched_off_ends_on_a_page(guarded: Client) -> None:
    page = guarded.of(OFF).authorize()
    assert page.status_code == 400
    assert '<code id="error">OAUTH_APPROVAL_ERROR_GENERIC</code>' in page.text
    with pytest.raises(VisitError) as caught:
        guarded.of(OFF).visit()
    assert caught.value.description == "An unexpected error has occurred during authentication"


def test_an_app_that_is_switched_off_gets_no_token(guarded: Client) -> None:
    expected = ("OAUTH_APP_BLOCKED", "this app is blocked by admin")
    assert refusal(guarded.of(OFF_NIGHTLY).credentials()) == expected
    assert refusal(guarded.of(OFF).token(code="aPrxany")) == expected


def test_a_wrong_callback_is_a_wrong_callback_first(guarded: Client) -> None:
    assert "redirect_uri_mismatch" in guarded.of(OFF).authorize(redirect_uri="https://evil.example").text


def test_somebody_who_is_not_approved_learns_it_after_the_login(guarded: Client) -> None:
    closed = guarded.of(CLOSED)
    login = closed.authorize()
    assert login.status_code == 200
    assert login.headers["content-security-policy"].endswith("form-action 'self' http:")
    assert "Please check" in closed.log_in(login, password="wrong").text
    sent = closed.log_in(closed.authorize())
    assert sent.status_code == 302
    assert answer(sent.headers["location"]) == {
        "error": "OAUTH_APP_ACCESS_DENIED",
        "error_description": "user is not admin approved to access this app",
        "state": "some state",
    }


def test_a_run_as_user_has_to_be_approved_too(guarded: Client) -> None:
    assert refusal(guarded.of(CLOSED_NIGHTLY).credentials()) == (
        "invalid_app_access",
        "user is not admin approved to access this app",
    )
