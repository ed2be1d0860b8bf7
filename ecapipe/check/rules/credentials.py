"""Rules about consumer key and consumer secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import Level
from ecapipe.check.rules.subject import Remark, RuleInput, holds_secret
from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.credentials.sources import Field, from_replacements, variable
from ecapipe.oauth.flows import registry
from ecapipe.problems.problem import retrieve_command
from ecapipe.project.apps import Replaced

FIELDS: tuple[Field, ...] = ("consumerKey", "consumerSecret")

# Salesforce documents no form, and a deployer may choose a key of another: `credential_shape` is a note at most.
_SHAPES: Final = {
    "consumerKey": re.compile(r"3MVG[0-9][A-Za-z0-9._+/=]{50,250}"),
    "consumerSecret": re.compile(r"[0-9A-F]{64}|[0-9]{15,20}"),
}


def consumer_key_missing(subject: RuleInput) -> Iterator[Remark]:
    app, key = subject.app, subject.resolution.key
    if subject.settings and key.source is None and subject.in_file("consumerKey") == "absent":
        yield subject.remark(
            f"{app.name} has no consumerKey. {' '.join(key.causes)}",
            f"Deploy the app, then retrieve: {retrieve_command()}",
            element="consumerKey",
        )


def consumer_secret_missing(subject: RuleInput) -> Iterator[Remark]:
    app, secret = subject.app, subject.resolution.secret
    if not subject.settings or secret.source or subject.in_file("consumerSecret") != "absent":
        return
    flows = registry.allowed_flows(app)
    sentences = [f"{app.name} has no consumerSecret.", *secret.causes]
    sentences.append(f"Its settings allow: {', '.join(flows.names) or 'no flow'}.")
    mildest: Level | None = None
    if flows.without_secret:
        sentences.append(f"No secret is needed for: {', '.join(flows.without_secret)}.")
        mildest = "warning"
    yield subject.remark(
        " ".join(sentences),
        f"Set {variable('consumerSecret', app.name)} to the consumer secret, from your CI system's secret store.",
        f"Or keep it in the keyring: ecapipe app set-secret {app.name}",
        f"Or allow it in the org, then retrieve: {retrieve_command()}",
        element="consumerSecret",
        at_most=mildest,
    )


def credential_placeholder(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        # A replacement without a value has a rule of its own.
        if (
            subject.in_file(field) == "placeholder"
            and not _has_value(subject, field)
            and not _missing(subject, field)
        ):
            yield subject.remark(
                f"{field} of {subject.app.name} is a placeholder, not a credential.",
                f"Retrieve the value: {retrieve_command()}",
                f"Or set {variable(field, subject.app.name)}.",
                element=field,
            )


def credential_duplicated(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        if subject.in_file(field) == "duplicate":
            yield subject.remark(
                f"{field} stands more than once in the settings of {subject.app.name}.",
                "Leave one element, or retrieve the file again.",
                element=field,
            )


def replacement_unresolved(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        # Reserved variables have a rule of their own, and giving them a value would not help.
        missing = [origin for origin in _missing(subject, field) if origin not in _reserved(subject, field)]
        if missing and not _has_value(subject, field):
            yield subject.remark(
                f"{field} of {subject.app.name} is to be replaced from {', '.join(missing)}, which has no value.",
                *(f"Give {origin} a value." for origin in missing),
                element=field,
            )


def variable_reserved(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        if names := _reserved(subject, field):
            yield subject.remark(
                f"{field} of {subject.app.name} is to be replaced from {', '.join(names)}, which programs need: no "
                "credential is read from such a variable.",
                f"Name a variable of its own in replaceWithEnv, such as {variable(field, subject.app.name)}.",
                element=field,
            )


def credential_sources_mixed(subject: RuleInput) -> Iterator[Remark]:
    key, secret = subject.resolution.key.source, subject.resolution.secret.source
    # A secret in the keyring is saved under the very key it belongs to.
    if key and secret and secret not in (key, "keyring"):
        yield subject.remark(
            f"The consumer key of {subject.app.name} comes from {key}, its consumer secret from {secret}.",
            f"Take both from {key}, or both from {secret}.",
            element="consumerKey",
        )


def secret_not_needed(subject: RuleInput) -> Iterator[Remark]:
    app = subject.app
    if not subject.settings or not app.secret_optional or not holds_secret(subject.settings.document):
        return
    # A public client, too, may have to send its secret with a refresh.
    refreshes = {"RefreshToken", "OfflineAccess"} & set(app.scope_names or ())
    if refreshes and subject.settings.document.flag("isSecretRequiredForRefreshToken", True):
        return
    if not subject.client_credentials:
        yield subject.remark(
            f"{app.name} is a public client, and no flow of it needs the consumerSecret in its file.",
            "Remove consumerSecret from the file.",
            element="consumerSecret",
        )


def credential_shape(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        text = subject.settings_text(field)
        if text and subject.in_file(field) == "present" and not _SHAPES[field].fullmatch(text):
            yield subject.remark(
                f"{field} of {subject.app.name} does not look like one that Salesforce made.",
                "Compare it with the org, or retrieve the file again.",
                element=field,
            )


def same_key_in_two_apps(subject: RuleInput) -> Iterator[Remark]:
    key = subject.settings_text("consumerKey") or ""
    others = [name for name in subject.evidence.keys.get(key, ()) if name != subject.app.name]
    if others and not is_placeholder(key):
        yield subject.remark(
            f"{subject.app.name} has the same consumerKey as {', '.join(others)}.",
            "Remove consumerKey and consumerSecret from the file that was copied, deploy it, and retrieve it.",
            element="consumerKey",
        )


def _has_value(subject: RuleInput, field: Field) -> bool:
    """Whether something gives the value that the file lacks: for a login any source, for a deploy a replacement."""
    if subject.evidence.purpose == "login":
        return subject.state(field).source is not None
    return from_replacements().find(subject.app, None, field) is not None


def _missing(subject: RuleInput, field: Field) -> tuple[str, ...]:
    """The variables and files that a replacement of `field` needs, and that have no value."""
    replaced = _replaced(subject, field)
    if replaced is None:
        return ()
    return replaced.missing_origins


def _reserved(subject: RuleInput, field: Field) -> tuple[str, ...]:
    """Those of `_missing` that no credential is read from."""
    replaced = _replaced(subject, field)
    if replaced is None:
        return ()
    return replaced.reserved


def _replaced(subject: RuleInput, field: Field) -> Replaced | None:
    if subject.settings is None:
        return None
    return subject.settings.replaced.get(field)
