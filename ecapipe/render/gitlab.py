"""GitLab Code Quality: the list that merge requests show."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Final

from ecapipe.check.findings import Level
from ecapipe.render import json
from ecapipe.render.report_data import ReportData

_SEVERITY: Final[dict[Level, str]] = {"error": "major", "warning": "minor", "note": "info"}


def render(result: ReportData) -> str:
    """Accepted findings are left out: the format has no field for them."""
    count = Counter[str]()
    issues = []
    for entry in result.open_entries:
        count[entry.fingerprint] += 1
        issues.append(
            {
                # The format has no other place for what to do.
                "description": "\n".join((entry.sentence, *entry.actions)),
                "check_name": entry.name,
                "fingerprint": _unique(entry.fingerprint, count[entry.fingerprint]),
                "severity": _SEVERITY[entry.level],
                "location": {"path": entry.near, "lines": {"begin": entry.line or 1}},
            }
        )
    return json.dump(issues) + "\n"


def _unique(fingerprint: str, number: int) -> str:
    """The fingerprint of the `number`th entry that has it: GitLab drops every issue whose fingerprint it knows."""
    # The first stays as it is, so that GitLab knows it again however many follow.
    if number == 1:
        return fingerprint
    return hashlib.sha256(f"{fingerprint} {number}".encode()).hexdigest()[:32]
