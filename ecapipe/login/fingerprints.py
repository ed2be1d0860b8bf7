"""What a login depends on, in short hashes: whether an earlier one still serves."""

from __future__ import annotations

import hashlib

from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.login.options import LoginOptions
from ecapipe.orgs.org import Org
from ecapipe.project.apps import App


def fingerprint(app: App, org: Org, how: LoginOptions, resolved: Resolution) -> dict[str, str]:
    """Whether a login depends on the same as an earlier one did: the flow that is asked for, and short hashes of the
    rest. None is of a secret: a new one is no reason to repeat what has succeeded."""
    files = [file for file in (*app.files, app.lent) if file]
    elements = sorted(
        f"{file.type.name} {element.name} {element.text}"
        for file in files
        for element in file.document.elements
        if element.name != "consumerSecret"
    )
    found = {
        "flow": how.of(org).flow,
        "files": digest(*elements),
        "org": digest(org.url),
        "scopes": digest(how.of(org).scopes or ""),
        "expected": digest(org.username or "", (org.org_id or "")[:15]),
    }
    if isinstance(resolved.outcome, Credentials):
        found["key"] = digest(resolved.outcome.consumer_key)
    return found


def digest(*parts: str) -> str:
    """A short hash for a fingerprint, the same everywhere and always."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
