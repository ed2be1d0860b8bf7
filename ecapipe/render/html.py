"""One page that stands alone: no network, no script, for a phone, a desk and paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Final

from ecapipe import page
from ecapipe.render.report_data import (
    Mark,
    ReportCell,
    ReportColumn,
    ReportData,
    ReportEntry,
    ReportGroup,
    ReportRow,
    Topic,
)
from ecapipe.render.text import plural

_MARKS: Final[Mapping[Mark, str]] = {
    "passed": "✔",
    "note": "ℹ",
    "warning": "⚠",
    "failed": "✘",
    "skipped": "◯",
    "accepted": "☑",
}
_NO_FINDING: Final = "–"
"""The mark of a rule that found nothing: a check mark beside its name would read as what it looks for."""

_MANY: Final = 4
"""Columns; with more, their heads are turned upright."""
_FEW: Final = 5
"""Entries that a group lists with their files; more are folded."""

_STYLE: Final = """
.verdict { font-size: 1.15rem; }
dl { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; margin: .75rem 0 0; }
dl div { display: flex; gap: .4rem; }
dt { flex: none; color: var(--dim); } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; background: var(--card); }
th, td { padding: .4rem .7rem; border: 1px solid var(--line); text-align: left; vertical-align: middle; }
thead th { vertical-align: bottom; font-size: .875rem; overflow-wrap: normal; }
.many thead .column { writing-mode: vertical-rl; transform: rotate(180deg); padding: .7rem .3rem;
  white-space: nowrap; }
tbody th { font-weight: 600; min-width: 12rem; }
tbody .target th { font-weight: 400; padding-left: 1.7rem; }
td.mark { text-align: center; }
td.mark a { display: block; color: inherit; }
.legend { font-size: .875rem; }
.legend span { margin-right: .75rem; white-space: nowrap; }
.passed { color: var(--good); } .warning { color: var(--warn); } .failed, .error { color: var(--bad); }
.skipped, .accepted, .no-finding { color: var(--dim); } .note { color: var(--accent); }
.topic { margin-bottom: 1.5rem; }
article { margin: .5rem 0; padding: .75rem 1rem; border: 1px solid var(--line);
  border-left: .25rem solid currentColor; border-radius: .4rem; background: var(--card); break-inside: avoid; }
article > * { color: var(--ink); }
article .level { color: inherit; font-weight: 600; }
article:target { outline: .15rem solid var(--accent); }
article details { margin-top: .5rem; }
@media screen and (max-width: 44rem) {
  .scroll { overflow: visible; }
  table, tbody, tr, tbody th, td { display: block; background: none; }
  thead, td.empty, td.no-finding { display: none; }
  tr { margin-bottom: .75rem; padding: .6rem .9rem; border: 1px solid var(--line); border-radius: .4rem;
    background: var(--card); }
  th, td, tbody .target th { border: 0; padding: .1rem 0; min-width: 0; }
  td.mark { text-align: left; }
  td.mark .word { position: static; width: auto; height: auto; clip-path: none; white-space: normal; }
}
@media print {
  main { max-width: none; padding: 0; }
  h2 { margin: 1rem 0 .4rem; break-after: avoid; }
  h3 { break-after: avoid; }
  a { color: inherit; text-decoration: none; }
  .scroll { overflow: visible; }
  table { width: 100%; }
  th, td { padding: .1rem .3rem; line-height: 1.3; }
  tbody th { min-width: 0; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  article { padding: .4rem .6rem; }
}
"""


def render(result: ReportData) -> str:
    """The page. Its policy allows nothing but its own style, by hash: what slipped in would neither run nor load."""
    # In a file, where frame-ancestors has no meaning.
    policy = page.policy(_STYLE, frame_ancestors=None)
    head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    head += '\n<meta name="referrer" content="no-referrer">'
    groups = result.groups
    accepted = [group for group in groups if group.first.accepted]
    overview = [
        *_topics("What to do", groups[: len(groups) - len(accepted)], result.topics),
        *_matrix(result, groups),
    ]
    body = "\n".join(
        [
            "<main>",
            *_head(result),
            *overview,
            *_topics("Accepted", accepted, result.topics),
            "<footer>ecapipe explain NAME says more about a rule or problem.</footer>",
            "</main>",
        ]
    )
    project = dict(result.provenance).get("Project")
    title = " - ".join(filter(None, (f"{result.command}: {result.verdict}", project)))
    return page.html(title, body, _STYLE, head=head)


def _head(result: ReportData) -> Iterator[str]:
    yield f"<header><h1>{escape(result.command)}</h1>"
    yield f'<p class="verdict">{escape(result.verdict)}</p><dl>'
    facts = result.provenance
    if result.started_at:
        facts = (("Started", result.started_at), *facts)
    yield from (f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts)
    yield "</dl></header>"


def _matrix(result: ReportData, groups: Iterable[ReportGroup]) -> Iterator[str]:
    """A row per subject, a column per stage, or per rule that found something; marks link to what to do."""
    columns = result.table_columns
    stages = any(column.always for column in columns)
    yield f"<section><h2>{'Apps, orgs and stages' if stages else 'Apps and rules'}</h2>"
    if columns:
        links = {entry: group.number for group in groups for entry in group.entries}
        yield from _table(result.rows, columns, stages, links)
        yield f'<p class="legend">{" ".join(_legend(stages))}</p>'
    if rest := len(result.columns) - len(columns):
        yield f'<p class="passed">✔ {plural(rest, "other rule" if columns else "rule")} found nothing.</p>'
    yield "</section>"


def _legend(stages: bool) -> Iterator[str]:
    words: tuple[Mark, ...] = ("failed", "warning", "note", "accepted")
    if stages:
        words = ("passed", "warning", "failed", "skipped")
    marks: dict[str, str] = {word: _MARKS[word] for word in words}
    if not stages:
        marks["no finding"] = _NO_FINDING
    yield from (f"<span>{mark} {word}</span>" for word, mark in marks.items())


def _table(
    rows: Iterable[ReportRow], columns: Sequence[ReportColumn], stages: bool, links: Mapping[ReportEntry, int]
) -> Iterator[str]:
    kind, subject, result = "", "App", ""
    if len(columns) > _MANY:
        kind = ' class="many"'
    if stages:
        subject, result = "App and org", '<th scope="col">Result</th>'
    heads = [f'<th class="column" scope="col">{escape(column.name)}</th>' for column in columns]
    # Wide tables scroll by themselves, and not the page with them; by the keyboard, too.
    yield f'<div class="scroll" role="region" aria-label="Results" tabindex="0"><table{kind}>'
    yield f'<thead><tr><th scope="col">{subject}</th>{"".join(heads)}{result}</tr></thead>'
    yield "<tbody>"
    yield from (_row(row, columns, stages, links) for row in rows)
    yield "</tbody></table></div>"


def _row(row: ReportRow, columns: Sequence[ReportColumn], stages: bool, links: Mapping[ReportEntry, int]) -> str:
    kind = result = ""
    if row.is_target:
        kind = ' class="target"'
    if stages:
        result = f"<td>{escape(row.note)}</td>"
    cells = "".join(_cell(row.cells.get(column.name), column, links) for column in columns)
    return f'<tr{kind}><th scope="row">{escape(row.subject) or "project"}</th>{cells}{result}</tr>'


def _cell(cell: ReportCell | None, column: ReportColumn, links: Mapping[ReportEntry, int]) -> str:
    if cell is None:
        return '<td class="empty"></td>'
    kind, mark, word = cell.mark, _MARKS[cell.mark], str(cell.mark)
    if kind == "passed" and not column.always:
        no_finding = f'<span aria-hidden="true">{_NO_FINDING}</span><span class="word">no finding</span>'
        return f'<td class="mark no-finding">{no_finding}</td>'
    title = ""
    if cell.reason:
        title = f' title="{escape(cell.reason)}"'
    # On a phone the heads are gone, and the words are shown beside the mark.
    text = f'<span aria-hidden="true">{mark}</span><span class="word"> {word}: {escape(column.title)}</span>'
    if cell.entries:
        text = f'<a href="#g{links[cell.entries[0]]}">{text}</a>'
    return f'<td class="mark {kind}"{title}>{text}</td>'


def _topics(title: str, groups: Sequence[ReportGroup], topics: Mapping[str, Topic]) -> Iterator[str]:
    """A section for each rule or problem: what it means, once, and its groups."""
    if not groups:
        return
    yield f"<section><h2>{title}</h2>"
    for name, each in groupby(groups, key=lambda group: group.first.name):
        yield f'<section class="topic"><h3>{escape(name)}</h3>'
        if topic := topics.get(name):
            yield f'<p class="dim">{escape(topic.means)}</p>'
        for group in each:
            yield from _group(group)
        yield "</section>"
    yield "</section>"


def _group(group: ReportGroup) -> Iterator[str]:
    first = group.first
    subjects = group.subjects
    about = " · ".join((first.level, *subjects[:1]))
    if len(subjects) > 1:
        about = f"{first.level} · {plural(len(subjects), 'login' if '@' in first.subject else 'app')}"
    yield f'<article class="{first.level}" id="g{group.number}">'
    yield f'<p class="level">{escape(about)}</p>'
    yield f"<p>{escape(first.message)}</p>"
    if len(subjects) > 1:
        yield f"<p>The same for {escape(', '.join(subjects[1:]))}.</p>"
    if first.actions:
        yield f"<ul>{''.join(f'<li>{escape(action)}</li>' for action in first.actions)}</ul>"
    yield from _places(group)
    yield "</article>"


def _places(group: ReportGroup) -> Iterator[str]:
    """The files of a group; folded, and so not printed, where there are more than few."""
    places = list(dict.fromkeys(entry.location for entry in group.entries if entry.location))
    lines = [f"<div><code>{escape(place)}</code></div>" for place in places]
    if len(places) > _FEW:
        yield f"<details><summary>{plural(len(places), 'place')}</summary>"
        yield from lines
        yield "</details>"
    else:
        yield from lines
