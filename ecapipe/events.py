"""Events: the facts that a run passes to displays, reports and journal, and the stages it goes through."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from ecapipe.problems.problem import Problem


class Unwritten(OSError):
    """A stream cannot be written to, though somebody reads it: its disk is full, say. Whoever is told of an event may
    raise it, or `BrokenPipeError`."""


NoteKind = Literal["link", "offer", "asking", "waiting", "hint", "progress"]
Tell = Callable[[str, int, int], None]
"""Hears of long work: its name, and how many are done, of how many."""
Outcome = Literal["passed", "warning", "failed", "skipped"]
NamedBy = Literal["user", "tree", "salesforceCli"]
"""Who names the address of an org: the user (a flag, the environment, a file outside the tree), the tree (any file of
its repository), or the user's own Salesforce CLI."""
TokenFate = Literal["forgotten", "revoked", "printed", "saved", "handedOver"]
"""The end of a token: what ecapipe did with it last."""


def untold(work: str, done: int, total: int) -> None:
    """A `Tell` that shows nothing."""


def progress(work: str, done: int, total: int) -> str:
    """How far long work is, in words."""
    return f"{work}: {done} of {total}"


# Stages and events are tuples: every command loads them, and a dataclass takes four times as long to make.
class Stage(NamedTuple):
    """A step of the pipeline: `name` is part of the JSON contract, `title` is shown to people."""

    name: str
    title: str


# A tuple, not a dataclass: every event is looked up by its subject, and a tuple's hash costs next to nothing.
class Subject(NamedTuple):
    """What a stage works on: the whole project, an org that a tree is retrieved from, an app, or an app in an org.

    `tree` is where the app lies, as `ProjectFacts.tree`: several trees may hold an app of one name. Only records of
    0.1.0 do not say it.
    """

    app: str | None = None
    org: str | None = None
    tree: str | None = None

    def __str__(self) -> str:
        return "@".join(part for part in (self.app, self.org) if part)

    @property
    def is_login(self) -> bool:
        """Whether it is an app in an org. An org alone is one that apps are retrieved from."""
        return self.app is not None and self.org is not None

    @property
    def whole_app(self) -> Subject:
        """The app, whatever the org."""
        return Subject(self.app, None, self.tree)


class SubjectNames:
    """What output calls the subjects of a run: by app and org, and by the tree if others are called the same."""

    def __init__(self, subjects: Iterable[Subject] = ()) -> None:
        self._namesakes: dict[str, set[str]] = {}
        for subject in subjects:
            self._namesakes.setdefault(str(subject), set()).add(subject.tree or "")

    def __call__(self, subject: Subject) -> str:
        name = str(subject)
        trees = self._namesakes.get(name, ())
        if len(trees) < 2 or not subject.tree:
            return name
        # The last two folders are mostly enough to recognize a tree, and leave room on the line.
        ends = Counter(_last_folders(tree) for tree in trees)
        end = _last_folders(subject.tree)
        return f"{name} ({end if ends[end] == 1 else subject.tree})"


def _last_folders(tree: str) -> str:
    return "/".join(tree.split("/")[-2:])


@dataclass(frozen=True, slots=True)
class ProjectFacts:
    """A searched project: absolute root, and its package directories relative to it.

    `tree` names it in results: its path relative to the repository around the current directory, its root outside of
    one. So machines with other folders call it the same.
    """

    root: str
    package_directories: tuple[str, ...]
    tree: str


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """The state of a key or secret, never its value. `causes` are sentences why it is not usable."""

    in_file: Literal["present", "absent", "placeholder", "duplicate"]
    usable: bool
    source: str | None
    causes: tuple[str, ...]
    required: bool | None = None
    """Whether a flow of the app needs it; None for the key, which every flow needs."""


@dataclass(frozen=True, slots=True)
class AppFacts:
    """An external client app as results show it. `project` is its tree; paths are relative to that, with ``/``."""

    name: str
    project: str
    settings_file: str | None
    files: tuple[str, ...]
    distribution: Literal["Local", "Packaged"] | None
    credentials_of: Literal["own", "sourceOrg", "none"]
    source_org_id: str | None
    callback_urls: tuple[str, ...]
    flows: tuple[str, ...]
    consumer_key: CredentialFacts
    consumer_secret: CredentialFacts
    unread_settings: str | None = None
    """A file that is there, and could not be read, in place of a settings file."""

    @property
    def subject(self) -> Subject:
        return Subject(self.name, tree=self.project)


VariableState = Literal["set", "file", "placeholder", "empty", "unset"]
"""How a variable stands; ``file``: its ``…_FILE`` names a file instead."""


class VariableFacts(NamedTuple):
    """A variable that an app's `field`, key or secret, would be read from in an org; `org` None: in every org."""

    name: str
    state: VariableState
    app: str
    project: str
    org: str | None
    field: Literal["consumerKey", "consumerSecret"]


@dataclass(frozen=True, slots=True)
class OrgFacts:
    """An org that a run is for. `named_by` says who gave its address; `source_dir` is the tree retrieved from it."""

    name: str
    url: str
    named_by: NamedBy
    source_dir: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a CI system tells of a run that it started."""

    commit: str | None
    branch: str | None
    actor: str | None
    system: str


@dataclass(frozen=True, slots=True)
class SavedPlace:
    """The place of saved secrets: the system's keyring or files, and its name in output."""

    store: Literal["keyring", "file"]
    place: str


@dataclass(frozen=True, slots=True)
class LoginResult:
    """A login, verified unless ``--until`` ended the run before that. `token` is the fate of its token."""

    username: str | None
    user_id: str | None
    org_id: str | None
    instance_url: str | None
    scopes: tuple[str, ...]
    flow: str
    token: TokenFate
    saved_place: SavedPlace | None = None
    """The place of a saved login; None also if an earlier run saved it."""


@dataclass(frozen=True, slots=True)
class SavedLoginFacts:
    """A saved login as output shows it. Times are UTC, as ISO 8601; `consumer_key` is masked."""

    app: str
    org: str
    alias: str | None
    url: str
    username: str | None
    user_id: str
    org_id: str | None
    instance_url: str | None
    scopes: tuple[str, ...]
    flow: str
    consumer_key: str
    store: Literal["keyring", "file"]
    refreshable: bool
    saved_at: str
    refreshed_at: str | None
    last_used_at: str
    """When its refresh token was used last, or came: it is not used with every request."""
    expires_if_unused_by: str | None
    """The day, in ISO 8601, until which it has to be used again; None without a refresh token."""
    bound: bool = False


@dataclass(frozen=True, slots=True)
class SavedSecretFacts:
    """A saved consumer secret as output shows it: its owner, never its value. `consumer_key` is masked."""

    app: str
    org: str | None
    consumer_key: str
    store: Literal["keyring", "file"]
    saved_at: str


class RunStarted(NamedTuple):
    """The first event. `at` is the time of day in UTC, as ISO 8601; `stages` are those the run is asked for.

    `options` is its command line, redacted; None where it is not known, as of a run that 0.1.0 recorded.
    """

    run: str
    at: str
    stages: tuple[Stage, ...]
    options: tuple[str, ...] | None = None
    origin: Origin | None = None


class RunPlanned(NamedTuple):
    """The subjects are known now, so that a display can show what is still to come."""

    projects: tuple[ProjectFacts, ...]
    subjects: tuple[Subject, ...]
    orgs: tuple[OrgFacts, ...] = ()


class AppDescribed(NamedTuple):
    """The facts of an app. A later event about the same app replaces an earlier one."""

    app: AppFacts


class StageStarted(NamedTuple):
    stage: Stage
    subject: Subject


class Note(NamedTuple):
    """Something a person has to know while a stage runs.

    ``link``: `text` is a URL to open; ``offer``: one that the board shows; ``asking``: a question is put on the
    terminal, and displays stop redrawing it; ``waiting`` and ``hint`` are sentences; ``progress`` is for a display
    that moves, and replaces the one before; that of an org is worth a line.
    """

    kind: NoteKind
    text: str
    pasted: bool = False
    """Whether the answer to an offered link has to be pasted."""
    browser: str | None = None
    """The browser of the org that the link is for, if it can be opened from here."""


class StageNoted(NamedTuple):
    stage: Stage
    subject: Subject
    note: Note


@dataclass(frozen=True, slots=True)
class StageEnded:
    """`reason` is set for every skip and warning, `problem` for every failure; `at` is UTC as ISO 8601."""

    stage: Stage
    subject: Subject
    outcome: Outcome
    at: str
    milliseconds: int = 0
    reason: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)
    problem: Problem | None = None


class SubjectFinished(NamedTuple):
    """The subject is through all the stages that the run is asked for; `login` if a token was among them."""

    subject: Subject
    login: LoginResult | None


class RunEnded(NamedTuple):
    interrupted: bool
    milliseconds: int


Event = RunStarted | RunPlanned | AppDescribed | StageStarted | StageNoted | StageEnded | SubjectFinished | RunEnded
Emit = Callable[[Event], None]


DISCOVER: Final = Stage("discover", "Finding external client apps")

LOCATE: Final = Stage("locate", "Locating global OAuth settings")

CHECK: Final = Stage("check", "Checking credentials")

AUTHORIZE: Final = Stage("authorize", "Authorizing")

TOKEN: Final = Stage("token", "Requesting token")

VERIFY: Final = Stage("verify", "Verifying user info")

HAND_OVER: Final = Stage("hand-over", "Handing over to Salesforce CLI")

RUN_STAGES: Final = (DISCOVER, LOCATE, CHECK, AUTHORIZE, TOKEN, VERIFY)
"""The stages of every run, in order; `HAND_OVER` follows only where it is asked for."""

ALL_STAGES: Final = (*RUN_STAGES, HAND_OVER)

APP_STAGES: Final = (LOCATE, CHECK)
"""The stages of an app, whatever the number of its orgs."""

TARGET_STAGES: Final = (AUTHORIZE, TOKEN, VERIFY, HAND_OVER)
"""The stages of an app in an org."""


FIND_CONSUMER: Final = Stage("find-consumer", "Finding the consumer")

STAGE: Final = Stage("stage", "Staging a new pair")

PROVE: Final = Stage("prove", "Proving the new pair")

DELIVER: Final = Stage("deliver", "Delivering the new pair")

PROMOTE: Final = Stage("promote", "Promoting the new pair")

CONFIRM: Final = Stage("confirm", "Confirming both pairs")

UPDATE_SAVED: Final = Stage("update-saved", "Updating saved logins and secrets")

ROTATION_STAGES: Final = (FIND_CONSUMER, STAGE, PROVE, DELIVER, PROMOTE, CONFIRM, UPDATE_SAVED)
"""The stages of a rotation. The order is a promise: nothing is delivered unproved, or promoted undelivered."""


def stages_until(name: str | None, *, hand_over: bool = False) -> tuple[Stage, ...]:
    """The stages up to and including the one called `name`; None: all of them, and the hand-over if asked for."""
    if name is None and hand_over:
        return ALL_STAGES
    if name is None:
        return RUN_STAGES
    last = [stage.name for stage in RUN_STAGES].index(name)
    return RUN_STAGES[: last + 1]


@dataclass(frozen=True, slots=True)
class Clock:
    """Time as an argument, so that tests need not wait.

    `seconds` is a monotonic clock, `utc` the time of day in UTC as ISO 8601.
    """

    seconds: Callable[[], float]
    utc: Callable[[], str]
    sleep: Callable[[float], None] = time.sleep


DRY_RUN: Final = "Dry run: nothing is sent."
PROBED: Final = "Dry run: the org was asked, without a sign-in."
DRY_RUN_ONLINE: Final = "Dry run: nothing is changed."
DRY_RUNS: Final = (DRY_RUN, PROBED, DRY_RUN_ONLINE)
"""The reasons of a stage that a dry run ends at; the last two asked orgs."""
