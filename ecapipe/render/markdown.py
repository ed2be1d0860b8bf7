"""GitHub-flavoured Markdown, for pull requests and the summary of a GitHub Actions step."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from ecapipe.render.report_data import ReportCell, ReportData, ReportEntry
from ecapipe.render.text import tame

MOST_ROWS: Final = 300
MOST_DETAILS: Final = 100
"""More than anybody reads: the other formats are complete, and GitHub takes no summary above 1 MiB."""

_LONGEST: Final = 1000
"""Characters of one value; the rest is cut off."""

_PAGE: Final = textwrap.TextWrapper(100, break_on_hyphens=False, break_long_words=False)
_MARKS: Final = {"passed": "✅", "note": "ℹ️", "warning": "⚠️", "failed": "❌", "skipped": "⚪", "accepted": "☑️"}
_LEVELS: Final = {"error": "❌ error", "warning": "⚠️ warning", "note": "ℹ️ note"}  # it is the emoji


def render(result: ReportData) -> str:
    return "\n\n".join(blocks(result)) + "\n"


def blocks(result: ReportData) -> Iterator[str]:
    """The page in blocks, each of which is whole in itself.

    Whatever comes from a file or an org stands in code spans and fences, where Markdown knows no markup, no link and
    no mention.
    """
    yield f"## {result.command}: {result.verdict}"
    if result.provenance:
        yield " · ".join(f"{name}: {code(value)}" for name, value in result.provenance)
    if result.table_columns:
        yield from _matrix(result)
    yield from _list("What to do", result.open_entries)
    yield from _list("Accepted", result.accepted_entries)


def _list(title: str, entries: Sequence[ReportEntry]) -> Iterator[str]:
    if entries:
        yield f"### {title}"
        yield from map(_detail, entries[:MOST_DETAILS])
        yield from _more(len(entries) - MOST_DETAILS)


def code(text: str) -> str:
    """`text` as a code span, which nothing in it can end."""
    if not text:
        return ""
    text = _clip(text)
    # CommonMark takes one space off each end, so a text that begins or ends with one needs another.
    if text.startswith(("`", " ")) or text.endswith(("`", " ")):
        text = f" {text} "
    fence = _fence(text, 1)
    return f"{fence}{text}{fence}"


def _cell(text: str) -> str:
    """A code span within a table, where a bar ends a cell even in a code span."""
    return code(text).replace("|", "\\|")


def _matrix(result: ReportData) -> Iterator[str]:
    """A row per subject, a column per stage, or per rule that found something."""
    columns = result.table_columns
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
    if cell is None:
        return ""
    return _MARKS[cell.mark]


def _detail(entry: ReportEntry) -> str:
    parts = (_LEVELS[entry.level], f"**{entry.name}**", code(entry.subject), code(entry.location))
    head = " · ".join(filter(None, parts))
    lines = _PAGE.wrap(_clip(entry.message))
    if entry.actions:
        # Not wrapped: actions hold commands that people copy.
        lines += ["", *map(_clip, entry.actions)]
    body = "\n".join(map(tame, lines))
    fence = _fence(body, 3)
    return f"{head}\n{fence}text\n{body}\n{fence}"


def _fence(text: str, least: int) -> str:
    """A fence that nothing in `text` can end: more backticks than stand together anywhere in it."""
    return "`" * max(least, *(len(ticks) + 1 for ticks in re.findall("`+", text)), 1)


def _clip(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}…"


def _more(count: int) -> Iterator[str]:
    if count > 0:
        yield f"… and {count} more."
