"""GitHub-flavoured Markdown, for pull requests and the summary of a GitHub Actions step."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from ecapipe.check.findings import LEVELS
from ecapipe.render.report_data import Mark, ReportData, ReportGroup, ReportRow
from ecapipe.render.text import plural, tame

MOST_ROWS: Final = 300
MOST_DETAILS: Final = 100
"""More than anybody reads: the other formats are complete, and GitHub takes no summary above 1 MiB."""

_FEW: Final = 10
"""Rows or places; more are folded."""

_LONGEST: Final = 1000
"""Characters of one value; the rest is cut off."""

_PAGE: Final = textwrap.TextWrapper(80, break_on_hyphens=False, break_long_words=False)
_MARKS: Final[dict[Mark, str]] = {"failed": "❌", "warning": "⚠️", "skipped": "⚪", "passed": "✅"}
"""By how much they say of a row: the first that one of its stages has is the row's."""
_LEVELS: Final = {"error": "❌ error", "warning": "⚠️ warning", "note": "ℹ️ note"}  # it is the emoji


def render(result: ReportData) -> str:
    return "\n\n".join(blocks(result)) + "\n"


def blocks(result: ReportData) -> Iterator[str]:
    """The page in blocks, each of which is whole in itself.

    Whatever comes from a file or an org is in code spans and fences, where Markdown knows no markup, no link and no
    mention. Tables are narrow, and what is long is folded.
    """
    yield f"## {result.command}: {result.verdict}"
    if result.provenance:
        yield " · ".join(f"{name}: {code(value)}" for name, value in result.provenance)
    if any(column.always for column in result.columns):
        yield from _stages(result)
    yield from _groups("What to do", [group for group in result.groups if not group.first.accepted])
    if not any(column.always for column in result.columns):
        yield from _counts(result)
    yield from _groups("Accepted", [group for group in result.groups if group.first.accepted])


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


def _stages(result: ReportData) -> Iterator[str]:
    """A row per login, and per app or project that did not simply pass."""
    rows = [row for row in result.rows if row.is_target or _mark(row) != _MARKS["passed"]]
    lines = [f"| {_mark(row)} | {_cell(row.subject) or 'project'} | {_ending(row)} |" for row in rows[:MOST_ROWS]]
    yield from _table("| | App and org | Result |", "|:---:|---|---|", lines, len(rows))


def _mark(row: ReportRow) -> str:
    marks = {cell.mark for cell in row.cells.values()}
    return next((sign for mark, sign in _MARKS.items() if mark in marks), "")


def _ending(row: ReportRow) -> str:
    """How the row ended, after the stage that failed."""
    stage = next((f"{name}: " for name, cell in row.cells.items() if cell.mark == "failed"), "")
    return f"{stage}{_cell(row.note)}"


def _counts(result: ReportData) -> Iterator[str]:
    """How many findings of each level an app has, if it has any."""
    lines = []
    for row in result.rows:
        entries = [entry for cell in row.cells.values() for entry in cell.entries if not entry.accepted]
        numbers = [sum(entry.level == level for entry in entries) for level in LEVELS]
        if entries:
            lines.append(f"| {_cell(row.subject) or 'project'} | {' | '.join(map(str, numbers))} |")
    if lines:
        heads = " | ".join(f"{level.capitalize()}s" for level in LEVELS)
        yield "### Apps"
        yield from _table(f"| App | {heads} |", f"|---|{'---:|' * len(LEVELS)}", lines[:MOST_ROWS], len(lines))


def _table(head: str, rule: str, lines: Iterable[str], count: int) -> Iterator[str]:
    table = "\n".join((head, rule, *lines))
    if count > _FEW:
        table = f"<details>\n<summary>{plural(count, 'row')}</summary>\n\n{table}\n\n</details>"
    if count:
        yield table
    yield from _more(count - MOST_ROWS)


def _groups(title: str, groups: list[ReportGroup]) -> Iterator[str]:
    if groups:
        yield f"### {title}"
        yield from map(_group, groups[:MOST_DETAILS])
        yield from _more(len(groups) - MOST_DETAILS)


def _group(group: ReportGroup) -> str:
    """What several entries say, folded; open where it is an error."""
    first, subjects = group.first, group.subjects
    # GitHub reads no Markdown in a summary, so that what is escaped for HTML is safe there.
    about = f"<code>{escape(_clip(subjects[0]))}</code>" if subjects else ""
    if len(subjects) > 1:
        about = plural(len(subjects), "login" if "@" in first.subject else "app")
    summary = " · ".join(filter(None, (_LEVELS[first.level], f"<b>{escape(first.name)}</b>", about)))
    lines = _PAGE.wrap(_clip(first.message))
    if first.actions:
        # Not wrapped: actions hold commands that people copy.
        lines += ["", *map(_clip, first.actions)]
    body = "\n".join(map(tame, lines))
    fence = _fence(body, 3)
    opened = " open" if first.level == "error" and not first.accepted else ""
    parts = [f"<details{opened}>\n<summary>{summary}</summary>", f"{fence}text\n{body}\n{fence}"]
    return "\n\n".join([*parts, *_places(group), "</details>"])


def _places(group: ReportGroup) -> Iterator[str]:
    """Where it is: a file, or a list of subjects with theirs."""
    entries = group.entries
    places = list(dict.fromkeys(" ".join(filter(None, (code(e.subject), code(e.location)))) for e in entries))
    if len(group.subjects) <= 1:
        places = list(dict.fromkeys(filter(None, (code(entry.location) for entry in entries))))
    if not places:
        return
    lines = "\n".join(f"- {place}" for place in places[:MOST_DETAILS])
    if len(places) > _FEW:
        lines = f"<details>\n<summary>{plural(len(places), 'place')}</summary>\n\n{lines}\n\n</details>"
    yield lines
    yield from _more(len(places) - MOST_DETAILS)


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
