"""External client apps, assembled from their files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, assert_never
from urllib.parse import SplitResult, urlsplit

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

Flow = Literal["web", "client-credentials", "jwt"]
FLOWS: tuple[Flow, ...] = ("web", "client-credentials", "jwt")

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Replaced:
    """What a replacement makes of an element: a value, or None and the variables or files that lack one; `reserved`
    are those among them that no credential is read from."""

    value: Secret | None
    lacking: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()


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
        """The app it belongs to: its own name for a header, else the text of ``externalClientApplication``.

        File names of satellites follow no pattern, so they decide nothing.
        """
        if self.type is metadata.HEADER:
            return self.name
        return self.document.text("externalClientApplication")


@dataclass(frozen=True, slots=True)
class App:
    """An external client app as found; it may be incomplete. `files` are sorted by path."""

    name: str
    project: str
    files: tuple[SourceFile, ...]
    lent: SourceFile | None = None
    """The settings file from the source org's tree (``--credentials-dir``), for an app without one of its own."""
    settings: SourceFile | None = field(init=False, repr=False, compare=False)
    """The global OAuth settings file, its own or lent: the only one with key and secret."""
    callback_urls: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The registered redirect URIs, as written: one per line of ``callbackUrl``."""
    types: frozenset[Type] = field(init=False, repr=False, compare=False)
    """Of its own files."""
    _first: Mapping[Type, SourceFile] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first = {file.type: file for file in reversed(self.files)}
        object.__setattr__(self, "_first", first)
        object.__setattr__(self, "types", frozenset(first))
        object.__setattr__(self, "settings", first.get(metadata.SETTINGS) or self.lent)
        object.__setattr__(self, "callback_urls", _lines(self.settings, "callbackUrl"))

    def of(self, type: Type) -> SourceFile | None:
        """The app's first file of `type`."""
        return self._first.get(type)

    @property
    def distribution(self) -> Literal["Local", "Packaged"] | None:
        """``distributionState`` of the header; Salesforce's internal states of installed apps count as Packaged."""
        header = self.of(metadata.HEADER)
        match header.document.text("distributionState") if header else None:
            case "Local":
                return "Local"
            case "Packaged" | "Managed" | "AutoInstalled":
                return "Packaged"
            case _:
                return None

    @property
    def link_org(self) -> str | None:
        """The org in ``oauthLink``: the one that holds the app's consumer key, as the last retrieve saw it."""
        oauth = self.of(metadata.OAUTH)
        link = oauth.document.text("oauthLink") if oauth else None
        return (link or "").partition(":")[0].strip() or None

    @property
    def scoped_org(self) -> str | None:
        """The org in ``orgScopedExternalApp``: where the app was made."""
        header = self.of(metadata.HEADER)
        scoped = header.document.text("orgScopedExternalApp") if header else None
        return (scoped or "").partition(":")[0].strip() or None

    def source_org(self, targets: Collection[str] = ()) -> str | None:
        """The org whose key and secret the app uses because it has no settings file of its own (linked).

        Every app that was retrieved has a link, in its own org too. It tells of a source org if it leads away from
        `targets`, the ids of the orgs that are meant; where these are unknown, if it leads away from the app's own.
        """
        link = self.link_org
        if self.of(metadata.SETTINGS) or link is None:
            return None
        homes = targets or ([self.scoped_org] if self.scoped_org else [link])
        return link if self.lent or all(home[:15] != link[:15] for home in homes) else None

    def credentials_of(self, targets: Collection[str] = ()) -> Literal["own", "sourceOrg", "none"]:
        """Whose key and secret the app uses, as `source_org` tells."""
        if self.of(metadata.SETTINGS):
            return "own"
        if self.lent or self.source_org(targets):
            return "sourceOrg"
        return "own" if self.link_org else "none"

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
    def scope_names(self) -> tuple[str, ...] | None:
        """The names in ``commaSeparatedOauthScopes``; None when the project does not tell."""
        oauth = self.of(metadata.OAUTH)
        text = oauth.document.text("commaSeparatedOauthScopes") if oauth else None
        return tuple(name.strip() for name in text.split(",") if name.strip()) if text else None

    def allows(self, flow: Flow) -> bool:
        """Whether the files in the project allow `flow_of`.

        The client credentials flow has to be on in the settings and in the policies; policies that are not in
        the project are not held against it.
        """
        settings = self.settings
        if not settings:
            return False
        document = settings.document
        match flow:
            case "web":
                return bool(self.callback_urls)
            case "client-credentials":
                policies = self.of(metadata.OAUTH_POLICIES)
                off = policies and not policies.document.flag("isClientCredentialsFlowEnabled", True)
                return document.flag("isClientCredentialsFlowEnabled", False) and not off
            case "jwt":
                return document.text("certificate") is not None
            case _:
                assert_never(flow)

    @property
    def flows(self) -> tuple[Flow, ...]:
        return tuple(flow for flow in FLOWS if self.allows(flow))


def assemble(files: Iterable[SourceFile], project: str, namespace: str) -> tuple[App, ...]:
    """Join files to apps by the exact text of ``externalClientApplication``, sorted by name.

    ``ns__X`` in an element and a header ``X`` are one app, named ``X``, if the project's namespace is ``ns`` or no
    header ``ns__X`` exists. A file that names no app belongs to none and is left out.
    """
    files = sorted(files, key=lambda file: file.path)
    headers = {file.name for file in files if file.type is metadata.HEADER}
    grouped: dict[str, list[SourceFile]] = {}
    for file in files:
        name = file.app
        if name is None:
            continue
        prefix, _, rest = name.partition("__")
        if rest in headers and (prefix == namespace or name not in headers):
            name = rest
        grouped.setdefault(name, []).append(file)
    return tuple(App(name, project, tuple(grouped[name])) for name in sorted(grouped))


def _lines(file: SourceFile | None, name: str) -> tuple[str, ...]:
    """The lines of an element's text, each once."""
    text = file.document.text(name) if file else None
    lines = (text or "").replace("\r", "\n").split("\n")
    return tuple(dict.fromkeys([line.strip() for line in lines if line.strip()]))


def missing_settings(app: App, org: str | None, variables: Sequence[str], targets: Collection[str] = ()) -> Problem:
    """Why `app` has no global OAuth settings file, told from the files that are there.

    `org` is the alias to print in the command that would retrieve it, `reserved_variables` would supply key and
    secret,
    `targets` are the ids of the orgs that are meant, if they are known.
    """
    link = app.link_org
    if source := app.source_org(targets):
        return settings_in_source_org(app.name, source, variables, None if targets else app.scoped_org)
    if link is None and app.distribution == "Packaged":
        return settings_not_packaged(app.name)
    if app.of(metadata.SAML) and not app.of(metadata.OAUTH):
        return no_oauth_settings(app.name)
    return settings_not_retrieved(app.name, org, variables, None if targets else link)


def loopback(url: str) -> SplitResult | None:
    """`url` parsed, if a program on this machine can receive it: plain http on a loopback host (RFC 8252 §7.3)."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # raises on a port that is no number
    except ValueError:
        return None
    return parts if parts.scheme == "http" and parts.hostname in LOOPBACK else None
