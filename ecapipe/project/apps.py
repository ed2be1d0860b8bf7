"""External client apps, assembled from their files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from ecapipe.events import Subject
from ecapipe.problems.problem import Problem
from ecapipe.problems.project import (
    no_oauth_settings,
    settings_in_source_org,
    settings_not_packaged,
    settings_not_retrieved,
)
from ecapipe.project import metadata
from ecapipe.project.metadata import Document, Type
from ecapipe.secret import Secret

_REFERENCE: Final = re.compile(r"(00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?)\s*:")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a replacement makes of an element: a value, or None and the variables or files that have none.

    `reserved` are those among them that no credential is read from; `origins` are all that the value comes from,
    `variables` those of the environment; `whole`: one of them is all of it. `ignored`: nothing was read, since the
    project is not trusted. `unfinished`: its regular expression took too long, so that nobody knows what it would
    have replaced.
    """

    value: Secret | None
    missing_origins: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    whole: bool = False
    ignored: bool = False
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A metadata file that was read. `path` is relative to the project, with ``/``; `name` is the member name."""

    path: str
    type: Type
    name: str
    document: Document
    replaced: Mapping[str, Replaced] = field(default_factory=dict)
    """By element name, what the project's replacements make of it."""
    ignored: bool = False
    """Hidden from the Salesforce CLI by .forceignore."""

    @property
    def app(self) -> str | None:
        """The app it belongs to: its own name for a header, else the text of ``externalClientApplication``."""
        # The file names of an app's other types follow no pattern, so they decide nothing.
        if self.type is metadata.HEADER:
            return self.name
        return self.document.text("externalClientApplication")


@dataclass(frozen=True, slots=True)
class App:
    """An external client app as found; it may be incomplete. `files` are sorted by path."""

    name: str
    project: str
    files: tuple[SourceFile, ...]
    tree: str = ""
    """What results call its project, as `ProjectFacts.tree`."""
    borrowed_settings: SourceFile | None = None
    """The settings file from the source org's tree (``--credentials-dir``), for an app without one of its own."""
    unread_settings: Problem | None = None
    """Why a settings file that is there, and its own as far as can be told, was not read."""
    retrieved: bool = field(default=False, compare=False)
    """The run has just retrieved its files, so that one that is not there was not returned."""
    settings: SourceFile | None = field(init=False, repr=False, compare=False)
    """The global OAuth settings file, its own or lent: the only one with key and secret."""
    callback_urls: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The registered redirect URIs, as written: one per line of ``callbackUrl``."""
    types: frozenset[Type] = field(init=False, repr=False, compare=False)
    """Of its own files."""
    _first: Mapping[Type, SourceFile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The rules ask for these again and again, for thousands of apps: they are worked out once. Of several files
        # of a type the first by path counts, so they are entered from the last to the first.
        first = {file.type: file for file in reversed(self.files)}
        object.__setattr__(self, "_first", first)
        object.__setattr__(self, "types", frozenset(first))
        object.__setattr__(self, "settings", first.get(metadata.SETTINGS) or self.borrowed_settings)
        object.__setattr__(self, "callback_urls", _lines(self.settings, "callbackUrl"))

    @property
    def subject(self) -> Subject:
        return Subject(self.name, tree=self.tree)

    def of(self, type: Type) -> SourceFile | None:
        """The app's first file of `type`."""
        return self._first.get(type)

    @property
    def distribution(self) -> Literal["Local", "Packaged"] | None:
        """``distributionState`` of the header; Salesforce's internal states of installed apps count as Packaged."""
        match self._text(metadata.HEADER, "distributionState"):
            case "Local":
                return "Local"
            case "Packaged" | "Managed" | "AutoInstalled":
                return "Packaged"
            case _:
                return None

    @property
    def link_org(self) -> str | None:
        """The org in ``oauthLink``: the one that holds the app's consumer key, as the last retrieve saw it."""
        return _org_of(self._text(metadata.OAUTH, "oauthLink"))

    @property
    def scoped_org(self) -> str | None:
        """The org in ``orgScopedExternalApp``: where the app was made."""
        return _org_of(self._text(metadata.HEADER, "orgScopedExternalApp"))

    def source_org(self, targets: Collection[str] = ()) -> str | None:
        """The org whose key and secret the app uses because it has no settings file of its own (linked).

        Every app that was retrieved has a link, in its own org too. It names a source org if it leads away from
        `targets`, the ids of the orgs to log in to; where these are unknown, if it leads away from the app's own.
        """
        link = self.link_org
        if self.of(metadata.SETTINGS) or self.unread_settings or link is None:
            return None
        if self.borrowed_settings:
            return link
        homes = targets or [self.scoped_org or link]
        # An id of 18 characters is one of 15 with a checksum behind it.
        if any(home[:15] == link[:15] for home in homes):
            return None
        return link

    def credentials_of(self, targets: Collection[str] = ()) -> Literal["own", "sourceOrg", "none"]:
        """Whose key and secret the app uses; `targets` as for `source_org`."""
        if self.of(metadata.SETTINGS):
            return "own"
        if self.borrowed_settings or self.source_org(targets):
            return "sourceOrg"
        if self.link_org or self.unread_settings:
            return "own"
        return "none"

    @property
    def secret_optional(self) -> bool:
        """A public client: ``isConsumerSecretOptional``, by default false."""
        return bool(self.settings and self.settings.document.flag("isConsumerSecretOptional", False))

    @property
    def rotates_refresh_tokens(self) -> bool:
        """Whether each refresh brings a new refresh token, and ends the old one."""
        return bool(self.settings and self.settings.document.flag("isRefreshTokenRotationEnabled", False))

    @property
    def pkce_required(self) -> bool:
        """``isPkceRequired``, by default true."""
        return not self.settings or self.settings.document.flag("isPkceRequired", True)

    @property
    def requires_dpop(self) -> bool:
        """Whether its tokens are bound to keys (Setup: *Require DPoP*)."""
        return self.settings is not None and self.settings.document.flag("isDPopEnabled", False)

    @property
    def scope_names(self) -> tuple[str, ...] | None:
        """The names in ``commaSeparatedOauthScopes``; None where the project has no such element."""
        text = self._text(metadata.OAUTH, "commaSeparatedOauthScopes")
        if text is None:
            return None
        return tuple(name.strip() for name in text.split(",") if name.strip())

    def _text(self, type: Type, element: str) -> str | None:
        file = self.of(type)
        if file is None:
            return None
        return file.document.text(element)


def assemble(files: Iterable[SourceFile], project: str, namespace: str, tree: str = "") -> tuple[App, ...]:
    """Join files to apps by the exact text of ``externalClientApplication``, sorted by name.

    ``ns__X`` in an element and a header ``X`` are one app, named ``X``, if the project's namespace is ``ns`` or no
    header ``ns__X`` exists. A file that names no app belongs to none and is left out.
    """
    files = sorted(files, key=lambda file: file.path)
    headers = {file.name for file in files if file.type is metadata.HEADER}
    by_app: dict[str, list[SourceFile]] = {}
    for file in files:
        name = file.app
        if name is None:
            continue
        prefix, _, local_name = name.partition("__")
        if local_name in headers and (prefix == namespace or name not in headers):
            name = local_name
        by_app.setdefault(name, []).append(file)
    return tuple(App(name, project, tuple(by_app[name]), tree) for name in sorted(by_app))


def _lines(file: SourceFile | None, name: str) -> tuple[str, ...]:
    """The lines of an element's text that are not blank, each once, in their order."""
    if file is None:
        return ()
    lines = (file.document.text(name) or "").replace("\r", "\n").split("\n")
    return tuple(dict.fromkeys([line.strip() for line in lines if line.strip()]))


def _org_of(reference: str | None) -> str | None:
    """The org id in a reference of the form ``org:id``; None for what has not that of one."""
    org = _REFERENCE.match(reference or "")
    return org[1] if org else None


def missing_settings(app: App, org: str | None, variables: Sequence[str], targets: Collection[str] = ()) -> Problem:
    """Why `app` has no global OAuth settings file, concluded from the files that are there.

    `org` is the alias to print in the command that would retrieve it, `variables` are the environment variables that
    would supply key and secret, `targets` the ids of the orgs to log in to, if they are known.
    """
    if app.unread_settings:
        return app.unread_settings
    # Known targets decide; the orgs that the files name are clues only for want of them, and are shown as such.
    scoped, link = (None, None) if targets else (app.scoped_org, app.link_org)
    if source := app.source_org(targets):
        return settings_in_source_org(app.name, source, variables, scoped)
    # Packages never contain global OAuth settings.
    if app.link_org is None and app.distribution == "Packaged":
        return settings_not_packaged(app.name, variables)
    if app.of(metadata.SAML) and not app.of(metadata.OAUTH):
        return no_oauth_settings(app.name)
    return settings_not_retrieved(app.name, org, variables, link, app.retrieved)


def loopback(url: str) -> SplitResult | None:
    """`url` parsed, if a program on this machine can receive it: plain http on a loopback host (RFC 8252 §7.3)."""
    parts = split(url)
    if parts is None or parts.scheme != "http" or parts.hostname not in LOOPBACK:
        return None
    return parts


def split(url: str) -> SplitResult | None:
    """`url` parsed; None if it is none, or its port is no number."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it raises
    except ValueError:
        return None
    return parts
