"""JUnit XML, which every CI system shows as test results: a suite per subject, a case per stage or rule."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ecapipe.render.report_data import ReportCell, ReportColumn, ReportData, ReportEntry, ReportRow
from ecapipe.render.text import tame


def render(result: ReportData) -> str:
    columns = {column.name: column for column in result.columns}
    cells = [cell for row in result.rows for cell in row.cells.values()]
    # A schema has them in a suite alone.
    properties = "".join(f"<property {_attributes(name=name, value=value)}/>" for name, value in result.provenance)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f"<testsuites {_totals(result.command, cells)}>",
            *(line for row in result.rows for line in _suite(row, columns, properties)),
            "</testsuites>\n",
        ]
    )


def _suite(row: ReportRow, columns: dict[str, ReportColumn], properties: str) -> Iterator[str]:
    name = row.subject or "project"
    yield f"  <testsuite {_totals(name, list(row.cells.values()))}>"
    if properties:
        yield f"    <properties>{properties}</properties>"
    for column, cell in row.cells.items():
        place: dict[str, str] = {}
        # file and line are no part of JUnit's schema, but GitLab and others link to them.
        if cell.entries and cell.entries[0].file is not None:
            place = {"file": cell.entries[0].file, "line": str(cell.entries[0].line or 1)}
        attributes = _attributes(classname=name, name=columns[column].name, time=_seconds(cell.milliseconds), **place)
        content = _content(cell)
        if content:
            yield f"    <testcase {attributes}>\n      {content}\n    </testcase>"
        else:
            yield f"    <testcase {attributes}/>"
    yield "  </testsuite>"


def _content(cell: ReportCell) -> str:
    """The element that says how a case ended; nothing for one that passed without a word."""
    output = "\n\n".join(_output(entry) for entry in cell.entries)
    name, reason = "failed", cell.reason
    if cell.entries:
        name, reason = cell.entries[0].name, cell.entries[0].message
    match cell.mark:
        case "failed":
            return f"<failure {_attributes(type=name, message=reason)}>{_text(output)}</failure>"
        case "accepted":
            # JUnit knows nothing between passed and skipped.
            return f"<skipped {_attributes(message=f'Accepted: {reason}')}/>"
        case "skipped":
            return f"<skipped {_attributes(message=reason)}/>"
        case _ if output or reason:
            return f"<system-out>{_text(output or reason)}</system-out>"
        case _:
            return ""


def _output(entry: ReportEntry) -> str:
    message = entry.message
    if entry.location:
        message = f"{entry.location}: {entry.level}: {message}"
    # CI systems print these lines into their logs, and would obey one that is a command.
    return "\n".join(map(tame, [message, *entry.actions]))


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
