"""The formats of ``--report``: a new one is a module with a `render`, and its name here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from ecapipe.render.report_data import ReportData


def _render(name: str, data: ReportData) -> str:
    # Loaded when it is used: most commands write no report, and all name the formats in their help.
    return cast(str, import_module(f"ecapipe.render.{name}").render(data))


FORMATS: Final[Mapping[str, Callable[[ReportData], str]]] = {
    name: partial(_render, name) for name in ("bitbucket", "gitlab", "html", "json", "junit", "markdown", "sarif")
}
