"""What a rule is applied to, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from ecapipe.check.findings import Level, Purpose
from ecapipe.credentials.placeholders import is_placeholder
from ecapipe.credentials.resolution import CredentialState, Resolution
from ecapipe.credentials.sources import Field, InFile, variable_for
from ecapipe.oauth.flows.client_credentials import CLIENT_CREDENTIALS
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import Kind, Problem
from ecapipe.project import metadata
from ecapipe.project.apps import App, SourceFile
from ecapipe.project.metadata import Document


@dataclass(frozen=True, slots=True)
class Sighting:
    """A place where a secret was found."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Remark:
    """One place where a rule does not hold. `at_most` is for the milder cases of a rule."""

    message: str
    actions: tuple[str, ...]
    file: str | None
    line: int | None
    element: str
    at_most: Level | None = None


Need = Literal[
    "jwt", "keys", "exposed", "unignored", "staged", "certified", "open_to_others", "elsewhere", "history",
    "changed_config", "expired_certificates", "invalid_certificates", "unfit_api_version", "deleted",
    "instanced_urls", "connected_apps",
]  # fmt: skip
"""A member of `Evidence` that a rule may need."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of one project besides its apps, gathered beforehand: rules look nothing up.

    Paths are relative to the project, `root`. `elsewhere` and `history` go by the app's name.
    """

    root: str = ""
    purpose: Purpose = "login"
    namespace: str = ""
    today: str = ""
    """The day of the check in UTC, as ISO 8601; empty: before all changes."""
    target: str | None = None
    """The org id of the deploy target; empty if it is unknown, None if there is no target."""
    org: Org | None = None
    """The org of ``--target-org``."""
    jwt: frozenset[str] = frozenset()
    """Apps that log in with the JWT flow."""
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The names of the apps that have a consumer key."""
    exposed: frozenset[str] = frozenset()
    """Settings files, and push settings, in git's index that hold a secret, there or on the disk."""
    strays: tuple[str, ...] = ()
    """Files in git's index that hold a consumer secret, and are no settings file of an app."""
    stray_pushes: tuple[str, ...] = ()
    """Files in git's index that are called like push settings, belong to no app, and hold a key."""
    unignored: frozenset[str] = frozenset()
    """Files that no .gitignore covers, in a repository."""
    staged: frozenset[str] = frozenset()
    """Files whose version in git's index holds a secret that the last commit does not."""
    certified: frozenset[str] = frozenset()
    """Settings files that had a certificate in the last commit."""
    open_to_others: frozenset[str] = frozenset()
    """Settings files that hold a secret and that other users of this machine may read."""
    elsewhere: Mapping[str, tuple[Sighting, ...]] = field(default_factory=dict)
    """Where else in the project an app's secret stands."""
    history: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The paths at which an app's secret stands in the history."""
    config_commit: str = ""
    """The revision whose configuration the check goes by; empty: by that of the tree."""
    changed_config: tuple[str, ...] = ()
    """The files of the configuration that say something else than at that revision."""
    unlisted: tuple[str, ...] = ()
    """The folders that were package directories then, and are not looked into any more."""
    expired_certificates: Mapping[str, str] = field(default_factory=dict)
    """Settings files whose certificate has expired, with the day."""
    invalid_certificates: frozenset[str] = frozenset()
    """Settings files that hold as certificate what is none."""
    deleted: Mapping[str, str] = field(default_factory=dict)
    """Apps whose settings file was deleted since the last commit, with its path."""
    instanced_urls: Mapping[str, str] = field(default_factory=dict)
    """The addresses of orgs that are those of an instance, by the place that gives them."""
    connected_apps: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The files of connected apps, by the app's name and by its consumer key."""
    unfit_api_version: Problem | None = None
    """Why the project's sourceApiVersion does not fit external client apps."""
    unexamined: tuple[Remark, ...] = ()
    """What could not be looked at."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with files that could not be read, or used."""

    def remarks_on(self, *kinds: Kind[...]) -> Iterator[Remark]:
        """The problems of these kinds, as remarks."""
        for problem in self.problems:
            if problem.kind in kinds:
                yield Remark(problem.message, problem.actions, file=problem.file, line=problem.line, element="")


@dataclass(frozen=True, slots=True)
class RuleInput:
    """An app, what is known of its key and secret, and the evidence about its project.

    Nearly every rule asks for the rest, so it is looked up once.
    """

    app: App
    resolution: Resolution
    evidence: Evidence
    header: SourceFile | None
    own_settings: SourceFile | None
    """The settings file that belongs to this very project: the one that a deploy would take."""
    settings: SourceFile | None
    """The settings file that a login uses, its own or lent."""
    all_settings: tuple[SourceFile, ...]
    """Every settings file that the app's credentials could be read from."""
    oauth: SourceFile | None
    policies: SourceFile | None
    oauth_policies: SourceFile | None
    callback_urls: tuple[str, ...]
    client_credentials: bool
    """Whether settings and policies allow that flow."""

    @classmethod
    def of(cls, app: App, resolution: Resolution, evidence: Evidence) -> RuleInput:
        own = tuple([file for file in app.files if file.type is metadata.SETTINGS])
        borrowed_settings = (app.borrowed_settings,) if app.borrowed_settings else ()
        return cls(
            app=app,
            resolution=resolution,
            evidence=evidence,
            header=app.of(metadata.HEADER),
            own_settings=app.of(metadata.SETTINGS),
            settings=app.settings,
            all_settings=own or borrowed_settings,
            oauth=app.of(metadata.OAUTH),
            policies=app.of(metadata.POLICIES),
            oauth_policies=app.of(metadata.OAUTH_POLICIES),
            callback_urls=app.callback_urls,
            client_credentials=CLIENT_CREDENTIALS.allowed_by(app),
        )

    def state(self, field: Field) -> CredentialState:
        """What is known of key or secret."""
        if field == "consumerKey":
            return self.resolution.key
        return self.resolution.secret

    def in_file(self, field: Field) -> InFile:
        """What the settings file holds for key or secret."""
        return self.state(field).in_file

    def variable(self, field: Field) -> str:
        """The environment variable to set for key or secret, as advice names it."""
        return variable_for(self.app, self.evidence.org, field)

    def settings_text(self, element: str) -> str | None:
        """The text of an element of the settings file that a login uses."""
        if self.settings is None:
            return None
        return self.settings.document.text(element)

    def remark(
        self,
        message: str,
        *actions: str,
        at: SourceFile | None = None,
        element: str = "",
        at_most: Level | None = None,
    ) -> Remark:
        """A remark about this app, on the line of `element` in the file `at`, by default its settings file."""
        file = at or self.settings or self.app.files[0]
        first = file.document.first(element)
        line = first.line if first else None
        # Part of the fingerprint: two apps may have a finding in one file.
        name = element or self.app.name
        return Remark(message, actions, file=file.path, line=line, element=name, at_most=at_most)


def holds_secret(document: Document) -> bool:
    """Whether a real consumer secret stands in a settings file, once or more often."""
    # Asked so often that a generator would cost noticeable time.
    for element in document.all("consumerSecret"):
        if element.text and not is_placeholder(element.text):
            return True
    return False
