"""GitHub-flavoured Markdown, for pull requests and the summary of a GitHub Actions step."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from typing import Final

from ecapipe.render.report_data import ReportCell, ReportData, ReportEntry
from ecapipe.render.text import tame

MOST_ROWS: Final = 300
MOST_DETAILS: Final = 100
"""More than anybody reads: the other formats are complete, and GitHub takes no summary above 1 MiB."""

_LONGEST: Final = 1000
"""Characters of one value."""

_PAGE: Final = textwrap.TextWrapper(100, break_on_hyphens=False, break_long_words=False)
_MARKS: Final = {"passed": "✅", "note": "ℹ️", "warning": "⚠️", "failed": "❌", "skipped": "⚪", "accepted": "☑️"}
_LEVELS: Final = {"error": "❌ error", "warning": "⚠️ warning", "note": "ℹ️ note"}  # it is the emoji


def render(result: ReportData) -> str:
    return "\n\n".join(blocks(result)) + "\n"


def blocks(result: ReportData) -> Iterator[str]:
    """The page in pieces, each of which is whole in itself.

    Whatever a file or an org may have said stands in code spans and fences, where Markdown knows no markup,
    no link and no mention.
    """
    yield f"## {result.command}: {result.verdict}"
    if result.telling:
        yield from _matrix(result)
    for title, entries in (
        ("What to do", result.open_entries),
        ("Accepted", [entry for entry in result.entries if entry.accepted]),
    ):
        if entries:
            yield f"### {title}"
            yield from map(_detail, entries[:MOST_DETAILS])
            yield from _more(len(entries) - MOST_DETAILS)


def code(text: str) -> str:
    """`text` as a code span, which nothing in it can end."""
    text = _clipped(text)
    fence = _fence(text, 1)
    pad = " " if text[:1] in ("`", " ") or text[-1:] in ("`", " ") else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _cell(text: str) -> str:
    """The same within a table, where a bar ends a cell even in a code span."""
    return code(text).replace("|", "\\|")


def _matrix(result: ReportData) -> Iterator[str]:
    """A row per subject, a column per stage, or per rule that found something."""
    columns = result.telling
    lines = [
        f"| | {' | '.join(column.name for column in columns)} | |",
        f"|---|{':---:|' * len(columns)}---|",
    ]
    for row in result.rows[:MOST_ROWS]:
        marks = " | ".join(_mark(row.cells.get(column.name)) for column in columns)
        lines.append(f"| {_cell(row.subject) or 'project'} | {marks} | {_cell(row.note)} |")
    yield "\n".join(lines)
    yield from _more(len(result.rows) - MOST_ROWS)


def _mark(cell: ReportCell | None) -> str:
    return _MARKS[cell.mark] if cell else ""


def _detail(entry: ReportEntry) -> str:
    place = ":".join(str(part) for part in (entry.file, entry.line) if part)
    head = " · ".join(filter(None, (_LEVELS[entry.level], f"**{entry.name}**", code(entry.subject), code(place))))
    lines = [*_PAGE.wrap(_clipped(entry.message)), *(["", *map(_clipped, entry.actions)] if entry.actions else [])]
    body = "\n".join(map(tame, lines))
    fence = _fence(body, 3)
    return f"{head}\n{fence}text\n{body}\n{fence}"


def _fence(text: str, least: int) -> str:
    """More backticks than stand together anywhere in `text`."""
    return "`" * max(least, *(len(run) + 1 for run in re.findall("`+", text)), 1)


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"… and {count} more."
