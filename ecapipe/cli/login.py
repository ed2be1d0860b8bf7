"""``ecapipe login``: the logins that were kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

import typer

from ecapipe.adapters import composition
from ecapipe.cli import login_refresh, options
from ecapipe.cli.commands import Command, Group, with_flags
from ecapipe.cli.documents import results
from ecapipe.cli.options import CommonFlags, Names, TokenForm, command_flags
from ecapipe.cli.session import CommandSession
from ecapipe.documents import report
from ecapipe.exchange.sending import prove
from ecapipe.problems.api import user_info_refused
from ecapipe.problems.oauth import token_refused
from ecapipe.problems.problem import INTERRUPTED, EcapipeError, Problem
from ecapipe.problems.storage import login_not_bound
from ecapipe.problems.usage import bug, interrupted
from ecapipe.render import listings, text
from ecapipe.render.listings import Length
from ecapipe.run.world import World
from ecapipe.saved import idle, records, sessions
from ecapipe.saved.records import SavedLogin
from ecapipe.saved.sessions import SavedAccess

commands = typer.Typer(cls=Group, help="Manage saved logins.", rich_markup_mode=None)

_METHOD: Final = re.compile(r"[A-Za-z]{1,20}")
_URL: Final = re.compile(
    r"(?:https://[^/?#@\s]+|http://(?:localhost|127\.0\.0\.1|\[::1\])(?::[0-9]+)?)(?:[/?][!-~]*)?"
)
_BOUND: Final = (
    "Warning: the token is bound to a key (DPoP): each request also needs a proof. --proof METHOD URL prints one."
)

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
    """List saved logins, without their tokens.

    Works offline, and doesn't open the keyring. Salesforce expires a refresh token that is unused for 30 days: the
    day is shown, with a warning in the week before. ecapipe login refresh --all uses all of them.
    """
    world = composition.real_world(session.environment)
    logins, unreadable = sessions.logins(world)
    fitting = sessions.fitting(logins, flags.name or (), flags.target_org)
    facts = [sessions.facts(login) for login in fitting]
    # A record that cannot be read keeps no other from being listed.
    warnings = [" ".join((record.problem.message, *record.problem.actions)) for record in unreadable]
    warnings += _idle(fitting, world)
    return session.finish(
        lambda: results.LoginList.of(facts),
        listings.logins(facts, flags.length, session.screen),
        warnings=warnings,
    )


@command_flags
class DisplayFlags(LoginFlags):
    """What ``ecapipe login display`` takes."""

    verify: Annotated[
        bool,
        typer.Option("--verify", help="Ask the org whether it accepts the access token, and which user it is for."),
    ] = False


@commands.command("display", cls=Command)
@with_flags(DisplayFlags)
def display_login(session: CommandSession, flags: DisplayFlags) -> int:
    """Show a saved login, without its tokens.

    With --verify, exits with 1 if the org refuses the access token. If the login can be refreshed, ecapipe login
    refresh gets a new token; ecapipe login token does so automatically.
    """
    world = _build_world(session)
    login = _find_login(flags, world)
    with _about(login):
        refusal = _refusal(login, world) if flags.verify else None
    facts = sessions.facts(login)
    lines = list(listings.login_details([facts], flags.length, session.screen))
    if refusal is not None:
        lines.append("  Access token: not accepted by the org")
        warning = f"{refusal.message} {_way_out(login)}"
        return session.finish(lambda: results.LoginDisplay.of(facts, verified=False), lines, 1, [warning])
    if flags.verify:
        lines.append("  Access token: accepted by the org")
    return session.finish(
        lambda: results.LoginDisplay.of(facts, verified=flags.verify or None), lines, warnings=_idle([login], world)
    )


def _idle(logins: Iterable[SavedLogin], world: World) -> list[str]:
    """Sentences on refresh tokens that are about to end unused."""
    now = world.clock.utc()
    return [sentence for login in logins if (sentence := idle.warning(login, now))]


def _way_out(login: SavedLogin) -> str:
    """How to get an access token that the org accepts."""
    if login.refreshable:
        return "Run ecapipe login refresh."
    return f"Log in again: {login.command}"


@command_flags
class RefreshFlags(LoginsFlags):
    """What ``ecapipe login refresh`` takes."""

    every: Annotated[bool, typer.Option("--all", help="Refresh all saved logins, or all that match.")] = False


@commands.command("refresh", cls=Command)
@with_flags(RefreshFlags)
def refresh_login(session: CommandSession, flags: RefreshFlags) -> int:
    """Get a new access token for a saved login, and save it.

    If the app rotates refresh tokens, the new one is saved before anything else happens. Several processes refresh
    the same login one after the other.

    The consumer secret that is saved with the login is sent only if the app requires it for a refresh. A secret in
    ECAPIPE_CLIENT_SECRET_<APP> takes precedence, and is saved.

    With --all, logins are refreshed in parallel, and a failure doesn't affect the others. Logins that can't be
    refreshed are skipped if others can. Exits with 68 if some fail. Run it once a week, from cron or CI, so that
    refresh tokens don't expire after 30 days without use:

    17 5 * * 1 ecapipe login refresh --all --concise
    """
    if flags.every:
        return _refresh_all(session, flags)
    world = _build_world(session)
    login = sessions.find(flags.name or (), flags.target_org, world)
    with _about(login):
        warnings = sessions.doubts(login, world)
        facts = sessions.facts(sessions.refresh(login, world))
    status = INTERRUPTED if session.interrupts.came else 0
    lines = [text.clean(f"{login.subject}: A new access token was saved.")]
    if flags.verbose:
        lines += listings.login_details([facts], flags.length, session.screen)
    return session.finish(lambda: results.LoginRefresh.of(facts), lines, status, warnings=warnings)


def _refresh_all(session: CommandSession, flags: RefreshFlags) -> int:
    world, names = _build_world(session), flags.name or ()
    logins, unreadable = sessions.logins(world)
    spoiled = [record for record in unreadable if record.may_fit(names, flags.target_org)]
    fitting = (records if spoiled else sessions).fitting(logins, names, flags.target_org)
    with session.progress(shown=not flags.no_progress) as progress:
        refreshes = login_refresh.refresh_all(fitting, replace(world, tell=progress.tell))
    if not names:
        refreshes.leave_out()
    refreshes.failures += [(None, record.problem) for record in spoiled]
    # In JSON the failures are a part of the result.
    if not session.json:
        for login, problem in refreshes.failures:
            session.tell(text.problem(problem, login.subject if login else ""))
    facts = [sessions.facts(login) for login in refreshes.successes]
    lines = [text.clean(f"{login.subject}: A new access token was saved.") for login in refreshes.successes]
    if not fitting and not spoiled:
        lines = ["No saved logins."]
    if flags.verbose and facts:
        lines += listings.logins(facts, flags.length)
    status = INTERRUPTED if session.interrupts.came else 0
    if refreshes.failures and not status:
        status = report.PARTIAL if facts else 1
    return session.finish(
        lambda: results.LoginRefreshAll.of(facts, refreshes.failures), lines, status, refreshes.warnings
    )


@command_flags
class TokenFlags(LoginFlags):
    """What ``ecapipe login token`` takes."""

    LAST = ("no_prompt", "concise", "verbose", "no_progress", "no_project_config", "json")

    header: Annotated[bool, typer.Option("--header", help="Print the token as an Authorization header.")] = False
    proof: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--proof",
            metavar="METHOD URL",
            help="Method and URL of a request: for a DPoP login, print its two headers, Authorization and DPoP.",
        ),
    ] = None
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", "-p", help="Don't prompt. Required to print the token on a terminal.")
    ] = False

    def contradictions(self, session: CommandSession) -> Iterator[str]:
        yield from super().contradictions(session)
        if session.json:
            yield "A token is never printed as JSON: omit --json, and unset SF_CONTENT_TYPE."
        if session.out.isatty() and not self.no_prompt:
            yield "This would print the token on the terminal. To allow that, add --no-prompt."
        if self.proof is not None and not _METHOD.fullmatch(self.proof[0]):
            yield "--proof must be a method, such as GET, and a URL."
        elif self.proof is not None and not _URL.fullmatch(self.proof[1]):
            yield "The URL of --proof must start with https://."


@commands.command("token", cls=Command)
@with_flags(TokenFlags)
def print_token(session: CommandSession, flags: TokenFlags) -> int:
    """Print only the access token of a saved login, for use in a script.

    Salesforce doesn't say how long a token is valid, so the org is asked first. An expired token is refreshed,
    and the new one saved. A client credentials login gets a new token with its key and secret.

    The token of a DPoP login is bound to a key, and each request needs its own proof: --proof prints both headers of
    one request. Send them once, within a minute.

    On a terminal, --no-prompt is required, so that no token appears on a screen by mistake. --json is not supported.
    """
    session.require_output()
    world = _build_world(session)
    login = _find_login(flags, world)
    with _about(login):
        access = sessions.access(login, world)
    if session.interrupts.came:
        raise KeyboardInterrupt
    session.interrupts.retire()
    text.write(session.out, _token_lines(login, access, flags, world))
    if access.key is not None and flags.proof is None:
        session.tell([_BOUND])
    return 0


def _token_lines(login: SavedLogin, access: SavedAccess, flags: TokenFlags, world: World) -> list[str]:
    """The token, and the proof that is asked for. Raises `EcapipeError` (LoginNotBound)."""
    form = TokenForm.header if flags.header or flags.proof else TokenForm.value
    line = options.token_line(access.token, form, "DPoP" if access.key else "Bearer")
    if flags.proof is None:
        return [line]
    if access.key is None:
        raise EcapipeError(login_not_bound(login.subject, replace(login, bound=True).command))
    method, url = flags.proof
    proof = prove(access.key, method.upper(), url, access.token, world)
    return [line, options.proof_line(proof)]


@command_flags
class LogoutFlags(LoginsFlags):
    """What ``ecapipe login logout`` takes."""

    every: Annotated[bool, typer.Option("--all", help="End all saved logins, or all that match.")] = False
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Remove the login even if revoking fails. Its tokens then remain valid."),
    ] = False


@commands.command("logout", cls=Command)
@with_flags(LogoutFlags)
def log_out(session: CommandSession, flags: LogoutFlags) -> int:
    """Log out: revoke the tokens of a saved login, then remove it.

    Revoking a refresh token also revokes its access tokens. If revoking fails, the login is not removed, unless you
    add --forget; the output says what remains valid. A login that can't be read is removed by its id, which is the
    name of its file, or with --all.

    Salesforce may issue one access token to several programs that use the same app as the same user. They are also
    logged out.
    """
    world = _build_world(session)
    with session.progress(shown=not flags.no_progress) as progress:
        world = replace(world, tell=progress.tell)
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
    login = sessions.find(names, flags.target_org, world)
    with _about(login):
        return Logouts([sessions.end(login, flags.forget, world)])


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
    count = len(remaining)
    try:
        while remaining:
            world.tell("Logging out", count - len(remaining), count)
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
        return [] if logouts.failures or logouts.removed else ["No saved logins."]
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


@contextmanager
def _about(login: SavedLogin) -> Iterator[None]:
    """A context whose problems name the login."""
    try:
        yield
    except EcapipeError as error:
        raise EcapipeError(error.problem, about=login.subject) from None


def _find_login(flags: LoginFlags, world: World) -> SavedLogin:
    """The one login that fits; raises `EcapipeError` for none and for several."""
    return sessions.find((flags.name,) if flags.name else (), flags.target_org, world)


def _refusal(login: SavedLogin, world: World) -> Problem | None:
    """Why the org does not take the access token, if it does not; raises `EcapipeError` for anything else."""
    try:
        sessions.verify(login, world)
    except EcapipeError as error:
        # All others say nothing about the token.
        if error.problem.kind in (token_refused, user_info_refused):
            return error.problem
        raise
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
