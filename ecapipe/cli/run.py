"""``ecapipe run``: the whole pipeline."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ecapipe.adapters import composition, origin
from ecapipe.adapters.storage import private_folder, state
from ecapipe.cli import options
from ecapipe.cli import reports as report_files
from ecapipe.cli import resume as resume_flag
from ecapipe.cli.commands import with_flags
from ecapipe.cli.local_org import use_local_org
from ecapipe.cli.options import TokenForm
from ecapipe.cli.run_flags import COMMAND, OFFLINE_STAGES, Callback, RunFlags
from ecapipe.cli.run_output import RunOutput
from ecapipe.cli.session import CommandSession
from ecapipe.documents import shards
from ecapipe.documents.recorded_runs import RecordedRun
from ecapipe.login.options import LoginOptions
from ecapipe.oauth.flows import registry
from ecapipe.oauth.flows.jwt import JWT, require_audience
from ecapipe.orgs.org_file import OrgFile
from ecapipe.orgs.selection import OrgSelection
from ecapipe.problems.problem import EcapipeError
from ecapipe.problems.usage import output_not_written, usage_error
from ecapipe.project.discovery import ProjectSelection
from ecapipe.render import text
from ecapipe.run import pipeline
from ecapipe.run.board import BoardActions, BoardPage
from ecapipe.run.pipeline import RunRequest
from ecapipe.run.world import World
from ecapipe.secret import Secret

if TYPE_CHECKING:
    from ecapipe.oauth.dpop import TokenType
    from ecapipe.render.board import BoardView

_DAY: Final = 24 * 60 * 60_000
"""Milliseconds of the longest wait."""

_GARBAGE: Final = 50_000
"""New objects after which Python looks for garbage: a few megabytes."""

COMMAND_CLASS = resume_flag.ResumableCommand


@with_flags(RunFlags)
def run(session: CommandSession, flags: RunFlags) -> int:
    """Authorize the external client apps of a project: find them, check credentials, get a token, and verify it.

    Each app is used in each org, unless an org lists its apps. You can combine --target-org, --file and --all-orgs;
    an org that is listed twice counts once. Without them, ecapipe uses SF_TARGET_ORG, the target-org of the
    Salesforce CLI, the only org in plugins.ecapipe.orgs, or sfdcLoginUrl if it is a My Domain.

    The --file file is a CSV table with column names in its first row, or a JSON list of objects, with: alias, url,
    apps, sourceDir, flow, username, orgId, scopes, secretEnv, browser, callback. Each row needs an alias or a url. An
    alias alone is looked up in plugins.ecapipe.orgs, which has the same members, and in the Salesforce CLI. apps: use
    only these apps, separated by spaces, commas or semicolons. sourceDir: the project folder retrieved from this org,
    relative to the file. secretEnv: the variable with the consumer secret for this org. Flags apply to all orgs and
    override the file.

    --retrieve requires a Salesforce CLI login to each org. With several orgs, each has its own folder: the sourceDir
    of its row, or a temporary one that is removed at the end.

    Key and secret are read from the environment, the replacements in sfdx-project.json, the app's global OAuth
    settings file, the keyring (app set-secret), the org's REST API, or a prompt, in this order. A secret can't be
    passed in a flag. The REST API is used only with --secret-from rest, with a login of the Salesforce CLI.

    --save saves each login for ecapipe login, and the consumer secret if a new token requires it. The requested
    scopes then include refresh_token, unless --scopes is used.

    In the web server flow, a user signs in: the browser opens, and the response is received at the app's callback URL
    on this machine. If the app has none, paste the redirect URL instead. Several logins share one sign-in page on
    this machine, which opens each org in its own tab.

    For an app with isDPopEnabled, or with --dpop, the token is bound to a key that is generated for the login (RFC
    9449). --save also saves the key. Such a login can't be handed over to the Salesforce CLI.

    To log in without a browser, use the client credentials flow or the JWT bearer flow: --jwt-key-file is the private
    key of the app's certificate, --username the user to log in as.

    Runs with logins are recorded, without secrets. --resume continues an earlier run: it skips logins that succeeded,
    tries the others, and reports what has changed. The run is the latest of the project, one from runs list, or a
    JSON result, even from another machine. --resume repeats the command line of that run, and other flags replace
    those of the run: --name its apps, --target-org, --file and --all-orgs its orgs. With --source-dir, --metadata-dir
    or --credentials-dir, nothing is repeated. From a JSON result, it leaves out paths outside the current folder,
    --allow-host, --replace-alias and --jwt-key-file: pass these again.
    """
    if flags.print_token is not None:
        session.require_output()
    # What a run knows of its logins lives until its end: looking for garbage in it costs a twentieth of the time.
    gc.set_threshold(_GARBAGE)
    environment = session.environment
    if flags.retrieve or flags.last_stage not in OFFLINE_STAGES:
        private_folder.sweep(environment)
    project = flags.select_project(environment, flags.name)
    orgs = options.select_orgs(environment, flags, flags.username)
    world = _build_world(flags, session, orgs.batch)
    flows = registry.leads_to(flags.flow or registry.AUTO)
    login = _login_options(flags, session, attended=world.person and any(flow.attended for flow in flows))
    reports = report_files.parse(session, COMMAND, flags.report_to, project, world.tree)
    with ExitStack() as stack:
        if flags.emulator:
            # What keeps the local org from starting is reported like a failure of the run.
            with reports.covering():
                world, orgs = use_local_org(project, orgs, world, stack)
        # From here to the end nobody else goes on with the earlier run.
        earlier, name = stack.enter_context(resume_flag.open_earlier_run(session, flags.resume, reports.roots))
        if earlier and earlier.orgs and not orgs.asked:
            orgs = replace(orgs, batch=resume_flag.orgs_of(earlier, flags.resume or ""))
        request = replace(
            _request(flags, project, orgs, login, earlier),
            invocation=session.options,
            origin=origin.of(environment),
        )
        world, board = _offer_board(flags, world)
        journal = None
        if flags.recordable:
            # What is not recorded needs nothing that reads or writes JSON.
            from ecapipe.adapters.storage.journal import JournalWriter

            journal = JournalWriter(environment, arguments=session.arguments, resumes=name)
            stack.callback(journal.close)
        output = RunOutput(session, reports, journal, board, warnings=_foresee_lost_journal(flags, session))
        with output.display(flags) as emit:
            pipeline.run(request, world, emit)
        return output.finish()


def _foresee_lost_journal(flags: RunFlags, session: CommandSession) -> list[str]:
    """A dry run says, as a warning, that the run would not be recorded."""
    problem = state.obstacle(session.environment, "runs") if flags.dry_run and not flags.no_journal else None
    if problem is None:
        return []
    warning = " ".join(("The run can't be recorded.", problem.message, *problem.actions))
    if not session.json:
        session.tell([text.clean(f"Warning: {warning}")])
    return [warning]


def _build_world(flags: RunFlags, session: CommandSession, org_file: OrgFile | None) -> World:
    """The world, with a person in it if there is a terminal, or if the command line speaks of one."""
    terminal = session.err.isatty() and not session.environment.is_ci()
    # Who chooses a browser or a callback expects to sign in, even where standard error is redirected.
    attended = flags.callback not in (None, Callback.auto) or flags.browser is not None
    attended = attended or flags.board_port is not None or (org_file is not None and org_file.attended)
    prompts = not flags.no_prompt
    world = composition.real_world(
        session.environment,
        browser=None if flags.browser is None else flags.browser.value,
        prompts=prompts,
        secret_prompts=prompts and not session.json and terminal,
        person=prompts and (terminal or attended),
    )
    return replace(world, interrupts=session.interrupts.divert)


def _login_options(flags: RunFlags, session: CommandSession, *, attended: bool) -> LoginOptions:
    """`attended`: people may be waited for. Raises `EcapipeError` (UsageError) for a variable that cannot be used."""
    environment = session.environment
    audience = environment.get("SF_AUDIENCE_URL")
    if flags.flow and flags.flow.value == JWT.name:
        require_audience(audience)
    return LoginOptions(
        flow=(flags.flow or registry.AUTO),
        callback=(flags.callback or Callback.auto).value,
        settled=frozenset(name for name in ("flow", "callback") if getattr(flags, name)),
        scopes=flags.scopes,
        wait=flags.wait or (_patience(environment.get("SF_WEB_OAUTH_SERVER_TIMEOUT")) if attended else None),
        settle=flags.settle,
        revoke=flags.revoke,
        deliver=None if flags.print_token is None else _token_printer(session, flags.print_token),
        dry_run=flags.dry_run,
        probe=flags.probe,
        key_file=flags.jwt_key_file or environment.get("ECAPIPE_JWT_KEY_FILE"),
        audience=audience,
        hand_over=flags.hand_over is not None,
        set_default=flags.set_default,
        replace_alias=flags.replace_alias,
        dpop=flags.dpop,
        keep=options.store_place(flags.store) if flags.save else None,
    )


def _request(
    flags: RunFlags,
    project: ProjectSelection,
    orgs: OrgSelection,
    login: LoginOptions,
    earlier: RecordedRun | None,
) -> RunRequest:
    return RunRequest(
        projects=project,
        orgs=orgs,
        options=login,
        last=flags.last_stage,
        secret_from=options.secret_sources(flags.secret_from),
        at_once=flags.concurrency,
        retrieve=flags.retrieve,
        write_back=flags.write_back,
        shard=None if flags.shard is None else shards.parse(flags.shard),
        earlier=earlier,
    )


def _offer_board(flags: RunFlags, world: World) -> tuple[World, BoardView | None]:
    """The world with a page for signing in to several orgs, and that page, which has to hear of all events; the
    world alone where nobody could open it.

    Raises `EcapipeError` (BoardCannotListen).
    """
    port = flags.board_port
    # A port is named to reach the page from elsewhere: then no browser is needed here.
    reachable = port is not None or (world.person and world.local_browser and world.open and not world.stand_in)
    if flags.no_board or not reachable:
        return world, None
    from ecapipe.render.board import BoardView

    page = BoardView()

    def serve(actions: BoardActions) -> AbstractContextManager[BoardPage]:
        from ecapipe.adapters.network import board_server

        return board_server.serve(page, actions, port)

    if port is not None:
        from ecapipe.adapters.network import board_server

        # The page is served only once several logins need it; a port in use should not be found out then.
        board_server.try_port(port)
    return replace(world, board=serve), page


def _token_printer(session: CommandSession, form: TokenForm) -> Callable[[Secret, TokenType], None]:
    def deliver(token: Secret, type: TokenType) -> None:
        try:
            text.write(session.out, [options.token_line(token, form, type)])
        except OSError as error:
            raise EcapipeError(output_not_written((error.strerror or "unknown reason").lower())) from None

    return deliver


def _patience(milliseconds: str | None) -> float | None:
    """Minutes to wait for people, by the variable of the Salesforce CLI. Raises `EcapipeError` (UsageError)."""
    if milliseconds is None:
        return None
    if not re.fullmatch("[0-9]{1,8}", milliseconds) or not 0 < int(milliseconds) <= _DAY:
        sentence = f"SF_WEB_OAUTH_SERVER_TIMEOUT must be a number of milliseconds, more than 0 and at most {_DAY}."
        raise EcapipeError(usage_error(sentence, COMMAND, "Correct it, unset it, or override it with --wait."))
    return int(milliseconds) / 60_000
