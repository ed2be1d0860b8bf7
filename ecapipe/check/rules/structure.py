"""Rules about which files are there, and whether they fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import urlsplit

from ecapipe.check.findings import Level
from ecapipe.check.rules.subject import Remark, RuleInput
from ecapipe.credentials.sources import variables
from ecapipe.oauth.flows import registry
from ecapipe.project import apps, metadata
from ecapipe.project.metadata import Type

LONGEST: Final = 2000
"""Characters that all callback URLs may have together."""


def settings_missing(subject: RuleInput) -> Iterator[Remark]:
    if subject.settings:
        return
    app, target = subject.app, subject.evidence.target
    targets = (target,) if target else ()
    problem = apps.missing_settings(app, None, variables(app.name), targets)
    # A SAML-only app: nothing is missing.
    if problem.name == "NoOauthSettings":
        return
    mildest: Level | None = None
    if problem.name != "SettingsNotRetrieved":
        # The file is in another org, and no retrieve from this one brings it.
        mildest = "note"
    elif _can_login_without_settings(subject):
        mildest = "warning"
    yield subject.remark(problem.message, *problem.actions, at_most=mildest)


def _can_login_without_settings(subject: RuleInput) -> bool:
    """Whether key and secret, or private key, come from elsewhere: enough for the flows without a callback."""
    key, secret = subject.resolution.key.source, subject.resolution.secret.source
    return key is not None and (secret is not None or subject.app.name in subject.evidence.jwt)


def settings_duplicated(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings[1:]:
        yield subject.remark(
            f"{subject.app.name} has another global OAuth settings file, {subject.all_settings[0].path}.",
            "Keep one of them in the project.",
            at=file,
            element="externalClientApplication",
        )


def settings_orphaned(subject: RuleInput) -> Iterator[Remark]:
    if _orphaned(subject):
        yield subject.remark(
            f"The settings name the app {subject.app.name}, of which the project has nothing else.",
            "Correct externalClientApplication if it is misspelt.",
            f"Or retrieve the app: {_retrieve(metadata.HEADER)}",
            element="externalClientApplication",
        )


def app_header_missing(subject: RuleInput) -> Iterator[Remark]:
    if not subject.header and not _orphaned(subject):
        yield subject.remark(
            f"{subject.app.name} has no {subject.app.name}.eca-meta.xml in the project.",
            f"Retrieve it: {_retrieve(metadata.HEADER)}",
            element="externalClientApplication",
        )


def oauth_settings_missing(subject: RuleInput) -> Iterator[Remark]:
    if subject.own_settings and not subject.oauth and not _orphaned(subject):
        yield subject.remark(
            f"{subject.app.name} has no OAuth settings in the project: its scopes are unknown.",
            f"Retrieve them: {_retrieve(metadata.OAUTH)}",
            element="externalClientApplication",
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


def namespace_mismatch(subject: RuleInput) -> Iterator[Remark]:
    name = subject.app.name
    for file in subject.app.files:
        if file.app and file.app != name and file.app != f"{subject.evidence.namespace}__{name}":
            yield subject.remark(
                f"The file names the app {file.app}; its own file is {name}.eca-meta.xml.",
                f"Write {name}, or set namespace in sfdx-project.json.",
                at=file,
                element="externalClientApplication",
            )


def callback_missing(subject: RuleInput) -> Iterator[Remark]:
    app = subject.app
    if subject.settings and not subject.callback_urls and not registry.allowed_by(app):
        yield subject.remark(
            f"{app.name} has no callback URL, and allows no flow without one.",
            "Add a callback URL to it, such as http://localhost:1717/OauthRedirect, and retrieve again.",
            element="callbackUrl",
        )


def callback_invalid(subject: RuleInput) -> Iterator[Remark]:
    if wrong := [url for url in subject.callback_urls if _assess(url) == "invalid"]:
        yield subject.remark(
            f"{subject.app.name} has callback URLs that are no absolute URLs: {', '.join(wrong)}.",
            "Correct them in the app's OAuth settings; several stand on lines of their own.",
            element="callbackUrl",
        )


def callback_insecure(subject: RuleInput) -> Iterator[Remark]:
    if wrong := [url for url in subject.callback_urls if _assess(url) == "insecure"]:
        yield subject.remark(
            f"{subject.app.name} has callback URLs that are plain http: {', '.join(wrong)}.",
            "Use https.",
            element="callbackUrl",
        )


def callback_too_long(subject: RuleInput) -> Iterator[Remark]:
    text = subject.settings_text("callbackUrl")
    if text and len(text) > LONGEST:
        yield subject.remark(
            f"The callback URLs of {subject.app.name} have {len(text)} characters; {LONGEST} are allowed.",
            "Remove those that nobody uses.",
            element="callbackUrl",
        )


def label_missing(subject: RuleInput) -> Iterator[Remark]:
    settings = subject.own_settings
    if settings and not settings.document.text("label"):
        yield subject.remark(
            f"The global OAuth settings of {subject.app.name} have no label.",
            f"Add <label>{settings.name}</label>.",
            element="label",
        )


def settings_forceignored(subject: RuleInput) -> Iterator[Remark]:
    for file in subject.all_settings:
        if file.ignored:
            yield subject.remark(
                f".forceignore hides the settings of {subject.app.name}: they are neither deployed nor retrieved.",
                "Remove the pattern from .forceignore; to keep the file out of git, use .gitignore.",
                at=file,
            )


def _orphaned(subject: RuleInput) -> bool:
    """Whether the project has only settings files of the app, which is then most likely misspelt in them."""
    return all(file.type is metadata.SETTINGS for file in subject.app.files)


# Most apps of a project have the same.
@lru_cache
def _assess(url: str) -> Literal["invalid", "insecure", "fine"]:
    """Whether a callback URL is absolute and without fragment (RFC 6749 §3.1.2), and not http over a network."""
    try:
        parts = urlsplit(url)
        # Reading it raises on a port that is no number.
        parts.port  # noqa: B018
    except ValueError:
        return "invalid"
    web = parts.scheme in ("http", "https")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s*#]+", url) or (web and not parts.hostname):
        return "invalid"
    # Plain http to this machine itself is what RFC 8252 §7.3 asks for.
    if parts.scheme == "http" and not apps.loopback(url):
        return "insecure"
    return "fine"


def _retrieve(type: Type) -> str:
    return f"sf project retrieve start --metadata {type.name} --target-org <alias>"
