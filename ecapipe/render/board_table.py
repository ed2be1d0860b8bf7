"""The table of the board: a row for each login, its state, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final, assert_never

from ecapipe.render.board_row import BoardRow, State
from ecapipe.render.text import clean

_MARKS: Final[Mapping[State, str]] = {"waiting": "▸", "working": "◌", "failed": "✘", "done": "✔", "left": "◯"}

# A row that is being worked on keeps its place: only its end moves it, so that nothing jumps under a pointer.
_RANKS: Final[Mapping[State, int]] = {"waiting": 0, "working": 0, "failed": 1, "left": 1, "done": 2}
"""Order of the rows: open ones first."""

_NAMED: Final = 5
"""Logins that a note names; more are counted."""


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """A choice of rows: its label, and the states of the rows it shows."""

    label: str
    states: frozenset[State]


FILTERS: Final[Mapping[str, BoardFilter]] = {
    "": BoardFilter("All", frozenset(_RANKS)),
    "open": BoardFilter("To do", frozenset({"waiting", "working"})),
    "failed": BoardFilter("Failed", frozenset({"failed", "left"})),
    "done": BoardFilter("Signed in", frozenset({"done"})),
}
"""By the value of the query parameter ``show``."""


def escape_text(text: str) -> str:
    """Text from anywhere, for anywhere in the page."""
    return escape(clean(text))


def selected_filter(query: Mapping[str, str]) -> str:
    """The chosen filter; anything that is not one, as somebody may write into the address, counts as all."""
    show = query.get("show", "")
    return show if show in FILTERS else ""


def render(rows: Sequence[BoardRow], query: Mapping[str, str], ended: bool) -> Iterator[str]:
    selection = [row for row in rows if _matches(row, query)]
    rivals = _rivals(rows)
    for row in sorted(selection, key=lambda row: (_RANKS[row.state], row.number)):
        yield _row(row, rivals.get(row.number, ()), ended)
    if not selection:
        words = "No matching sign-ins." if rows else "No sign-in link yet."
        yield f'<tr id="row-0" class="none"><td colspan="3">{words}</td></tr>'


def notes(rows: Sequence[BoardRow]) -> Iterator[str]:
    """What to know of several logins, once for all of them: which ones a browser would mix up, and warnings."""
    logins = {row.number: f"<bdi>{escape_text(str(row.subject))}</bdi>" for row in rows}
    groups = {frozenset({number, *(other.number for other in others)}) for number, others in _rivals(rows).items()}
    # A group within a larger one says nothing more.
    clashes = [one for one in groups if len(one) > 1 and not any(one < other for other in groups)]
    for numbers in sorted(map(sorted, clashes)):
        yield _note(
            f"One browser session can mix up {_several([logins[number] for number in numbers])}. "
            "Sign in to one after the other, or use a private window or another browser."
        )
    warnings: dict[str, list[str]] = {}
    for row in rows:
        if row.warning:
            warnings.setdefault(row.warning, []).append(logins[row.number])
    for warning, names in warnings.items():
        yield _note(f"{_several(names)}: {escape_text(warning)}")


def _note(markup: str) -> str:
    return f'<p class="clash"><span aria-hidden="true">⚠</span> {markup}</p>'


def _several(names: Sequence[str]) -> str:
    if len(names) > _NAMED:
        return f"{', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return ", ".join(names)


def _matches(row: BoardRow, query: Mapping[str, str]) -> bool:
    """Whether the row is of the chosen kind, and has the text to find in it."""
    text = f"{row.subject}\n{row.host}\n{row.user}\n{row.words}".casefold()
    return row.state in FILTERS[selected_filter(query)].states and query.get("find", "").strip().casefold() in text


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
    app, org = escape_text(row.subject.app or ""), escape_text(row.subject.org or "")
    user = ""
    if row.user:
        user = f'<span class="user">as <bdi>{escape_text(row.user)}</bdi></span>'
    if ended:
        advice = "<p>Run again with --resume.</p>" if row.state == "left" else _remedy(row, retry=False)
    else:
        advice = _advice(row, rivals, f"{app} in {org}")
    # bdi: a name in a right-to-left script must not turn the text around it.
    return (
        f'<tr id="row-{row.number}" class="{row.state}" tabindex="-1"><th scope="row"><span class="name"><bdi>{app}'
        f'</bdi> <span class="at">in</span> <bdi class="org">{org}</bdi></span> <span class="host">'
        f"<bdi>{escape_text(row.host)}</bdi>{user}</span></th>"
        f'<td class="state"><span class="mark" aria-hidden="true">{_MARKS[row.state]}</span>{_status(row)}</td>'
        f'<td class="do">{advice}</td></tr>'
    )


def _status(row: BoardRow) -> str:
    match row.state:
        case "waiting":
            return '<span class="unopened">Waiting for you</span><span class="opened">Opened in a tab</span>'
        case "working":
            return f"{escape_text(row.words)}…"
        case "failed":
            return f"Failed: <b>{escape_text(row.problem.name if row.problem else '')}</b>"
        case "done":
            return f"Signed in <bdi>{escape_text(row.words)}</bdi>"
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
                f'{_remedy(row, retry=True)}<form method="post" action="retry"><input type="hidden" name="row" '
                f'value="{row.number}"><button id="retry-{row.number}">Try again'
                f'<span class="word"> for {login}</span></button></form>'
            )
        case _:
            return ""


def _sign_in(row: BoardRow, login: str) -> str:
    link = ""
    # Whatever else a file may have made of it, such as javascript:, must not become a link.
    if row.link.startswith(("https://", "http://")):
        link = escape(row.link)
    launch = here = quiet = ""
    if row.browser:
        launch = (
            f'<form method="post" action="open"><input type="hidden" name="row" value="{row.number}">'
            f'<button id="launch-{row.number}">Sign in with {escape_text(row.browser.capitalize())}'
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


def _remedy(row: BoardRow, *, retry: bool) -> str:
    """Why a login failed, and how to fix it; `retry`: beside a button that starts it again."""
    if row.problem is None:
        return ""
    actions = "".join(f"<li>{escape_text(_worded(action, retry))}</li>" for action in row.problem.actions)
    if actions:
        actions = f"<ul>{actions}</ul>"
    return f"<p>{escape_text(row.problem.message)}</p>{actions}"


def _worded(action: str, retry: bool) -> str:
    """An action as it is done here: beside the button to try again, nobody has to run anything."""
    if not retry:
        return action
    return action.replace("Run again", "Try again").replace("run again", "try again")


def _callback_hint(row: BoardRow) -> str:
    if row.ends_at:
        return f'<p class="hint">It ends at <bdi>{escape_text(row.ends_at)}</bdi>: paste that URL above.</p>'
    if row.pasted:
        return '<p class="hint">It ends at a page that doesn&#39;t load: paste its URL above.</p>'
    return ""


def _clash(rivals: Sequence[BoardRow]) -> str:
    """A mark on the row; `notes` has the words, once."""
    if not rivals:
        return ""
    return _note("Shares a browser session: see above.")
