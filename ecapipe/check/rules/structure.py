"""Rules about which files are there, and whether they fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Final

from ecapipe.check.findings import Level, Levels
from ecapipe.check.rules.rule import DX_GUIDE, GUIDE, HELP, REGISTRY, guide, project_rule, rule
from ecapipe.check.rules.subject import Evidence, Remark, RuleInput
from ecapipe.credentials.resolution import NO_FILE
from ecapipe.credentials.sources import variables
from ecapipe.oauth.flows import registry
from ecapipe.problems import project as problems
from ecapipe.problems.problem import command, retrieve_command
from ecapipe.problems.usage import unreadable_file
from ecapipe.project import apps, metadata
from ecapipe.project.metadata import Type

LONGEST: Final = 2000
"""Characters that all callback URLs may have together."""

_INSECURE: Final = "is plain http"
_VALID: Final = (None, _INSECURE)

_WITH_OWN_RULE: Final = (problems.suffix_misspelt, problems.wrong_root, problems.variable_reserved, unreadable_file)
"""The problems with files that are not `malformed_xml`."""


@rule(
    levels=Levels(login="error", deploy="note"),
    means="The app has no global OAuth settings file. A note for linked and packaged apps, which have none, and a "
    "warning if key and secret come from elsewhere.",
    why="Only that file holds the key and secret.",
    remedy="Retrieve the metadata type ExtlClntAppGlobalOauthSettings.",
    source=guide(metadata.SETTINGS),
)
def settings_missing(subject: RuleInput) -> Iterator[Remark]:
    # A file that is there, and cannot be read, is a finding of its own.
    if subject.settings or subject.app.unread_settings:
        return
    app, target = subject.app, subject.evidence.target
    targets = (target,) if target else ()
    problem = apps.missing_settings(app, None, variables(app.name), targets)
    # A SAML-only app: nothing is missing.
    if problem.kind is problems.no_oauth_settings:
        return
    mildest: Level | None = None
    if problem.kind is not problems.settings_not_retrieved:
        # The file is in another org, and no retrieve from this one brings it.
        mildest = "note"
    elif _can_login_without_settings(subject):
        mildest = "warning"
    # What was to stand in for the file, and cannot.
    states = subject.resolution.key, subject.resolution.secret
    faults = [cause for state in states if state.source is None for cause in state.causes if cause != NO_FILE]
    message = " ".join((problem.message, *dict.fromkeys(faults)))
    yield subject.remark(message, *problem.actions, at_most=mildest)


def _can_login_without_settings(subject: RuleInput) -> bool:
    """Whether key and secret, or private key, come from elsewhere: enough for the flows without a callback."""
    key, secret = subject.resolution.key.source, subject.resolution.secret.source
    return key is not None and (secret is not None or subject.app.name in subject.evidence.jwt)


@rule(
    levels=Levels(deploy="error"),
    means="The last commit had a global OAuth settings file for the app, but the project no longer does.",
    why="The deploy lacks these settings, and in another org the app has no OAuth settings at all.",
    remedy="Restore the file, or commit the deletion if it is intended.",
    source=guide(metadata.SETTINGS),
    needs=("deleted",),
)
def settings_deleted(subject: RuleInput) -> Iterator[Remark]:
    name = subject.app.name
    if path := subject.evidence.deleted.get(name):
        yield subject.remark(
            f"The global OAuth settings file of {name}, {path}, was deleted since the last commit.",
            f"Restore it: {command('git restore --source=HEAD', path)}",
            "Or commit the deletion if it is intended.",
        )


@rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="More than one global OAuth settings file names the app.",
    why="It is unclear which key and secret apply, and in a deploy one overwrites the other.",
    remedy="Delete all but one of the files.",
    source=guide(metadata.SETTINGS),
)
def settings_duplicated(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings[1:]:
        yield subject.remark(
            f"{subject.app.name} also has another global OAuth settings file: {subject.all_settings[0].path}.",
            "Delete one of them.",
            at=file,
            element="externalClientApplication",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="A global OAuth settings file names an app that has no other files in the project.",
    why="The name may be misspelled, or the app may be gone. Salesforce refuses settings for an app that doesn't "
    "exist.",
    remedy="Correct externalClientApplication, retrieve the rest of the app, or delete the file.",
    source=guide(metadata.SETTINGS),
)
def settings_orphaned(subject: RuleInput) -> Iterator[Remark]:
    if _orphaned(subject):
        yield subject.remark(
            f"The settings name the app {subject.app.name}, which has no other files in the project.",
            "Correct externalClientApplication if it is misspelled.",
            f"Or retrieve the app: {_retrieve(metadata.HEADER)}",
            element="externalClientApplication",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="The project has files of the app, but not its .eca file.",
    why="Without it, the app can't be created in another org, and whether it is local or packaged is unknown.",
    remedy="Retrieve the metadata type ExternalClientApplication.",
    source=guide(metadata.HEADER),
)
def app_header_missing(subject: RuleInput) -> Iterator[Remark]:
    if not subject.header and not _orphaned(subject):
        yield subject.remark(
            f"{subject.app.name} has no {subject.app.name}.eca-meta.xml in the project.",
            f"Retrieve it: {_retrieve(metadata.HEADER)}",
            element="externalClientApplication",
        )


@rule(
    levels=Levels(login="warning", deploy="warning", commit="note"),
    means="The app has global OAuth settings, but no OAuth settings (the .ecaOauth file).",
    why="They hold the scopes. Without them, OAuth isn't enabled for the app in another org.",
    remedy="Retrieve the metadata type ExtlClntAppOauthSettings.",
    source=guide(metadata.OAUTH),
)
def oauth_settings_missing(subject: RuleInput) -> Iterator[Remark]:
    if subject.own_settings and not subject.oauth and not _orphaned(subject):
        yield subject.remark(
            f"{subject.app.name} has no OAuth settings in the project: its scopes are unknown.",
            f"Retrieve them: {_retrieve(metadata.OAUTH)}",
            element="externalClientApplication",
        )


@rule(
    levels=Levels(login="note", deploy="note"),
    means="The app has OAuth settings, but no OAuth policies (the .ecaOauthPlcy file).",
    why="They define who may sign in, and whether client credentials are allowed. A deploy recreates them with "
    "Salesforce's defaults.",
    remedy="Retrieve the metadata type ExtlClntAppOauthConfigurablePolicies.",
    source=guide(metadata.OAUTH_POLICIES),
    file_type=metadata.OAUTH,
)
def policies_missing(subject: RuleInput) -> Iterator[Remark]:
    app = subject.app
    if subject.oauth and not subject.oauth_policies:
        yield subject.remark(
            f"{app.name} has no OAuth policies in the project: who may sign in is unknown.",
            f"Retrieve them: {_retrieve(metadata.OAUTH_POLICIES)}",
            at=subject.oauth,
            element="externalClientApplication",
        )


@project_rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="A file's suffix is almost that of an external client app type, or is in the wrong case.",
    why="The Salesforce CLI requires the exact suffix: it fails, or ignores the file.",
    remedy="Rename the file.",
    source=REGISTRY,
)
def suffix_misspelt(evidence: Evidence) -> Iterator[Remark]:
    yield from evidence.remarks_on(problems.suffix_misspelt)


@project_rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="A file's root element doesn't match its suffix.",
    why="The Salesforce CLI reads the type from the suffix, the deploy from the root element: one of them fails.",
    remedy="Rename the file to the suffix of its type, or correct the root element.",
    source=GUIDE,
)
def wrong_root(evidence: Evidence) -> Iterator[Remark]:
    yield from evidence.remarks_on(problems.wrong_root)


@project_rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="A metadata file of an external client app is not well-formed, or contains XML that ecapipe refuses.",
    why="Neither ecapipe nor a deploy can read the file.",
    remedy="Fix the file at the reported line, or retrieve it again.",
    source=GUIDE,
)
def malformed_xml(evidence: Evidence) -> Iterator[Remark]:
    others = {problem.kind for problem in evidence.problems if problem.kind}.difference(_WITH_OWN_RULE)
    yield from evidence.remarks_on(*others)


@rule(
    levels=Levels(login="note", deploy="note", commit="note"),
    means="A file names its app with a namespace that neither the .eca file nor the project has.",
    why="ecapipe treats both names as one app. A deploy may not: it needs the exact name.",
    remedy="Use the name of the .eca file, or set namespace in sfdx-project.json.",
    source=f"{guide(metadata.HEADER)}; {DX_GUIDE}, sfdx-project.json",
)
def namespace_mismatch(subject: RuleInput) -> Iterator[Remark]:
    name = subject.app.name
    for file in subject.app.files:
        if file.app and file.app != name and file.app != f"{subject.evidence.namespace}__{name}":
            yield subject.remark(
                f"The file names the app {file.app}, but the app's file is {name}.eca-meta.xml.",
                f"Change it to {name}, or set namespace in sfdx-project.json.",
                at=file,
                element="externalClientApplication",
            )


@rule(
    levels=Levels(login="error", deploy="warning", commit="warning"),
    means="The app has no callback URL, and its settings allow no flow that works without one.",
    why="Users can't sign in: the web server flow redirects to a registered callback URL.",
    remedy="Add a callback URL, such as http://localhost:1717/OauthRedirect.",
    source=f"{guide(metadata.SETTINGS)}; RFC 6749, section 3.1.2",
)
def callback_missing(subject: RuleInput) -> Iterator[Remark]:
    app = subject.app
    if subject.settings and not subject.callback_urls and not registry.allowed_by(app):
        yield subject.remark(
            f"{app.name} has no callback URL, and allows no flow that works without one.",
            "Add a callback URL, such as http://localhost:1717/OauthRedirect, then deploy and retrieve again.",
            element="callbackUrl",
        )


@rule(
    levels=Levels(login="error", deploy="error", commit="error"),
    means="A line of callbackUrl isn't an absolute URL, or has a fragment or a wildcard. Or callbackUrl appears "
    "twice.",
    why="Salesforce compares callback URLs character by character, so one that isn't a URL never matches. It accepts "
    "only one callbackUrl element.",
    remedy="Correct the line. Put several URLs in one element, each on its own line.",
    source=f"RFC 6749, section 3.1.2; {guide(metadata.SETTINGS)}",
)
def callback_invalid(subject: RuleInput) -> Iterator[Remark]:
    name = subject.app.name
    if wrong := [f"{url} {fault}" for url in subject.callback_urls if (fault := _assess(url)) not in _VALID]:
        yield subject.remark(
            f"{name} has invalid callback URLs: {'; '.join(wrong)}.",
            "Correct them in the app's OAuth settings, each URL on its own line.",
            element="callbackUrl",
        )
    for another in subject.settings.document.all("callbackUrl")[1:] if subject.settings else ():
        remark = subject.remark(
            f"{name} has more than one callbackUrl element: Salesforce accepts one, and only the first was read.",
            "Put all callback URLs in one callbackUrl element, each on its own line.",
            element="callbackUrl",
        )
        yield replace(remark, line=another.line, element="another callbackUrl")
        return


@rule(
    levels=Levels(login="warning", deploy="warning", commit="warning"),
    means="A callback URL uses plain http and isn't on this machine.",
    why="The authorization code is sent to it unencrypted.",
    remedy="Use https, a custom scheme, or http on localhost.",
    source="RFC 9700, section 2.6; RFC 8252, section 7.3",
)
def callback_insecure(subject: RuleInput) -> Iterator[Remark]:
    if wrong := [url for url in subject.callback_urls if _assess(url) == _INSECURE]:
        yield subject.remark(
            f"{subject.app.name} has callback URLs that use plain http: {', '.join(wrong)}.",
            "Use https.",
            element="callbackUrl",
        )


@rule(
    levels=Levels(login="warning", deploy="error", commit="error"),
    means="All callback URLs together have more than 2,000 characters.",
    why="Salesforce refuses the deploy.",
    remedy="Remove unused callback URLs.",
    source=f"{HELP}, Configure the External Client App OAuth Settings",
)
def callback_too_long(subject: RuleInput) -> Iterator[Remark]:
    text = subject.settings_text("callbackUrl")
    if text and len(text) > LONGEST:
        yield subject.remark(
            f"The callback URLs of {subject.app.name} have {len(text)} characters; {LONGEST} are allowed.",
            "Remove unused callback URLs.",
            element="callbackUrl",
        )


@rule(
    levels=Levels(deploy="warning", commit="note"),
    means="The global OAuth settings have no label.",
    why='The documentation calls it optional, but deploys without it have failed with "Missing required field".',
    remedy="Add a label, such as the name of the file.",
    source=guide(metadata.SETTINGS),
)
def label_missing(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.own_settings
    if settings and not settings.document.text("label"):
        yield subject.remark(
            f"The global OAuth settings of {subject.app.name} have no label.",
            f"Add <label>{settings.name}</label>.",
            element="label",
        )


@rule(
    levels=Levels(login="note", deploy="warning"),
    means="A .forceignore pattern excludes the app's global OAuth settings file.",
    why="The Salesforce CLI neither deploys nor retrieves the file, so its contents are never updated.",
    remedy="Remove the pattern from .forceignore. To keep the file out of git, use .gitignore.",
    source=f"{DX_GUIDE}, How to Exclude Source When Syncing",
)
def settings_forceignored(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.ignored:
            yield subject.remark(
                f".forceignore excludes the settings of {subject.app.name}: they are neither deployed nor retrieved.",
                "Remove the pattern from .forceignore. To keep the file out of git, use .gitignore.",
                at=file,
            )


def _orphaned(subject: RuleInput) -> bool:
    """Whether the project has only settings files of the app, which is then most likely misspelt in them."""
    return all(file.type is metadata.SETTINGS for file in subject.app.files)


# Most apps of a project have the same.
@lru_cache
def _assess(url: str) -> str | None:
    """What is wrong with a callback URL: it has to be absolute and without fragment (RFC 6749 §3.1.2), and, which is
    `_INSECURE`, not http over a network."""
    parts = apps.split(url)
    if parts is None:
        return "is not an absolute URL"
    if "#" in url:
        return "has a fragment (#)"
    if "*" in url:
        return "has a wildcard (*)"
    web = parts.scheme in ("http", "https")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:\S+", url) or (web and not parts.hostname):
        return "is not an absolute URL"
    # Plain http to this machine itself is what RFC 8252 §7.3 asks for.
    if parts.scheme == "http" and not apps.loopback(url):
        return _INSECURE
    return None


def _retrieve(type: Type) -> str:
    return retrieve_command(metadata=type.name)
