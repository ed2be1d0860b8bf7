"""What a check reports, and the rules it reports by: names, levels and help."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal

from ecapipe.problems import EcapipeError, nothing_to_explain

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's promise: `name` and `level` are kept once released."""

    name: str
    level: Level
    means: str
    why: str
    remedy: str
    source: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One place in the project where a rule does not hold. `app` is None for a file that names no app."""

    rule: str
    level: Level
    message: str
    app: str | None
    file: str | None
    line: int | None
    actions: tuple[str, ...]
    element: str = ""
    accepted: bool = False

    @property
    def fingerprint(self) -> str:
        """Names the finding across edits: made of rule, path, app and element, never of a value."""
        parts = (self.rule, self.file or "", self.app or "", self.element)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


_METADATA = "Metadata API Developer Guide, ExtlClntAppGlobalOauthSettings"

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "consumer-key-missing",
            "error",
            "The app's global OAuth settings hold no consumerKey, and no other source supplies one.",
            "The key is the app's client_id; without it no flow can start. Salesforce makes it at the first deploy.",
            "Deploy the app, then retrieve it.",
            "Salesforce Help, Complete the OAuth Flow",
        ),
        Rule(
            "consumer-secret-missing",
            "error",
            "The app's global OAuth settings hold no consumerSecret, no other source supplies one, and one is "
            "needed. "
            "It is a warning where the app allows a flow that needs none.",
            "Most orgs leave the secret out of a retrieve: the switch that allows it is off, the user lacks the "
            "permission, or the release no longer supports it.",
            "Supply the secret from the environment, or allow it in the org and retrieve again.",
            _METADATA,
        ),
        Rule(
            "credential-placeholder",
            "error",
            "consumerKey or consumerSecret holds a placeholder instead of a value.",
            "A placeholder sent to the token endpoint fails as invalid_client and may be logged there.",
            "Put the real value into the environment, or retrieve the file again.",
            "Salesforce DX Developer Guide, Replace Strings in Code Before Deploying",
        ),
        Rule(
            "credential-duplicated",
            "error",
            "consumerKey or consumerSecret stands more than once in one settings file.",
            "It is undefined which of them Salesforce uses; ecapipe uses neither.",
            "Leave one element, or retrieve the file again.",
            _METADATA,
        ),
        Rule(
            "settings-missing",
            "error",
            "The app has no global OAuth settings file. It is a note for linked and packaged apps, which have none.",
            "Key and secret are in that file only.",
            "Retrieve the type ExtlClntAppGlobalOauthSettings.",
            _METADATA,
        ),
        Rule(
            "malformed-xml",
            "error",
            "A metadata file of an external client app is not well-formed, or holds what ecapipe refuses.",
            "Neither ecapipe nor a deploy can read it.",
            "Mend the file at the line of the finding, or retrieve it again.",
            "Metadata API Developer Guide",
        ),
        Rule(
            "wrong-root",
            "error",
            "A file's root element is not the metadata type its suffix promises.",
            "The Salesforce CLI goes by the suffix, the deploy by the root element: one of them fails.",
            "Give the file the suffix of its type.",
            "Metadata API Developer Guide",
        ),
        Rule(
            "suffix-misspelt",
            "error",
            "A file's suffix is nearly that of an external client app type, or has it in the wrong case.",
            "The Salesforce CLI goes by the exact suffix: it fails, or passes the file over.",
            "Rename the file.",
            "Metadata registry of the Salesforce CLI",
        ),
        Rule(
            "secret-tracked-by-git",
            "warning",
            "A file that holds a consumer secret is tracked by git.",
            "Everyone who can read the repository, now or later, can use the app's identity. Salesforce says "
            "this type must not be added to source control.",
            "Untrack the file, ignore it, and rotate the secret.",
            _METADATA,
        ),
    )
}


def explain(name: str) -> Rule:
    """The rule called `name`; raises `EcapipeError` (NothingToExplain) if there is none."""
    try:
        return RULES[name]
    except KeyError:
        raise EcapipeError(nothing_to_explain(name, sorted(RULES))) from None
