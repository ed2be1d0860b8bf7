"""Annotations, which GitHub Actions shows beside the lines of a change: workflow commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Level
from ecapipe.render.report_data import ReportData, ReportEntry

MOST: Final = 10
"""Annotations of one level that GitHub shows per step; it drops the rest without a word."""

_COMMAND: Final[dict[Level, str]] = {"error": "error", "warning": "warning", "note": "notice"}


def lines(result: ReportData) -> Iterator[str]:
    """A line per annotation, at most ten of each level."""
    count = Counter[Level]()
    for entry in result.open_entries:
        count[entry.level] += 1
        if count[entry.level] <= MOST:
            yield _command(entry)


def _command(entry: ReportEntry) -> str:
    properties = {"title": entry.name}
    if entry.file is not None:
        properties = {"file": entry.file, "line": str(entry.line or 1), **properties}
    assignments = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = _data("\n".join((entry.sentence, *entry.actions)))
    return f"::{_COMMAND[entry.level]} {assignments}::{message}"


def _data(text: str) -> str:
    # As @actions/core does. The percent sign first: after the others it would escape their escapes.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
