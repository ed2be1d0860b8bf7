"""The HTML of the board: the page on which people sign in to several orgs.

Rendered here, so that it works without a script; `board.js` only puts in place what has changed.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final, assert_never
from urllib.parse import quote, urlencode

from ecapipe import __version__
from ecapipe.render.board_row import BoardRow, State
from ecapipe.render.text import clean

REFRESH: Final = 5
"""Seconds after which the page loads itself again where there is no script."""

_MANY: Final = 10
"""Rows; a page of more has a search field."""

_MARKS: Final[Mapping[State, str]] = {"waiting": "▸", "working": "◌", "failed": "✘", "done": "✔", "left": "◯"}

# A row that is being worked on keeps its place: only its end moves it, so that nothing jumps under a pointer.
_RANKS: Final[Mapping[State, int]] = {"waiting": 0, "working": 0, "failed": 1, "left": 1, "done": 2}
"""Order of the rows: open ones first."""


@dataclass(frozen=True, slots=True)
class _Filter:
    """A choice of rows: its label, and the states of the rows it shows."""

    label: str
    states: frozenset[State]


_FILTERS: Final[Mapping[str, _Filter]] = {
    "": _Filter("All", frozenset(_RANKS)),
    "open": _Filter("To do", frozenset({"waiting", "working"})),
    "failed": _Filter("Not signed in", frozenset({"failed", "left"})),
    "done": _Filter("Signed in", frozenset({"done"})),
}
"""By the value of the query parameter ``show``."""

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
    yield f'<p id="said" data-live role="status">{_escape(board.message)}</p>'
    # data-typed: people may be typing there, so the script leaves the element alone unless it comes or goes.
    yield f'<div id="answer" data-live data-typed>{answer}</div>'
    yield f'<nav id="choice" data-live aria-label="Rows shown">{choice}</nav>'
    yield f'<div id="search" data-live data-typed>{search}</div>'
    yield '<table><thead><tr><th scope="col">App and org</th><th scope="col">Status</th>'
    yield '<th scope="col">What to do</th></tr></thead><tbody id="rows" data-live>'
    yield from _table(rows, query, board.ended)
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


def _escape(text: str) -> str:
    """Text from anywhere, for anywhere in the page."""
    return escape(clean(text))


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
    for key, choice in _FILTERS.items():
        current = ""
        if key == _show(query):
            current = ' aria-current="true"'
        number = sum(count[state] for state in choice.states)
        address = escape(_address(query, show=key))
        links.append(f'<a id="show-{key}" href="{address}"{current}>{choice.label} <b>{number}</b></a>')
    return " ".join(links)


def _show(query: Mapping[str, str]) -> str:
    """The chosen filter; anything that is not one, as somebody may write into the address, counts as all."""
    show = query.get("show", "")
    return show if show in _FILTERS else ""


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
        f'<form role="search" action="."><input type="hidden" name="show" value="{escape(_show(query))}">{hold}'
        f'<label for="find">Find</label> <input type="search" id="find" name="find" value="'
        f'{_escape(query.get("find", ""))}" autocomplete="off" placeholder="app, org, host or user">'
        "<noscript><button>Find</button></noscript></form>"
    )


def _table(rows: Sequence[BoardRow], query: Mapping[str, str], ended: bool) -> Iterator[str]:
    selection = [row for row in rows if _matches(row, query)]
    rivals = _rivals(rows)
    for row in sorted(selection, key=lambda row: (_RANKS[row.state], row.number)):
        yield _row(row, rivals.get(row.number, ()), ended)
    if not selection:
        yield f'<tr id="row-0" class="none"><td colspan="3">{"Nothing here." if rows else "No link yet."}</td></tr>'


def _matches(row: BoardRow, query: Mapping[str, str]) -> bool:
    """Whether the row is of the chosen kind, and has the text to find in it."""
    text = f"{row.subject}\n{row.host}\n{row.user}\n{row.words}".casefold()
    return row.state in _FILTERS[_show(query)].states and query.get("find", "").strip().casefold() in text


def _rivals(rows: Iterable[BoardRow]) -> dict[int, list[BoardRow]]:
    """For each login that is to come, by its number, the others that a browser would mix up with it."""
    # Hosts of one org share their first label (acme.my.salesforce.com, acme.lightning.force.com).
    by_org: dict[tuple[str, str | None], list[BoardRow]] = {}
    for row in rows:
        if row.state == "waiting":
            by_org.setdefault((row.host.partition(".")[0], row.browser), []).append(row)
    return {
        row.number: [other for other in group if _mixes_up(row, other)] for group in by_org.values() for row in group
    }


def _mixes_up(row: BoardRow, other: BoardRow) -> bool:
    """Whether a browser would take the session of one login of an org for the other's."""
    # A browser has one session per host; on another host of the org only another user is a matter.
    return other is not row and (other.host == row.host or other.user != row.user)


def _row(row: BoardRow, rivals: Sequence[BoardRow], ended: bool) -> str:
    app, org = _escape(row.subject.app or ""), _escape(row.subject.org or "")
    user = ""
    if row.user:
        user = f'<span class="user">as <bdi>{_escape(row.user)}</bdi></span>'
    if ended:
        advice = _remedy(row)
    else:
        advice = _advice(row, rivals, f"{app} in {org}")
    # bdi: a name in a right-to-left script must not turn the text around it.
    return (
        f'<tr id="row-{row.number}" class="{row.state}" tabindex="-1"><th scope="row"><span class="name"><bdi>{app}'
        f'</bdi> <span class="at">in</span> <bdi class="org">{org}</bdi></span> <span class="host">'
        f"<bdi>{_escape(row.host)}</bdi>{user}</span></th>"
        f'<td class="state"><span class="mark" aria-hidden="true">{_MARKS[row.state]}</span>{_status(row)}</td>'
        f'<td class="do">{advice}</td></tr>'
    )


def _status(row: BoardRow) -> str:
    match row.state:
        case "waiting":
            return '<span class="unopened">Waiting for you</span><span class="opened">Opened in a tab</span>'
        case "working":
            return f"{_escape(row.words)}…"
        case "failed":
            return f"Failed: <b>{_escape(row.problem.name if row.problem else '')}</b>"
        case "done":
            return f"Signed in <bdi>{_escape(row.words)}</bdi>"
        case "left":
            return "Not signed in"
        case _:
            assert_never(row.state)


def _advice(row: BoardRow, rivals: Sequence[BoardRow], login: str) -> str:
    """What can be done about a row now; `login` names it to screen readers, for which buttons would be alike."""
    match row.state:
        case "waiting":
            return f'<div class="acts">{_sign_in(row, login)}</div>{_callback_hint(row)}{_clash(rivals)}'
        case "failed":
            return (
                f'{_remedy(row)}<form method="post" action="retry"><input type="hidden" name="row" '
                f'value="{row.number}"><button id="retry-{row.number}">Try again'
                f'<span class="word"> for {login}</span></button></form>'
            )
        case _:
            return _warning(row)


def _sign_in(row: BoardRow, login: str) -> str:
    link = ""
    # Whatever else a file may have made of it, such as javascript:, must not become a link.
    if row.link.startswith(("https://", "http://")):
        link = escape(row.link)
    launch = here = quiet = ""
    if row.browser:
        launch = (
            f'<form method="post" action="open"><input type="hidden" name="row" value="{row.number}">'
            f'<button id="launch-{row.number}">Sign in with {_escape(row.browser.capitalize())}'
            f'<span class="word"> to {login}</span></button></form>'
        )
        here, quiet = " here", " quiet"
    # noopener: the page of the org must not get hold of this one. The copy button is hidden where there is no script.
    return (
        f'{launch}<a class="button{quiet}" id="open-{row.number}" href="{link}" target="_blank" '
        f'rel="noopener noreferrer">Sign in{here}<span class="word"> to {login}, in a new tab</span></a>'
        f'<button type="button" class="quiet" id="copy-{row.number}" data-copy="{link}" hidden>Copy link'
        f'<span class="word"> of {login}</span></button>'
    )


def _warning(row: BoardRow) -> str:
    if not row.warning:
        return ""
    return f'<p class="clash"><span aria-hidden="true">⚠</span> {_escape(row.warning)}</p>'


def _remedy(row: BoardRow) -> str:
    """Why a login failed, and what mends it; without a failure, what it warned of."""
    if row.problem is None:
        return _warning(row)
    actions = "".join(f"<li>{_escape(action)}</li>" for action in row.problem.actions)
    if actions:
        actions = f"<ul>{actions}</ul>"
    return f"<p>{_escape(row.problem.message)}</p>{actions}"


def _callback_hint(row: BoardRow) -> str:
    if row.ends_at:
        return f'<p class="hint">It ends at <bdi>{_escape(row.ends_at)}</bdi>: paste that address above.</p>'
    if row.pasted:
        return '<p class="hint">It ends at a page that does not load: paste its address above.</p>'
    return ""


def _clash(rivals: Sequence[BoardRow]) -> str:
    if not rivals:
        return ""
    others = f"<bdi>{_escape(str(rivals[0].subject))}</bdi>"
    if len(rivals) > 1:
        others += f" and {len(rivals) - 1} more"
    return (
        f'<p class="clash"><span aria-hidden="true">⚠</span> One browser would mix this up with {others}: sign in to '
        "one after the other, or use a private window or another browser.</p>"
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
