"""Rules about consumer key and consumer secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from ecapipe.check.findings import USING, Level, Levels
from ecapipe.check.rules.rule import HELP, REPLACING, guide, rule
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput, holds_secret
from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.credentials.resolution import mixed
from ecapipe.credentials.sources import FIELDS, Field, find_replacement, variable
from ecapipe.oauth.flows import registry
from ecapipe.problems import project as problems
from ecapipe.problems.problem import command, retrieve_command
from ecapipe.project import metadata
from ecapipe.project.apps import App, Replaced

_NAMED: Final = 10
"""Apps that a message lists."""

# Salesforce documents no form, and a deployer may choose a key of another: `credential_shape` is a note at most.
_SHAPES: Final = {
    "consumerKey": re.compile(r"3MVG[0-9][A-Za-z0-9._+/=]{50,250}"),
    "consumerSecret": re.compile(r"[0-9A-F]{64}|[0-9]{15,20}"),
}


def _reserved_in_orgs(evidence: Evidence) -> Iterator[Remark]:
    yield from evidence.remarks_on(problems.variable_reserved)


@rule(
    levels=Levels(login="error", deploy="note"),
    means="The app's global OAuth settings have no consumerKey, and no other source supplies one.",
    why="The key is the app's client_id: no flow can start without it. Salesforce generates it on the first deploy.",
    remedy="Deploy the app, then retrieve it.",
    source=f"{HELP}, Complete the OAuth Flow",
)
def consumer_key_missing(subject: RuleInput) -> Iterator[Remark]:
    app, key = subject.app, subject.resolution.key
    # Of placeholders and duplicates other rules tell.
    held = subject.in_file("consumerKey")
    if subject.settings and key.source is None and held not in ("placeholder", "duplicate"):
        yield subject.remark(
            f"{app.name} has no consumerKey. {' '.join(key.causes)}",
            f"Deploy the app, then retrieve: {retrieve_command()}",
            element="consumerKey",
        )


@rule(
    levels=Levels(login="error", deploy="note"),
    means="The app's global OAuth settings have no consumerSecret, no other source supplies one, and one of the "
    "app's flows needs it. At most a warning if the app also allows a flow that needs no secret.",
    why="Most orgs leave the secret out of a retrieve: the setting that allows it is off, the user lacks the "
    "permission, or the release no longer supports it.",
    remedy="Supply the secret in an environment variable, or allow it in the org and retrieve again.",
    source=guide(metadata.SETTINGS),
)
def consumer_secret_missing(subject: RuleInput) -> Iterator[Remark]:
    app, secret = subject.app, subject.resolution.secret
    # Of placeholders and duplicates other rules tell.
    if not subject.settings or secret.source:
        return
    if subject.in_file("consumerSecret") in ("placeholder", "duplicate"):
        return
    mildest = _without_secret(app)
    # A public client, say: nothing is missing.
    if mildest == "note":
        return
    flows = registry.allowed_flows(app)
    sentences = [f"{app.name} has no consumerSecret.", *secret.causes]
    sentences.append(f"Its settings allow: {', '.join(flows.names) or 'no flow'}.")
    if flows.without_secret:
        sentences.append(f"No secret is needed for: {', '.join(flows.without_secret)}.")
    yield subject.remark(
        " ".join(sentences),
        f"Set {subject.variable('consumerSecret')} to the consumer secret, from your CI system's secret store.",
        f"Or save it in the keyring: {command('ecapipe app set-secret', app.name)}",
        f"Or allow it in the org, then retrieve: {retrieve_command()}",
        element="consumerSecret",
        at_most=mildest,
    )


@rule(
    levels=Levels(login="error", deploy="warning"),
    means="consumerKey or consumerSecret holds a placeholder instead of a value. Before a login, for a secret: at "
    "most a note if no flow of the app needs it, and at most a warning if one of its flows doesn't.",
    why="A placeholder that is sent to the token endpoint fails with invalid_client and may be logged there. "
    "Deployed, it becomes the app's key or secret.",
    remedy="Supply the real value in an environment variable or with a replacement in the project, or retrieve the "
    "file again.",
    source=REPLACING,
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
                f"Or set {subject.variable(field)}.",
                element=field,
                at_most=_mildest(subject, field),
            )


@rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="consumerKey or consumerSecret appears more than once in a settings file. Before a login, for a secret: at "
    "most a note if no flow of the app needs it, and at most a warning if one of its flows doesn't.",
    why="Which one Salesforce uses is undefined; ecapipe uses neither.",
    remedy="Remove the extra element, or retrieve the file again.",
    source=guide(metadata.SETTINGS),
)
def credential_duplicated(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        if subject.in_file(field) == "duplicate":
            yield subject.remark(
                f"{field} appears more than once in the settings of {subject.app.name}.",
                "Remove the extra element, or retrieve the file again.",
                element=field,
                at_most=_mildest(subject, field),
            )


@rule(
    levels=Levels(login="error", deploy="error"),
    means="A replacement in the project supplies consumerKey or consumerSecret, but its variable or file has no "
    "value.",
    why="A login then lacks the credential, and a deploy fails because the variable isn't set.",
    remedy="Set the variable or create the file that the replacement names.",
    source=REPLACING,
)
def replacement_unresolved(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        # Reserved variables have a rule of their own, and giving them a value would not help.
        missing = [origin for origin in _missing(subject, field) if origin not in _reserved(subject, field)]
        replaced = _replaced(subject, field)
        if replaced and replaced.unfinished and not _has_value(subject, field):
            yield subject.remark(
                f"Can't determine whether {field} of {subject.app.name} is replaced from {', '.join(missing)}: the "
                "regexToReplace took too long.",
                "Simplify regexToReplace so that it can match in only one way, or use stringToReplace.",
                element=field,
                at_most=_mildest(subject, field),
            )
        elif missing and not _has_value(subject, field):
            yield subject.remark(
                f"{field} of {subject.app.name} is replaced from {', '.join(missing)}, which has no value.",
                *(f"Provide a value in {origin}." for origin in missing),
                element=field,
                at_most=_mildest(subject, field),
            )


@rule(
    levels=Levels(login="error", deploy="error", commit="warning"),
    means="secretEnv or replaceWithEnv names an environment variable that other programs use, such as PATH, HOME, "
    "HTTPS_PROXY, or one that starts with GIT_, SF_ or XDG_.",
    why="Its value is not a credential, and removing it would change what git and the Salesforce CLI do. "
    "ecapipe doesn't read it and refuses to log in; a deploy writes its value to the org.",
    remedy="Put the credential in a dedicated variable, and name that one.",
    source=REPLACING,
    check_project=_reserved_in_orgs,
)
def variable_reserved(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        if names := _reserved(subject, field):
            yield subject.remark(
                f"{field} of {subject.app.name} is replaced from {', '.join(names)}, which other programs use: no "
                "credential is read from such a variable.",
                f"Name a dedicated variable in replaceWithEnv, such as {variable(field, subject.app.name)}.",
                element=field,
            )


@rule(
    levels=Levels(login="warning"),
    means="The consumer secret comes from the settings file, but the consumer key comes from elsewhere.",
    why="Key and secret must match. A key from the environment or from a replacement may belong to another org, or "
    "be out of date. The reverse is common: the key in the file, the secret supplied from elsewhere.",
    remedy="Supply the secret from the same source as the key, or take the key from the file as well.",
    source="RFC 6749, section 2.3.1",
)
def credential_sources_mixed(subject: RuleInput) -> Iterator[Remark]:
    key, secret = subject.resolution.key, subject.resolution.secret
    if mixed(key, secret):
        yield subject.remark(
            f"The consumer key of {subject.app.name} comes from {key.source}, but its consumer secret from "
            f"{secret.source}.",
            f"Take both from {key.source}, or both from {secret.source}.",
            element="consumerKey",
        )


@rule(
    levels=Levels(login="note", deploy="note", commit="note"),
    means="The file holds a consumer secret, but the app is a public client and none of its flows needs one.",
    why="An unused secret can only leak.",
    remedy="Remove consumerSecret from the file.",
    source=f"{guide(metadata.SETTINGS)}; RFC 9700, section 2.5",
)
def secret_not_needed(subject: RuleInput) -> Iterator[Remark]:
    app = subject.app
    if not subject.settings or not app.secret_optional or not holds_secret(subject.settings.document):
        return
    # A public client may also have to send its secret with a refresh.
    refreshes = {"RefreshToken", "OfflineAccess"} & set(app.scope_names or ())
    if refreshes and subject.settings.document.flag("isSecretRequiredForRefreshToken", True):
        return
    if not subject.client_credentials:
        yield subject.remark(
            f"{app.name} is a public client, and none of its flows needs the consumerSecret in the file.",
            "Remove consumerSecret from the file.",
            element="consumerSecret",
        )


@rule(
    levels=Levels(login="note"),
    means="consumerKey or consumerSecret doesn't look like one that Salesforce generates.",
    why="It may be truncated, or pasted into the wrong element. A key that was chosen at a deploy also looks "
    "different.",
    remedy="Compare it with the org's, or retrieve the file again.",
    source=guide(metadata.SETTINGS),
)
def credential_shape(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        text = subject.settings_text(field)
        if text and subject.in_file(field) == "present" and not _SHAPES[field].fullmatch(text):
            yield subject.remark(
                f"{field} of {subject.app.name} doesn't look like one that Salesforce generates.",
                "Compare it with the org's, or retrieve the file again.",
                element=field,
            )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="Two apps have the same consumer key.",
    why="A key identifies one app in one org. With a copied file, one app acts as the other, and a deploy of it "
    "fails.",
    remedy="Remove consumerKey and consumerSecret from the copy, deploy it, then retrieve it.",
    source=guide(metadata.SETTINGS),
    needs=("keys",),
)
def same_key_in_two_apps(subject: RuleInput) -> Iterator[Remark]:
    key = subject.settings_text("consumerKey") or ""
    names = subject.evidence.keys.get(key, ())
    # A few of them: each of thousands would name all the others.
    others = [name for name in names[:_NAMED] if name != subject.app.name]
    if others and not is_placeholder(key):
        if len(names) > _NAMED:
            others.append("others")
        yield subject.remark(
            f"{subject.app.name} has the same consumerKey as {', '.join(others)}.",
            "Remove consumerKey and consumerSecret from the copy, deploy it, then retrieve it.",
            element="consumerKey",
        )


def _mildest(subject: RuleInput, field: Field) -> Level | None:
    """How grave it is at most that a login does without the `field` of the file; None: as the rule says."""
    if field == "consumerKey" or subject.evidence.purpose not in USING:
        return None
    return _without_secret(subject.app)


def _without_secret(app: App) -> Level | None:
    """How grave it is at most that an app has no secret: a note where no flow needs one, as in a public client."""
    flows = registry.allowed_flows(app)
    if flows.names == flows.without_secret and (flows.names or app.secret_optional):
        return "note"
    return "warning" if flows.without_secret else None


def _has_value(subject: RuleInput, field: Field) -> bool:
    """Whether something gives the value that the file lacks: for a login any source, for a deploy a replacement."""
    if subject.evidence.purpose in USING:
        return subject.state(field).source is not None
    return find_replacement(subject.app, field) is not None


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
