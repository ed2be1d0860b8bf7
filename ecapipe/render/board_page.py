"""The HTML of the board: the page on which people sign in to several orgs.

Rendered here, so that it works without a script; `board.js` only puts in place what has changed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final
from urllib.parse import urlencode

from ecapipe import __version__, page
from ecapipe.render import board_table
from ecapipe.render.board_row import BoardRow, State
from ecapipe.render.board_table import FILTERS, escape_text, selected_filter

REFRESH: Final = 5
"""Seconds after which the page loads itself again where there is no script."""

_MANY: Final = 10
"""Rows; a page of more has a search field."""

_STOP: Final = "Completed sign-ins stay. The others end; ecapipe run --resume continues with them."


@dataclass(frozen=True, slots=True)
class BoardSnapshot:
    """What the page shows at one moment.

    `query` is what its address asks for: ``show`` and ``find`` choose rows, ``hold`` keeps it from loading itself
    again. `seconds` remain until the last login is given up.
    """

    rows: tuple[BoardRow, ...]
    message: str
    ended: bool
    version: int
    query: Mapping[str, str]
    seconds: float

    @property
    def count(self) -> Counter[State]:
        """How many rows are in each state."""
        return Counter(row.state for row in self.rows)

    @property
    def title(self) -> str:
        if self.ended:
            return "Sign-in ended - ecapipe"
        count = self.count
        return f"{count['waiting'] + count['working']} of {count.total()} sign-ins left - ecapipe"

    @property
    def verdict(self) -> str:
        """The class of the page once nothing more happens: all signed in, or not."""
        if not self.ended:
            return ""
        return "good" if all(row.state == "done" for row in self.rows) else "bad"


def render(board: BoardSnapshot) -> str:
    """The whole page."""
    refresh = ""
    if "hold" not in board.query and not board.ended:
        refresh = f'<noscript><meta http-equiv="refresh" content="{REFRESH}"></noscript>'
    body = "\n".join([*_body(board), f"<script>{_resource('board.js')}</script>"])
    return page.html(board.title, body, _resource("board.css"), head=refresh)


def parts(board: BoardSnapshot) -> str:
    """What of the page changes: its title and the elements with ``data-live``, for the script to put in place."""
    return "\n".join([f"<title>{escape(board.title)}</title>", *_body(board)])


def content_security_policy() -> str:
    """The Content-Security-Policy of the page: its own style and script, by hash, and its own forms."""
    script = page.digest(_resource("board.js"))
    return page.policy(_resource("board.css"), script_src=script, connect_src="'self'", form_action="'self'")


def _body(board: BoardSnapshot) -> Iterator[str]:
    rows, query, count = board.rows, board.query, board.count
    ended = time = answer = choice = search = ""
    if board.ended:
        # The attribute tells the script to stop asking.
        ended = " data-ended"
    else:
        time, answer, choice = _time(board.seconds), _paste(rows), _choice(count, query)
        if len(rows) > _MANY:
            search = _search(query)
    yield f'<main data-version="{board.version}" class="{board.verdict}"{ended}>'
    yield '<p id="lost" role="alert" hidden>ecapipe no longer responds: it has ended, or the connection is lost. '
    yield "See the terminal. You can't sign in from this page.</p>"
    yield '<header><p class="brand">ecapipe sign-in</p>'
    yield f'<div id="progress" data-live role="status">{_progress(count, board.ended)}</div>'
    yield f'<p id="time" data-live>{time}</p>'
    yield f'<div id="bar" data-live aria-hidden="true">{_bar(count)}</div></header>'
    yield f'<p id="said" data-live role="status">{escape_text(board.message)}</p>'
    # data-typed: the user may be typing there, so the script leaves the element alone unless it comes or goes.
    yield f'<div id="answer" data-live data-typed>{answer}</div>'
    yield f'<nav id="choice" data-live aria-label="Rows shown">{choice}</nav>'
    yield f'<div id="search" data-live data-typed>{search}</div>'
    yield f'<div id="notes" data-live>{"".join(board_table.notes(rows))}</div>'
    yield '<table><thead><tr><th scope="col">App and org</th><th scope="col">Status</th>'
    yield '<th scope="col">What to do</th></tr></thead><tbody id="rows" data-live>'
    yield from board_table.render(rows, query, board.ended)
    yield "</tbody></table>"
    yield f'<div id="finish" data-live data-typed>{_finish(count, board.ended)}</div>'
    yield _hold(query, board.ended)
    yield f"<footer>ecapipe {escape(__version__)}, on this machine only. You enter passwords only on the pages of "
    yield "your orgs.</footer></main>"


@cache
def _resource(name: str) -> str:
    # Imported only where a page is shown: commands without a board start without it.
    from importlib import resources

    return resources.files("ecapipe.render").joinpath(name).read_text(encoding="utf-8")


def _progress(count: Counter[State], ended: bool) -> str:
    if ended:
        heading, sentence = _outcome(count), "You can close this page and return to the terminal."
    elif count["waiting"] + count["working"]:
        heading, sentence = f"{count['waiting'] + count['working']} of {count.total()} left to sign in", _tally(count)
    elif failed := count["failed"] + count["left"]:
        heading = f"{failed} of {count.total()} could not sign in"
        sentence = "Try again below, or finish without them."
    else:
        heading, sentence = f"All {count.total()} are signed in", "ecapipe is finishing the run."
    # The script moves the focus here when the row that had it is gone.
    return f'<h1 tabindex="-1" id="top">{heading}</h1><p>{sentence}</p>'


def _outcome(count: Counter[State]) -> str:
    if count["failed"] + count["left"]:
        return f"Ended: {count['done']} of {count.total()} signed in"
    return f"Done: all {count.total()} are signed in"


def _tally(count: Counter[State]) -> str:
    """The state of the logins that are not waiting."""
    numbers = {
        "signed in": count["done"],
        "failed": count["failed"] + count["left"],
        "in progress": count["working"],
    }
    return ", ".join(f"{n} {words}" for words, n in numbers.items() if n) or "Each sign-in opens in its own tab"


def _time(seconds: float) -> str:
    if seconds <= 60:
        return "Less than a minute left"
    return f"{math.ceil(seconds / 60)} minutes left"


def _bar(count: Counter[State]) -> str:
    """How far it has come, for the eye; the words beside it say the same."""
    # SVG, because the policy of the page allows no style attribute that could hold a width.
    bars, x = [], 0
    widths = {"done": count["done"], "failed": count["failed"] + count["left"], "working": count["working"]}
    for kind, width in widths.items():
        bars.append(f'<rect class="{kind}" x="{x}" width="{width}" height="1"/>')
        x += width
    return f'<svg viewBox="0 0 {max(count.total(), 1)} 1" preserveAspectRatio="none">{"".join(bars)}</svg>'


def _paste(rows: Iterable[BoardRow]) -> str:
    """The one place for redirect URLs that ecapipe can't listen at."""
    needed = any(row.state == "waiting" and (row.pasted or row.ends_at) for row in rows)
    # Unfolded for those who need it; on every other board it would only be in the way.
    return (
        f"<details{' open' if needed else ''}><summary>Paste a redirect URL</summary>"
        '<form method="post" action="paste" autocomplete="off"><label for="pasted">After you click Allow, the '
        "browser may end at a page that isn&#39;t ecapipe&#39;s. Copy the full URL from the address bar into this "
        "box. You can paste several URLs, in any order.</label>"
        '<div class="line"><textarea id="pasted" name="pasted" rows="1" required spellcheck="false" '
        'autocapitalize="off" autocomplete="off"></textarea>'
        '<button id="take">Send</button></div></form></details>'
    )


def _choice(count: Counter[State], query: Mapping[str, str]) -> str:
    links = []
    for key, choice in FILTERS.items():
        current = ""
        if key == selected_filter(query):
            current = ' aria-current="true"'
        number = sum(count[state] for state in choice.states)
        address = escape(_address(query, show=key))
        if number or current or not key:
            links.append(f'<a id="show-{key}" href="{address}"{current}>{choice.label} <b>{number}</b></a>')
    return " ".join(links)


def _address(query: Mapping[str, str], **changes: str | None) -> str:
    """The page's own address with some of its parameters changed."""
    parameters = {name: query.get(name) for name in ("show", "find", "hold")} | changes
    # A lone surrogate in the query must not keep the page from being shown.
    return "?" + urlencode({name: value for name, value in parameters.items() if value}, errors="replace")


def _search(query: Mapping[str, str]) -> str:
    hold = ""
    if "hold" in query:
        hold = '<input type="hidden" name="hold" value="1">'
    return (
        '<form role="search" action=".">'
        f'<input type="hidden" name="show" value="{escape(selected_filter(query))}">{hold}'
        f'<label for="find">Find</label> <input type="search" id="find" name="find" value="'
        f'{escape_text(query.get("find", ""))}" autocomplete="off" placeholder="app, org, host or user">'
        "<noscript><button>Find</button></noscript></form>"
    )


def _finish(count: Counter[State], ended: bool) -> str:
    if ended or count.total() == count["done"]:
        return ""
    form = '<form method="post" action="finish"><button id="end" class="stop">{}</button></form>'
    if not count["waiting"] + count["working"]:
        return form.format("Finish without them")
    # Folded while somebody could still sign in: it ends every pending login.
    return f"<details><summary>Finish early</summary><p>{_STOP}</p>{form.format('End sign-in')}</details>"


def _hold(query: Mapping[str, str], ended: bool) -> str:
    """For browsers without scripts: keep the page from loading itself again, which would empty the paste box."""
    if ended:
        return ""
    if "hold" in query:
        link = f'<a href="{escape(_address(query, hold=None))}">Resume</a>'
        return f"<noscript><p>Auto-refresh is off. {link}</p></noscript>"
    link = f'<a href="{escape(_address(query, hold="1"))}">Pause</a>'
    return f"<noscript><p>This page refreshes every {REFRESH} seconds. {link} before you paste.</p></noscript>"
