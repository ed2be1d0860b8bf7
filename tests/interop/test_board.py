"""People who sign in to several orgs at once: the board in Chromium, and the whole program behind it."""

from __future__ import annotations

import http.server
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import trees
from fakes.desk import Desk
from interop.program import Started, environment, started
from interop.window import Seen
from loopback import free_port

from ecapipe.adapters.network.board_server import Served, serve
from ecapipe.events import (
    AUTHORIZE,
    LoginResult,
    Note,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.oauth import access_denied
from ecapipe.render.board import BoardView

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.interop

ELSEWHERE = "https://www.example.com"
NAMES = ("dev", "uat", "prod")
AT = "2026-01-05T09:00:00.000Z"
PHONE: Any = {"width": 360, "height": 740}


@dataclass(frozen=True)
class Orgs:
    """The emulator's orgs, and the project it was started for."""

    urls: dict[str, str]
    people: dict[str, tuple[str, str]]
    project: Path
    callback: str

    def person(self, address: str) -> tuple[str, str]:
        """Username and password at the org whose page this is."""
        (name,) = [name for name, url in self.urls.items() if urlsplit(url).netloc == urlsplit(address).netloc]
        return self.people[name]


@pytest.fixture(scope="module")
def orgs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orgs]:
    callback = f"http://localhost:{free_port()}/OauthRedirect"
    packaged = {"distributionState": "Packaged"}  # local ones are in one org only
    apps = trees.app("Listening", header=packaged, settings={"callbackUrl": callback})
    apps |= trees.app("Pasting", header=packaged, settings={"callbackUrl": ELSEWHERE})
    project = trees.plant(tmp_path_factory.mktemp("project"), trees.project() | apps)
    env = environment(tmp_path_factory.mktemp("home"))
    named = [part for name in NAMES for part in ("--org", name)]
    with started("emulator", "start", "-d", project, "--port", "0", *named, env=env) as emulator:
        found = {org["name"]: org for org in emulator.first_document()["result"]["orgs"]}
        yield Orgs(
            {name: org["url"] for name, org in found.items()},
            {name: (org["username"], org["password"]) for name, org in found.items()},
            project,
            callback,
        )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """A home of its own, and a browser that shows nothing: the tests open the board themselves."""
    script = tmp_path / "browser"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return environment(tmp_path, BROWSER=str(script))


def run(
    orgs: Orgs, env: dict[str, str], *more: str, names: tuple[str, ...] = NAMES
) -> AbstractContextManager[Started]:
    """A run whose first link is the board."""
    targets = [part for name in names for part in ("-o", f"{name}={orgs.urls[name]}")]
    return started("run", "-d", orgs.project, *targets, "--board-port", str(free_port()), *more, env=env)


def sign_in(page: Page, orgs: Orgs, *, button: str = "Allow") -> None:
    username, password = orgs.person(page.url)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log In").click()
    page.get_by_role("button", name=button).click()


def link(board: Page, app: str, org: str) -> Callable[[], None]:
    click: Callable[[], None] = board.get_by_role("link", name=f"Sign in to {app} in {org}").click
    return click


def status(board: Page, words: str) -> None:
    """Wait until the page says this of its progress."""
    board.get_by_role("heading", level=1).filter(has_text=words).wait_for()


def test_somebody_signs_in_to_several_orgs(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    with run(orgs, env, "-n", "Listening") as running:
        address = running.link()
        board.goto(address)
        for left, name in zip((3, 2, 1), NAMES, strict=True):
            status(board, f"{left} of 3 left to sign in")
            tab = window.opened(link(board, "Listening", name))
            sign_in(tab, orgs)
            tab.get_by_role("heading", name="Authorized").wait_for()
            assert tab.evaluate("[window.opener, document.referrer]") == [None, ""]
        status(board, "Done: all 3 are signed in")
        ended = running.ended()

    assert ended.status == 0
    assert {each["username"] for each in ended.result["successes"]} == {orgs.people[name][0] for name in NAMES}
    here = {urlsplit(address).netloc, urlsplit(orgs.callback).netloc}
    assert window.hosts == here | {urlsplit(url).netloc for url in orgs.urls.values()}
    assert window.complaints == []
    assert board.get_by_role("button").count() == 0
    assert "code=" not in board.content()


def test_answers_that_do_not_come_by_themselves_are_pasted_in_any_order(
    window: Seen, orgs: Orgs, env: dict[str, str]
) -> None:
    board = window.page
    with run(orgs, env, "-n", "Pasting") as running:
        board.goto(running.link())
        box = board.get_by_label("After you press Allow")
        box.fill("https://www.example.com/?code=aPrxMADEUP&state=made-up")
        box.press("Enter")
        board.get_by_text("its state is missing or unknown").wait_for()
        addresses = []
        for name in NAMES:
            tab = window.opened(link(board, "Pasting", name))
            sign_in(tab, orgs)
            tab.wait_for_url("chrome-error://**")
            addresses.append(window.history(tab)[-1])
        assert "MADEUP" not in board.content()
        box.fill("\n".join(reversed(addresses[1:])))
        board.get_by_role("button", name="Send").click()
        status(board, "1 of 3 left")
        assert box.input_value() == ""
        board.evaluate("text => navigator.clipboard.writeText(text).catch(() => 0)", addresses[0])
        box.fill(addresses[0])
        box.press("Enter")
        status(board, "Done: all 3")
        ended = running.ended()

    assert ended.status == 0
    assert "code=" not in board.content()


def test_somebody_who_denied_can_try_again(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    with run(orgs, env, "-n", "Listening", names=("dev", "uat")) as running:
        board.goto(running.link())
        sign_in(window.opened(link(board, "Listening", "dev")), orgs, button="Deny")
        board.get_by_text("AccessDenied").wait_for()
        sign_in(window.opened(link(board, "Listening", "uat")), orgs)
        status(board, "1 of 2 could not sign in")
        board.get_by_role("button", name="Try again for Listening in dev").click()
        status(board, "1 of 2 left")
        sign_in(window.opened(link(board, "Listening", "dev")), orgs)
        status(board, "Done: all 2 are signed in")
        ended = running.ended()

    assert (ended.status, len(ended.result["successes"]), ended.result["failures"]) == (0, 2, [])


def test_a_run_is_finished_without_those_who_failed(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    with run(orgs, env, "-n", "Listening", names=("dev", "uat")) as running:
        board.goto(running.link())
        sign_in(window.opened(link(board, "Listening", "dev")), orgs, button="Deny")
        sign_in(window.opened(link(board, "Listening", "uat")), orgs)
        board.get_by_role("button", name="Finish without them").click()
        status(board, "Ended: 1 of 2 signed in")
        ended = running.ended()

    assert (ended.status, ended.failure["name"]) == (68, "AccessDenied")


def test_whoever_cannot_wait_stops_the_run_there(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    with run(orgs, env, "-n", "Listening", names=("dev", "uat")) as running:
        board.goto(running.link())
        board.get_by_text("Stop here").click()
        board.get_by_role("button", name="Wait for nobody any more").click()
        status(board, "Ended: 0 of 2 signed in")
        ended = running.ended()

    assert ended.status == 69


def test_everything_works_without_javascript(chromium: Browser, orgs: Orgs, env: dict[str, str]) -> None:
    with (
        run(orgs, env, names=("dev",)) as running,
        chromium.new_context(java_script_enabled=False) as context,
    ):
        window = Seen(context)
        board = window.page
        address = running.link()
        board.goto(address)
        sign_in(window.opened(link(board, "Listening", "dev")), orgs, button="Deny")
        board.get_by_text("AccessDenied").wait_for()  # it loads itself again
        board.get_by_role("button", name="Try again for Listening in dev").click()
        sign_in(window.opened(link(board, "Listening", "dev")), orgs)
        tab = window.opened(link(board, "Pasting", "dev"))
        sign_in(tab, orgs)
        tab.wait_for_url("chrome-error://**")
        board.get_by_role("link", name="Hold it still").click()
        board.get_by_label("After you press Allow").fill(window.history(tab)[-1])
        board.get_by_role("button", name="Send").click()
        status(board, "Done: all 2 are signed in")
        ended = running.ended()

    assert ended.status == 0


def test_everything_works_with_the_keyboard_alone(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    keyboard = board.keyboard

    def tab_to(id: str) -> None:
        for _ in range(30):
            keyboard.press("Tab")
            if board.evaluate("document.activeElement.id") == id:
                return
        raise AssertionError(f"no way leads to {id}")

    with run(orgs, env, names=("dev",)) as running:
        board.goto(running.link())
        tab_to("open-1")
        tab = window.opened(lambda: keyboard.press("Enter"))
        sign_in(tab, orgs)
        status(board, "1 of 2 left")
        board.bring_to_front()
        assert board.evaluate("document.activeElement.id") == "row-1"  # where the link was
        board.evaluate("document.activeElement.blur()")
        tab_to("open-2")
        tab = window.opened(lambda: keyboard.press("Enter"))
        sign_in(tab, orgs)
        tab.wait_for_url("chrome-error://**")
        board.bring_to_front()
        board.evaluate("document.activeElement.blur()")
        tab_to("pasted")
        keyboard.insert_text(window.history(tab)[-1])
        keyboard.press("Enter")
        status(board, "Done: all 2 are signed in")
        assert running.ended().status == 0


def test_an_interrupt_is_shown_as_the_end(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    with run(orgs, env, "-n", "Listening") as running:
        board.goto(running.link())
        status(board, "3 of 3 left")
        start = time.monotonic()
        running.signal(signal.SIGINT)
        status(board, "Ended: 0 of 3 signed in")
        ended = running.ended()

    assert ended.status == 130
    assert time.monotonic() - start < 5


def test_a_run_that_is_killed_leaves_no_page_that_pretends(window: Seen, orgs: Orgs, env: dict[str, str]) -> None:
    board = window.page
    with run(orgs, env, "-n", "Listening") as running:
        board.goto(running.link())
        running.signal(signal.SIGKILL)
        board.get_by_role("alert").filter(has_text="ecapipe no longer answers").wait_for()


@contextmanager
def shown(rows: int) -> Iterator[tuple[BoardView, Desk, Served]]:
    """A board with so many logins, some of which are over."""
    board, desk = BoardView(), Desk()
    for number in range(1, rows + 1):
        subject = Subject("Billing_Sync_For_All_Of_The_Subsidiaries", f"subsidiary-{number:03}")
        host = f"acme--subsidiary{number:03}.sandbox.my.salesforce.com"
        board(StageStarted(AUTHORIZE, subject))
        board(StageNoted(AUTHORIZE, subject, Note("offer", f"https://{host}/?login_hint=ada%40{host}")))
        if number % 3 == 0:
            succeed(board, subject)
        if number % 7 == 0:
            denied = access_denied(host)
            board(StageEnded(AUTHORIZE, subject, "failed", AT, problem=denied))
    with serve(board, desk) as served:
        yield board, desk, served


def succeed(board: BoardView, subject: Subject) -> None:
    board(StageEnded(AUTHORIZE, subject, "passed", AT))
    board(SubjectFinished(subject, LoginResult("ada@acme.example", None, None, None, (), "web", "forgotten")))


@pytest.mark.parametrize("rows", [2, 200])
def test_nothing_has_to_be_scrolled_sideways_on_a_phone(chromium: Browser, rows: int) -> None:
    with shown(rows) as (_, _, served), chromium.new_context(viewport=PHONE) as context:
        page = context.new_page()
        page.goto(served.url)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_two_hundred_rows_are_searched_and_chosen_while_they_change(window: Seen) -> None:
    from playwright.sync_api import expect

    page = window.page
    with shown(200) as (board, _, served):
        page.goto(served.url)
        rows = page.locator("tbody tr")
        assert rows.count() == 200
        page.get_by_role("link", name="Signed in 57").click()
        expect(rows).to_have_count(57)
        page.get_by_role("link", name="All 200").click()
        page.get_by_label("Find").press_sequentially("subsidiary-11")
        expect(rows).to_have_count(10)

        start = time.monotonic()
        succeed(board, board.rows[109].subject)
        page.get_by_role("row", name="subsidiary-110").get_by_text("Signed in").wait_for()
        assert time.monotonic() - start < 2
        assert page.evaluate("document.activeElement.id") == "find"
        assert page.get_by_label("Find").input_value() == "subsidiary-11"
        assert page.get_by_role("row").nth(1).inner_text().startswith("Billing_Sync_For_All_Of_The_Subsidiaries in ")
        assert window.complaints == []


def test_changes_leave_alone_what_somebody_works_at(window: Seen) -> None:
    page = window.page
    with shown(5) as (board, desk, served):
        page.goto(served.url)
        page.get_by_text("Paste an answer").click()
        page.get_by_label("After you press Allow").press_sequentially("https://half-typ")
        mark = "document.getElementById('row-2').mark = 'the same'"
        page.evaluate(mark)
        succeed(board, board.rows[0].subject)
        page.locator("#row-1.done").wait_for()
        page.keyboard.type("ed")
        assert page.get_by_label("After you press Allow").input_value() == "https://half-typed"
        assert page.evaluate("document.getElementById('row-2').mark") == "the same"

        page.locator("#open-4").focus()
        succeed(board, board.rows[1].subject)
        page.locator("#row-2.done").wait_for()
        assert page.evaluate("document.activeElement.id") == "open-4"
        assert desk.done == []


def test_a_login_with_a_browser_of_its_own_is_opened_in_it(window: Seen) -> None:
    page = window.page
    with shown(2) as (board, desk, served):
        note = Note("offer", "https://acme.my.salesforce.com/", browser="firefox")
        board(StageNoted(AUTHORIZE, board.rows[1].subject, note))
        page.goto(served.url)
        page.get_by_role("button", name="Sign in with Firefox to Billing").click()
        until(lambda: desk.done == [f"open {board.rows[1].subject}"])
        assert page.get_by_role("link", name="Sign in here to Billing").count() == 1


def until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_screen_reader_finds_a_table_and_is_told_of_progress(window: Seen) -> None:
    page = window.page
    with shown(3) as (board, _, served):
        page.goto(served.url)
        assert page.get_by_role("columnheader").all_inner_texts() == ["App and org", "Status", "What to do"]
        assert page.get_by_role("rowheader").count() == 3
        assert page.get_by_role("status").first.inner_text().startswith("2 of 3 left to sign in")
        page.evaluate("document.getElementById('progress').mark = 'the same'")
        succeed(board, board.rows[0].subject)
        page.get_by_role("status").filter(has_text="1 of 3 left to sign in").wait_for()
        assert page.evaluate("document.getElementById('progress').mark") == "the same"  # or nothing would be read
        names = [each.get_attribute("id") for each in page.get_by_role("link").all()]
        assert "open-2" in names
        assert page.locator("[aria-live], [role=status], [role=alert]").count() == 3


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_either_scheme(chromium: Browser, scheme: Any) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 to 1."""
    with shown(9) as (_, _, served), chromium.new_context(color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(served.url)
        assert page.evaluate(_FAINT) == []
        served.page.end()
        page.locator("main.bad").wait_for()
        assert page.evaluate(_FAINT) == []


def test_a_page_of_another_origin_can_neither_read_nor_do_nor_frame_it(window: Seen) -> None:
    class Evil(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>evil</title>")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with shown(2) as (_, desk, served), http.server.HTTPServer(("127.0.0.1", 0), Evil) as evil:
        threading.Thread(target=evil.serve_forever, daemon=True).start()
        window.page.goto(f"http://localhost:{evil.server_port}/")
        told = window.page.evaluate(_ATTACK, served.url)
        evil.shutdown()

    assert told == {"read": "refused", "frame": "empty"}
    assert desk.done == []


_ATTACK = """async (board) => {
  const form = document.createElement("form");
  const sink = document.createElement("iframe");
  sink.name = "sink";
  Object.assign(form, { method: "post", action: board + "finish", target: "sink" });
  document.body.append(sink, form);
  form.submit();
  await fetch(board + "finish", { method: "POST", mode: "no-cors",
    headers: { "Content-Type": "application/x-www-form-urlencoded" } }).catch(() => 0);
  const read = await fetch(board + "parts").then((answer) => answer.text(), () => "refused");
  const frame = document.createElement("iframe");
  await new Promise((go) => { frame.onload = go; frame.src = board; document.body.append(frame); });
  let inner;
  try { inner = frame.contentDocument ? "there" : "empty"; } catch { inner = "empty"; }
  return { read, frame: inner };
}"""
"""What a hostile page tries that has learned the board's address."""

_FAINT = """() => {
  const light = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    const lin = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return a ? 0.2126 * lin(r) + 0.7152 * lin(g) + 0.0722 * lin(b) : null;
  };
  const under = (element) => {
    for (; element; element = element.parentElement) {
      const found = light(getComputedStyle(element).backgroundColor);
      if (found !== null) return found;
    }
    return 1;
  };
  const faint = [];
  const walk = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("noscript, [aria-hidden]")) continue;
    const pair = [light(getComputedStyle(element).color), under(element)].sort((a, b) => b - a);
    const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)} ${walk.currentNode.data.trim()}`);
  }
  return [...new Set(faint)];
}"""
"""The texts that stand out too little from what is under them."""
