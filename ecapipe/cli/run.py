"""``ecapipe run``: the whole pipeline."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.adapters.storage.journal import JournalWriter
from ecapipe.cli import emulator as emulator_command
from ecapipe.cli import options
from ecapipe.cli import reports as report_files
from ecapipe.cli import resume as resume_flag
from ecapipe.cli.options import (
    AllOrgs,
    AllowHosts,
    AsJson,
    CredentialsDirs,
    MetadataDirs,
    Names,
    NoProjectConfig,
    OrgFileFlag,
    ReportFiles,
    SecretsFrom,
    SourceDirs,
    StoreIn,
    TargetOrgs,
    TokenForm,
)
from ecapipe.cli.reports import Reports
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report, shards
from ecapipe.documents.report import Json, Report
from ecapipe.events import DISCOVER, RUN_STAGES, VERIFY, Emit, Event, Note, RunEnded, StageNoted, Subject
from ecapipe.login.options import LoginOptions
from ecapipe.oauth import messages
from ecapipe.orgs import selection
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import INTERRUPTED, WAITING, EcapipeError
from ecapipe.problems.usage import usage_error
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render import json as json_output
from ecapipe.render import log, text
from ecapipe.render.plain_display import PlainDisplay
from ecapipe.run import pipeline, scheduler
from ecapipe.run.board import BoardActions, BoardPage
from ecapipe.run.pipeline import RunRequest
from ecapipe.run.world import World
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.render.report_data import ReportData

COMMAND = "ecapipe run"

_GARBAGE = (700, 10, 10)
"""New objects between two looks for garbage, and between more thorough ones; Python's own numbers are 700, 10, 10."""
SHAPE = resume_flag.Resuming


class Flow(StrEnum):
    auto = "auto"
    web = "web"
    client_credentials = "client-credentials"
    jwt = "jwt"


class Callback(StrEnum):
    auto = "auto"
    listen = "listen"
    paste = "paste"


class Browser(StrEnum):
    chrome = "chrome"
    edge = "edge"
    firefox = "firefox"
    none = "none"


class Keeper(StrEnum):
    sf = "sf"


Until = StrEnum("Until", {stage.name: stage.name for stage in RUN_STAGES})  # type: ignore[misc]  # made of the stages


def run(
    context: typer.Context,
    source_dir: SourceDirs = None,
    metadata_dir: MetadataDirs = None,
    credentials_dir: CredentialsDirs = None,
    name: Names = None,
    target_org: TargetOrgs = None,
    file: OrgFileFlag = None,
    all_orgs: AllOrgs = False,
    emulator: Annotated[
        bool, typer.Option("--emulator", help="Use a local org, started for this run, that signs in for you.")
    ] = False,
    flow: Annotated[Flow, typer.Option("--flow", metavar="|".join(Flow), help="OAuth flow to use.")] = Flow.auto,
    callback: Annotated[
        Callback,
        typer.Option("--callback", metavar="|".join(Callback), help="How the answer of a web login comes back."),
    ] = Callback.auto,
    browser: Annotated[
        Browser | None,
        typer.Option(
            "--browser", "-b", metavar="|".join(Browser), help="Browser to open; none prints each URL on stderr."
        ),
    ] = None,
    scopes: Annotated[
        str | None, typer.Option("--scopes", metavar='"A B"', help="Scopes to ask for, separated by spaces.")
    ] = None,
    username: Annotated[
        str | None, typer.Option("--username", metavar="NAME", help="User who is expected to sign in.")
    ] = None,
    jwt_key_file: Annotated[
        str | None,
        typer.Option("--jwt-key-file", metavar="PATH", help="Private key (RSA, PEM) that logs in without a person."),
    ] = None,
    until: Annotated[
        Until | None, typer.Option("--until", metavar="|".join(Until), help="Stop after this stage.")
    ] = None,
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait", "-w", metavar="MINUTES", help="How long to wait for people. Default: 5 for one login, else 30."
        ),
    ] = None,
    settle: Annotated[
        float, typer.Option("--settle", metavar="MINUTES", help="How long to retry what a fresh deploy explains.")
    ] = 0.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done for each app and org, and send nothing.")
    ] = False,
    concurrency: Annotated[
        int, typer.Option("--concurrency", metavar="N", help="How many logins may be at work at the same time.")
    ] = scheduler.CONCURRENCY,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="K/N", help="Only this part of the logins: the Kth of N.")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="[RUN|FILE]",
            help="Go on with the latest run, a run of runs list, or a JSON result: what succeeded is not repeated.",
        ),
    ] = None,
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Keep no record of the run; it cannot be resumed then.")
    ] = False,
    secret_from: SecretsFrom = None,
    write_back: Annotated[
        bool,
        typer.Option("--write-back", help="Put a secret that comes from rest into the app's settings file."),
    ] = False,
    print_token: Annotated[
        TokenForm | None,
        typer.Option(
            "--print-token",
            metavar="|".join(TokenForm),
            help="Print the access token, and nothing else, on standard output.",
        ),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep each login, for ecapipe login: in the keyring, or as --store says.")
    ] = False,
    store: StoreIn = None,
    hand_over: Annotated[
        Keeper | None,
        typer.Option(
            "--hand-over",
            metavar="|".join(Keeper),
            help="Let the Salesforce CLI keep each verified login, under the org's alias.",
        ),
    ] = None,
    no_board: Annotated[
        bool, typer.Option("--no-board", help="Sign in to several orgs by links in the terminal, without the page.")
    ] = False,
    board_port: Annotated[
        int | None,
        typer.Option(
            "--board-port", metavar="N", help="Serve the page for signing in on this port, to reach it through SSH."
        ),
    ] = None,
    set_default: Annotated[
        bool, typer.Option("--set-default", "-s", help="With --hand-over: make the org its default, too.")
    ] = False,
    replace_alias: Annotated[
        bool,
        typer.Option(
            "--replace-alias",
            help="With --hand-over: the alias may be one that the Salesforce CLI knows for another org.",
        ),
    ] = False,
    retrieve: Annotated[
        bool,
        typer.Option("--retrieve", help="First let the Salesforce CLI retrieve the external client apps of the org."),
    ] = False,
    revoke: Annotated[bool, typer.Option("--revoke", help="Revoke each token after it is verified.")] = False,
    allow_host: AllowHosts = None,
    no_prompt: Annotated[bool, typer.Option("--no-prompt", "-p", help="Never ask anything.")] = False,
    concise: Annotated[bool, typer.Option("--concise", help="Print logins and problems only.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Print the facts of every stage.")] = False,
    no_progress: Annotated[
        bool, typer.Option("--no-progress", help="Print lines instead of a live display.")
    ] = False,
    report_to: ReportFiles = None,
    no_project_config: NoProjectConfig = False,
    json: AsJson = False,
) -> int:
    """Authorize the external client apps of a project: find them, check their credentials, get a token, verify it.

    Every app is paired with every org, or as the orgs say. Orgs come from --target-org, from --file and from
    --all-orgs, which add up; an org that is there twice is one. Without any: SF_TARGET_ORG, the target-org of the
    Salesforce CLI, the only org of plugins.ecapipe.orgs, or sfdcLoginUrl if it is a My Domain.

    A file for --file is a table (CSV, as spreadsheets write it) with the names of the columns in its first row, or a
    JSON list of objects: alias, url, apps, sourceDir, flow, username, orgId, scopes, secretEnv, browser, callback.
    One of alias and url is needed. An alias alone is looked up in plugins.ecapipe.orgs, which has the same members,
    and in the Salesforce CLI. apps: the only apps that are meant, with spaces, commas or semicolons between them;
    sourceDir: the tree that was retrieved from this org, relative to the file; secretEnv: the variable that holds the
    consumer secret for it. What a flag says holds for all orgs and wins over the file.

    Key and secret come from the environment, the replacements of sfdx-project.json, the app's global OAuth settings
    file, the keyring (app set-secret), the org's REST API, or a prompt, in this order; no flag takes a secret.
    The REST API is asked only with --secret-from rest, through a login that the Salesforce CLI keeps.

    With --save each login is kept for ecapipe login, together with the consumer secret if a new token needs it; the
    scopes then include refresh_token, unless --scopes says otherwise.

    With the web server flow somebody signs in: the browser is opened, and the answer comes back to the app's callback
    URL on this machine or, where there is none, is pasted. Several logins stand on one page on this machine, which
    opens each org in a tab of its own.

    Without people, use the client credentials flow, or the JWT bearer flow: --jwt-key-file names the private key of
    the app's certificate, --username the user to log in as.

    Every run with logins is recorded as it goes, without secrets. --resume takes over what succeeded in an earlier
    one, tries the rest, and says what has changed since: the latest run of the project, one that runs list names, or
    a JSON result, also of another machine. Alone, or beside flags that only say how, it repeats the command line of
    that run.
    """
    session: CommandSession = context.obj
    environment = session.environment
    _refuse(
        {
            "--concise and --verbose": concise and verbose,
            "--emulator and --target-org": emulator and bool(target_org),
            "--no-board and --board-port": no_board and board_port is not None,
            "--emulator and --board-port": emulator and board_port is not None,
            "--no-prompt and --board-port": no_prompt and board_port is not None,
            "--emulator and --file": emulator and file is not None,
            "--emulator and --all-orgs": emulator and all_orgs,
            "--print-token and --json": print_token is not None and session.json,
            "--print-token and --revoke": print_token is not None and revoke,
            "--save and --print-token": save and print_token is not None,
            "--save and --revoke": save and revoke,
            "--save and --emulator": save and emulator,
            "--save and --hand-over": save and hand_over is not None,
            "--save and --until": save and until is not None and until.value != VERIFY.name,
            "--revoke and --until": revoke and until is not None and until.value != VERIFY.name,
            "--print-token and --dry-run": print_token is not None and dry_run,
            f"--jwt-key-file and --flow {flow.value}": jwt_key_file is not None and flow not in (Flow.auto, Flow.jwt),
            "--print-token and --until": print_token is not None and until is not None,
            "--print-token and --resume": print_token is not None and resume is not None,
            f"--shard and --until {until}": shard is not None and until in ("discover", "locate", "check"),
            "--hand-over and --print-token": hand_over is not None and print_token is not None,
            "--hand-over and --revoke": hand_over is not None and revoke,
            "--hand-over and --until": hand_over is not None and until is not None,
            "--hand-over and --emulator": hand_over is not None and emulator,
            "--retrieve and --emulator": retrieve and emulator,
            "--retrieve and --dry-run": retrieve and dry_run,
            "--retrieve and --metadata-dir": retrieve and bool(metadata_dir),
        },
        {
            "--shard takes K/N, two numbers with 1 <= K <= N <= 10000.": shard is not None
            and shards.parse(shard) is None,
            "--scopes takes one string with spaces between the scopes.": scopes is not None
            and ("," in scopes or not scopes.split()),
            "--jwt-key-file takes the path of a file, and what it was given is none.": jwt_key_file is not None
            and not os.path.exists(jwt_key_file),
            "--write-back needs --secret-from rest: it writes nothing else.": write_back
            and "rest" not in options.sources(secret_from),
            "--wait takes minutes, more than 0 and at most 1440.": wait is not None and not 0 < wait <= 24 * 60,
            "--store says where --save keeps a login: add --save.": store is not None and not save,
            "--settle takes minutes, at least 0 and at most 60.": not 0 <= settle <= 60,
            "--board-port takes a port from 1 to 65535.": board_port is not None and not 1 <= board_port <= 65535,
            "--concurrency takes a number from 1 to 128.": not 1 <= concurrency <= 128,
            "--set-default needs --hand-over.": set_default and hand_over is None,
            "--replace-alias needs --hand-over.": replace_alias and hand_over is None,
            "--print-token prints a token on the terminal: add --no-prompt if you mean that.": print_token is not None
            and session.out.isatty()
            and not no_prompt,
        },
    )
    where = options.where(environment, source_dir, metadata_dir, credentials_dir, name, no_project_config)
    terminal = session.err.isatty() and not environment.is_ci()
    listed = None if file is None else options.batch_file(file)
    attended = callback is not Callback.auto or browser is not None or (listed is not None and listed.attended)
    world = composition.real_world(
        environment,
        browser=None if browser is None else browser.value,
        prompts=not no_prompt,
        secret_prompts=not no_prompt and not session.json and terminal,
        person=not no_prompt and (terminal or attended or board_port is not None),
    )
    world = replace(world, interrupts=session.interrupts.calling)
    which = OrgSelection(
        tuple(target_org or ()),
        environment.get("SF_TARGET_ORG"),
        options.allowed_hosts(environment, allow_host or ()),
        username,
        batch=listed,
        every=all_orgs,
    )
    how = LoginOptions(
        flow.value,
        callback.value,
        scopes,
        _minutes(wait, environment.get("SF_WEB_OAUTH_SERVER_TIMEOUT")),
        settle,
        revoke,
        None if print_token is None else _printer(session, print_token),
        dry_run,
        jwt_key_file or environment.get("ECAPIPE_JWT_KEY_FILE"),
        _audience(environment.get("SF_AUDIENCE_URL")),
        hand_over=hand_over is not None,
        set_default=set_default,
        replace_alias=replace_alias,
        keep=options.place(store) if save else None,
    )
    last = None if until is None else until.value
    if dry_run and last not in ("discover", "locate", "check"):
        last = "authorize"
    reports = report_files.asked(session, COMMAND, report_to, where, world.tree)
    with ExitStack() as stack:
        if emulator:
            with reports.covering():
                world, which = emulated(where, which, world, stack)
        earlier, run_before = stack.enter_context(resume_flag.known(session, resume, reports.roots))
        part = None if shard is None else shards.parse(shard)
        sources = options.sources(secret_from)
        request = RunRequest(where, which, how, last, sources, concurrency, retrieve, write_back, part, earlier)
        also: list[Emit] = []
        if not no_board:
            world = _with_board(world, board_port, also)
        journal = None
        if not (no_journal or dry_run or print_token):  # a run that is to print a token is not gone on with
            journal = JournalWriter(environment, arguments=context.meta.get(resume_flag.GIVEN), resumes=run_before)
            stack.callback(journal.close)
        return _show(session, request, world, reports, journal, concise, verbose or dry_run, no_progress, also)


def _show(
    session: CommandSession,
    request: RunRequest,
    world: World,
    reports: Reports,
    journal: JournalWriter | None,
    concise: bool,
    verbose: bool,
    no_progress: bool,
    also: Sequence[Emit],
) -> int:
    seen, warnings = Report(), list[str]()
    # A printed token stands alone on standard output.
    out = session.out if request.how.deliver is None else session.err
    with ExitStack() as stack:
        display: Emit
        if session.json:
            display = json_output.Links(session.err)
        elif session.live and out.isatty() and not concise and not no_progress:
            from ecapipe.render.live_display import LiveDisplay

            human = LiveDisplay(out, session.err, seen, colour=session.colour, verbose=verbose)
            stack.callback(human.close)
            display = human
        else:
            display = PlainDisplay(out, session.err, seen, stages=not concise, verbose=verbose)

        told = [*([journal] if journal else []), seen, log.log, *also, display]

        def emit(event: Event) -> None:
            with session.interrupts.held(last=isinstance(event, RunEnded)):
                for each in told:
                    each(event)
                if journal and journal.lost and not warnings:
                    warnings.append(journal.lost)
                    display(StageNoted(DISCOVER, Subject(), Note("hint", f"Warning: {journal.lost}")))

        pipeline.run(request, world, emit)
    if journal and journal.run and not session.json and _is_worth_resuming(seen):
        text.write(session.err, [f"To go on with what is left: ecapipe run --resume {journal.run}"])
    document = cache(lambda: _document(seen))
    lost = reports.write(lambda: _account(seen, document(), reports))
    warnings += lost
    status = seen.status or int(bool(lost))
    if session.json:
        whole = {**document(), "status": status}
        whole["warnings"] = [*([] if seen.fatal else seen.warnings), *warnings]
        json_output.write(session.out, whole)
    return status


def _is_worth_resuming(seen: Report) -> bool:
    """Whether something is left of a run that is more than one login, or that people were too slow for."""
    several = sum(subject.org is not None for subject in seen.subjects) > 1
    return seen.status in (WAITING, INTERRUPTED) or bool(several and seen.status)


def _with_board(world: World, port: int | None, also: list[Emit]) -> World:
    """The world with a page for signing in to several orgs, told through `also`, if somebody can open it.

    Raises `EcapipeError` (BoardCannotListen).
    """
    if port is None and not (world.person and world.local_browser and world.open and not world.stand_in):
        return world
    from ecapipe.render.board import BoardView as Page

    page = Page()
    also.append(page)

    def serve(desk: BoardActions) -> AbstractContextManager[BoardPage]:
        from ecapipe.adapters.network import board_server

        return board_server.serve(page, desk, port)

    if port is not None:
        from ecapipe.adapters.network import board_server

        board_server.try_port(port)
    return replace(world, board=serve)


def _account(seen: Report, document: Json, reports: Reports) -> ReportData:
    from ecapipe.render.report_data import of_run

    return of_run(seen, document, reports.place(seen.projects, seen.apps), COMMAND)


def _document(seen: Report) -> Json:
    if seen.fatal:
        return report.failure(seen.fatal, COMMAND)
    return report.success(seen.result(), seen.warnings, seen.status)


def _refuse(exclusive: Mapping[str, bool], wrong: Mapping[str, bool]) -> None:
    """Raises `EcapipeError` (UsageError) for the first combination or value that cannot be meant."""
    for pair, both in exclusive.items():
        if both:
            raise EcapipeError(usage_error(f"{pair} exclude each other.", COMMAND))
    for sentence, is_wrong in wrong.items():
        if is_wrong:
            raise EcapipeError(usage_error(sentence, COMMAND))


def _printer(session: CommandSession, form: TokenForm) -> Callable[[Secret], None]:
    def deliver(token: Secret) -> None:
        text.write(session.out, [options.token_line(token, form)])

    return deliver


def _minutes(wait: float | None, milliseconds: str | None) -> float | None:
    if wait is None and milliseconds and milliseconds.isdecimal() and int(milliseconds):
        return int(milliseconds) / 60_000
    return wait


def _audience(given: str | None) -> str | None:
    """Raises `EcapipeError` (UsageError) for what is no URL."""
    if given is not None and not re.fullmatch(r"https?://[!-~]+", given):
        raise EcapipeError(usage_error("SF_AUDIENCE_URL does not hold a URL.", COMMAND))
    return given


def emulated(
    where: ProjectSelection, which: OrgSelection, world: World, stack: ExitStack
) -> tuple[World, OrgSelection]:
    """The world with a local org in it that knows the project's apps, and somebody who signs in there."""
    from ecapipe.adapters.network.browser import StandInBrowser
    from ecapipe.emulator.server import Emulator
    from ecapipe.emulator.visitor import VisitError

    try:
        apps = emulator_command.registered(where, world)
    except EcapipeError:
        apps = []  # the run meets the same problem in its first stage, and reports it there
    server = stack.enter_context(Emulator(apps))
    (name, url), *_ = server.urls.items()
    org = selection.choose(f"{name}={url}", {}, ())

    def visit(address: str) -> str:
        try:
            return server.visit(address)
        except VisitError as error:
            raise messages.refusal(error.error, error.description, org.host) from None

    stand = StandInBrowser(visit)
    attended = replace(world, open=stand.open, lines=stand.lines, person=True, local_browser=True, stand_in=True)
    return attended, replace(which, given=org)
