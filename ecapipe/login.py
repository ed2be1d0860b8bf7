"""One app in one org: sign in, redeem, verify."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from ecapipe import events, grants, problems, tokens, userinfo
from ecapipe.apps import App, Flow
from ecapipe.credentials import Credentials, Resolved
from ecapipe.grants import AuthorizationCode, Callback, ClientCredentials, Grant, Login, Misfit
from ecapipe.messages import Answer, Request
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError, Problem
from ecapipe.secret import Secret
from ecapipe.stages import Enough, Work
from ecapipe.tokens import Token
from ecapipe.world import Landing, World

_ATTEMPTS = 3
_PASSING = frozenset({429, 500, 502, 503, 504})
_UNSENT = frozenset({"HostNotFound", "ConnectionFailed"})
_LONGEST_WAIT = 10.0
"""Seconds that a Retry-After is obeyed; a longer one is reported instead."""

_SETTLES = frozenset({"InvalidClientId", "RedirectUriMismatch"})
"""What a deploy of the last 15 minutes explains."""
_SETTLE_EVERY = 15.0


@dataclass(frozen=True, slots=True)
class How:
    """The user's choices for a login. `wait` and `settle` are in minutes; `deliver` is given the access token."""

    flow: Literal["auto"] | Flow = "auto"
    callback: Literal["auto"] | Callback = "auto"
    scopes: str | None = None
    wait: float | None = None
    settle: float = 0.0
    revoke: bool = False
    deliver: Callable[[Secret], None] | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Web:
    """A web login as planned: how its answer comes back, and the scopes it asks for (None: all the app has)."""

    callback: Callback
    redirect_uri: str
    scopes: str | None


Plan = Web | ClientCredentials


@dataclass(frozen=True, slots=True)
class Target:
    """The subject of a login: an app in an org, and what the check proved."""

    app: App
    org: Org
    resolved: Resolved
    api_version: str

    @property
    def subject(self) -> events.Subject:
        return events.Subject(self.app.name, self.org.name)

    @property
    def credentials(self) -> Credentials:
        """Raises `EcapipeError` (ConsumerKeyMissing, ConsumerSecretMissing) if this very org was not served."""
        if isinstance(self.resolved.outcome, Problem):
            raise EcapipeError(self.resolved.outcome)
        return self.resolved.outcome


class Patience:
    """How long people are waited for: `minutes` in total, from the first link."""

    def __init__(self, minutes: float | None, logins: int, clock: Callable[[], float]) -> None:
        self.minutes = minutes if minutes is not None else 5.0 if logins <= 1 else 30.0
        self._clock = clock
        self._end: float | None = None

    def left(self) -> float:
        """Seconds; the first call starts the count."""
        if self._end is None:
            self._end = self._clock() + self.minutes * 60
        return max(0.0, self._end - self._clock())


class Flight:
    """The web logins in flight, and the one place where their answers land, whichever way they come."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Login, Future[AuthorizationCode]]] = {}

    def expect(self, login: Login) -> Future[AuthorizationCode]:
        future: Future[AuthorizationCode] = Future()
        with self._lock:
            self._waiting[login.state] = login, future
        return future

    def land(self, query: str) -> Landing:
        """Judge what the loopback site was sent."""
        with self._lock:
            try:
                login, outcome = grants.answer(query, self._logins())
            except Misfit as misfit:
                return Landing(False, False, str(misfit))
            self._settle(login, outcome)
        if isinstance(outcome, EcapipeError):
            return Landing(True, False, f"{login.app} was not authorized in {login.org.name}.")
        return Landing(True, True, f"{login.app} is authorized in {login.org.name}.")

    def paste(self, text: str) -> None:
        """Take a pasted address or code; raises `Misfit`."""
        with self._lock:
            login, outcome = grants.pasted(text, self._logins())
            self._settle(login, outcome)

    def _logins(self) -> list[Login]:
        return [login for login, _ in self._waiting.values()]

    def _settle(self, login: Login, outcome: AuthorizationCode | EcapipeError) -> None:
        """The first answer that fits counts; its state fits nothing from then on."""
        _, future = self._waiting.pop(login.state)
        if isinstance(outcome, EcapipeError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def plan(target: Target, how: How, world: World) -> Plan:
    """How `target` will log in, found before anyone signs in.

    Raises `EcapipeError`: missing credentials, FlowNotPossible, CallbackNotUsable, PortInUseError, CannotListen.
    """
    has_secret = target.credentials.consumer_secret is not None
    if grants.choose(target.app, how.flow, has_secret, world.person) == "client-credentials":
        return ClientCredentials()
    callback, redirect_uri = grants.redirect_uri(target.app, how.callback, world.local_browser)
    if callback == "listen":
        with world.listen(redirect_uri, Flight().land):
            pass
    return Web(callback, redirect_uri, how.scopes or target.org.scopes or grants.scope(target.app))


def authorize(
    target: Target, planned: Plan | Problem, how: How, world: World, patience: Patience, work: Work
) -> Grant:
    """The grant: for the web flow, let somebody sign in and wait for the code.

    Raises `EcapipeError`: what the plan met, a refusal, AuthTimeoutError, NobodyToAsk; `Enough` for a dry run.
    """
    match planned:
        case Problem():
            raise EcapipeError(planned)
        case Web():
            scopes = (planned.scopes or "").split()
            work.facts |= {"flow": "web", "host": target.org.host, "callback": planned.callback}
            work.facts |= {"redirectUri": planned.redirect_uri, "scopes": scopes}
        case ClientCredentials():
            work.facts |= {"flow": "client-credentials", "host": target.org.host}
    if how.dry_run:
        raise Enough("Dry run: nothing is sent.")
    if isinstance(planned, Web):
        return _sign_in(target, planned, world, patience, work)
    work.pass_over("The client credentials flow has no browser step.")
    return planned


def redeem(target: Target, grant: Grant, how: How, world: World, work: Work) -> Token:
    """The token for `grant`; raises `EcapipeError`.

    A code is sent again only after an answer that settling explains, or when nothing was sent: never after a
    failure that may have spent it.
    """
    request = tokens.request(grant, target.credentials, target.org)
    end = world.clock.seconds() + how.settle * 60
    repeatable = isinstance(grant, ClientCredentials)
    while True:
        try:
            return tokens.read(send(request, world, inf, repeatable), grant, target.credentials, target.org)
        except EcapipeError as error:
            if error.problem.name not in _SETTLES or world.clock.seconds() + _SETTLE_EVERY > end:
                raise
            work.note("waiting", f"{error.problem.message} Trying again for up to {how.settle:g} minutes.")
            world.clock.sleep(_SETTLE_EVERY)


def unverified(token: Token, grant: Grant) -> events.Login:
    """What is known of a login that ends at its token."""
    return events.Login(
        None, token.user_id, token.org_id, token.instance_url, token.scopes, grants.flow(grant), "forgotten"
    )


def verify(target: Target, token: Token, grant: Grant, how: How, world: World, work: Work) -> events.Login:
    """Whose token it is, compared with everything that was expected, and tried on the API if its scope allows.

    On a mismatch a refresh token is revoked. Raises `EcapipeError`.
    """
    org = target.org
    user = userinfo.read(send(userinfo.request(token, org), world, inf), token, org)
    remains = "The access token that was issued stays valid at Salesforce until its session ends."
    if problem := userinfo.mismatch(user, token, org, remains):
        if token.refresh_token is not None and _revoke(token, org, world):
            remains = "The tokens that were issued have been revoked."
            problem = userinfo.mismatch(user, token, org, remains) or problem
        raise _at(problem, org)
    work.facts |= {"username": user.username, "userId": user.user_id, "orgId": user.org_id}
    if userinfo.needs_api(token):
        answer = send(userinfo.api_request(token, org, target.api_version), world, inf)
        if problem := userinfo.api_problem(answer, token, org):
            raise _at(replace(problem, http_status=answer.status), org)
    return replace(unverified(token, grant), username=user.username, token=_fate(token, org, how, world, work))


def _fate(token: Token, org: Org, how: How, world: World, work: Work) -> Literal["printed", "revoked", "forgotten"]:
    """Let the verified token go, the way that was asked for."""
    if how.deliver is not None:
        how.deliver(token.access_token)
        return "printed"
    if how.revoke:
        if _revoke(token, org, world):
            return "revoked"
        work.warn("Salesforce did not confirm that the token was revoked.")
    return "forgotten"


def _sign_in(target: Target, planned: Web, world: World, patience: Patience, work: Work) -> AuthorizationCode:
    app, org = target.app, target.org
    login = grants.begin(target.credentials, org, planned.redirect_uri, planned.scopes, world.chance)
    flight = Flight()
    future = flight.expect(login)
    try:
        with _way_back(planned.callback, login, future, world, flight, work):
            patience.left()
            if not world.stand_in:
                work.note("link", login.authorize_url)
                work.note("asking" if planned.callback == "paste" else "waiting", _request(planned, target, patience))
            if world.open is not None and not world.open(login.authorize_url):
                work.note("hint", "No browser could be opened: open the link yourself.")
            return future.result(patience.left())
    except TimeoutError:
        raise _at(problems.auth_timeout_error(app.name, patience.minutes), org) from None


def send(request: Request, world: World, end: float, repeatable: bool = True) -> Answer:
    """Send, and send again where that is safe: when nothing was sent, or, if `repeatable`, after what passes.

    Waits grow and have jitter; a Retry-After is obeyed up to a limit.
    """
    for attempt in range(_ATTEMPTS):
        wait = 2**attempt * (0.5 + world.chance(1)[0] / 512)
        try:
            answer = world.send(request)
        except EcapipeError as error:
            safe = error.problem.name in _UNSENT or (repeatable and error.problem.category == "network")
            if not (safe and error.problem.retryable) or attempt == _ATTEMPTS - 1:
                raise
        else:
            if not repeatable or answer.status not in _PASSING or attempt == _ATTEMPTS - 1:
                return answer
            wait = max(wait, answer.retry_after or 0.0)
            if wait > _LONGEST_WAIT:
                return answer
        world.clock.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _way_back(
    kind: Callback, login: Login, future: Future[AuthorizationCode], world: World, flight: Flight, work: Work
) -> AbstractContextManager[None]:
    if kind == "listen":
        return world.listen(login.redirect_uri, flight.land)

    def take(line: str | None) -> None:
        if line is None:
            if not future.done():
                future.set_exception(EcapipeError(problems.nobody_to_ask(login.app)))
        elif line.strip():
            try:
                flight.paste(line)
            except Misfit as misfit:
                work.note("hint", str(misfit))

    return world.lines(take)


def _request(planned: Web, target: Target, patience: Patience) -> str:
    minutes = f"{patience.minutes:g} minute{'' if patience.minutes == 1 else 's'}"
    if planned.callback == "listen":
        return f"Sign in to {target.org.name} and allow {target.app.name}: waiting up to {minutes} for the answer."
    return (
        f"Sign in to {target.org.name}, allow {target.app.name}, then paste the address the browser ends at "
        f"(within {minutes}):"
    )


def _revoke(token: Token, org: Org, world: World) -> bool:
    """Whether the org confirmed it; a refresh token takes its access tokens with it."""
    try:
        answer = world.send(tokens.revocation(token.refresh_token or token.access_token, org))
    except EcapipeError:
        return False
    return answer.status == 200


def _at(problem: Problem, org: Org) -> EcapipeError:
    return EcapipeError(replace(problem, host=org.host))
