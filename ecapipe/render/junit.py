"""JUnit XML, which every CI system shows as test results: a suite per subject, a case per stage or rule."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ecapipe.render.report_data import ReportCell, ReportColumn, ReportData, ReportEntry, ReportRow
from ecapipe.render.text import tame


def render(result: ReportData) -> str:
    columns = {column.name: column for column in result.columns}
    cells = [cell for row in result.rows for cell in row.cells.values()]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f"<testsuites {_totals(result.command, cells)}>",
            *(line for row in result.rows for line in _suite(row, columns)),
            "</testsuites>\n",
        ]
    )


def _suite(row: ReportRow, columns: dict[str, ReportColumn]) -> Iterator[str]:
    name = row.subject or "project"
    yield f"  <testsuite {_totals(name, list(row.cells.values()))}>"
    for column, cell in row.cells.items():
        entry = next(iter(cell.entries), None)
        place = {} if entry is None or entry.file is None else {"file": entry.file, "line": str(entry.line or 1)}
        attributes = _attributes(classname=name, name=columns[column].name, time=_seconds(cell.milliseconds), **place)
        inside = "".join(f"\n      {element}" for element in _inside(cell))
        yield f"    <testcase {attributes}>{inside}\n    </testcase>" if inside else f"    <testcase {attributes}/>"
    yield "  </testsuite>"


def _inside(cell: ReportCell) -> Iterator[str]:
    said = "\n\n".join(_said(entry) for entry in cell.entries)
    reason = cell.entries[0].message if cell.entries else cell.reason
    if cell.mark == "failed":
        kind = cell.entries[0].name if cell.entries else "failed"
        yield f"<failure {_attributes(type=kind, message=reason)}>{_text(said)}</failure>"
    elif cell.mark == "accepted":
        yield f"<skipped {_attributes(message=f'Accepted: {reason}')}/>"
    elif cell.mark == "skipped":
        yield f"<skipped {_attributes(message=reason)}/>"
    elif said or reason:
        yield f"<system-out>{_text(said or reason)}</system-out>"


def _said(entry: ReportEntry) -> str:
    place = ":".join(str(part) for part in (entry.file, entry.line) if part)
    first = f"{place}: {entry.level}: {entry.message}" if place else entry.message
    return "\n".join(map(tame, [first, *entry.actions]))


def _totals(name: str, cells: list[ReportCell]) -> str:
    marks = [cell.mark for cell in cells]
    return _attributes(
        name=name,
        tests=str(len(marks)),
        failures=str(marks.count("failed")),
        errors="0",
        skipped=str(marks.count("skipped") + marks.count("accepted")),
        time=_seconds(sum(cell.milliseconds for cell in cells)),
    )


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.3f}"


def _attributes(**values: str) -> str:
    return " ".join([f'{name}="{escape(value)}"' for name, value in values.items()])


def _text(text: str) -> str:
    return escape(text, quote=False)
