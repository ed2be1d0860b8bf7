"""The results of all commands but ``run``, and the envelopes around a result and around a failure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from ecapipe import __version__
from ecapipe.check import findings as check
from ecapipe.check.findings import Level
from ecapipe.credentials.sources import Field
from ecapipe.documents import codec, health, verdicts
from ecapipe.documents.codec import Document, Result
from ecapipe.documents.run_document import (
    App,
    Failure,
    FlowName,
    Natural,
    Origin,
    Problem,
    ProblemName,
    Project,
    RunResult,
    SecretSource,
    Time,
    Tree,
    Version,
)
from ecapipe.documents.run_document import Stage as RunStage
from ecapipe.documents.run_states import RunCommand, RunState
from ecapipe.events import ROTATION_STAGES, VariableState
from ecapipe.oauth.flows.registry import UNATTENDED
from ecapipe.problems.problem import Category
from ecapipe.protect.scanners import TOOLS

if TYPE_CHECKING:
    from ecapipe import events
    from ecapipe.check.rules.rule import Rule as CheckRule
    from ecapipe.documents.report import Report
    from ecapipe.documents.run_summary import RunSummary
    from ecapipe.documents.verdicts import Verdict
    from ecapipe.events import (
        AppFacts,
        ProjectFacts,
        SavedLoginFacts,
        SavedSecretFacts,
        StageEnded,
        VariableFacts,
    )
    from ecapipe.problems import problem as problems
    from ecapipe.problems.problem import Kind
    from ecapipe.protect.protection import Protection
    from ecapipe.saved import records

RotationStageName = Annotated[str, Meta(extra_json_schema={"enum": [stage.name for stage in ROTATION_STAGES]})]
Warnings = Annotated[Sequence[str], Meta(description="Sentences for the user.")]
Line = Annotated[int, Meta(ge=1)]
ExitStatus = Annotated[int, Meta(ge=1)]
MaskedKey = Annotated[str, Meta(description="Its first five and last four characters.")]
Store = Annotated[
    Literal["keyring", "file"], Meta(description="Where secrets are stored: the system's keyring, or a private file.")
]


class Envelope(Document):
    """What a command prints that did its work, whatever came of it. It has the members of ``sf --json``."""

    status: int
    result: Any
    warnings: Warnings


class Error(Document, kw_only=True):
    """What a command prints that could not do its work at all. It has the members of ``sf --json``."""

    name: ProblemName
    message: str
    exit_code: ExitStatus
    actions: Sequence[str]
    context: str
    warnings: Warnings
    code: Annotated[str, Meta(description="Same as name.")]
    status: Annotated[ExitStatus, Meta(description="Same as exitCode.")]
    command_name: str
    stack: Annotated[str | UnsetType, Meta(description="Only with SF_ENV=development.")] = UNSET

    @classmethod
    def of(cls, problem: problems.Problem, command: str, warnings: Iterable[str], stack: str | None) -> Error:
        return codec.of(
            problem,
            cls,
            context="".join(part.capitalize() for part in command.replace("-", " ").split()) or "Ecapipe",
            warnings=list(warnings),
            code=problem.name,
            status=problem.exit_code,
            command_name=command,
            stack=UNSET if stack is None else stack,
        )


class Survey(Result, kw_only=True):
    """The apps of the searched projects."""

    projects: Sequence[Project]
    apps: Sequence[App]


class CredentialVariable(Document, kw_only=True):
    """A variable that a key or secret would be read from."""

    name: str
    set: Annotated[bool, Meta(description="Whether the variable, or its …_FILE, contains a usable key or secret.")]
    state: Annotated[VariableState, Meta(description="file: its …_FILE contains the path of a file with the value.")]
    app: str
    project: str
    org: Annotated[str | None, Meta(description="null: every org.")]
    field: Field


class AppList(Survey, kw_only=True):
    variables: Annotated[Sequence[CredentialVariable] | UnsetType, Meta(description="With --variables.")] = UNSET

    @classmethod
    def of(
        cls,
        searched: Iterable[ProjectFacts],
        apps: Iterable[AppFacts],
        variables: Iterable[VariableFacts] | None = None,
    ) -> AppList:
        if variables is None:
            return cls(**_survey(searched, apps))
        found = [CredentialVariable(set=each.state in ("set", "file"), **each._asdict()) for each in variables]
        return cls(**_survey(searched, apps), variables=found)


class Finding(Document):
    rule: Annotated[str, Meta(description="Stays the same in later versions. ecapipe explain describes it.")]
    level: Level
    message: str
    app: Annotated[
        str | None,
        Meta(description="null: the finding is about a file that can't be assigned to an app, or about git."),
    ]
    file: str | None
    line: Line | None
    actions: Sequence[str]
    fingerprint: Annotated[str, Meta(description="Identifies the finding, also after the file was edited.")]
    accepted: Annotated[bool, Meta(description="Whether the baseline accepts the finding.")]


class FindingCounts(Document):
    """Accepted findings count as accepted only."""

    error: Natural
    warning: Natural
    note: Natural
    accepted: Natural


class AppCheck(Survey, kw_only=True):
    findings: Sequence[Finding]
    summary: FindingCounts
    purpose: Annotated[str | UnsetType, Meta(description="The value of --for.")] = UNSET
    ecapipe: Version | UnsetType = UNSET
    origin: Origin | UnsetType = UNSET

    @classmethod
    def of(
        cls,
        searched: Iterable[ProjectFacts],
        apps: Iterable[AppFacts],
        found: Sequence[check.Finding],
        purpose: str,
        origin: events.Origin | None,
    ) -> AppCheck:
        # What a baseline accepts is still listed, but counts for no level.
        levels = [finding.level for finding in found if not finding.accepted]
        return cls(
            **_survey(searched, apps),
            findings=[codec.of(finding, Finding) for finding in found],
            summary=FindingCounts(
                **{level: levels.count(level) for level in check.LEVELS}, accepted=len(found) - len(levels)
            ),
            purpose=purpose,
            ecapipe=__version__,
            origin=Origin.of(origin),
        )


class ProbeCheck(Document):
    """The answer to one request."""

    what: Annotated[
        Literal["authorize", "introspect"],
        Meta(description="authorize: key, callback URL, scopes and PKCE; introspect: key and secret."),
    ]
    callback: Annotated[str | None, Meta(description="null at introspect.")]
    verdict: verdicts.CheckWord
    problem: Problem | None

    @classmethod
    def of(cls, check: verdicts.ProbeCheck) -> ProbeCheck:
        return codec.of(check, cls, problem=check.problem and codec.of(check.problem, Problem))


class Probe(Document):
    """What an org said of an app."""

    project: Annotated[str, Meta(description="The root of the app's project.")]
    app: str
    org: str
    host: str
    verdict: Annotated[
        verdicts.Word,
        Meta(
            description="missing: key or secret is missing, so nothing was asked; skipped: this app was not "
            "requested in this org."
        ),
    ]
    refused: Annotated[
        verdicts.RefusedPart | None,
        Meta(description="What the org refuses; null: nothing, or the org doesn't report it."),
    ]
    consumer_key: Annotated[SecretSource | None, Meta(description="Where it was read from; null: not found.")]
    consumer_secret: Annotated[SecretSource | None, Meta(description="Where it was read from; null: not found.")]
    problem: Annotated[
        str | None, Meta(description="The name of the problem, which ecapipe explain describes; null: no problem.")
    ]
    message: str
    actions: Sequence[str]
    checks: Annotated[
        Sequence[ProbeCheck], Meta(description="One for each request. The worst of them is the verdict of the row.")
    ] = ()

    @classmethod
    def of(cls, verdict: Verdict) -> Probe:
        return codec.of(
            verdict,
            cls,
            verdict=verdict.word,
            consumer_key=verdict.key_source,
            consumer_secret=verdict.secret_source,
            problem=verdict.problem and verdict.problem.name,
            checks=[ProbeCheck.of(check) for check in verdict.checks],
        )


class VerdictCounts(Document):
    """How many pairs have which verdict."""

    accepted: Natural
    refused: Natural
    unclear: Natural
    missing: Natural
    skipped: Natural


class AppProbe(Survey, kw_only=True):
    probes: Annotated[Sequence[Probe], Meta(description="One for each app in each org.")]
    summary: VerdictCounts

    @classmethod
    def of(cls, searched: Iterable[ProjectFacts], apps: Iterable[AppFacts], found: Sequence[Verdict]) -> AppProbe:
        words = [verdict.word for verdict in found]
        return cls(
            **_survey(searched, apps),
            probes=[Probe.of(verdict) for verdict in found],
            summary=VerdictCounts(**{word: words.count(word) for word in verdicts.WORDS}),
        )


class RotationStage(RunStage, kw_only=True):
    stage: RotationStageName


class RotationFailure(Failure, kw_only=True):
    stage: RotationStageName


PROOFS = ("introspect", *(flow.name for flow in UNATTENDED))
ProofName = Annotated[str, Meta(extra_json_schema={"enum": list(PROOFS)})]


class Rotated(Document, kw_only=True):
    """What came of the rotation of an app in an org."""

    project: Tree = UNSET
    app: str
    org: str
    consumer_key: MaskedKey | None
    previous_until: Annotated[
        str | None, Meta(description="When the previous pair expires; null: there is none, or it is unknown.")
    ]
    delivered: Annotated[Sequence[str], Meta(description="Which field was delivered, and where.")]
    proved: Annotated[
        Sequence[ProofName],
        Meta(description="How it was proved that the org accepts the new pair."),
    ]


class AppRotate(Result, kw_only=True):
    run: Annotated[str, Meta(description="Identifies the run, for --resume.")]
    stages: Sequence[RotationStage]
    successes: Sequence[Rotated]
    failures: Sequence[RotationFailure]

    @classmethod
    def of(cls, run: str, ended: Iterable[StageEnded], successes: Sequence[Rotated]) -> AppRotate:
        stages = tuple(ended)
        failures = [Failure.of(each, each.problem) for each in stages if each.problem]
        return cls(
            run=run,
            stages=[codec.of(RunStage.of(each), RotationStage) for each in stages],
            successes=successes,
            failures=[codec.of(each, RotationFailure) for each in failures],
        )


def _survey(searched: Iterable[ProjectFacts], apps: Iterable[AppFacts]) -> dict[str, Any]:
    return {
        "projects": [Project.of(project) for project in searched],
        "apps": [App.of(facts) for facts in apps],
    }


class Change(Document):
    project: str
    file: str
    action: Literal["create", "change"]
    written: bool
    diff: str


class Exposure(Document):
    """A settings file that git tracks."""

    project: str
    app: str
    file: str
    holds_secret: bool
    message: str
    actions: Annotated[Sequence[str], Meta(min_length=1)]


class Variable(Document):
    """The environment variable that gives a secret which left its file."""

    project: str
    app: str
    file: str
    name: str


class AppProtect(Result, kw_only=True):
    projects: Sequence[Project]
    changes: Sequence[Change]
    exposures: Sequence[Exposure]
    variables: Sequence[Variable]

    @classmethod
    def of(cls, searched: Iterable[ProjectFacts], protection: Protection, *, written: bool) -> AppProtect:
        return cls(
            projects=[Project.of(project) for project in searched],
            changes=[
                codec.of(
                    change,
                    Change,
                    action="create" if change.before is None else "change",
                    written=written,
                    diff="\n".join(change.diff),
                )
                for change in protection.changes
            ],
            exposures=[codec.of(each, Exposure, holds_secret=each.secret) for each in protection.exposures],
            variables=[codec.of(each, Variable, name=each.variable) for each in protection.supplies],
        )


class ScannerRules(Result, kw_only=True):
    tool: Annotated[str, Meta(extra_json_schema={"enum": [*TOOLS]})]
    rules: str


class SavedSecret(Document):
    app: str
    org: str | None
    consumer_key: MaskedKey
    store: Store
    saved_at: Time


class AppSetSecret(Result, kw_only=True):
    secret: SavedSecret

    @classmethod
    def of(cls, facts: SavedSecretFacts) -> AppSetSecret:
        return cls(secret=codec.of(facts, SavedSecret))


class AppForgetSecret(Result, kw_only=True):
    secrets: Sequence[SavedSecret]

    @classmethod
    def of(cls, secrets: Iterable[SavedSecretFacts]) -> AppForgetSecret:
        return cls(secrets=[codec.of(facts, SavedSecret) for facts in secrets])


class SavedLogin(Document):
    app: str
    org: Annotated[str, Meta(description="The name of the org in the output: its alias or, without one, its host.")]
    alias: str | None
    url: str
    username: str | None
    user_id: str
    org_id: str | None
    instance_url: str | None
    scopes: Sequence[str]
    flow: FlowName
    consumer_key: MaskedKey
    store: Store
    refreshable: Annotated[bool, Meta(description="Whether a new access token can be requested without a user.")]
    saved_at: Time
    refreshed_at: Time | None
    bound: Annotated[
        bool, Meta(description="Whether the access token is bound to a key: each request needs a proof (DPoP).")
    ] = False
    last_used_at: Annotated[str, Meta(description="When its refresh token was last used or issued.")] = ""
    expires_if_unused_by: Annotated[
        str | None, Meta(description="The day by which it must be used; null: it has no refresh token.")
    ] = None


class LoginList(Result, kw_only=True):
    logins: Sequence[SavedLogin]

    @classmethod
    def of(cls, logins: Iterable[SavedLoginFacts]) -> LoginList:
        return cls(logins=[codec.of(facts, SavedLogin) for facts in logins])


class LoginDisplay(Result, kw_only=True):
    login: SavedLogin
    verified: Annotated[
        bool | None, Meta(description="Whether the org accepts the access token; null without --verify.")
    ]

    @classmethod
    def of(cls, facts: SavedLoginFacts, verified: bool | None) -> LoginDisplay:
        return cls(login=codec.of(facts, SavedLogin), verified=verified)


class LoginRefresh(Result, kw_only=True):
    login: SavedLogin

    @classmethod
    def of(cls, facts: SavedLoginFacts) -> LoginRefresh:
        return cls(login=codec.of(facts, SavedLogin))


class LoginRefreshAll(Result, kw_only=True):
    logins: Annotated[Sequence[SavedLogin], Meta(description="Those that were refreshed.")]
    failures: Sequence[LogoutFailure]

    @classmethod
    def of(
        cls,
        logins: Iterable[SavedLoginFacts],
        failures: Iterable[tuple[records.SavedLogin | None, problems.Problem]],
    ) -> LoginRefreshAll:
        return cls(
            logins=[codec.of(facts, SavedLogin) for facts in logins],
            failures=[
                LogoutFailure.of(login.app if login else None, login.org.name if login else None, problem)
                for login, problem in failures
            ],
        )


class Logout(Document):
    login: SavedLogin
    revoked: Annotated[bool, Meta(description="Whether the org revoked them; false: its tokens may still be valid.")]

    @classmethod
    def of(cls, facts: SavedLoginFacts, revoked: bool) -> Logout:
        return cls(codec.of(facts, SavedLogin), revoked)


class LogoutFailure(Document):
    app: Annotated[str | None, Meta(description="null: the record can't be read.")]
    org: str | None
    name: ProblemName
    message: str
    actions: Sequence[str]

    @classmethod
    def of(cls, app: str | None, org: str | None, problem: problems.Problem) -> LogoutFailure:
        return codec.of(problem, cls, app=app, org=org)


class LoginLogout(Result, kw_only=True):
    logouts: Sequence[Logout]
    failures: Sequence[LogoutFailure]


class Check(Document):
    name: str
    state: health.State
    message: str
    actions: Sequence[str]
    details: Sequence[str]


class Doctor(Result, kw_only=True):
    checks: Sequence[Check]

    @classmethod
    def of(cls, checks: Iterable[health.Check]) -> Doctor:
        return cls(checks=[codec.of(check, Check) for check in checks])


class Stored(Document):
    what: str
    where: str
    exists: bool
    mode: Annotated[str, Meta(pattern="^[0-7]{4}$")] | None
    entries: Natural | None
    secret: bool
    written_by: str
    removed_by: str


class Storage(Result, kw_only=True):
    storage: Sequence[Stored]

    @classmethod
    def of(cls, places: Iterable[health.Stored]) -> Storage:
        return cls(storage=[codec.of(place, Stored) for place in places])


class LocalOrg(Document):
    """An org of the emulator."""

    name: str
    url: str
    username: str
    password: Annotated[str, Meta(description="Password of the emulator's user.")]
    apps: Sequence[str]


class EmulatorStart(Result, kw_only=True):
    orgs: Sequence[LocalOrg]
    ca_file: Annotated[str | None, Meta(description="With --tls: the certificate to trust.")]


class MetadataType(Document):
    name: str
    members: Annotated[Sequence[str], Meta(min_length=1)]


class Manifest(Result, kw_only=True):
    projects: Sequence[Project]
    api_version: Annotated[str, Meta(pattern=r"^[0-9]+\.0$")]
    types: Sequence[MetadataType]
    manifest: str

    @classmethod
    def of(
        cls,
        searched: Iterable[ProjectFacts],
        api_version: str,
        types: Mapping[str, Sequence[str]],
        lines: Sequence[str],
    ) -> Manifest:
        return cls(
            projects=[Project.of(project) for project in searched],
            api_version=api_version,
            types=[MetadataType(name, members) for name, members in types.items()],
            manifest="\n".join([*lines, ""]),
        )


class TargetCounts(Document):
    """Logins. open: not reached, or not to their end."""

    planned: Natural
    finished: Natural
    failed: Natural
    skipped: Natural
    open: Natural


class RecordedRun(Document):
    """How a run stands."""

    run: Annotated[str, Meta(description="Identifies the run.")]
    started_at: Time
    state: Annotated[RunState, Meta(description="brokenOff: the process ended without recording a result.")]
    status: Annotated[int | None, Meta(description="The exit status; null: it is still running, or was interrupted.")]
    projects: Annotated[Sequence[str], Meta(description="The roots of the projects.")]
    shard: Annotated[str | None, Meta(description="The selected part of the logins, as K/N; null: all.")]
    resumes: Annotated[str | None, Meta(description="The run that it resumed.")]
    targets: TargetCounts
    command: Annotated[
        str | None,
        Meta(
            description="The command that resumes the run; null: nothing is left to do, the run is in progress, "
            "or its command line was not recorded."
        ),
    ]
    command_name: Annotated[RunCommand, Meta(description="The command that was run.")] = "ecapipe run"

    @classmethod
    def of(cls, summary: RunSummary) -> RecordedRun:
        return codec.of(summary, cls, targets=codec.of(summary, TargetCounts))


class RunsList(Result, kw_only=True):
    runs: Annotated[Sequence[RecordedRun], Meta(description="The newest first.")]

    @classmethod
    def of(cls, summaries: Iterable[RunSummary]) -> RunsList:
        return cls(runs=[RecordedRun.of(summary) for summary in summaries])


class RunsShow(Result, kw_only=True):
    recorded: RecordedRun
    result: RunResult

    @classmethod
    def of(cls, summary: RunSummary, report: Report) -> RunsShow:
        return cls(recorded=RecordedRun.of(summary), result=codec.convert(report.result(), RunResult))


class RotationShow(Result, kw_only=True):
    """Of a rotation."""

    recorded: RecordedRun
    result: AppRotate

    @classmethod
    def of(cls, summary: RunSummary, result: AppRotate) -> RotationShow:
        return cls(recorded=RecordedRun.of(summary), result=result)


class Levels(Document):
    """Before a login, a deploy and a commit, and for hosted MCP servers; null: silent."""

    login: Level | None
    deploy: Level | None
    commit: Level | None
    mcp: Level | None


class Rule(Document):
    name: str
    levels: Levels
    means: str
    why: str
    remedy: str
    source: str


class KnownProblem(Document):
    name: str
    category: Category
    means: str
    remedy: str
    exit_code: int


class Explanations(Result, kw_only=True):
    """Without a name."""

    rules: Sequence[Rule]
    problems: Sequence[KnownProblem]

    @classmethod
    def of(cls, rules: Iterable[CheckRule], known: Iterable[Kind[...]]) -> Explanations:
        return cls(
            rules=[codec.of(each, Rule) for each in rules], problems=[codec.of(each, KnownProblem) for each in known]
        )


class ExplainedRule(Result, kw_only=True):
    """Of a rule."""

    kind: Literal["rule"] = "rule"
    name: str
    levels: Levels
    means: str
    why: str
    remedy: str
    source: str

    @classmethod
    def of(cls, rule: CheckRule) -> ExplainedRule:
        return codec.of(rule, cls)


class ExplainedProblem(Result, kw_only=True):
    """Of a problem."""

    kind: Literal["problem"] = "problem"
    name: str
    category: Category
    means: str
    remedy: str
    exit_code: int

    @classmethod
    def of(cls, problem: Kind[...]) -> ExplainedProblem:
        return codec.of(problem, cls)


class Schema(Result, kw_only=True):
    """Of json-schema."""

    kind: Literal["json-schema"] = "json-schema"
    schema: dict[str, Any]
