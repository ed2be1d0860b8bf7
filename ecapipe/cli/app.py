"""``ecapipe app``: the external client apps of a project, offline."""

from __future__ import annotations

import gc
import sys
from contextlib import ExitStack
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.check import inspection, listing
from ecapipe.check.findings import RULES, Finding, at_least
from ecapipe.check.inspection import CheckOptions
from ecapipe.cli import options
from ecapipe.cli import reports as report_files
from ecapipe.cli.commands import Command, Group
from ecapipe.cli.options import (
    AllOrgs,
    AllowHosts,
    AsJson,
    Concise,
    CredentialsDirs,
    MetadataDirs,
    Names,
    NoProgress,
    NoProjectConfig,
    NoPrompt,
    OrgFileFlag,
    ReportFiles,
    SecretsFrom,
    SourceDirs,
    StoreIn,
    TargetOrgs,
    Verbose,
)
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.credentials import secret_unusable
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import not_confirmed, usage_error
from ecapipe.protect import scanners
from ecapipe.render import listings, text
from ecapipe.render.progress import Progress
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.protect.protection import Protection
    from ecapipe.render.report_data import ReportData

CHECK = "ecapipe app check"
KEEP = "ecapipe app set-secret"
PROBE = "ecapipe app probe"


class Purpose(StrEnum):
    login = "login"
    deploy = "deploy"
    commit = "commit"


class FailOn(StrEnum):
    error = "error"
    warning = "warning"
    note = "note"


commands = typer.Typer(
    cls=Group, help="List, check, probe and protect the external client apps of a project.", rich_markup_mode=None
)

Tool = StrEnum("Tool", {name: name for name in scanners.TOOLS})  # type: ignore[misc]  # made of the tools


@commands.command("list", cls=Command)
def list_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """List the external client apps of the project, their files, and what each allows.

    An incomplete app is listed like any other.
    """
    session: CommandSession = context.obj
    length = options.length(concise, verbose, "ecapipe app list")
    where = options.where(session.environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    found, apps = listing.survey(where, composition.real_world(session.environment))
    warnings = [*(problem.message for problem in found.unreadable), *found.notices]
    return session.finish(report.listing(found.facts, apps), listings.listing(apps, length), warnings=warnings)


@commands.command("check", cls=Command)
def check_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    purpose: Annotated[
        Purpose, typer.Option("--for", metavar="|".join(Purpose), help="What is to come: it decides the levels.")
    ] = Purpose.login,
    target_org: Annotated[
        str | None,
        typer.Option(
            "--target-org", "-o", metavar="ORG", help="Org of the deploy; its id comes from orgId in the project."
        ),
    ] = None,
    staged: Annotated[
        bool, typer.Option("--staged", help="Check what git's index holds: what a commit would take.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="REF", help="Check only apps of which a file differs from this revision."),
    ] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Look for the consumer secrets in all commits, too.")
    ] = False,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", metavar="|".join(FailOn), help="The mildest level that ends with 1.")
    ] = FailOn.error,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Accept all findings: write them to the project's baseline.")
    ] = False,
    report_to: ReportFiles = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Check the apps before a login, a deploy or a commit: files, credentials, policies, and who can see secrets.

    Offline. Ends with 1 if there is a finding at the level of --fail-on.

    The levels depend on --for; plugins.ecapipe.rules of sfdx-project.json gives rules other levels, or switches them
    off. Findings in the baseline, the file that plugins.ecapipe.baseline names, are shown as accepted and do not
    count. ecapipe explain RULE says why a rule matters and what to do.

    Files that git ignores or does not track always count as changed for --since.
    """
    gc.disable()  # what is read lives until the end: looking for garbage in it costs a sixth of the time
    session: CommandSession = context.obj
    where = options.where(session.environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    length = options.length(concise, verbose, CHECK)
    moves = session.live and session.err.isatty() and not session.json and not no_progress
    ticker = Progress(session.err if moves else None)
    asked = CheckOptions(
        purpose.value,
        target_org,
        options.allowed_hosts(session.environment),
        staged,
        since,
        history,
        update_baseline,
        ticker.tell,
    )
    world = composition.real_world(session.environment)
    reports = report_files.asked(session, CHECK, report_to, where, world.tree)
    with reports.covering(), ticker:
        came = inspection.inspect(where, asked, world)

    def fails(finding: Finding) -> bool:
        return not finding.accepted and at_least(finding.level, fail_on.value)

    status = int(any(map(fails, came.findings)))
    result = report.checked(came.found.facts, came.apps, came.findings)

    def account() -> ReportData:
        from ecapipe.render.report_data import of_check

        document = report.success(result, came.notices, status)
        rules = [rule for name, rule in RULES.items() if name in came.rules]
        place = reports.place(came.found.facts, came.apps)
        return of_check(came.apps, came.findings, rules, document, place, CHECK, fails)

    lost = reports.write(account)
    # Without --json that has been said already.
    warnings = [*came.notices, *(lost if session.json else ())]
    lines = listings.findings(came.findings, len(came.apps), length)
    return session.finish(result, lines, status or int(bool(lost)), warnings)


@commands.command("probe", cls=Command)
def probe_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    target_org: TargetOrgs = None,
    file: OrgFileFlag = None,
    all_orgs: AllOrgs = False,
    emulator: Annotated[bool, typer.Option("--emulator", help="Ask a local org, started for this command.")] = False,
    secret_from: SecretsFrom = None,
    allow_host: AllowHosts = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Never ask anything.")] = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Ask orgs whether they accept the consumer key and secret of each app: without a person, and without a login.

    Every app is paired with every org, or as the orgs say, and one request is sent for each pair: the app asks what a
    token is worth that no org ever issued. An org that says "nothing" has accepted the pair before; one that refuses
    says whether the key or the secret is to blame. Whatever else it says is called unclear, and so is what it says of
    a public client, which has no secret to prove itself with.

    The file for --file is the one that ecapipe run takes, and described there.

    Ends with 0 if all pairs are accepted, with 68 if some are, with 1 if none is.
    """
    from ecapipe import probe

    session: CommandSession = context.obj
    environment = session.environment
    if emulator and (target_org or file is not None or all_orgs):
        sentence = "--emulator excludes every flag that names orgs."
        raise EcapipeError(usage_error(sentence, PROBE))
    length = options.length(concise, verbose, PROBE)
    where = options.where(environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    which = OrgSelection(
        tuple(target_org or ()),
        environment.get("SF_TARGET_ORG"),
        options.allowed_hosts(environment, allow_host or ()),
        batch=None if file is None else options.batch_file(file),
        every=all_orgs,
    )
    asks = not no_prompt and not session.json and session.err.isatty() and not environment.is_ci()
    world = composition.real_world(environment, secret_prompts=asks)
    with ExitStack() as stack:
        if emulator:
            from ecapipe.cli.run import emulated

            world, which = emulated(where, which, world, stack)
        came = probe.run(where, which, options.sources(secret_from), world)
    return session.finish(
        report.probed(came.found.facts, came.apps, came.verdicts),
        listings.verdicts(came.verdicts, length),
        report.probe_status(came.verdicts),
        came.notices,
    )


@commands.command("protect", cls=Command)
def protect_apps(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and write nothing.")] = False,
    forceignore: Annotated[
        bool,
        typer.Option(
            "--forceignore",
            help="Keep the files from the Salesforce CLI, too: it then neither deploys nor retrieves them.",
        ),
    ] = False,
    replace_with_env: Annotated[
        bool,
        typer.Option(
            "--replace-with-env",
            help="Put placeholders into the files for their secrets, and replacements into sfdx-project.json.",
        ),
    ] = False,
    rules: Annotated[
        Tool | None,
        typer.Option(
            "--rules", metavar="|".join(Tool), help="Print rules for a secret scanner, and do nothing else."
        ),
    ] = None,
    concise: Annotated[bool, typer.Option("--concise", help="Leave out how the files change.")] = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Take secrets out of files without asking.")
    ] = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Keep the settings files, which hold consumer secrets, out of git.

    Adds patterns to the .gitignore that decides on the files, and says which files git tracks all the same and how
    to untrack them. What is protected already stays as it is. A tree named with --credentials-dir holds such files,
    too, and is protected like the project.

    With --replace-with-env each consumer secret leaves its file, and is kept nowhere: make sure that you have it.
    The output names the variable to supply it in.
    """
    from ecapipe.adapters.project_tree import git
    from ecapipe.protect import plan

    session: CommandSession = context.obj
    command = "ecapipe app protect"
    length = options.length(concise, verbose, command)
    if rules:
        if dry_run or forceignore or replace_with_env:
            raise EcapipeError(usage_error("--rules excludes every flag that is about files.", command))
        printed = scanners.rules(rules.value)
        return session.finish({"version": 1, "tool": rules.value, "rules": printed}, printed.splitlines())
    asks = replace_with_env and not dry_run and not no_prompt and session.err.isatty()
    asks = asks and not session.environment.is_ci()
    if asks and session.json:
        sentence = "--replace-with-env with --json takes secrets out of files without asking: add --no-prompt."
        raise EcapipeError(usage_error(sentence, command))
    where = options.where(session.environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    found, planned = plan.plan(
        where,
        composition.real_world(session.environment),
        git.rulings,
        forceignore=forceignore,
        replace=replace_with_env,
    )
    if not session.json and length != "concise":
        text.write(session.out, listings.changes(planned))
    if not dry_run:
        _write(planned, asks=asks)
    return session.finish(
        report.protected(found.facts, planned, written=not dry_run),
        listings.protected(planned, written=not dry_run),
        warnings=[*(problem.message for problem in found.unreadable), *found.notices, *planned.notices],
    )


def _write(planned: Protection, *, asks: bool) -> None:
    """Make the changes; raises `EcapipeError` (NotConfirmed) if somebody is asked and does not agree."""
    from ecapipe.adapters.project_tree import writer

    if asks and planned.supplies:
        try:
            agreed = typer.confirm(
                "Take the consumer secrets out of these files? They are kept nowhere else", err=True
            )
        except typer.Abort:
            agreed = False
        if not agreed:
            raise EcapipeError(not_confirmed())
    for change in planned.changes:
        writer.write(change)


AppName = Annotated[str | None, typer.Argument(metavar="APP", help="The app, by its exact developer name.")]
NameOfApp = Annotated[
    list[str] | None, typer.Option("--name", "-n", metavar="APP", help="The app, if it is not given as APP.")
]


def _one_app(app: str | None, names: list[str] | None, command: str) -> str:
    """The app that is meant; raises `EcapipeError` (UsageError) for none and for several."""
    meant = set(names or ())
    if app is not None:
        meant.add(app)
    if len(meant) != 1:
        raise EcapipeError(usage_error(f"Name one app: {command} APP.", command))
    return meant.pop()


@commands.command("set-secret", cls=Command)
def set_secret(
    context: typer.Context,
    app: AppName = None,
    name: NameOfApp = None,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    target_org: Annotated[
        str | None,
        typer.Option(
            "--target-org",
            "-o",
            metavar="ORG",
            help="Org whose consumer key is meant, where they differ.",
        ),
    ] = None,
    store: StoreIn = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Never ask anything: the secret has to be piped in.")
    ] = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Keep the consumer secret of an app, for when its settings file lacks it.

    The secret is asked for without being shown; without a terminal it is read from standard input, as one line. No
    flag takes it.

    It is kept for the app's consumer key, so that it is never used with another one. ecapipe run takes it where
    environment, replacements and settings file have none; ecapipe app forget-secret removes it.
    """
    from ecapipe.saved import secrets as saved_secrets

    session: CommandSession = context.obj
    app = _one_app(app, name, KEEP)
    length = options.length(concise, verbose, KEEP)
    place = options.place(store)
    world = composition.real_world(session.environment)
    if obstacle := world.store.obstacle("secret", place):
        raise EcapipeError(obstacle)
    where = options.where(session.environment, source_dir, metadata_dir, credentials_dir, [app], no_project_config)
    which = OrgSelection((target_org,) if target_org else (), allowed=options.allowed_hosts(session.environment))
    owner, earlier = saved_secrets.owner(where, which, place, world)
    owned = saved_secrets.secret_facts(owner)
    value = _secret(session, f"Consumer secret of {app} (key {owned.consumer_key}): ", no_prompt)
    if value is None:
        raise EcapipeError(secret_unusable(app, "nothing was given"))
    saved_secrets.save_secret(owner, value, world)
    warnings = (
        [] if earlier is None else [f"A consumer secret of {app} is found in {earlier}, too, which comes first."]
    )
    lines = listings.kept_secret(owned, world.store.where("secret", place), length)
    return session.finish({"version": 1, "secret": report.kept_secret(owned)}, lines, warnings=warnings)


@commands.command("forget-secret", cls=Command)
def forget_secret(
    context: typer.Context,
    app: AppName = None,
    name: NameOfApp = None,
    target_org: Annotated[
        str | None, typer.Option("--target-org", "-o", metavar="ORG", help="Org that the secret was kept for.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Forget the secrets of all apps of that name.")] = False,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Forget the consumer secret that ecapipe app set-secret keeps.

    It needs no project, and changes nothing at Salesforce: the secret stays what it is there. With a folder, only
    what is kept for the consumer key that the app has there is forgotten.
    """
    from ecapipe.saved import secrets as saved_secrets

    session: CommandSession = context.obj
    app = _one_app(app, name, "ecapipe app forget-secret")
    length = options.length(concise, verbose, "ecapipe app forget-secret")
    world, key = composition.real_world(session.environment), None
    if source_dir or metadata_dir or credentials_dir:
        where = options.where(
            session.environment, source_dir, metadata_dir, credentials_dir, [app], no_project_config
        )
        key = saved_secrets.owner(where, OrgSelection(), "keyring", world)[0].consumer_key
    forgotten = saved_secrets.forget_secrets(app, target_org, every, world, key)
    facts = [saved_secrets.secret_facts(owner) for owner in forgotten]
    result = {"version": 1, "secrets": [report.kept_secret(each) for each in facts]}
    return session.finish(result, listings.forgotten(facts, length))


def _secret(session: CommandSession, question: str, no_prompt: bool) -> Secret | None:
    """What somebody types, unseen, or what is piped in; raises `EcapipeError` (UsageError)."""
    from ecapipe.adapters import terminal

    if not sys.stdin.isatty():
        return terminal.given(sys.stdin)
    if no_prompt or session.json:
        flag = "--no-prompt" if no_prompt else "--json"
        raise EcapipeError(usage_error(f"{flag} asks for nothing: pipe the consumer secret in, as one line.", KEEP))
    return terminal.ask(question)
