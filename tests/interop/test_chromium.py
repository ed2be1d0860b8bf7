"""People with a real browser: Debian's Chromium, the emulator's pages, and the whole program between them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import trees
from interop.program import Started, environment, started
from interop.window import Seen
from loopback import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.interop

ELSEWHERE = "https://www.example.com"
SIGNED_IN, NOT_AUTHORIZED = "/ecapipe/signed-in", "/ecapipe/not-authorized"


@dataclass(frozen=True)
class Org:
    """The emulator as its command describes it, and the project it was started for."""

    url: str
    username: str
    password: str
    project: Path
    callback: str


@pytest.fixture(scope="module")
def org(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Org]:
    """``ecapipe emulator start``, knowing an app that listens on this machine and one that does not."""
    callback = f"http://localhost:{free_port()}/OauthRedirect"
    apps = trees.app("Listening", settings={"callbackUrl": callback}) | trees.app(
        "Pasting", settings={"callbackUrl": ELSEWHERE}
    )
    project = trees.plant(tmp_path_factory.mktemp("project"), trees.project() | apps)
    env = environment(tmp_path_factory.mktemp("home"))
    with started("emulator", "start", "-d", project, "--port", "0", env=env) as emulator:
        (found,) = emulator.first_document()["result"]["orgs"]
        yield Org(found["url"], found["username"], found["password"], project, callback)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return environment(tmp_path)


def log_in(
    org: Org, app: str, callback: str, env: dict[str, str], browser: tuple[str, ...] = ("--browser", "none")
) -> AbstractContextManager[Started]:
    chosen = ("-d", org.project, "-n", app, "-o", org.url)
    return started("run", *chosen, "--callback", callback, *browser, env=env)


def sign_in(page: Page, org: Org, password: str | None = None) -> None:
    page.get_by_label("Username").fill(org.username)
    page.get_by_label("Password").fill(org.password if password is None else password)
    page.get_by_role("button", name="Log In").click()


def approve(page: Page, org: Org) -> None:
    sign_in(page, org)
    page.get_by_role("button", name="Allow").click()


def test_somebody_signs_in_and_approves(window: Seen, org: Org, env: dict[str, str]) -> None:
    with log_in(org, "Listening", "listen", env) as run:
        window.page.goto(run.link())
        approve(window.page, org)
        window.page.get_by_role("heading", name="Authorized").wait_for()
        ended = run.ended()

    assert (ended.status, ended.success["username"]) == (0, org.username)
    assert window.hosts == {urlsplit(org.url).netloc, urlsplit(org.callback).netloc}


def test_no_code_stays_in_address_bar_history_or_referrer(window: Seen, org: Org, env: dict[str, str]) -> None:
    with log_in(org, "Listening", "listen", env) as run:
        window.page.goto(run.link())
        approve(window.page, org)
        window.page.wait_for_url(f"**{SIGNED_IN}")
        referrer = window.page.evaluate("document.referrer")
        run.ended()

    came_back_at = [address for address in window.addresses if address.startswith(org.callback)]
    assert ["code=" in address for address in came_back_at] == [True]
    assert window.history()[-1] == window.page.url
    assert not re.search(r"[?&](code|state)=", f"{window.page.url} {referrer}")
    assert not [address for address in window.history() if "code=" in address]


def test_everything_works_without_javascript(chromium: Browser, org: Org, env: dict[str, str]) -> None:
    with (
        log_in(org, "Listening", "listen", env) as run,
        chromium.new_context(java_script_enabled=False) as context,
    ):
        window = Seen(context)
        window.page.goto(run.link())
        approve(window.page, org)
        window.page.wait_for_url(f"**{SIGNED_IN}")
        ended = run.ended()

    assert ended.status == 0


def test_everything_works_with_the_keyboard_alone(window: Seen, org: Org, env: dict[str, str]) -> None:
    keyboard = window.page.keyboard
    with log_in(org, "Listening", "listen", env) as run:
        window.page.goto(run.link())
        window.page.locator("input:focus").wait_for()  # the page puts the cursor there, once it is shown
        keyboard.type(org.username)
        keyboard.press("Tab")
        window.page.locator("input[type=password]:focus").wait_for()
        keyboard.type(org.password)
        keyboard.press("Enter")
        window.page.get_by_role("button", name="Allow").wait_for()
        keyboard.press("Tab")
        keyboard.press("Enter")
        window.page.wait_for_url(f"**{SIGNED_IN}")
        ended = run.ended()

    assert ended.status == 0


def test_somebody_who_denies_is_told_so_in_the_browser_too(window: Seen, org: Org, env: dict[str, str]) -> None:
    with log_in(org, "Listening", "listen", env) as run:
        window.page.goto(run.link())
        sign_in(window.page, org)
        window.page.get_by_role("button", name="Deny").click()
        window.page.wait_for_url(f"**{NOT_AUTHORIZED}")
        heading = window.page.get_by_role("heading").inner_text()
        ended = run.ended()

    assert heading == "Not authorized"
    assert (ended.status, ended.failure["name"]) == (1, "AccessDenied")


def test_a_wrong_password_can_be_corrected(window: Seen, org: Org, env: dict[str, str]) -> None:
    with log_in(org, "Listening", "listen", env) as run:
        window.page.goto(run.link())
        sign_in(window.page, org, "not the password")
        assert "check your username and password" in window.page.get_by_role("alert").inner_text()
        approve(window.page, org)
        window.page.wait_for_url(f"**{SIGNED_IN}")
        ended = run.ended()

    assert ended.status == 0


def test_the_browser_that_a_variable_names_is_given_the_link(
    window: Seen, org: Org, tmp_path: Path, env: dict[str, str]
) -> None:
    pipe, script = tmp_path / "pipe", tmp_path / "browser"
    os.mkfifo(pipe)
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" > {pipe}\n')
    script.chmod(0o755)
    with log_in(org, "Listening", "listen", {**env, "BROWSER": str(script)}, browser=()) as run:
        with pipe.open() as opened:
            link = opened.readline().strip()
        window.page.goto(link)
        approve(window.page, org)
        window.page.wait_for_url(f"**{SIGNED_IN}")
        ended = run.ended()

    assert ended.status == 0


@pytest.mark.parametrize("app", ["Listening", "Pasting"])
def test_the_address_of_a_page_that_could_not_be_shown_can_be_pasted(
    app: str, window: Seen, org: Org, env: dict[str, str]
) -> None:
    with log_in(org, app, "paste", env) as run:
        window.page.goto(run.link())
        approve(window.page, org)
        window.page.wait_for_url("chrome-error://**")
        address = window.history()[-1]
        run.paste(address)
        ended = run.ended()

    assert address.startswith({"Listening": f"{org.callback}?code=", "Pasting": f"{ELSEWHERE}/?code="}[app])
    assert ended.status == 0


def test_of_two_runs_at_once_the_second_says_who_is_in_the_way(window: Seen, org: Org, env: dict[str, str]) -> None:
    with log_in(org, "Listening", "listen", env) as first:
        link = first.link()
        with log_in(org, "Listening", "listen", env) as second:
            refused = second.ended()
        window.page.goto(link)
        approve(window.page, org)
        window.page.wait_for_url(f"**{SIGNED_IN}")
        ended = first.ended()

    assert (refused.status, refused.failure["name"]) == (1, "PortInUseError")
    assert ended.status == 0
