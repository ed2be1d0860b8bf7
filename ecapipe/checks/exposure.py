"""Rules about secrets that others can read."""

from __future__ import annotations

from collections.abc import Iterator

from ecapipe.apps import App
from ecapipe.checks.subject import Checked
from ecapipe.credentials import is_placeholder
from ecapipe.findings import Finding


def holds_secret(app: App) -> str | None:
    """The path of the app's settings file if a real consumer secret stands in it, once or more often."""
    if not app.settings:
        return None
    texts = [element.text for element in app.settings.document.all("consumerSecret")]
    return app.settings.path if any(text and not is_placeholder(text) for text in texts) else None


def secret_tracked_by_git(subject: Checked) -> Iterator[Finding]:
    path = subject.tracked and holds_secret(subject.app)
    if path and path in subject.tracked:
        yield subject.finding(
            "secret-tracked-by-git",
            f"git tracks {path}, which holds the consumer secret of {subject.app.name}.",
            f'Untrack it: git rm --cached "{path}"',
            "Add **/*.ecaGlblOauth-meta.xml to .gitignore.",
            "Then rotate the secret: what was committed stays in the history.",
            field="consumerSecret",
        )
