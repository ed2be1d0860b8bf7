"""GitLab Code Quality: the list that merge requests show."""

from __future__ import annotations

from typing import Final

from ecapipe.check.findings import Level
from ecapipe.render import json
from ecapipe.render.report_data import ReportData

_SEVERITY: Final[dict[Level, str]] = {"error": "major", "warning": "minor", "note": "info"}


def render(result: ReportData) -> str:
    """Accepted findings are left out: the format has no field for them."""
    issues = [
        {
            # The format has no other place for what to do.
            "description": "\n".join((entry.sentence, *entry.actions)),
            "check_name": entry.name,
            "fingerprint": fingerprint,
            "severity": _SEVERITY[entry.level],
            "location": {"path": entry.near, "lines": {"begin": entry.line or 1}},
        }
        for fingerprint, entry in result.identified_entries
    ]
    return json.dump(issues) + "\n"
