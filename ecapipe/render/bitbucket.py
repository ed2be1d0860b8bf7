"""Bitbucket Code Insights: a report and its annotations, as the reports API of Bitbucket Cloud takes them.

``.github/send_insights.py`` sends both, from a pipeline.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ecapipe.check.findings import LEVELS, Level
from ecapipe.render import json
from ecapipe.render.report_data import ReportData

MOST: Final = 1000
"""Annotations that one report may have."""

_TITLE: Final = 450
_DETAILS: Final = 2000
"""Characters that the API takes, in titles and summaries, and in details."""

_SEVERITY: Final[dict[Level, str]] = {"error": "HIGH", "warning": "MEDIUM", "note": "LOW"}


def render(result: ReportData) -> str:
    """Accepted findings are left out; the gravest are first, where there are more than Bitbucket takes."""
    return json.dump({"report": _report(result), "annotations": [*_annotations(result)][:MOST]}) + "\n"


def _report(result: ReportData) -> dict[str, Any]:
    failed = any(cell.mark == "failed" for row in result.rows for cell in row.cells.values())
    levels = [entry.level for entry in result.open_entries]
    return {
        "title": result.command,
        "details": _clip(result.verdict, _DETAILS),
        "report_type": "SECURITY",
        "reporter": "ecapipe",
        "result": "FAILED" if failed or not result.completed else "PASSED",
        "data": [{"title": f"{level}s", "type": "NUMBER", "value": levels.count(level)} for level in LEVELS],
    }


def _annotations(result: ReportData) -> Iterator[dict[str, Any]]:
    for fingerprint, entry in result.identified_entries:
        # Without a path it is shown with the report, whichever files a pull request changes.
        place = {"path": entry.file, "line": entry.line or 1} if entry.file is not None else {}
        yield {
            "external_id": fingerprint,
            "annotation_type": "VULNERABILITY",
            "severity": _SEVERITY[entry.level],
            "summary": _clip(f"{entry.name}: {entry.sentence}", _TITLE),
            "details": _clip("\n".join((entry.sentence, *entry.actions)), _DETAILS),
            **place,
        }


def _clip(text: str, longest: int) -> str:
    """`text`, no longer than `longest` characters as Bitbucket counts them: units of UTF-16."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * longest:
        return text
    return units[: 2 * (longest - 1)].decode("utf-16-le", "ignore") + "…"
