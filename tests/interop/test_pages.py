"""Every page that ecapipe shows or writes, in Chromium: by axe, on a phone, in light and dark, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from emulator.client import CALLBACK, NO_PKCE
from fakes.desk import Desk
from interop import installed
from loopback import free_port
from render import accounts

from ecapipe.adapters.network.board_server import serve
from ecapipe.adapters.network.listener import listen
from ecapipe.check.findings import Level
from ecapipe.emulator.server import Emulator
from ecapipe.events import (
    AUTHORIZE,
    VERIFY,
    LoginResult,
    Note,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.login.callbacks import CallbackReply
from ecapipe.problems.oauth import access_denied
from ecapipe.render import html
from ecapipe.render.board import BoardView

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.interop

PAGES = (
    "board", "board-many", "board-ended", "landed", "refused", "nothing-here", "org-login", "org-approval",
    "org-error", "check", "run"
)  # fmt: skip
WIDTHS = (320, 390, 1280)
AT = "2026-01-05T09:00:00.000Z"
LONG = "Billing_Sync_For_All_Of_The_Subsidiaries"
AXE = (installed.FOLDER / "node_modules/axe-core/axe.min.js").read_text


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Where each of `PAGES` is, and the password that the org takes."""
    folder = tmp_path_factory.mktemp("reports")
    with ExitStack() as stack:
        found = {"board": _board(stack, 6), "board-many": _board(stack, 60)}
        found |= {"board-ended": _board(stack, 6, ended=True), **_callbacks(stack), **_org(stack)}
        for name, data in (("check", alike(60)), ("run", accounts.run(name=LONG))):
            (folder / f"{name}.html").write_text(html.render(data))
            found[name] = (folder / f"{name}.html").as_uri()
        yield found


def _board(stack: ExitStack, rows: int, *, ended: bool = False) -> str:
    """A board with a login in each state, of which several clash."""
    board = BoardView()
    for number in range(1, rows + 1):
        subject = Subject(LONG, f"subsidiary-{number:03}")
        host = f"acme--subsidiary{number % 4:03}.sandbox.my.salesforce.com"
        board(StageStarted(AUTHORIZE, subject))
        link = f"https://{host}/?redirect_uri=https%3A%2F%2Fwww.example.com&login_hint=ada%40{host}"
        board(StageNoted(AUTHORIZE, subject, Note("offer", link, browser="firefox" if number == 6 else None)))
        if number % 5 == 1:
            board(StageEnded(VERIFY, subject, "warning", AT, reason="uat is the same org as dev."))
            login = LoginResult("ada@acme.example", None, None, None, (), "web", "forgotten")
            board(SubjectFinished(subject, login))
        elif number % 5 == 2:
            board(StageEnded(AUTHORIZE, subject, "failed", AT, problem=access_denied(host)))
    if ended:
        board.end()
    return stack.enter_context(serve(board, Desk())).url


def _callbacks(stack: ExitStack) -> dict[str, str]:
    replies = {
        "landed": CallbackReply(True, True, f"{LONG} is authorized in uat.", authorized=True),
        "refused": CallbackReply(True, False, f"{LONG} was not authorized in uat.\nRun again and click Allow."),
    }
    callback = f"http://localhost:{free_port()}/OauthRedirect"
    stack.enter_context(listen([callback], lambda query: replies[query.removeprefix("code=")]))
    return {name: f"{callback}?code={name}" for name in replies} | {"nothing-here": callback}


def _org(stack: ExitStack) -> dict[str, str]:
    emulator = stack.enter_context(Emulator([NO_PKCE]))
    query = {"response_type": "code", "redirect_uri": CALLBACK, "client_id": NO_PKCE.consumer_key}
    authorize = f"{emulator.urls['emulator']}/services/oauth2/authorize?"
    unknown = authorize + urlencode(query | {"client_id": "unknown"})
    username, password = emulator.login("emulator")
    login = authorize + urlencode(query | {"login_hint": username})
    return {"org-login": login, "org-approval": login, "org-error": unknown, "password": password}


def alike(count: int) -> Any:
    """A check of so many apps with the same seven findings."""
    names = [f"{LONG}_{number}" for number in range(count)]
    rules = (
        "consumer-key-missing", "consumer-secret-missing", "secret-tracked-by-git", "settings-not-gitignored",
        "callback-insecure", "label-missing", "wrong-root",
    )  # fmt: skip
    levels: tuple[Level, ...] = ("error", "warning", "note")
    findings = [
        accounts.finding(rule, level, f"{name} has a finding of {rule}.", app=name, file=f"force-app/{name}.xml")
        for name in names
        for level, rule in zip(levels * 3, rules, strict=False)
    ]
    return accounts.check(map(accounts.app, names), findings)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_scrolled_sideways(
    name: str, scheme: Any, chromium: Browser, addresses: dict[str, str]
) -> None:
    axe = AXE()
    with chromium.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            page.goto(addresses[name])
            if name == "org-approval":
                page.get_by_label("Password").fill(addresses["password"])
                page.get_by_role("button", name="Log In").click()
                page.get_by_role("button", name="Allow").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth") == width
            page.evaluate(axe)
            violations = page.evaluate("axe.run({resultTypes: ['violations']}).then((found) => found.violations)")
            assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == []
            assert "ecapipe" in page.title()
        assert [each for each in complaints if "Failed to load resource" not in each] == []


def test_sixty_apps_with_the_same_findings_are_under_six_printed_pages(
    chromium: Browser, addresses: dict[str, str]
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        page.goto(addresses["check"])
        page.get_by_role("link", name="failed: consumer-key-missing").first.click()
        assert page.locator("article:target").inner_text().startswith("error · 60 apps")
        pages = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
    assert 0 < len(pages) < 6
