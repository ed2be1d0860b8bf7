"""Annotations, which GitHub Actions and Azure Pipelines show beside the lines of a change: commands in the log."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Level
from ecapipe.documents.report import PARTIAL
from ecapipe.render.report_data import ReportData, ReportEntry

MOST: Final = 10
"""Annotations of one level that either shows per step; both drop the rest without a word."""

_GITHUB: Final[dict[Level, str]] = {"error": "error", "warning": "warning", "note": "notice"}
_AZURE: Final[frozenset[Level]] = frozenset({"error", "warning"})
"""The levels that Azure has for issues."""

_AZURE_ESCAPE: Final = re.compile("%(?=3B|0D|0A|5D|AZP25)")
"""A percent sign that the agent would take for the start of an escape."""


def github(result: ReportData) -> Iterator[str]:
    """A workflow command per annotation, at most ten of each level."""
    for entry in _first_of_each_level(result):
        properties = {"title": entry.name}
        if entry.file is not None:
            properties = {"file": entry.file, "line": str(entry.line or 1), **properties}
        assignments = ",".join(f"{name}={_github_property(value)}" for name, value in properties.items())
        yield f"::{_GITHUB[entry.level]} {assignments}::{_github_data(_text(entry))}"


def azure(result: ReportData) -> Iterator[str]:
    """A logging command per error and warning, at most ten of each level, and one that says what a step came to in
    which some targets succeeded."""
    for entry in _first_of_each_level(result):
        if entry.level in _AZURE:
            properties: dict[str, str] = {"type": entry.level}
            if entry.file is not None:
                properties |= {"sourcepath": entry.file, "linenumber": str(entry.line or 1)}
            yield _azure_command("logissue", _text(entry), **properties, code=entry.name)
    if result.document.get("status") == PARTIAL:
        # Of all results that a step is told, the worst counts: the exit status, too.
        yield _azure_command("complete", result.verdict, result="SucceededWithIssues")


def azure_summary(path: str) -> str:
    """The logging command that shows a Markdown file, by its absolute path, on the page of the run."""
    return _azure_command("uploadsummary", path)


def _first_of_each_level(result: ReportData) -> Iterator[ReportEntry]:
    count = Counter[Level]()
    for entry in result.open_entries:
        count[entry.level] += 1
        if count[entry.level] <= MOST:
            yield entry


def _text(entry: ReportEntry) -> str:
    return "\n".join((entry.sentence, *entry.actions))


def _github_data(text: str) -> str:
    # As @actions/core does. The percent sign first: after the others it would escape their escapes.
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _github_property(text: str) -> str:
    return _github_data(text).replace(":", "%3A").replace(",", "%2C")


def _azure_command(event: str, message: str, **properties: str) -> str:
    assignments = "".join(f"{name}={_azure_data(value)};" for name, value in properties.items())
    return f"##vso[task.{event}{' ' if assignments else ''}{assignments}]{_azure_data(message)}"


def _azure_data(text: str) -> str:
    # As Microsoft's task library does it. Only percent signs that would be decoded: an agent that decodes none shows
    # the others as they are.
    text = _AZURE_ESCAPE.sub("%AZP25", text)
    return text.replace(";", "%3B").replace("\r", "%0D").replace("\n", "%0A").replace("]", "%5D")
