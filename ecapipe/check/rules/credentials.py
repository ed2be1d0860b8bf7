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
    means="The app's global OAuth settings hold no consumerKey, and no other source supplies one.",
    why="The key is the app's client_id; without it no flow can start. Salesforce makes it at the first deploy.",
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
    means="The app's global OAuth settings hold no consumerSecret, no other source supplies one, and a flow of the "
    "app needs one. It is a warning at most where the app also allows a flow that needs none.",
    why="Most orgs leave the secret out of a retrieve: the switch that allows it is off, the user lacks the "
    "permission, or the release no longer supports it.",
    remedy="Supply the secret from the environment, or allow it in the org and retrieve again.",
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
        f"Set {variable('consumerSecret', app.name)} to the consumer secret, from your CI system's secret store.",
        f"Or keep it in the keyring: {command('ecapipe app set-secret', app.name)}",
        f"Or allow it in the org, then retrieve: {retrieve_command()}",
        element="consumerSecret",
        at_most=mildest,
    )


@rule(
    levels=Levels(login="error", deploy="warning"),
    means="consumerKey or consumerSecret holds a placeholder instead of a value. Before a login it is a note at most "
    "for a secret that no flow of the app needs, and a warning where one does without.",
    why="A placeholder sent to the token endpoint fails as invalid_client and may be logged there; deployed, it "
    "becomes the app's key or secret.",
    remedy="Put the real value into the environment, let a replacement of the project fill it in, or retrieve the "
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
                f"Or set {variable(field, subject.app.name)}.",
                element=field,
                at_most=_mildest(subject, field),
            )


@rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="consumerKey or consumerSecret stands more than once in one settings file. Before a login it is a note at "
    "most for a secret that no flow of the app needs, and a warning where one does without.",
    why="It is undefined which of them Salesforce uses; ecapipe uses neither.",
    remedy="Leave one element, or retrieve the file again.",
    source=guide(metadata.SETTINGS),
)
def credential_duplicated(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        if subject.in_file(field) == "duplicate":
            yield subject.remark(
                f"{field} stands more than once in the settings of {subject.app.name}.",
                "Leave one element, or retrieve the file again.",
                element=field,
                at_most=_mildest(subject, field),
            )


@rule(
    levels=Levels(login="error", deploy="error"),
    means="The project's replacements stand where consumerKey or consumerSecret belongs, and their variable or file "
    "gives no value.",
    why="A login has no credential then, and a deploy stops at the variable that is not set.",
    remedy="Set the variable, or write the file, that the replacement names.",
    source=REPLACING,
)
def replacement_unresolved(subject: RuleInput) -> Iterator[Remark]:
    for field in FIELDS:
        # Reserved variables have a rule of their own, and giving them a value would not help.
        missing = [origin for origin in _missing(subject, field) if origin not in _reserved(subject, field)]
        replaced = _replaced(subject, field)
        if replaced and replaced.unfinished and not _has_value(subject, field):
            yield subject.remark(
                f"Whether {field} of {subject.app.name} is replaced from {', '.join(missing)} is not known: the "
                "regexToReplace took too long.",
                "Write a regexToReplace that matches in one way only, or a stringToReplace.",
                element=field,
                at_most=_mildest(subject, field),
            )
        elif missing and not _has_value(subject, field):
            yield subject.remark(
                f"{field} of {subject.app.name} is to be replaced from {', '.join(missing)}, which has no value.",
                *(f"Give {origin} a value." for origin in missing),
                element=field,
                at_most=_mildest(subject, field),
            )


@rule(
    levels=Levels(login="error", deploy="error", commit="warning"),
    means="secretEnv or replaceWithEnv names an environment variable that programs need, such as PATH, HOME, "
    "HTTPS_PROXY or one that starts with GIT_, SF_ or XDG_.",
    why="What stands in it is no credential, and taken away it would change what git and the Salesforce CLI do. "
    "ecapipe reads nothing from it, and refuses to log in; a deploy puts its value into the org.",
    remedy="Put the credential into a variable of its own, and name that.",
    source=REPLACING,
    check_project=_reserved_in_orgs,
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


@rule(
    levels=Levels(login="warning"),
    means="The consumer secret comes from the settings file, and the consumer key from elsewhere.",
    why="Key and secret belong together. A key from the environment, or from a replacement, may be that of another "
    "org, or of another time. The other way round is usual: the key in the file, the secret kept out of it.",
    remedy="Supply the secret where the key comes from, or leave the key to the file as well.",
    source="RFC 6749, section 2.3.1",
)
def credential_sources_mixed(subject: RuleInput) -> Iterator[Remark]:
    key, secret = subject.resolution.key, subject.resolution.secret
    if mixed(key, secret):
        yield subject.remark(
            f"The consumer key of {subject.app.name} comes from {key.source}, its consumer secret from "
            f"{secret.source}.",
            f"Take both from {key.source}, or both from {secret.source}.",
            element="consumerKey",
        )


@rule(
    levels=Levels(login="note", deploy="note", commit="note"),
    means="The file holds a consumer secret although the app is a public client, none of whose flows needs it.",
    why="A secret that nobody needs can only leak.",
    remedy="Remove consumerSecret from the file.",
    source=f"{guide(metadata.SETTINGS)}; RFC 9700, section 2.5",
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


@rule(
    levels=Levels(login="note"),
    means="consumerKey or consumerSecret does not look like those that Salesforce makes.",
    why="It may have been cut, or pasted into the wrong element. Keys that a deployer chose look different, too.",
    remedy="Compare it with the org, or retrieve the file again.",
    source=guide(metadata.SETTINGS),
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


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="Two apps have the same consumer key.",
    why="A key names one app in one org. A copied file makes one app act as the other, and a deploy of it fails.",
    remedy="Remove consumerKey and consumerSecret from the copy, deploy it, and retrieve it.",
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
            "Remove consumerKey and consumerSecret from the file that was copied, deploy it, and retrieve it.",
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
