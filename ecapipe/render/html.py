"""One page that stands alone: no network, no script, for a phone, a desk and paper."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from typing import Final

from ecapipe import __version__
from ecapipe.render.report_data import ReportCell, ReportColumn, ReportData, ReportEntry, ReportRow
from ecapipe.render.text import plural

_MARKS: Final = {"passed": "✔", "note": "ℹ", "warning": "⚠", "failed": "✘", "skipped": "◯", "accepted": "☑"}
_MANY: Final = 6
"""Columns; with more, their heads are turned upright."""

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1d2733; --dim: #5b6875; --line: #d5dbe1; --ground: #fff; --soft: #f4f6f8;
  --passed: #1a7f45; --warning: #946200; --failed: #c42b2b; --note: #2a66b5; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --dim: #9aa7b3; --line: #37424d; --ground: #14191f;
  --soft: #1d252d; --passed: #53c27f; --warning: #dfae42; --failed: #ff8078; --note: #7db3f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 3rem; max-width: 76rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { margin: 0; font-size: 1.5rem; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.15rem; }
h3 { margin: 0; font-size: 1rem; }
p { margin: .25rem 0; }
code { font: .9em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
footer, .dim { color: var(--dim); }
footer { margin-top: 3rem; font-size: .875rem; }
.verdict { font-size: 1.15rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { padding: .4rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: middle; }
thead th { vertical-align: bottom; font-size: .875rem; font-weight: 600; }
.many thead .column { writing-mode: vertical-rl; transform: rotate(180deg); padding: .7rem .3rem;
  text-align: left; white-space: nowrap; }
tbody th { font-weight: 600; overflow-wrap: anywhere; min-width: 15rem; }
.legend { color: var(--dim); font-size: .875rem; }
.legend span { margin-right: .75rem; white-space: nowrap; }
tbody .target th { font-weight: 400; padding-left: 1.7rem; }
td.mark { text-align: center; }
.word { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.passed { color: var(--passed); } .warning { color: var(--warning); } .failed, .error { color: var(--failed); }
.skipped, .accepted { color: var(--dim); } .note { color: var(--note); }
article { margin: 0 0 .75rem; padding: .75rem 1rem; background: var(--soft); border-left: .25rem solid currentColor;
  border-radius: .25rem; break-inside: avoid; }
article > * { color: var(--ink); }
article .level { font-weight: 600; }
article.error .level { color: var(--failed); } article.warning .level { color: var(--warning); }
article.note .level { color: var(--note); }
ul { margin: .4rem 0 0; padding-left: 1.2rem; }
@media screen and (max-width: 40rem) {
  .scroll { overflow: visible; }
  table, tbody, tr, tbody th, td { display: block; }
  thead, td.none { display: none; }
  tr { margin-bottom: 1rem; border-bottom: 1px solid var(--line); padding-bottom: .5rem; }
  th, td, tbody .target th { border: 0; padding: .15rem 0; min-width: 0; }
  td.mark { display: flex; gap: .6rem; text-align: left; }
  td.mark > [aria-hidden] { width: 1.2em; text-align: center; }
  td.mark::after { content: attr(data-column); color: var(--ink); overflow-wrap: anywhere; }
}
@media print {
  :root { font-size: 9.5pt; color-scheme: light; --ink: #000; --dim: #444; --line: #999; --ground: #fff; --soft: #fff;
    --passed: #000; --warning: #000; --failed: #000; --note: #000; }
  body { max-width: none; padding: 0; }
  .scroll { overflow: visible; }
  table { width: 100%; }
  th, td { padding: .2rem .3rem; }
  tbody th { min-width: 11rem; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  article { border: 1px solid #999; border-left-width: .25rem; }
}
"""


def render(result: ReportData) -> str:
    """The page. Its policy allows nothing but its own style, by hash: what slipped in would neither run nor load."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    title = escape(f"{result.command}: {result.verdict}")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{title}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            *_head(result),
            *_matrix(result),
            *_list("What to do", result.open_entries),
            *_list("Accepted", result.accepted_entries),
            f"<footer>ecapipe {escape(__version__)}</footer>",
            "</body>",
            "</html>\n",
        ]
    )


def _head(result: ReportData) -> Iterator[str]:
    yield f"<header><h1>{escape(result.command)}</h1>"
    yield f'<p class="verdict">{escape(result.verdict)}</p>'
    if result.started_at:
        yield f'<p class="dim">Started <time>{escape(result.started_at)}</time></p>'
    for name, value in result.provenance:
        yield f'<p class="dim">{escape(name)}: {escape(value)}</p>'
    yield "</header>"


def _matrix(result: ReportData) -> Iterator[str]:
    """A row per subject, a column per stage, or per rule that found something."""
    columns = result.table_columns
    stages = any(column.always for column in columns)
    yield f"<h2>{'Apps, orgs and stages' if stages else 'Apps and checks'}</h2>"
    if columns:
        yield from _table(result.rows, columns, stages)
        yield f'<p class="legend">{" ".join(f"<span>{mark} {word}</span>" for word, mark in _MARKS.items())}</p>'
    if rest := len(result.columns) - len(columns):
        rules = plural(rest, "other rule" if columns else "rule")
        yield f'<p class="passed">✔ Nothing was found by {rules}.</p>'


def _table(rows: Iterable[ReportRow], columns: Sequence[ReportColumn], stages: bool) -> Iterator[str]:
    kind = result = ""
    if len(columns) > _MANY:
        kind = " class=many"
    if stages:
        result = '<th scope="col">Result</th>'
    heads = [f'<th class="column" scope="col">{escape(column.name)}</th>' for column in columns]
    # Wide tables scroll by themselves, and not the page with them.
    yield f'<div class="scroll"><table{kind}>'
    yield f'<thead><tr><th scope="col"></th>{"".join(heads)}{result}</tr></thead>'
    yield "<tbody>"
    yield from (_row(row, columns, stages) for row in rows)
    yield "</tbody></table></div>"


def _row(row: ReportRow, columns: Sequence[ReportColumn], stages: bool) -> str:
    kind = result = ""
    if row.is_target:
        kind = ' class="target"'
    if stages:
        result = f"<td>{escape(row.note)}</td>"
    cells = "".join(_cell(row.cells.get(column.name), column) for column in columns)
    return f'<tr{kind}><th scope="row">{escape(row.subject) or "project"}</th>{cells}{result}</tr>'


def _cell(cell: ReportCell | None, column: ReportColumn) -> str:
    if cell is None:
        return '<td class="none"></td>'
    title = ""
    if cell.reason:
        title = f' title="{escape(cell.reason)}"'
    # data-column: on a phone the heads are gone, and the style writes the name of the column beside the mark.
    return (
        f'<td class="mark {cell.mark}" data-column="{escape(column.title)}"{title}>'
        f'<span aria-hidden="true">{_MARKS[cell.mark]}</span><span class="word">{cell.mark}</span></td>'
    )


def _list(title: str, entries: Sequence[ReportEntry]) -> Iterator[str]:
    if entries:
        yield f"<section><h2>{title}</h2>"
        yield from (line for entry in entries for line in _article(entry))
        yield "</section>"


def _article(entry: ReportEntry) -> Iterator[str]:
    heading = " · ".join(filter(None, (escape(entry.name), escape(entry.subject))))
    yield f'<article class="{entry.level}">'
    yield f'<h3><span class="level">{entry.level}</span> {heading}</h3>'
    yield f"<p>{escape(entry.message)}</p>"
    if entry.location:
        yield f'<p class="dim"><code>{escape(entry.location)}</code></p>'
    if entry.actions:
        yield f"<ul>{''.join(f'<li>{escape(action)}</li>' for action in entry.actions)}</ul>"
    yield "</article>"
