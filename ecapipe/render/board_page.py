"""The HTML of the board: the page on which people sign in to several orgs.

Rendered here, so that it works without a script; `board.js` only puts in place what has changed.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final
from urllib.parse import quote, urlencode

from ecapipe import __version__
from ecapipe.render import board_table
from ecapipe.render.board_row import BoardRow, State
from ecapipe.render.board_table import FILTERS, escape_text, selected_filter

REFRESH: Final = 5
"""Seconds after which the page loads itself again where there is no script."""

_MANY: Final = 10
"""Rows; a page of more has a search field."""

_STOP: Final = "What is signed in stays so. The rest ends, and can be done in another run."

# In the page itself, because its policy lets it load nothing.
_ICON: Final = quote(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0b5cab"/>'
    '<path d="m4 8.5 2.8 2.8L12.2 5" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)


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
            return "Ended - ecapipe"
        count = self.count
        return f"{count['waiting'] + count['working']} of {count.total()} left - ecapipe"

    @property
    def verdict(self) -> str:
        """The class of the page once nothing more happens: all signed in, or not."""
        if not self.ended:
            return ""
        return "good" if all(row.state == "done" for row in self.rows) else "bad"


def page(board: BoardSnapshot) -> str:
    """The whole page."""
    refresh = ""
    if "hold" not in board.query and not board.ended:
        refresh = f'<noscript><meta http-equiv="refresh" content="{REFRESH}"></noscript>'
    body = "\n".join(_body(board))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(board.title)}</title>
<link rel="icon" href="data:image/svg+xml,{_ICON}">
{refresh}
<style>{_resource("board.css")}</style>
</head>
<body>
{body}
<script>{_resource("board.js")}</script>
</body>
</html>
"""


def parts(board: BoardSnapshot) -> str:
    """What of the page changes: its title and the elements with ``data-live``, for the script to put in place."""
    return "\n".join([f"<title>{escape(board.title)}</title>", *_body(board)])


def content_security_policy() -> str:
    """The Content-Security-Policy of the page: its own style and script, by hash, and its own forms."""
    # frame-ancestors: a page of somebody else that framed the board could have its buttons clicked unawares.
    return (
        f"default-src 'none'; style-src '{_digest('board.css')}'; script-src '{_digest('board.js')}'; "
        "connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


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
    yield '<p id="lost" role="alert" hidden>ecapipe no longer answers: it has ended, or the way to it is closed. '
    yield "Look at its terminal. Do not sign in from here now: nobody may wait for it.</p>"
    yield f'<header><div id="progress" data-live role="status">{_progress(count, board.ended)}</div>'
    yield f'<p id="time" data-live>{time}</p>'
    yield f'<div id="bar" data-live aria-hidden="true">{_bar(count)}</div></header>'
    yield f'<p id="said" data-live role="status">{escape_text(board.message)}</p>'
    # data-typed: people may be typing there, so the script leaves the element alone unless it comes or goes.
    yield f'<div id="answer" data-live data-typed>{answer}</div>'
    yield f'<nav id="choice" data-live aria-label="Rows shown">{choice}</nav>'
    yield f'<div id="search" data-live data-typed>{search}</div>'
    yield '<table><thead><tr><th scope="col">App and org</th><th scope="col">Status</th>'
    yield '<th scope="col">What to do</th></tr></thead><tbody id="rows" data-live>'
    yield from board_table.render(rows, query, board.ended)
    yield "</tbody></table>"
    yield f'<div id="finish" data-live data-typed>{_finish(count, board.ended)}</div>'
    yield _hold(query, board.ended)
    yield f"<footer>ecapipe {escape(__version__)}, on this machine only. Your passwords go to your orgs alone."
    yield "</footer></main>"


@cache
def _resource(name: str) -> str:
    # Imported only where a page is shown: commands without a board start without it.
    from importlib import resources

    return resources.files("ecapipe.render").joinpath(name).read_text(encoding="utf-8")


@cache
def _digest(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_resource(name).encode()).digest()).decode()


def _progress(count: Counter[State], ended: bool) -> str:
    if ended:
        heading, sentence = _outcome(count), "Nothing more happens here. Close this page and go on in the terminal."
    elif count["waiting"] + count["working"]:
        heading, sentence = f"{count['waiting'] + count['working']} of {count.total()} left to sign in", _tally(count)
    elif failed := count["failed"] + count["left"]:
        heading = f"{failed} of {count.total()} could not sign in"
        sentence = "Try again below, or finish without them."
    else:
        heading, sentence = f"All {count.total()} are signed in", "ecapipe goes on by itself."
    # The script moves the focus here when the row that had it is gone.
    return f'<h1 tabindex="-1" id="top">{heading}</h1><p>{sentence}</p>'


def _outcome(count: Counter[State]) -> str:
    if count["failed"] + count["left"]:
        return f"Ended: {count['done']} of {count.total()} signed in"
    return f"Done: all {count.total()} are signed in"


def _tally(count: Counter[State]) -> str:
    """What has become of the logins so far, as far as there is something to tell."""
    numbers = {
        "signed in": count["done"],
        "failed": count["failed"] + count["left"],
        "in progress": count["working"],
    }
    return ", ".join(f"{n} {words}" for words, n in numbers.items() if n) or "Each opens in a tab of its own"


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
    """The one place for answers that do not come by themselves."""
    needed = any(row.state == "waiting" and (row.pasted or row.ends_at) for row in rows)
    # Unfolded for those who need it; on every other board it would only be in the way.
    return (
        f"<details{' open' if needed else ''}><summary>Paste an answer</summary>"
        '<form method="post" action="paste" autocomplete="off"><label for="pasted">After you press Allow, the '
        "browser may end at another page than ecapipe&#39;s. Copy the whole address of that page into this box; "
        "several, in any order, are fine.</label>"
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
    # Folded while somebody could still sign in: it ends the logins of everybody.
    return f"<details><summary>Stop here</summary><p>{_STOP}</p>{form.format('Wait for nobody any more')}</details>"


def _hold(query: Mapping[str, str], ended: bool) -> str:
    """For browsers without scripts: keep the page from loading itself again, which would empty the paste box."""
    if ended:
        return ""
    if "hold" in query:
        link = f'<a href="{escape(_address(query, hold=None))}">Let it load itself again.</a>'
        return f"<noscript><p>This page stands still. {link}</p></noscript>"
    link = f'<a href="{escape(_address(query, hold="1"))}">Hold it still</a>'
    return f"<noscript><p>This page loads itself again every {REFRESH} seconds. {link} to paste.</p></noscript>"
