"""The result of a run, as ``ecapipe run --json`` and its reports have it, and journals in parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, get_args

from msgspec import UNSET, Meta, UnsetType, field

from ecapipe import events
from ecapipe.credentials.sources import InFile, SourceName
from ecapipe.documents import codec
from ecapipe.documents.codec import Document, Result
from ecapipe.events import (
    ALL_STAGES,
    AppFacts,
    LoginResult,
    OrgFacts,
    Outcome,
    ProjectFacts,
    StageEnded,
    Subject,
    TokenFate,
)
from ecapipe.oauth.flows.registry import FLOW_NAMES
from ecapipe.orgs.org import NamedBy
from ecapipe.problems import problem as problems
from ecapipe.problems.problem import Category

FORMAT: Final = 1
"""The version of the format of journals."""

Time = Annotated[str, Meta(description="UTC, as ISO 8601.")]
Natural = Annotated[int, Meta(ge=0)]
ProblemName = Annotated[str, Meta(description="Stays the same in later versions. ecapipe explain describes it.")]
StageName = Annotated[str, Meta(extra_json_schema={"enum": [stage.name for stage in ALL_STAGES]})]
# Not only the tree that an app was found in is new: results of 0.1.0 lack everything that may be unset here.
Tree = Annotated[
    str | UnsetType | None,
    Meta(
        description=(
            "The app's project: its path relative to the repository around the current folder, or "
            "absolute outside of it; null: all projects."
        )
    ),
]

FlowName = Annotated[str, Meta(extra_json_schema={"enum": list(FLOW_NAMES)})]
SecretSource = Annotated[str, Meta(extra_json_schema={"enum": list(get_args(SourceName))})]


class Project(Document):
    root: Annotated[str, Meta(description="Absolute path; the paths of a result are relative to it, with /.")]
    package_directories: Sequence[str]

    @classmethod
    def of(cls, facts: ProjectFacts) -> Project:
        return cls(facts.root, list(facts.package_directories))


class RecordedProject(Project):
    """A project in a journal, which says how the run called it."""

    project: str | UnsetType = UNSET

    @classmethod
    def of(cls, facts: ProjectFacts) -> RecordedProject:
        return cls(facts.root, list(facts.package_directories), facts.tree)


class Credential(Document, kw_only=True):
    in_file: InFile
    required: bool | UnsetType = UNSET
    usable: bool
    source: Annotated[
        SecretSource | None, Meta(description="Where the value comes from, as in --secret-from; null: not found.")
    ]
    causes: Annotated[Sequence[str], Meta(description="Why it can't be used, if known.")]


class ConsumerSecret(Credential, kw_only=True):
    # Of the secret alone: every flow needs the key.
    required: Annotated[bool, Meta(description="Whether a flow of the app requires it.")]


class Credentials(Document):
    consumer_key: Credential
    consumer_secret: ConsumerSecret


class App(Document):
    name: str
    project: Annotated[
        str, Meta(description="Its project, as in projects. Name and project together identify an app.")
    ]
    settings_file: Annotated[str | None, Meta(description="The global OAuth settings file; null: there is none.")]
    distribution: Literal["Local", "Packaged"] | None
    credentials_of: Annotated[
        Literal["own", "sourceOrg", "none"], Meta(description="Which org owns the key and secret that the app uses.")
    ]
    source_org_id: str | None
    callback_urls: Sequence[str]
    flows: Sequence[FlowName]
    credentials: Credentials

    @classmethod
    def of(cls, facts: AppFacts) -> App:
        key = codec.of(facts.consumer_key, Credential, required=UNSET)
        credentials = Credentials(key, codec.of(facts.consumer_secret, ConsumerSecret))
        return codec.of(facts, cls, credentials=credentials)


class Problem(Document):
    name: ProblemName
    message: str
    actions: Sequence[str]
    file: str | None
    line: Annotated[int, Meta(ge=1)] | None


class OfSubject(Document, kw_only=True):
    """What is about an app, or an app in an org."""

    project: Tree = UNSET
    app: Annotated[str | None, Meta(description="null: the whole project.")]
    org: Annotated[str | None, Meta(description="null: the app in every org.")]

    @classmethod
    def of(cls, subject: Subject) -> OfSubject:
        return OfSubject(project=subject.tree, app=subject.app, org=subject.org)


class Stage(Document, kw_only=True):
    stage: StageName
    project: Tree = UNSET
    app: Annotated[str | None, Meta(description="null: the stage is about the whole project.")]
    org: Annotated[str | None, Meta(description="null: the stage is about the app in every org.")]
    outcome: Outcome
    reason: Annotated[str | None, Meta(description="Set for every skipped stage and every warning.")]
    milliseconds: Natural
    facts: Annotated[
        dict[str, Any], Meta(description="What the stage found out. Its members may change in later versions.")
    ]
    problem: Problem | None

    @classmethod
    def of(cls, ended: StageEnded) -> Stage:
        # Not through `codec.of`: runs have thousands of stages.
        return cls(
            stage=ended.stage.name,
            project=ended.subject.tree,
            app=ended.subject.app,
            org=ended.subject.org,
            outcome=ended.outcome,
            reason=ended.reason,
            milliseconds=ended.milliseconds,
            facts=dict(ended.facts),
            problem=codec.of(ended.problem, Problem) if ended.problem else None,
        )


class Success(Document, kw_only=True):
    project: Tree = UNSET
    app: str | None
    org: str | None
    username: str | None
    user_id: str | None
    org_id: str | None
    instance_url: str | None
    scopes: Sequence[str]
    flow: FlowName
    token: Annotated[TokenFate, Meta(description="What happened to the token.")]

    @classmethod
    def of(cls, subject: Subject, login: LoginResult) -> Success:
        return cls(
            project=subject.tree,
            app=subject.app,
            org=subject.org,
            username=login.username,
            user_id=login.user_id,
            org_id=login.org_id,
            instance_url=login.instance_url,
            scopes=list(login.scopes),
            flow=login.flow,
            token=login.token,
        )


class Failure(Document, kw_only=True):
    project: Tree = UNSET
    app: str | None
    org: str | None
    stage: StageName
    name: ProblemName
    message: str
    actions: Sequence[str]
    category: Category
    retryable: bool
    host: str | None
    http_status: int | None
    oauth_error: str | None
    at: Time

    @classmethod
    def of(cls, ended: StageEnded, problem: problems.Problem) -> Failure:
        subject, stage = ended.subject, ended.stage.name
        return codec.of(
            problem, cls, project=subject.tree, app=subject.app, org=subject.org, stage=stage, at=ended.at
        )


class Invocation(Document):
    """The command line of the run."""

    options: Annotated[Sequence[str], Meta(description="With secrets redacted.")]

    @classmethod
    def of(cls, options: Sequence[str] | None) -> Invocation | UnsetType:
        return UNSET if options is None else cls(list(options))


class Org(Document):
    """An org that the run was for."""

    name: Annotated[str, Meta(description="Its name in the output: its alias or, without one, its host.")]
    url: str
    named_by: Annotated[
        NamedBy,
        Meta(description="Who specified its address: the user, a file of the project, or the Salesforce CLI."),
    ]
    source_dir: Annotated[str | None, Meta(description="The folder that was retrieved from it.")] = None

    @classmethod
    def of(cls, facts: OrgFacts) -> Org:
        return cls(facts.name, facts.url, facts.named_by, facts.source_dir)


Version = Annotated[str, Meta(description="The version of ecapipe that wrote the result.")]


class Origin(Document):
    """What a CI system tells of the run."""

    commit: str | None
    branch: str | None
    actor: str | None
    system: str

    @classmethod
    def of(cls, facts: events.Origin | None) -> Origin | UnsetType:
        return cls(facts.commit, facts.branch, facts.actor, facts.system) if facts else UNSET


class JournalHeader(Document, kw_only=True):
    """The first line of a journal."""

    journal: int = FORMAT
    ecapipe: str = ""
    run: str
    started_at: str
    asked: Sequence[str]
    targets: Sequence[OfSubject]
    resumes: str | None
    arguments: Sequence[str] | None
    folder: str
    invocation: Invocation | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    projects: Sequence[RecordedProject] = ()
    orgs: Sequence[Org] = ()


class RunPart(Document, kw_only=True):
    """A part of a result."""

    apps: Sequence[App] = field(default_factory=list)
    stages: Sequence[Stage] = field(default_factory=list)
    successes: Sequence[Success] = field(default_factory=list)
    failures: Sequence[Failure] = field(default_factory=list)


class RunResult(Result, kw_only=True):
    run: Annotated[str, Meta(description="Identifies the run.")]
    started_at: Time
    ecapipe: Version | UnsetType = UNSET
    invocation: Invocation | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET
    projects: Sequence[Project]
    orgs: Sequence[Org] | UnsetType = UNSET
    apps: Sequence[App]
    stages: Sequence[Stage]
    successes: Sequence[Success]
    failures: Sequence[Failure]


AboutSubject = OfSubject | Stage | Success | Failure


def courses(ended: Sequence[StageEnded], logins: Mapping[Subject, LoginResult]) -> dict[str, Any]:
    """The members of a result, or of a part of one, that say what became of each subject."""
    return {
        "stages": [Stage.of(each) for each in ended],
        "successes": [Success.of(subject, login) for subject, login in logins.items()],
        "failures": [Failure.of(each, each.problem) for each in ended if each.problem],
    }
