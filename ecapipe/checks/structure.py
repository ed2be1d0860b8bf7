"""Rules about which files are there and whether they can be read."""

from __future__ import annotations

from collections.abc import Iterator

from ecapipe import apps
from ecapipe.checks.subject import Checked
from ecapipe.findings import RULES, Finding, Level
from ecapipe.problems import Problem


def settings_missing(subject: Checked) -> Iterator[Finding]:
    if subject.app.settings:
        return
    problem = apps.missing_settings(subject.app, None)
    if problem.name == "NoOauthSettings":
        return
    level: Level = "error" if problem.name == "SettingsNotRetrieved" else "note"
    yield subject.finding("settings-missing", problem.message, *problem.actions, level=level)


def unreadable(problem: Problem) -> Finding:
    """The finding for a file that could not be read, and so belongs to no app."""
    rule = {"WrongRoot": "wrong-root", "SuffixMisspelt": "suffix-misspelt"}.get(problem.name, "malformed-xml")
    return Finding(rule, RULES[rule].level, problem.message, None, problem.file, problem.line, problem.actions)
