"""The board: the page on which people sign in to several orgs."""

from __future__ import annotations

import base64
import hashlib
import math
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from html import escape
from typing import Final, Literal, assert_never
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from ecapipe import __version__
from ecapipe.events import (
    AppDescribed,
    Event,
    Note,
    RunEnded,
    RunPlanned,
    RunStarted,
    StageEnded,
    StageNoted,
    StageStarted,
    Subject,
    SubjectFinished,
)
from ecapipe.problems.problem import INTERRUPTED, Problem
from ecapipe.render.text import clean

State = Literal["waiting", "working", "failed", "done", "left"]
"""``left``: the run ended before somebody signed in."""

REFRESH: Final = 5
"""Seconds after which the page loads itself again where there is no script."""

_MANY: Final = 10
"""Rows; more can be searched."""

_MARKS: Final[Mapping[State, str]] = {"waiting": "▸", "working": "◌", "failed": "✘", "done": "✔", "left": "◯"}
_RANKS: Final[Mapping[State, int]] = {"waiting": 0, "working": 0, "failed": 1, "left": 1, "done": 2}
"""What is left to do comes first; a row moves only when it has ended."""

_SHOWN: Final[Mapping[str, tuple[str, frozenset[State]]]] = {
    "": ("All", frozenset(_RANKS)),
    "open": ("To do", frozenset({"waiting", "working"})),
    "failed": ("Not signed in", frozenset({"failed", "left"})),
    "done": ("Signed in", frozenset({"done"})),
}
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})

_STOP: Final = "What is signed in stays so. The rest ends, and can be done in another run."
_ICON: Final = quote(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#0b5cab"/>'
    '<path d="m4 8.5 2.8 2.8L12.2 5" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A web login as the page shows it. `link` is the authorize URL, of which host, user and callback are read."""

    number: int
    subject: Subject
    link: str
    state: State = "waiting"
    pasted: bool = False
    """Its answer has to be pasted."""
    browser: str | None = None
    """The browser that is meant for it, and can be opened here."""
    words: str = ""
    warning: str = ""
    problem: Problem | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.link).netloc

    @property
    def user(self) -> str | None:
        """Who is expected to sign in."""
        return self._asked("login_hint")

    @property
    def ends_at(self) -> str | None:
        """Where the browser ends, if that is no address of this machine."""
        callback = urlsplit(self._asked("redirect_uri") or "")
        return callback.netloc or callback.scheme if callback.hostname not in _LOOPBACK else None

    def _asked(self, name: str) -> str | None:
        return parse_qs(urlsplit(self.link).query).get(name, [None])[0]


class BoardView:
    """An `Emit` that keeps a row for each login with a link, and the page of them; see
    `ecapipe.adapters.network.board_server.BoardServer`.

    Told by one thread, read by any.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._rows: dict[Subject, BoardRow] = {}
        self._said = ""
        self._ended = False

    def __call__(self, event: Event) -> None:
        with self._changed:
            if self._fold(event):
                self._tell()

    @property
    def rows(self) -> tuple[BoardRow, ...]:
        """In the order in which the links came."""
        with self._changed:
            return tuple(self._rows.values())

    @property
    def policy(self) -> str:
        """The Content-Security-Policy of the page: its own style and script, by hash, and its own forms."""
        return (
            f"default-src 'none'; style-src '{_digest('board.css')}'; script-src '{_digest('board.js')}'; "
            "connect-src 'self'; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )

    def wait(self, version: int, seconds: float) -> None:
        """Until the page has another version than `version`, or for so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, seconds)

    def say(self, sentence: str) -> None:
        """Show what became of something that somebody did on the page."""
        with self._changed:
            self._said = sentence
            self._tell()

    def end(self) -> None:
        """Say for good that nothing more will happen."""
        self(RunEnded(False, 0))

    def subject(self, number: str) -> Subject | None:
        """The login of the row with this number."""
        return next((row.subject for row in self.rows if str(row.number) == number), None)

    def page(self, asked: Mapping[str, str], left: float) -> str:
        """The page, `left` seconds before the last login is given up.

        `asked`: ``show`` and ``find`` choose rows; ``hold`` keeps the page from loading itself again.
        """
        body = "\n".join(self._body(asked, left))
        hold = "hold" in asked or self._ended
        refresh = "" if hold else f'<noscript><meta http-equiv="refresh" content="{REFRESH}"></noscript>'
        return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{escape(self._title())}</title>
<link rel="icon" href="data:image/svg+xml,{_ICON}">
{refresh}
<style>{_text("board.css")}</style>
</head>
<body>
{body}
<script>{_text("board.js")}</script>
</body>
</html>
"""

    def parts(self, asked: Mapping[str, str], left: float) -> str:
        """What of the page changes: its title and the elements with ``data-live``, for the script to put in place."""
        return "\n".join([f"<title>{escape(self._title())}</title>", *self._body(asked, left)])

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def _fold(self, event: Event) -> bool:
        """Take an event in; whether the page shows anything of it."""
        match event:
            case StageNoted():
                return self._note(event.subject, event.note)
            case StageStarted():
                return self._change(event.subject, state="working", words=event.stage.title, problem=None)
            case StageEnded() if event.problem and event.problem.exit_code == INTERRUPTED:
                return self._change(event.subject, state="left", words="")
            case StageEnded() if event.problem:
                return self._change(event.subject, state="failed", words="", problem=event.problem)
            case StageEnded() if event.outcome == "warning":
                return self._change(event.subject, warning=event.reason or "")
            case SubjectFinished():
                who = event.login and (event.login.username or event.login.user_id)
                return self._change(event.subject, state="done", words=who or "")
            case RunEnded():
                self._ended = True
                for row in self._rows.values():
                    if row.state in ("waiting", "working"):
                        self._change(row.subject, state="left", words="")
                return True
            case StageEnded() | RunStarted() | RunPlanned() | AppDescribed():
                return False
            case _:
                assert_never(event)

    def _note(self, subject: Subject, note: Note) -> bool:
        row = self._rows.get(subject)
        if note.kind in ("link", "offer") and subject.app and subject.org:
            number = row.number if row else len(self._rows) + 1
            self._rows[subject] = BoardRow(number, subject, note.text, pasted=note.pasted, browser=note.browser)
            return True
        if note.kind == "asking":
            return self._change(subject, pasted=True)
        return row is not None and row.state == "working" and self._change(subject, words=note.text)

    def _change(self, subject: Subject, **changes: object) -> bool:
        """Change the row of a login, if it has one."""
        if row := self._rows.get(subject):
            self._rows[subject] = replace(row, **changes)  # type: ignore[arg-type]  # names of its fields
        return row is not None

    def _title(self) -> str:
        rows = self.rows
        left = sum(row.state in ("waiting", "working") for row in rows)
        return "Ended - ecapipe" if self._ended else f"{left} of {len(rows)} left - ecapipe"

    def _body(self, asked: Mapping[str, str], left: float) -> Iterator[str]:
        with self._changed:
            rows, said, ended, version = tuple(self._rows.values()), self._said, self._ended, self._version
        count = Counter(row.state for row in rows)
        verdict = "" if not ended else "good" if count.total() == count["done"] else "bad"
        yield f'<main data-version="{version}" class="{verdict}"{" data-ended" if ended else ""}>'
        yield '<p id="lost" role="alert" hidden>ecapipe no longer answers: it has ended, or the way to it is closed. '
        yield "Look at its terminal. Do not sign in from here now: nobody may wait for it.</p>"
        yield f'<header><div id="progress" data-live role="status">{_progress(count, ended)}</div>'
        yield f'<p id="time" data-live>{"" if ended else _time(left)}</p>'
        yield f'<div id="bar" data-live aria-hidden="true">{_bar(count)}</div></header>'
        yield f'<p id="said" data-live role="status">{_text_of(said)}</p>'
        yield f'<div id="answer" data-live data-typed>{"" if ended else _paste(rows)}</div>'
        yield f'<nav id="choice" data-live aria-label="Rows shown">{"" if ended else _choice(count, asked)}</nav>'
        many = len(rows) > _MANY and not ended
        yield f'<div id="search" data-live data-typed>{_search(asked) if many else ""}</div>'
        yield '<table><thead><tr><th scope="col">App and org</th><th scope="col">Status</th>'
        yield '<th scope="col">What to do</th></tr></thead><tbody id="rows" data-live>'
        yield from _table(rows, asked, ended)
        yield "</tbody></table>"
        yield f'<div id="finish" data-live data-typed>{_finish(count, ended)}</div>'
        yield _still(asked, ended)
        yield f"<footer>ecapipe {escape(__version__)}, on this machine only. Your passwords go to your orgs alone."
        yield "</footer></main>"


@cache
def _text(name: str) -> str:
    from importlib import resources  # only a page that is shown needs it

    return resources.files("ecapipe.render").joinpath(name).read_text(encoding="utf-8")


@cache
def _digest(name: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(_text(name).encode()).digest()).decode()


def _text_of(text: str) -> str:
    """Text from anywhere, for anywhere in the page."""
    return escape(clean(text))


def _progress(count: Counter[State], ended: bool) -> str:
    total, failed = count.total(), count["failed"] + count["left"]
    if ended:
        heading = f"Ended: {count['done']} of {total} signed in" if failed else f"Done: all {total} are signed in"
        sentence = "Nothing more happens here. Close this page and go on in the terminal."
    elif open := count["waiting"] + count["working"]:
        heading = f"{open} of {total} left to sign in"
        counted = ((count["done"], "signed in"), (failed, "failed"), (count["working"], "in progress"))
        sentence = ", ".join(f"{many} {words}" for many, words in counted if many) or "Each opens in a tab of its own"
    elif failed:
        heading, sentence = f"{failed} of {total} could not sign in", "Try again below, or finish without them."
    else:
        heading, sentence = f"All {total} are signed in", "ecapipe goes on by itself."
    return f'<h1 tabindex="-1" id="top">{heading}</h1><p>{sentence}</p>'


def _time(seconds: float) -> str:
    return "Less than a minute left" if seconds <= 60 else f"{math.ceil(seconds / 60)} minutes left"


def _bar(count: Counter[State]) -> str:
    """How far it has come, for the eye; the words beside it say the same."""
    parts, at = [], 0
    many = {"done": count["done"], "failed": count["failed"] + count["left"], "working": count["working"]}
    for kind, width in many.items():
        parts.append(f'<rect class="{kind}" x="{at}" width="{width}" height="1"/>')
        at += width
    return f'<svg viewBox="0 0 {max(count.total(), 1)} 1" preserveAspectRatio="none">{"".join(parts)}</svg>'


def _paste(rows: Iterable[BoardRow]) -> str:
    """The one place for answers that do not come by themselves."""
    needed = any(row.state == "waiting" and (row.pasted or row.ends_at) for row in rows)
    return (
        f"<details{' open' if needed else ''}><summary>Paste an answer</summary>"
        '<form method="post" action="paste" autocomplete="off"><label for="pasted">After you press Allow, the '
        "browser may end at another page than ecapipe&#39;s. Copy the whole address of that page into this box; "
        "several, in any order, are fine.</label>"
        '<div class="line"><textarea id="pasted" name="pasted" rows="1" required spellcheck="false" '
        'autocapitalize="off" autocomplete="off"></textarea>'
        '<button id="take">Send</button></div></form></details>'
    )


def _choice(count: Counter[State], asked: Mapping[str, str]) -> str:
    links = []
    for key, (label, states) in _SHOWN.items():
        many = sum(count[state] for state in states)
        here = ' aria-current="true"' if key == _shown(asked) else ""
        links.append(f'<a id="show-{key}" href="{escape(_query(asked, show=key))}"{here}>{label} <b>{many}</b></a>')
    return " ".join(links)


def _shown(asked: Mapping[str, str]) -> str:
    return asked.get("show", "") if asked.get("show") in _SHOWN else ""


def _query(asked: Mapping[str, str], **changes: str | None) -> str:
    kept = {name: asked.get(name) for name in ("show", "find", "hold")} | changes
    return "?" + urlencode({name: value for name, value in kept.items() if value}, errors="replace")


def _search(asked: Mapping[str, str]) -> str:
    show = escape(_shown(asked))
    hold = '<input type="hidden" name="hold" value="1">' if "hold" in asked else ""
    return (
        f'<form role="search" action="."><input type="hidden" name="show" value="{show}">{hold}'
        f'<label for="find">Find</label> <input type="search" id="find" name="find" value="'
        f'{_text_of(asked.get("find", ""))}" autocomplete="off" placeholder="app, org, host or user">'
        "<noscript><button>Find</button></noscript></form>"
    )


def _table(rows: Sequence[BoardRow], asked: Mapping[str, str], ended: bool) -> Iterator[str]:
    states = _SHOWN[_shown(asked)][1]
    word = asked.get("find", "").strip().casefold()
    rivals = _rivals(rows)
    shown = 0
    for row in sorted(rows, key=lambda row: (_RANKS[row.state], row.number)):
        if row.state in states and word in f"{row.subject}\n{row.host}\n{row.user}\n{row.words}".casefold():
            shown += 1
            yield _row(row, rivals.get(row.number, ()), ended)
    if not shown:
        yield f'<tr id="row-0" class="none"><td colspan="3">{"Nothing here." if rows else "No link yet."}</td></tr>'


def _rivals(rows: Iterable[BoardRow]) -> dict[int, list[BoardRow]]:
    """For each login that is to come, the others that a browser would mix up with it.

    A browser has one session a host. Hosts of one org, which share the first label, are a matter only of who is
    expected there.
    """
    waiting = [row for row in rows if row.state == "waiting"]
    by_org: dict[tuple[str, str | None], list[BoardRow]] = {}
    for row in waiting:
        by_org.setdefault((row.host.partition(".")[0], row.browser), []).append(row)
    return {
        row.number: [
            other for other in near if other is not row and (other.host == row.host or other.user != row.user)
        ]
        for near in by_org.values()
        for row in near
    }


def _row(row: BoardRow, rivals: Sequence[BoardRow], ended: bool) -> str:
    app, org = _text_of(row.subject.app or ""), _text_of(row.subject.org or "")
    user = f'<span class="user">as <bdi>{_text_of(row.user)}</bdi></span>' if row.user else ""
    return (
        f'<tr id="row-{row.number}" class="{row.state}" tabindex="-1"><th scope="row"><span class="name"><bdi>{app}'
        f'</bdi> <span class="at">in</span> <bdi class="org">{org}</bdi></span> <span class="host">'
        f"<bdi>{_text_of(row.host)}</bdi>{user}</span></th>"
        f'<td class="state"><span class="mark" aria-hidden="true">{_MARKS[row.state]}</span>{_status(row)}</td>'
        f'<td class="do">{_to_do(row, rivals, f"{app} in {org}") if not ended else _to_mend(row)}</td></tr>'
    )


def _status(row: BoardRow) -> str:
    match row.state:
        case "waiting":
            return '<span class="unopened">Waiting for you</span><span class="opened">Opened in a tab</span>'
        case "working":
            return f"{_text_of(row.words)}…"
        case "failed":
            return f"Failed: <b>{_text_of(row.problem.name if row.problem else '')}</b>"
        case "done":
            return f"Signed in <bdi>{_text_of(row.words)}</bdi>"
        case "left":
            return "Not signed in"
        case _:
            assert_never(row.state)


def _to_do(row: BoardRow, rivals: Sequence[BoardRow], what: str) -> str:
    if row.state == "failed":
        return (
            f'{_to_mend(row)}<form method="post" action="retry"><input type="hidden" name="row" value="{row.number}">'
            f'<button id="retry-{row.number}">Try again<span class="word"> for {what}</span></button></form>'
        )
    if row.state != "waiting":
        return _warning(row)
    link = escape(row.link) if row.link.startswith(("https://", "http://")) else ""
    launch, here, quiet = "", "", ""
    if row.browser:
        launch = (
            f'<form method="post" action="open"><input type="hidden" name="row" value="{row.number}">'
            f'<button id="launch-{row.number}">Sign in with {_text_of(row.browser.capitalize())}'
            f'<span class="word"> to {what}</span></button></form>'
        )
        here, quiet = " here", " quiet"
    return (
        f'<div class="acts">{launch}<a class="button{quiet}" id="open-{row.number}" href="{link}" target="_blank" '
        f'rel="noopener noreferrer">Sign in{here}<span class="word"> to {what}, in a new tab</span></a>'
        f'<button type="button" class="quiet" id="copy-{row.number}" data-copy="{link}" hidden>Copy link'
        f'<span class="word"> of {what}</span></button></div>{_where_it_ends(row)}{_clash(rivals)}'
    )


def _warning(row: BoardRow) -> str:
    warning = f'<span aria-hidden="true">⚠</span> {_text_of(row.warning)}'
    return f'<p class="clash">{warning}</p>' if row.warning else ""


def _to_mend(row: BoardRow) -> str:
    if row.problem is None:
        return _warning(row)
    actions = "".join(f"<li>{_text_of(action)}</li>" for action in row.problem.actions)
    return f"<p>{_text_of(row.problem.message)}</p>{f'<ul>{actions}</ul>' if actions else ''}"


def _where_it_ends(row: BoardRow) -> str:
    if row.ends_at:
        return f'<p class="hint">It ends at <bdi>{_text_of(row.ends_at)}</bdi>: paste that address above.</p>'
    if row.pasted:
        return '<p class="hint">It ends at a page that does not load: paste its address above.</p>'
    return ""


def _clash(rivals: Sequence[BoardRow]) -> str:
    if not rivals:
        return ""
    first, more = _text_of(str(rivals[0].subject)), len(rivals) - 1
    others = f"<bdi>{first}</bdi>{f' and {more} more' if more else ''}"
    return (
        f'<p class="clash"><span aria-hidden="true">⚠</span> One browser would mix this up with {others}: sign in to '
        "one after the other, or use a private window or another browser.</p>"
    )


def _finish(count: Counter[State], ended: bool) -> str:
    if ended or not count.total() - count["done"]:
        return ""
    form = '<form method="post" action="finish"><button id="end" class="stop">{}</button></form>'
    if not count["waiting"] + count["working"]:
        return form.format("Finish without them")
    return f"<details><summary>Stop here</summary><p>{_STOP}</p>{form.format('Wait for nobody any more')}</details>"


def _still(asked: Mapping[str, str], ended: bool) -> str:
    """For browsers without scripts."""
    if ended:
        return ""
    if "hold" in asked:
        link = f'<a href="{escape(_query(asked, hold=None))}">Let it load itself again.</a>'
        return f"<noscript><p>This page stands still. {link}</p></noscript>"
    link = f'<a href="{escape(_query(asked, hold="1"))}">Hold it still</a>'
    return f"<noscript><p>This page loads itself again every {REFRESH} seconds. {link} to paste.</p></noscript>"
