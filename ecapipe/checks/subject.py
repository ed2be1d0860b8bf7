"""What a rule is given to look at, and how it words what it found."""

from __future__ import annotations

from dataclasses import dataclass

from ecapipe.apps import App
from ecapipe.credentials import Field, Resolved, line
from ecapipe.findings import RULES, Finding, Level


@dataclass(frozen=True, slots=True)
class Checked:
    """An app, what is known of its key and secret, and which of its project's files git tracks."""

    app: App
    resolved: Resolved
    tracked: frozenset[str]

    def finding(
        self, rule: str, message: str, *actions: str, field: Field | None = None, level: Level | None = None
    ) -> Finding:
        """A finding of `rule` about this app, on the line of `field` in its settings file."""
        settings = self.app.settings
        file = settings.path if settings else self.app.files[0].path
        place = line(self.app, field) if field else None
        return Finding(
            rule, level or RULES[rule].level, message, self.app.name, file, place, actions, field or self.app.name
        )
