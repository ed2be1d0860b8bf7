"""What GitHub Actions shows beside the lines of a change: workflow commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Level
from ecapipe.render.report_data import ReportData, ReportEntry

MOST: Final = 10
"""Annotations of one level that GitHub shows of one step; it drops the rest without a word."""

_COMMAND: Final[dict[Level, str]] = {"error": "error", "warning": "warning", "note": "notice"}


def lines(result: ReportData) -> Iterator[str]:
    """A line per annotation, at most ten of each level."""
    given = Counter[Level]()
    for entry in result.open_entries:
        given[entry.level] += 1
        if given[entry.level] <= MOST:
            yield _command(entry)


def _command(entry: ReportEntry) -> str:
    place = {} if entry.file is None else {"file": entry.file, "line": str(entry.line or 1)}
    properties = ",".join(f"{name}={_property(value)}" for name, value in {**place, "title": entry.name}.items())
    return f"::{_COMMAND[entry.level]} {properties}::{_data(chr(10).join((entry.sentence, *entry.actions)))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
