"""The board: what it makes of events, and what of hostile text."""

from __future__ import annotations

import threading
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pages import Page
from render import scenes
from render.scenes import AT, dangerous

from ecapipe.events import (
    AUTHORIZE,
    CHECK,
    TOKEN,
    VERIFY,
    Event,
    Note,
    NoteKind,
    RunEnded,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.oauth import access_denied
from ecapipe.problems.problem import Problem
from ecapipe.problems.usage import interrupted
from ecapipe.render.board import BoardView
from ecapipe.render.board_row import BoardRow

BILLING, PORTAL, REPORTS = Subject("Billing", "uat"), Subject("Portal", "uat"), Subject("Reports", "prod")
DENIED = access_denied("acme.my.salesforce.com")
MINUTES = 25 * 60.0


def link(host: str = "acme.my.salesforce.com", user: str | None = None, callback: str = "http://localhost/") -> str:
    query = {"client_id": "3MVG9FAKE", "redirect_uri": callback, "state": "made-up"}
    return f"https://{host}/services/oauth2/authorize?{urlencode(query | ({'login_hint': user} if user else {}))}"


def note(subject: Subject, text: str, kind: NoteKind = "link") -> Event:
    return StageNoted(AUTHORIZE, subject, Note(kind, text))


def begun(subject: Subject, url: str | None = None) -> list[Event]:
    return [StageStarted(AUTHORIZE, subject), note(subject, url or link())]


def failed(subject: Subject, problem: Problem = DENIED) -> list[Event]:
    return [StageEnded(AUTHORIZE, subject, "failed", AT, problem=problem)]


def done(subject: Subject) -> list[Event]:
    return [
        StageEnded(AUTHORIZE, subject, "passed", AT),
        StageStarted(TOKEN, subject),
        StageEnded(TOKEN, subject, "passed", AT),
        SubjectFinished(subject, scenes.login()),
    ]


def board(*events: list[Event]) -> BoardView:
    made = BoardView()
    for several in events:
        for event in several:
            made(event)
    return made


def states(made: BoardView) -> list[str]:
    return [row.state for row in made.rows]


def parts(made: BoardView, **asked: str) -> Page:
    return Page(made.parts(asked, MINUTES))


def test_a_login_with_a_link_waits_works_and_is_done() -> None:
    made = BoardView()
    seen = []
    for event in [*begun(BILLING), *done(BILLING)]:
        made(event)
        seen.append((states(made) or ["none"])[0])

    assert seen == ["none", "waiting", "waiting", "working", "working", "done"]
    assert "ada@acme.example" in parts(made).text


@pytest.mark.parametrize("kind", ["link", "offer"])
def test_both_kinds_of_links_make_a_row(kind: NoteKind) -> None:
    made = board([note(BILLING, link(), kind)])
    assert [row.subject for row in made.rows] == [BILLING]


def test_what_has_no_link_has_no_row() -> None:
    made = board([note(Subject(), "http://127.0.0.1:1/"), StageStarted(TOKEN, REPORTS), *failed(PORTAL)])
    assert made.rows == ()


def test_a_failure_says_how_it_is_mended_and_can_be_tried_again() -> None:
    page = parts(board(begun(BILLING), failed(BILLING)))
    assert DENIED.name in page.text
    assert DENIED.message in page.text
    # The button beside it starts it again: nothing has to be run.
    assert all(action.replace("Run again", "Try again") in page.text for action in DENIED.actions)
    assert "Run again" not in page.text
    assert {"method": "post", "action": "retry"} in page.of("form")
    assert "retry-1" in page.ids


def test_a_login_that_begins_again_keeps_its_row_and_has_a_new_link() -> None:
    made = board(begun(BILLING), begun(PORTAL), failed(BILLING))
    for event in begun(BILLING, link("again.my.salesforce.com")):
        made(event)
    (row, _) = made.rows
    assert (row.number, row.state, row.host, row.problem) == (1, "waiting", "again.my.salesforce.com", None)


def test_what_several_logins_share_is_said_once() -> None:
    made = board(begun(BILLING), begun(PORTAL), begun(REPORTS, link("other.my.salesforce.com")))
    page = parts(made)
    assert page.text.count("Sign in to one after the other") == 1
    assert "mix up Billing@uat, Portal@uat." in page.text
    assert page.text.count("Shares a browser session") == 2
    for subject in (BILLING, PORTAL):
        made(StageEnded(VERIFY, subject, "warning", AT, reason="uat is the same org as dev."))
    assert parts(made).text.count("uat is the same org as dev.") == 1


def test_counts_say_nothing_that_is_not_there() -> None:
    page = parts(board(begun(BILLING), begun(REPORTS)))
    assert [a["id"] for a in page.of("a") if (a.get("id") or "").startswith("show-")] == ["show-", "show-open"]


def test_a_warning_stays_with_its_login() -> None:
    made = board(begun(BILLING), done(BILLING)[:-1])
    made(StageEnded(VERIFY, BILLING, "warning", AT, reason="uat is the same org as dev."))
    made(done(BILLING)[-1])
    assert "uat is the same org as dev." in parts(made).text
    made.end()
    assert "uat is the same org as dev." in parts(made).text


def test_an_interrupted_login_is_not_called_a_failure() -> None:
    made = board(begun(BILLING), failed(BILLING, interrupted()))
    assert states(made) == ["left"]
    assert interrupted.name not in parts(made).text


@pytest.mark.parametrize("ended", ["event", "method"])
def test_the_end_is_unmistakable_and_offers_nothing_more(ended: str) -> None:
    made = board(begun(BILLING), begun(PORTAL), begun(REPORTS), done(BILLING), failed(PORTAL))
    if ended == "event":
        made(RunEnded(False, 1))
    else:
        made.end()
    page = Page(made.page({}, MINUTES))

    assert states(made) == ["done", "failed", "left"]
    assert "Ended: 1 of 3 signed in" in page.text
    assert "You can close this page" in page.text
    assert (page.of("form"), page.of("a"), page.of("button")) == ([], [], [])
    assert not [meta for meta in page.of("meta") if meta.get("http-equiv") == "refresh"]


def test_all_signed_in_is_said_as_that() -> None:
    made = board(begun(BILLING), done(BILLING))
    assert "All 1 are signed in" in parts(made).text
    made.end()
    assert "Done: all 1 are signed in" in parts(made).text


def test_what_is_left_comes_first() -> None:
    made = board(begun(BILLING), begun(PORTAL), begun(REPORTS), done(BILLING), failed(PORTAL))
    assert parts(made).rows == ["row-3", "row-2", "row-1"]


@pytest.mark.parametrize(
    ("asked", "rows"),
    [
        ({"show": "open"}, ["row-3"]),
        ({"show": "failed"}, ["row-2"]),
        ({"show": "done"}, ["row-1"]),
        ({"show": "made up"}, ["row-3", "row-2", "row-1"]),
        ({"find": "PORTAL@u"}, ["row-2"]),
        ({"find": "acme.my."}, ["row-3", "row-2", "row-1"]),
        ({"find": "ada@acme"}, ["row-1"]),
        ({"find": "nowhere"}, ["row-0"]),
        ({"show": "open", "find": "billing"}, ["row-0"]),
    ],
)
def test_rows_can_be_chosen(asked: dict[str, str], rows: list[str]) -> None:
    made = board(begun(BILLING), begun(PORTAL), begun(REPORTS), done(BILLING), failed(PORTAL))
    assert parts(made, **asked).rows == rows


def test_many_rows_can_be_searched_and_the_search_is_kept_in_every_link() -> None:
    many = [Subject("Billing", f"org{number}") for number in range(11)]
    made = board(*map(begun, many))
    page = parts(made, find='"><x', hold="1")
    assert [field["value"] for field in page.of("input") if field["name"] == "find"] == ['"><x']
    assert all("hold=1" in (a["href"] or "") for a in page.of("a") if (a["href"] or "").startswith("?show"))
    assert not [field for field in parts(board(begun(BILLING))).of("input") if field["name"] == "find"]


def clashing(*rows: tuple[str, str | None]) -> list[bool]:
    """Of logins on these hosts, for these users, which are told that they clash."""
    made = BoardView()
    for number, (host, user) in enumerate(rows):
        made(note(Subject("App", f"org{number}"), link(host, user)))
    page = made.parts({}, MINUTES)
    return ['class="clash"' in row for row in page.split("<tr id=")[1:]]


@pytest.mark.parametrize(
    ("rows", "clash"),
    [
        ((("acme.my.salesforce.com", None), ("other.my.salesforce.com", None)), [False, False]),
        ((("acme.my.salesforce.com", None), ("acme.my.salesforce.com", None)), [True, True]),
        ((("acme.my.salesforce.com", "a"), ("acme.my.site.com", "a")), [False, False]),
        ((("acme.my.salesforce.com", "a"), ("acme.my.site.com", "b"), ("x.my.site.com", "b")), [True, True, False]),
        ((("acme--uat.sandbox.my.salesforce.com", "a"), ("acme.my.salesforce.com", "b")), [False, False]),
        ((("localhost:7001", None), ("localhost:7002", None)), [False, False]),
    ],
)
def test_logins_that_one_browser_would_mix_up_say_so(rows: list[tuple[str, str | None]], clash: list[bool]) -> None:
    assert clashing(*rows) == clash


def test_logins_in_browsers_of_their_own_do_not_clash() -> None:
    made = board()
    for subject, browser in ((BILLING, "firefox"), (PORTAL, None)):
        made(StageNoted(AUTHORIZE, subject, Note("offer", link(), browser=browser)))
    page = parts(made)
    assert "private window" not in page.text
    assert "Sign in with Firefox to Billing in uat" in page.text
    assert "launch-1" in page.ids
    assert "launch-2" not in page.ids


def test_a_login_that_is_over_clashes_with_none() -> None:
    made = board(begun(BILLING), begun(PORTAL))
    assert "private window" in parts(made).text
    for event in done(PORTAL):
        made(event)
    assert "private window" not in parts(made).text


def test_the_box_to_paste_into_is_open_where_it_is_needed() -> None:
    listening = parts(board(begun(BILLING)))
    elsewhere = parts(board(begun(BILLING, link(callback="https://www.example.com/back"))))
    told = parts(board(begun(BILLING), [note(BILLING, "Paste it.", "asking")]))

    assert "It ends at www.example.com" in elsewhere.text
    assert ["open" in page.of("details")[0] for page in (listening, elsewhere, told)] == [False, True, True]


def test_links_lead_to_a_tab_of_their_own_that_learns_nothing_of_this_one() -> None:
    (opens,) = [a for a in parts(board(begun(BILLING))).of("a") if a.get("class") == "button"]
    assert (opens["target"], opens["rel"], opens["href"]) == ("_blank", "noopener noreferrer", link())


def test_only_addresses_of_the_web_become_links() -> None:
    page = parts(board(begun(BILLING, "javascript:alert(1)")))
    assert "javascript:" not in str(page.tags)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "Less than a minute"), (60, "Less than a minute"), (61, "2 minutes"), (1500, "25 minutes")],
)
def test_the_time_that_is_left_is_said_in_minutes(seconds: float, words: str) -> None:
    assert f"{words} left" in Page(board(begun(BILLING)).parts({}, seconds)).text


def test_waiting_ends_with_a_change_and_with_nothing_else() -> None:
    made = board(begun(BILLING))
    version = int(parts(made).of("main")[0]["data-version"] or "")
    made(StageEnded(CHECK, Subject("Billing"), "passed", AT))
    assert parts(made).of("main")[0]["data-version"] == str(version)

    waiting = threading.Thread(target=made.wait, args=(version, 10))
    waiting.start()
    made.say("Something was done.")
    waiting.join(5)
    assert not waiting.is_alive()
    assert "Something was done." in parts(made).text


def test_a_page_without_script_loads_itself_again_unless_it_is_to_stand_still() -> None:
    made = board(begun(BILLING))
    assert '<noscript><meta http-equiv="refresh" content="5">' in made.page({}, MINUTES)
    still = made.page({"hold": "1"}, MINUTES)
    assert 'http-equiv="refresh"' not in still
    assert "Auto-refresh is off." in still


def test_the_policy_allows_the_page_its_own_and_nothing_else() -> None:
    policy = dict(part.strip().partition(" ")[::2] for part in BoardView().policy.split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["style-src"].startswith("'sha256-")
    assert policy["script-src"].startswith("'sha256-")
    assert "unsafe" not in str(policy)
    page = Page(board(begun(BILLING)).page({}, MINUTES))
    assert not [
        name for _, attributes in page.tags for name in attributes if name == "style" or name.startswith("on")
    ]
    assert not [attributes for attributes in page.of("link") if not (attributes["href"] or "").startswith("data:")]


WEAPONS = (
    "<script>alert(1)</script>",
    "</table></main>",
    '"><img src=x>',
    "' onclick=x",
    "<!--",
    "&lt;",
    "\x00",
    "-->",
)
texts = st.lists(st.sampled_from(WEAPONS) | scenes.hostile, min_size=1, max_size=4).map("".join)


@given(text=texts, found=texts)
def test_no_text_from_outside_becomes_markup(text: str, found: str) -> None:
    def told(said: str, word: str) -> BoardView:
        one, two = Subject(said, "uat"), Subject("Portal", said)
        broken = Problem(said, said, (said, said), "org")
        return board(
            begun(one, f"https://acme.my.salesforce.com/?{urlencode({'login_hint': said}, errors='replace')}"),
            begun(two),
            failed(two, broken),
            [StageStarted(TOKEN, one), note(one, said, "waiting")],
            begun(REPORTS),
            [SubjectFinished(REPORTS, scenes.login(said))],
        )

    hostile, harmless = told(text, found), told("harmless", "harmless")
    for asked in ({}, {"show": text, "hold": text}):
        shown = hostile.page(asked, MINUTES)
        tags, usual = Page(shown).tags, Page(harmless.page({"hold": "1"} if asked else {}, MINUTES)).tags
        assert [(tag, sorted(attributes)) for tag, attributes in tags] == [
            (tag, sorted(attributes)) for tag, attributes in usual
        ]
        assert not dangerous(shown)
    hostile.say(text)
    assert not dangerous(hostile.parts({"find": found}, MINUTES))


def test_a_row_reads_its_link() -> None:
    row = BoardRow(1, BILLING, link(user="ada@acme.example", callback="com.acme:/done"))
    assert (row.host, row.user, row.ends_at) == ("acme.my.salesforce.com", "ada@acme.example", "com.acme")
