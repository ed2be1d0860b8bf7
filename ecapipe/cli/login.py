"""``ecapipe login``: the logins that were kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.commands import Command, Group
from ecapipe.cli.options import AsJson, Concise, Names, NoConfigRead, NoProgress, NoPrompt, TokenForm, Verbose
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.documents.report import Json
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.usage import usage_error
from ecapipe.render import listings, text
from ecapipe.run.world import World
from ecapipe.saved import sessions
from ecapipe.saved.records import SavedLogin

WhichOrg = Annotated[
    str | None,
    typer.Option("--target-org", "-o", metavar="ORG", help="Org of the login: its alias, username, host, URL or id."),
]
WhichApp = Annotated[
    str | None, typer.Option("--name", "-n", metavar="APP", help="App of the login, by its exact developer name.")
]

commands = typer.Typer(cls=Group, help="Use and end the logins that ecapipe run --save keeps.", rich_markup_mode=None)


@commands.command("list", cls=Command)
def list_logins(
    context: typer.Context,
    name: Names = None,
    target_org: WhichOrg = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoConfigRead = False,
    json: AsJson = False,
) -> int:
    """List the kept logins, without their tokens.

    Offline, and without a look into the keyring.
    """
    session: CommandSession = context.obj
    length = options.length(concise, verbose, "ecapipe login list")
    found, damaged = sessions.logins(composition.real_world(session.environment))
    facts = [sessions.facts(login) for login in sessions.fitting(found, name or (), target_org)]
    warnings = [" ".join((problem.message, *problem.actions)) for problem in damaged]
    result: Json = {"version": 1, "logins": [report.kept_login(each) for each in facts]}
    return session.finish(result, listings.logins(facts, length), warnings=warnings)


@commands.command("display", cls=Command)
def display_login(
    context: typer.Context,
    name: WhichApp = None,
    target_org: WhichOrg = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Ask the org whether it takes the access token, and whose it is.")
    ] = False,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoConfigRead = False,
    json: AsJson = False,
) -> int:
    """Show a kept login, without its tokens.

    With --verify it ends with 1 if the org does not take the access token. A login that can be refreshed is not over
    then: ecapipe login refresh gets the next token, and ecapipe login token does so by itself.
    """
    session: CommandSession = context.obj
    length = options.length(concise, verbose, "ecapipe login display")
    login, world = _chosen(session, name, target_org)
    refused = _refused(login, world) if verify else None
    facts = sessions.facts(login)
    result: Json = {"version": 1, "login": report.kept_login(facts), "verified": None}
    lines = list(listings.logins([facts], length))
    if verify:
        result["verified"] = refused is None
        lines.append("  Access token: " + ("accepted by the org" if refused is None else "not accepted by the org"))
    warnings = []
    if refused is not None:
        wayout = "Run ecapipe login refresh." if login.refreshable else f"Log in again: {login.command}"
        warnings.append(f"{refused.message} {wayout}")
    return session.finish(result, lines, int(refused is not None), warnings)


@commands.command("refresh", cls=Command)
def refresh_login(
    context: typer.Context,
    name: WhichApp = None,
    target_org: WhichOrg = None,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoConfigRead = False,
    json: AsJson = False,
) -> int:
    """Get a new access token for a kept login, and keep it.

    Where the app rotates refresh tokens, the new one is kept before anything else happens. However many processes
    refresh the same login, they do it one after the other.

    The consumer secret that is kept with the login is sent only if the app requires it for a refresh. One in
    ECAPIPE_CLIENT_SECRET_<APP> wins, and is kept from then on.
    """
    session: CommandSession = context.obj
    length = options.length(concise, verbose, "ecapipe login refresh")
    login, world = _chosen(session, name, target_org)
    facts = sessions.facts(sessions.refresh(login, world))
    lines = [text.clean(f"{login.subject}: a new access token is kept."), *listings.logins([facts], length)]
    return session.finish(
        {"version": 1, "login": report.kept_login(facts)}, lines[:1] if length != "verbose" else lines
    )


@commands.command("token", cls=Command)
def print_token(
    context: typer.Context,
    name: WhichApp = None,
    target_org: WhichOrg = None,
    header: Annotated[bool, typer.Option("--header", help="Print it as an Authorization header.")] = False,
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Never ask anything; print the token on a terminal, too.")
    ] = False,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_project_config: NoConfigRead = False,
    json: AsJson = False,
) -> int:
    """Print an access token of a kept login, and nothing else, for use in a script.

    Salesforce does not tell how long a token lives, so the org is asked first; one that it no longer takes is
    replaced, and the new one kept. A client credentials login gets a new token with its key and secret.

    On a terminal it needs --no-prompt, since a screen is no place for a token. It cannot be JSON.
    """
    session: CommandSession = context.obj
    options.length(concise, verbose, "ecapipe login token")
    _refuse_token(session, no_prompt)
    login, world = _chosen(session, name, target_org)
    form = TokenForm.header if header else TokenForm.value
    text.write(session.out, [options.token_line(sessions.access(login, world), form)])
    return 0


@commands.command("logout", cls=Command)
def log_out(
    context: typer.Context,
    name: Names = None,
    target_org: WhichOrg = None,
    every: Annotated[bool, typer.Option("--all", help="End all kept logins, or all that fit.")] = False,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Forget the login also if the org cannot be told; its tokens then stay valid."),
    ] = False,
    concise: Concise = False,
    verbose: Verbose = False,
    no_progress: NoProgress = False,
    no_prompt: NoPrompt = False,
    no_project_config: NoConfigRead = False,
    json: AsJson = False,
) -> int:
    """End a kept login: revoke its tokens, then forget it.

    A refresh token takes its access tokens with it. If the org cannot be told, the login stays, unless --forget says
    otherwise; what stays valid is said.

    Salesforce may give one access token to several programs that use the same app as the same user. They are logged
    out, too.
    """
    session: CommandSession = context.obj
    length = options.length(concise, verbose, "ecapipe login logout")
    world = _world(session)
    failed: list[tuple[SavedLogin | None, Problem]] = []
    if every:
        found, damaged = sessions.logins(world)
        chosen = sessions.fitting(found, name or (), target_org)
        failed += [(None, problem) for problem in damaged]
    else:
        chosen = [sessions.find(name or (), target_org, world)]
    ended: list[sessions.LoggedOut] = []
    for login in chosen:
        try:
            ended.append(sessions.end(login, forget, world))
        except EcapipeError as error:
            if not every:
                raise
            failed.append((login, error.problem))
    for _, problem in failed if not session.json else ():
        text.write(session.err, text.problem(problem))
    result: Json = {
        "version": 1,
        "logouts": [_logout(each) for each in ended],
        "failures": [_failure(login, problem) for login, problem in failed],
    }
    status = 0 if not failed else report.PARTIAL if ended else 1
    warnings = list(dict.fromkeys(each.warning for each in ended if each.warning))
    lines = [text.clean(f"{each.login.subject}: {_fate(each)}.") for each in ended]
    if length == "verbose":
        lines += listings.logins([sessions.facts(each.login) for each in ended], length) if ended else ()
    return session.finish(result, lines or ([] if failed else ["No login is kept."]), status, warnings)


def _world(session: CommandSession) -> World:
    return replace(composition.real_world(session.environment), interrupts=session.interrupts.outlasting)


def _chosen(session: CommandSession, name: str | None, org: str | None) -> tuple[SavedLogin, World]:
    world = _world(session)
    return sessions.find((name,) if name else (), org, world), world


def _refused(login: SavedLogin, world: World) -> Problem | None:
    """Why the org does not take the access token, if it does not; raises `EcapipeError` for anything else."""
    try:
        sessions.verify(login, world)
    except EcapipeError as error:
        if error.problem.category == "network" or error.problem.name == "ServerBusy":
            raise
        return error.problem
    return None


def _refuse_token(session: CommandSession, no_prompt: bool) -> None:
    """Raises `EcapipeError` (UsageError) where a token must not be printed."""
    if session.json:
        sentence = "A token is never part of JSON: leave out --json, and SF_CONTENT_TYPE=JSON."
    elif session.out.isatty() and not no_prompt:
        sentence = "This prints a token on the terminal: add --no-prompt if you mean that."
    else:
        return
    raise EcapipeError(usage_error(sentence, "ecapipe login token"))


def _logout(ended: sessions.LoggedOut) -> Json:
    return {"login": report.kept_login(sessions.facts(ended.login)), "revoked": ended.revoked}


def _fate(ended: sessions.LoggedOut) -> str:
    return "logged out" if ended.revoked else "forgotten"


def _failure(login: SavedLogin | None, problem: Problem) -> Json:
    """`login` is None for a record that cannot be read."""
    return {
        "app": login and login.app,
        "org": login and login.org.name,
        "name": problem.name,
        "message": problem.message,
        "actions": list(problem.actions),
    }
