"""``ecapipe login``: the logins that were kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated

import typer

from ecapipe.adapters import composition
from ecapipe.cli import options
from ecapipe.cli.commands import Command, Group, with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, Names, TokenForm, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.problems.oauth import server_busy
from ecapipe.problems.problem import INTERRUPTED, EcapipeError, Problem
from ecapipe.problems.usage import bug, interrupted
from ecapipe.render import listings, text
from ecapipe.render.listings import Length
from ecapipe.run.world import World
from ecapipe.saved import records, sessions
from ecapipe.saved.records import SavedLogin

commands = typer.Typer(cls=Group, help="Use and end the logins that ecapipe run --save keeps.", rich_markup_mode=None)

LoginOrg = Annotated[
    str | None,
    typer.Option("--target-org", "-o", metavar="ORG", help="Org of the login: its alias, username, host, URL or id."),
]


@command_flags
class LoginFlags(CommonFlags):
    """One login."""

    name: Annotated[
        str | None, typer.Option("--name", "-n", metavar="APP", help="App of the login, by its exact developer name.")
    ] = None
    target_org: LoginOrg = None


@command_flags
class LoginsFlags(CommonFlags):
    """Several logins."""

    name: Names = None
    target_org: LoginOrg = None


@commands.command("list", cls=Command)
@with_flags(LoginsFlags)
def list_logins(session: CommandSession, flags: LoginsFlags) -> int:
    """List the kept logins, without their tokens.

    Offline, and without a look into the keyring.
    """
    logins, unreadable = sessions.logins(composition.real_world(session.environment))
    facts = [sessions.facts(login) for login in sessions.fitting(logins, flags.name or (), flags.target_org)]
    # A record that cannot be read keeps no other from being listed.
    warnings = [" ".join((record.problem.message, *record.problem.actions)) for record in unreadable]
    return session.finish(
        lambda: results.LoginList.of(facts),
        listings.logins(facts, flags.length, session.screen),
        warnings=warnings,
    )


@command_flags
class DisplayFlags(LoginFlags):
    """What ``ecapipe login display`` takes."""

    verify: Annotated[
        bool, typer.Option("--verify", help="Ask the org whether it takes the access token, and whose it is.")
    ] = False


@commands.command("display", cls=Command)
@with_flags(DisplayFlags)
def display_login(session: CommandSession, flags: DisplayFlags) -> int:
    """Show a kept login, without its tokens.

    With --verify it ends with 1 if the org does not take the access token. A login that can be refreshed is not over
    then: ecapipe login refresh gets the next token, and ecapipe login token does so by itself.
    """
    world = _build_world(session)
    login = _find_login(flags, world)
    refusal = _refusal(login, world) if flags.verify else None
    facts = sessions.facts(login)
    lines = list(listings.login_details([facts], flags.length, session.screen))
    if refusal is not None:
        lines.append("  Access token: not accepted by the org")
        warning = f"{refusal.message} {_way_out(login)}"
        return session.finish(lambda: results.LoginDisplay.of(facts, verified=False), lines, 1, [warning])
    if flags.verify:
        lines.append("  Access token: accepted by the org")
    return session.finish(lambda: results.LoginDisplay.of(facts, verified=flags.verify or None), lines)


def _way_out(login: SavedLogin) -> str:
    """How to get an access token that the org accepts."""
    if login.refreshable:
        return "Run ecapipe login refresh."
    return f"Log in again: {login.command}"


@commands.command("refresh", cls=Command)
@with_flags(LoginFlags)
def refresh_login(session: CommandSession, flags: LoginFlags) -> int:
    """Get a new access token for a kept login, and keep it.

    Where the app rotates refresh tokens, the new one is kept before anything else happens. However many processes
    refresh the same login, they do it one after the other.

    The consumer secret that is kept with the login is sent only if the app requires it for a refresh. One in
    ECAPIPE_CLIENT_SECRET_<APP> wins, and is kept from then on.
    """
    world = _build_world(session)
    login = _find_login(flags, world)
    warnings = sessions.doubts(login, world)
    facts = sessions.facts(sessions.refresh(login, world))
    status = INTERRUPTED if session.interrupts.came else 0
    lines = [text.clean(f"{login.subject}: a new access token is kept.")]
    if flags.verbose:
        lines += listings.login_details([facts], flags.length, session.screen)
    return session.finish(lambda: results.LoginRefresh.of(facts), lines, status, warnings=warnings)


@command_flags
class TokenFlags(LoginFlags):
    """What ``ecapipe login token`` takes."""

    LAST = ("no_prompt", "concise", "verbose", "no_progress", "no_project_config", "json")

    header: Annotated[bool, typer.Option("--header", help="Print it as an Authorization header.")] = False
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Never ask anything; print the token on a terminal, too.")
    ] = False

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        if session.json:
            yield "A token is never part of JSON: leave out --json, and SF_CONTENT_TYPE=JSON."
        if session.out.isatty() and not self.no_prompt:
            yield "This prints a token on the terminal: add --no-prompt if you mean that."


@commands.command("token", cls=Command)
@with_flags(TokenFlags)
def print_token(session: CommandSession, flags: TokenFlags) -> int:
    """Print an access token of a kept login, and nothing else, for use in a script.

    Salesforce does not tell how long a token lives, so the org is asked first; one that it no longer takes is
    replaced, and the new one kept. A client credentials login gets a new token with its key and secret.

    On a terminal it needs --no-prompt, since a screen is no place for a token. It cannot be JSON.
    """
    session.require_output()
    world = _build_world(session)
    login = _find_login(flags, world)
    form = TokenForm.header if flags.header else TokenForm.value
    token = sessions.access(login, world)
    if session.interrupts.came:
        raise KeyboardInterrupt
    session.interrupts.retire()
    text.write(session.out, [options.token_line(token, form)])
    return 0


@command_flags
class LogoutFlags(LoginsFlags):
    """What ``ecapipe login logout`` takes."""

    every: Annotated[bool, typer.Option("--all", help="End all kept logins, or all that fit.")] = False
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Forget the login also if the org cannot be told; its tokens then stay valid."),
    ] = False


@commands.command("logout", cls=Command)
@with_flags(LogoutFlags)
def log_out(session: CommandSession, flags: LogoutFlags) -> int:
    """End a kept login: revoke its tokens, then forget it.

    A refresh token takes its access tokens with it. If the org cannot be told, the login stays, unless --forget says
    otherwise; what stays valid is said. A login that cannot be read is removed by its id, which its file is named
    after, or with --all.

    Salesforce may give one access token to several programs that use the same app as the same user. They are logged
    out, too.
    """
    world = _build_world(session)
    logouts = _log_out_all(session, flags, world) if flags.every else _log_out_one(flags, world)
    # In JSON the failures are a part of the result.
    if not session.json:
        for failure in logouts.failures:
            session.tell(text.problem(failure.problem, failure.login.subject if failure.login else ""))
    # Many logins may have to tell the same about one org.
    warnings = list(dict.fromkeys(each.warning for each in logouts.successes if each.warning)) + logouts.removed
    return session.finish(lambda: _result(logouts), _logout_lines(logouts, flags.length), logouts.status, warnings)


@dataclass(frozen=True, slots=True)
class LogoutFailure:
    """Why a login is not ended; `login` is None for a record that cannot be read."""

    login: SavedLogin | None
    problem: Problem


@dataclass(frozen=True, slots=True)
class Logouts:
    """What came of the logins that were to be ended."""

    successes: list[sessions.LoggedOut]
    failures: list[LogoutFailure] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """A sentence for each record that could not be read, and is gone."""

    @property
    def status(self) -> int:
        """The exit status."""
        if any(failure.problem.kind is interrupted for failure in self.failures):
            return INTERRUPTED
        if not self.failures:
            return 0
        return report.PARTIAL if self.successes or self.removed else 1


def _log_out_one(flags: LogoutFlags, world: World) -> Logouts:
    """End the one login that fits, or remove the one record that is named by its id."""
    names = flags.name or ()
    for record in sessions.logins(world)[1]:
        if record.id in names:
            return Logouts([], removed=[sessions.discard(record, flags.forget, world)])
    return Logouts([sessions.end(sessions.find(names, flags.target_org, world), flags.forget, world)])


def _log_out_all(session: CommandSession, flags: LogoutFlags, world: World) -> Logouts:
    """End all logins that fit; one that cannot be ended keeps no other from it. An interrupt leaves those to come."""
    logins, unreadable = sessions.logins(world)
    names, logouts = flags.name or (), Logouts([])
    for record in unreadable:
        if not record.may_fit(names, flags.target_org):
            continue
        try:
            logouts.removed.append(sessions.discard(record, flags.forget, world))
        except EcapipeError as error:
            logouts.failures.append(LogoutFailure(None, error.problem))
    fitting = records.fitting if logouts.removed or logouts.failures else sessions.fitting
    remaining = list(fitting(logins, names, flags.target_org))
    try:
        while remaining:
            try:
                logouts.successes.append(sessions.end(remaining[0], flags.forget, world))
            except EcapipeError as error:
                logouts.failures.append(LogoutFailure(remaining[0], error.problem))
            except Exception as error:
                logouts.failures.append(LogoutFailure(remaining[0], bug(error)))
            del remaining[0]
        session.interrupts.retire()
    except KeyboardInterrupt:
        logouts.failures.extend(LogoutFailure(login, interrupted()) for login in remaining)
    return logouts


def _logout_lines(logouts: Logouts, length: Length) -> list[str]:
    if not logouts.successes:
        return [] if logouts.failures or logouts.removed else ["No login is kept."]
    lines = []
    for each in logouts.successes:
        outcome = "logged out" if each.revoked else "forgotten"
        lines.append(text.clean(f"{each.login.subject}: {outcome}."))
    if length == "verbose":
        lines += listings.login_details([sessions.facts(each.login) for each in logouts.successes], length)
    return lines


def _build_world(session: CommandSession) -> World:
    """The world, where no signal ends the program while a new refresh token is not yet stored: the old one may be
    dead by then."""
    return replace(composition.real_world(session.environment), interrupts=session.interrupts.divert_all)


def _find_login(flags: LoginFlags, world: World) -> SavedLogin:
    """The one login that fits; raises `EcapipeError` for none and for several."""
    return sessions.find((flags.name,) if flags.name else (), flags.target_org, world)


def _refusal(login: SavedLogin, world: World) -> Problem | None:
    """Why the org does not take the access token, if it does not; raises `EcapipeError` for anything else."""
    try:
        sessions.verify(login, world)
    except EcapipeError as error:
        # These say nothing about the token.
        if error.problem.category == "network" or error.problem.kind is server_busy:
            raise
        return error.problem
    return None


def _result(logouts: Logouts) -> results.LoginLogout:
    return results.LoginLogout(
        logouts=[results.Logout.of(sessions.facts(each.login), each.revoked) for each in logouts.successes],
        failures=[_failure(each) for each in logouts.failures],
    )


def _failure(failure: LogoutFailure) -> results.LogoutFailure:
    login = failure.login
    if login is None:
        return results.LogoutFailure.of(None, None, failure.problem)
    return results.LogoutFailure.of(login.app, login.org.name, failure.problem)
