"""The formats of ``--report``: a new one is a module with a `render`, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ecapipe.render import gitlab, html, json, junit, markdown, sarif
from ecapipe.render.report_data import ReportData

FORMATS: Final[Mapping[str, Callable[[ReportData], str]]] = {
    "gitlab": gitlab.render,
    "html": html.render,
    "json": json.render,
    "junit": junit.render,
    "markdown": markdown.render,
    "sarif": sarif.render,
}
