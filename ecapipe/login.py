"""One app in one org: sign in, redeem, verify."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, assert_never

from ecapipe import events, grants, problems, tokens, userinfo
from ecapipe.apps import App, Flow
from ecapipe.credentials import Credentials, Resolved
from ecapipe.flight import Flight, Patience
from ecapipe.grants import AuthorizationCode, Callback, ClientCredentials, Grant
from ecapipe.messages import Answer, Request
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError, Problem
from ecapipe.secret import Secret
from ecapipe.stages import Enough, Work
from ecapipe.tokens import Token
from ecapipe.world import World

_ATTEMPTS = 3
_PASSING = frozenset({429, 500, 502, 503, 504})
_UNSENT = frozenset({"HostNotFound", "ConnectionFailed"})
_LONGEST_WAIT = 10.0
"""Seconds that a Retry-After is obeyed; a longer one is reported instead."""
LONGEST = 120.0
"""Seconds that one login's requests may go on being tried, settling aside. One that is under way is not cut off."""

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

    @property
    def listens(self) -> str | None:
        """The address that has to be listened on."""
        return self.redirect_uri if self.callback == "listen" else None


Unattended = ClientCredentials
"""A login that needs nobody: its plan is its grant."""
Plan = Web | Unattended


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


def plan(target: Target, how: How, world: World) -> Plan:
    """How `target` will log in, found before anyone signs in.

    Raises `EcapipeError`: missing credentials, FlowNotPossible, CallbackNotUsable.
    """
    has_secret = target.credentials.consumer_secret is not None
    if grants.choose(target.app, how.flow, has_secret, world.person) == "client-credentials":
        return ClientCredentials()
    callback, redirect_uri = grants.redirect_uri(target.app, how.callback, world.local_browser)
    return Web(callback, redirect_uri, how.scopes or target.org.scopes or grants.scope(target.app))


def show(planned: Plan | Problem, target: Target, how: How, work: Work) -> None:
    """Tell the plan as the facts of a stage. Raises `EcapipeError`, what the plan met; `Enough` for a dry run."""
    match planned:
        case Problem():
            raise EcapipeError(planned)
        case Web():
            scopes = (planned.scopes or "").split()
            work.facts |= {"flow": "web", "host": target.org.host, "callback": planned.callback}
            work.facts |= {"redirectUri": planned.redirect_uri, "scopes": scopes}
        case ClientCredentials():
            work.facts |= {"flow": "client-credentials", "host": target.org.host}
        case _:
            assert_never(planned)
    if how.dry_run:
        raise Enough("Dry run: nothing is sent.")


def sign_in(
    target: Target, planned: Web, world: World, flight: Flight, patience: Patience, tell: Callable[[str], None]
) -> AuthorizationCode:
    """Give the link to `tell`, and wait for what becomes of the login.

    Raises `EcapipeError`: a refusal, AuthTimeoutError, NobodyToAsk, or what ended the flight.
    """
    login = grants.begin(target.credentials, target.org, planned.redirect_uri, planned.scopes, world.chance)
    future = flight.expect(login, pasted=planned.callback == "paste")
    try:
        patience.left()
        tell(login.authorize_url)
        return future.result(patience.left())
    except TimeoutError:
        raise _at(problems.auth_timeout_error(target.app.name, patience.minutes), target.org) from None
    finally:
        flight.forget(login)


def redeem(target: Target, grant: Grant, how: How, world: World, work: Work, end: float) -> Token:
    """The token for `grant`; raises `EcapipeError`. Nothing is tried again after `end`, in seconds of the clock.

    A code is sent again only after an answer that settling explains, or when nothing was sent: never after a
    failure that may have spent it.
    """
    request = tokens.request(grant, target.credentials, target.org)
    settled = world.clock.seconds() + how.settle * 60
    repeatable = isinstance(grant, ClientCredentials)
    while True:
        try:
            return tokens.read(_send(request, world, end, repeatable), grant, target.credentials, target.org)
        except EcapipeError as error:
            if error.problem.name not in _SETTLES or world.clock.seconds() + _SETTLE_EVERY > settled:
                raise
            work.note("waiting", f"{error.problem.message} Trying again for up to {how.settle:g} minutes.")
            world.clock.sleep(_SETTLE_EVERY)


def unverified(token: Token, grant: Grant) -> events.Login:
    """What is known of a login that ends at its token."""
    return events.Login(
        None, token.user_id, token.org_id, token.instance_url, token.scopes, grants.flow(grant), "forgotten"
    )


def verify(
    target: Target, token: Token, grant: Grant, how: How, world: World, work: Work, end: float
) -> events.Login:
    """Whose token it is, compared with everything that was expected, and tried on the API if its scope allows.

    On a mismatch a refresh token is revoked. Raises `EcapipeError`.
    """
    org = target.org
    user = userinfo.read(_send(userinfo.request(token, org), world, end), token, org)
    remains = "The access token that was issued stays valid at Salesforce until its session ends."
    if problem := userinfo.mismatch(user, token, org, remains):
        if token.refresh_token is not None and _revoke(token, org, world):
            remains = "The tokens that were issued have been revoked."
            problem = userinfo.mismatch(user, token, org, remains) or problem
        raise _at(problem, org)
    work.facts |= {"username": user.username, "userId": user.user_id, "orgId": user.org_id}
    if userinfo.needs_api(token):
        answer = _send(userinfo.api_request(token, org, target.api_version), world, end)
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


def _send(request: Request, world: World, end: float, repeatable: bool = True) -> Answer:
    """Send, and until `end` send again where that is safe: when nothing was sent, or, if `repeatable`, after what
    passes.

    Waits grow and have jitter; a Retry-After is obeyed up to a limit.
    """
    for attempt in range(_ATTEMPTS):
        wait = 2**attempt * (0.5 + world.chance(1)[0] / 512)
        try:
            answer = world.send(request)
        except EcapipeError as error:
            safe = error.problem.name in _UNSENT or (repeatable and error.problem.category == "network")
            late = world.clock.seconds() + wait > end
            if not (safe and error.problem.retryable) or attempt == _ATTEMPTS - 1 or late:
                raise
        else:
            if not repeatable or answer.status not in _PASSING or attempt == _ATTEMPTS - 1:
                return answer
            wait = max(wait, answer.retry_after or 0.0)
            if wait > _LONGEST_WAIT or world.clock.seconds() + wait > end:
                return answer
        world.clock.sleep(wait)
    raise AssertionError("the last attempt returns or raises")


def _revoke(token: Token, org: Org, world: World) -> bool:
    """Whether the org confirmed it; a refresh token takes its access tokens with it."""
    try:
        answer = world.send(tokens.revocation(token.refresh_token or token.access_token, org))
    except EcapipeError:
        return False
    return answer.status == 200


def _at(problem: Problem, org: Org) -> EcapipeError:
    return EcapipeError(replace(problem, host=org.host))
