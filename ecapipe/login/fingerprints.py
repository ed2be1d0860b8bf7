"""The fingerprint of a login: what it depends on, in short hashes, to tell whether an earlier one still counts."""

from __future__ import annotations

import hashlib

from ecapipe.credentials.resolution import Credentials, Resolution
from ecapipe.login.options import LoginOptions
from ecapipe.orgs.org import Org
from ecapipe.project.apps import App


def fingerprint(app: App, org: Org, options: LoginOptions, resolved: Resolution) -> dict[str, str]:
    """The flow that is asked for, and a hash of each other thing that a login depends on."""
    options = options.of(org)
    files = [file for file in (*app.files, app.borrowed_settings) if file]
    elements = sorted(
        f"{file.type.name} {element.name} {element.text}"
        for file in files
        for element in file.document.elements
        # No hash of a secret goes into a journal, and a new secret is no reason to repeat what has succeeded.
        if element.name != "consumerSecret"
    )
    hashes = {
        "flow": options.flow,
        "files": digest(*elements),
        "org": digest(org.url),
        "scopes": digest(options.scopes or ""),
        # An org id has 15 characters, and 18 in other places.
        "expected": digest(org.username or "", (org.org_id or "")[:15]),
    }
    if options.dpop or app.requires_dpop:
        hashes["tokenType"] = "DPoP"
    if isinstance(resolved.outcome, Credentials):
        hashes["key"] = digest(resolved.outcome.consumer_key)
    return hashes


def digest(*parts: str) -> str:
    """A short hash for a fingerprint: the same on every machine, since runs are resumed on others."""
    # File names that are not UTF-8 hold lone surrogates.
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
