"""Rules over external client apps; every rule is registered here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ecapipe.apps import App
from ecapipe.checks import credentials, exposure, structure
from ecapipe.checks.subject import Checked
from ecapipe.credentials import Resolved
from ecapipe.findings import Finding
from ecapipe.problems import Problem

RULES = (
    structure.settings_missing,
    credentials.consumer_key_missing,
    credentials.consumer_secret_missing,
    credentials.credential_placeholder,
    credentials.credential_duplicated,
    exposure.secret_tracked_by_git,
)


def check(
    apps: Sequence[App],
    proven: Sequence[Resolved],
    unreadable: Sequence[Problem],
    tracked: Callable[[str, Sequence[str]], frozenset[str]],
) -> list[Finding]:
    """All findings, by path and line. `tracked` asks git, and only about files that hold a secret."""
    holding: dict[str, list[str]] = {}
    for app in apps:
        if path := exposure.holds_secret(app):
            holding.setdefault(app.project, []).append(path)
    in_git = {root: tracked(root, paths) for root, paths in holding.items()}
    found = [structure.unreadable(problem) for problem in unreadable]
    for app, each in zip(apps, proven, strict=True):
        subject = Checked(app, each, in_git.get(app.project, frozenset()))
        for rule in RULES:
            found += rule(subject)
    return sorted(found, key=lambda finding: (finding.file or "", finding.line or 0, finding.app or "", finding.rule))
