"""One app in one org: sign in, redeem, verify."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, assert_never

from ecapipe import events, grants, handover, kept, orgs, problems, record, resumption, tokens, userinfo
from ecapipe.apps import App, Flow
from ecapipe.credentials import Credentials, Resolved
from ecapipe.flight import Flight, Patience
from ecapipe.grants import AuthorizationCode, Callback, ClientCredentials, Grant, JwtBearer
from ecapipe.kept import Place
from ecapipe.messages import Answer, Request
from ecapipe.orgs import Org
from ecapipe.problems import EcapipeError, Problem
from ecapipe.secret import Secret
from ecapipe.stages import DRY_RUN, Enough, Work
from ecapipe.tokens import Token
from ecapipe.userinfo import User
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

_OF_CLOCKS: Final = frozenset({"AssertionExpired", "AssertionRefused"})
"""What a clock that is wrong explains."""
_CLOCK_OFF: Final = 20.0
"""Seconds between two clocks that do not matter: an assertion lives for longer."""


@dataclass(frozen=True, slots=True)
class How:
    """The user's choices for a login. `wait` and `settle` are in minutes; `deliver` is given the access token, `keep`
    says where a login is kept.

    `key_file` holds the private key that signs assertions; their audience is `audience`, or None for what fits the
    org.
    """

    flow: Literal["auto"] | Flow = "auto"
    callback: Literal["auto"] | Callback = "auto"
    scopes: str | None = None
    wait: float | None = None
    settle: float = 0.0
    revoke: bool = False
    deliver: Callable[[Secret], None] | None = None
    dry_run: bool = False
    key_file: str | None = None
    audience: str | None = None
    keep: Place | None = None
    hand_over: bool = False
    """Let the Salesforce CLI keep the login; `set_default`: as its default org; `replace_alias`: even if it knows the
    alias for another org."""
    set_default: bool = False
    replace_alias: bool = False

    @property
    def fate(self) -> events.Fate | None:
        """What somebody asks to become of the tokens."""
        if self.hand_over:
            return "handedOver"
        if self.keep:
            return "saved"
        return "revoked" if self.revoke else "printed" if self.deliver else None

    def of(self, org: Org) -> How:
        """The choices for one org: where nothing is chosen for all, what is said of it counts."""
        if org.flow is None and org.callback is None and org.scopes is None:
            return self
        return replace(
            self,
            flow=self.flow if self.flow != "auto" else org.flow or "auto",
            callback=self.callback if self.callback != "auto" else org.callback or "auto",
            scopes=self.scopes or org.scopes,
        )


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


@dataclass(frozen=True, slots=True)
class Jwt:
    """A login with a private key, as planned. `sign` makes its grant, which lives for minutes, for an org whose clock
    is so many seconds ahead; `doubts` are sentences about the key."""

    username: str
    audience: str
    key_file: str
    sign: Callable[[float], JwtBearer]
    doubts: tuple[str, ...] = ()


Unattended = ClientCredentials | Jwt
"""A login that needs nobody: its plan is, or makes, its grant."""
Plan = Web | Unattended


@dataclass(frozen=True, slots=True)
class Target:
    """The subject of a login: an app in an org, and what the check proved."""

    app: App
    org: Org
    resolved: Resolved
    api_version: str
    named: bool = True
    """Somebody asked for this app there; otherwise it comes from the crossing of all apps and orgs."""

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

    Raises `EcapipeError`: missing credentials, FlowNotPossible, CallbackNotUsable, JwtUsernameMissing,
    RefreshScopeMissing, HandOverNotPossible, and what keeps a private key from being used, or the login from being
    kept.
    """
    if how.keep and (obstacle := world.store.obstacle("login", how.keep)):
        raise EcapipeError(obstacle)
    asked, how = how.scopes, how.of(target.org)
    has_secret = target.credentials.consumer_secret is not None
    flow = grants.choose(target.app, how.flow, has_secret, world.person, how.key_file is not None)
    if how.hand_over:
        handover.check(target.credentials, target.org, lasting=flow == "web")
    match flow:
        case "client-credentials":
            return ClientCredentials()
        case "jwt":
            return _with_key(target, how.key_file or "", how.audience, world)
        case "web":
            local = world.local_browser and not (target.org.browser and opener(target.org, world) is None)
            callback, redirect_uri = grants.redirect_uri(target.app, how.callback, local)
            if how.hand_over:
                return Web(callback, redirect_uri, grants.scope_to_hand_over(target.app, how.scopes))
            if how.keep and asked is None:
                return Web(callback, redirect_uri, grants.scope_to_keep(target.app, how.scopes))
            return Web(callback, redirect_uri, how.scopes or grants.scope(target.app))


def spares_secret(app: App, org: Org | None, how: How) -> bool:
    """Whether `app` will log in with a private key, so that no consumer secret is needed."""
    flow = how.of(org).flow if org else how.flow
    return grants.takes_key(app, flow, how.key_file is not None)


def _with_key(target: Target, key_file: str, audience: str | None, world: World) -> Jwt:
    app, org, credentials = target.app, target.org, target.credentials
    if org.username is None:
        raise EcapipeError(problems.jwt_username_missing(app.name, org.name))
    username, whom = org.username, audience or orgs.audience(org)
    key = world.keys(key_file, world.ask)
    doubts = []
    if key.open_to_others:
        doubts.append(f"Other users of this machine can read the private key: chmod 600 {key_file}")
    certificate = app.settings.document.text("certificate") if app.settings else None
    if certificate and (doubt := key.doubt(certificate, world.clock.utc())):
        doubts.append(f"The certificate in the settings of {app.name} {doubt}.")

    def sign(ahead: float) -> JwtBearer:
        return grants.bearer(credentials.consumer_key, username, whom, key.sign, _now(world) + ahead, world.chance)

    return Jwt(username, whom, key_file, sign, tuple(doubts))


def expect_to_hand_over(chosen: Sequence[Org], how: How, world: World) -> None:
    """Whether there is a Salesforce CLI that can be given logins in `chosen` orgs, before anything else is done.

    Raises `EcapipeError`: SfNotFound, SfTooOld, SfFailed, NotOneDefault.
    """
    if how.set_default and len(chosen) != 1:
        raise EcapipeError(problems.not_one_default(len(chosen)))
    world.sf.version()


def doubts(app: App, chosen: Sequence[Org], how: How, world: World) -> list[str]:
    """What may go wrong with the app's logins in `chosen` orgs after they were handed over."""
    flows = {how.of(org).flow for org in chosen if not spares_secret(app, org, how)}
    if not how.hand_over or "web" not in app.flows or not ("web" in flows or ("auto" in flows and world.person)):
        return []
    version = world.sf.version()
    return handover.doubts(app, version.core if version.loses_rotated_tokens else None)


def opener(org: Org, world: World) -> Callable[[str], bool] | None:
    """Shows a URL in the browser that is meant for `org`; None where links are only printed for it."""
    return world.browsers(org.browser) if org.browser and world.browsers else world.open


def fingerprint(app: App, org: Org, how: How, resolved: Resolved) -> dict[str, str]:
    """Whether a login depends on the same as an earlier one did: the flow that is asked for, and short hashes of the
    rest. None is of a secret: a new one is no reason to repeat what has succeeded."""
    files = [file for file in (*app.files, app.lent) if file]
    elements = sorted(
        f"{file.type.name} {element.name} {element.text}"
        for file in files
        for element in file.document.elements
        if element.name != "consumerSecret"
    )
    found = {
        "flow": how.of(org).flow,
        "files": resumption.digest(*elements),
        "org": resumption.digest(org.url),
        "scopes": resumption.digest(how.of(org).scopes or ""),
        "expected": resumption.digest(org.username or "", (org.org_id or "")[:15]),
    }
    if isinstance(resolved.outcome, Credentials):
        found["key"] = resumption.digest(resolved.outcome.consumer_key)
    return found


def show(planned: Plan | Problem, target: Target, how: How, work: Work) -> None:
    """Tell the plan as the facts of a stage. Raises `EcapipeError`, what the plan met; `Enough` for a dry run."""
    match planned:
        case Problem():
            raise EcapipeError(planned)
        case Web():
            work.facts |= {"browser": target.org.browser} if target.org.browser else {}
            scopes = (planned.scopes or "").split()
            work.facts |= {"flow": "web", "host": target.org.host, "callback": planned.callback}
            work.facts |= {"redirectUri": planned.redirect_uri, "scopes": scopes}
        case ClientCredentials():
            work.facts |= {"flow": "client-credentials", "host": target.org.host}
        case Jwt():
            work.facts |= {"flow": "jwt", "host": target.org.host, "audience": planned.audience}
            work.facts |= {"username": planned.username, "keyFile": planned.key_file}
            if planned.doubts:
                work.facts["doubts"] = list(planned.doubts)
        case _:
            assert_never(planned)
    if how.dry_run:
        key, secret, variable = target.resolved.key, target.resolved.secret, target.org.secret_env
        work.facts |= {"consumerKey": key.source, "consumerSecret": secret.source}
        work.facts |= {"secretEnv": variable} if variable else {}
        raise Enough(DRY_RUN)
    work.facts[record.FINGERPRINT] = fingerprint(target.app, target.org, how, target.resolved)


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


def unattended(planned: Unattended) -> str:
    """Why nobody is asked to sign in."""
    match planned:
        case ClientCredentials():
            return "The client credentials flow has no browser step."
        case Jwt():
            return "The JWT bearer flow has no browser step."
        case _:
            assert_never(planned)


def redeem(target: Target, grant: Grant | Jwt, how: How, world: World, work: Work, end: float) -> Token:
    """The token for `grant`; raises `EcapipeError`. Nothing is tried again after `end`, in seconds of the clock. The
    refresh token of an answer that cannot be believed is revoked.

    A code is sent again only after an answer that settling explains, or when nothing was sent: never after a
    failure that may have spent it. An assertion is signed anew for each request, and once by the org's own clock if
    ours may be the reason for a refusal.
    """
    settled = world.clock.seconds() + how.settle * 60
    repeatable = not isinstance(grant, AuthorizationCode)
    ahead = 0.0
    sent: list[Grant] = []

    def request() -> Request:
        sent.append(grant.sign(ahead) if isinstance(grant, Jwt) else grant)
        return tokens.request(sent[-1], target.credentials, target.org)

    if isinstance(grant, Jwt):
        work.warnings += grant.doubts
    while True:
        answer = send(request, world, end, repeatable)
        try:
            token = tokens.read(answer, sent[-1], target.credentials, target.org)
        except tokens.Unusable as error:
            _give_back(error.refresh_token, target.org, world, work)
            raise
        except EcapipeError as error:
            off = _ahead(answer, world) if isinstance(grant, Jwt) and error.problem.name in _OF_CLOCKS else 0.0
            if off and not ahead:
                ahead = off
                continue
            if error.problem.name not in _SETTLES or world.clock.seconds() + _SETTLE_EVERY > settled:
                raise
            work.note("waiting", f"{error.problem.message} Trying again for up to {how.settle:g} minutes.")
            world.clock.sleep(_SETTLE_EVERY)
        else:
            if ahead:
                late = f"{_spell(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'} that of {target.org.host}"
                work.warn(f"The clock of this machine is {late}: the assertion was signed again by the org's.")
            return token


def _now(world: World) -> float:
    """Seconds since 1970."""
    return datetime.fromisoformat(world.clock.utc()).timestamp()


def _ahead(answer: Answer, world: World) -> float:
    """By how many seconds the clock of who answered is ahead of ours; 0 for none worth a word."""
    off = 0.0 if answer.date is None else answer.date - _now(world)
    return off if abs(off) > _CLOCK_OFF else 0.0


def _spell(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def unverified(token: Token, grant: Grant | Jwt) -> events.Login:
    """What is known of a login that ends at its token."""
    flow = "jwt" if isinstance(grant, Jwt) else grants.flow(grant)
    return events.Login(None, token.user_id, token.org_id, token.instance_url, token.scopes, flow, "forgotten")


def verify(
    target: Target, token: Token, grant: Grant | Jwt, how: How, world: World, work: Work, end: float
) -> events.Login:
    """Whose token it is, compared with everything that was expected, and tried on the API if its scope allows.

    On a mismatch, or an answer that cannot be believed, a refresh token is revoked. Raises `EcapipeError`.
    """
    org = target.org
    try:
        user = userinfo.read(send(userinfo.request(token, org), world, end), token, org)
    except EcapipeError as error:
        if error.problem.name == "UnexpectedAnswer":
            _give_back(token.refresh_token, org, world, work)
        raise
    remains = "The access token that was issued stays valid at Salesforce until its session ends."
    if problem := userinfo.mismatch(user, token, org, remains):
        if token.refresh_token is not None and _revoke(token, org, world):
            remains = "The tokens that were issued have been revoked."
            problem = userinfo.mismatch(user, token, org, remains) or problem
        raise _at(problem, org)
    work.facts |= {"username": user.username, "userId": user.user_id, "orgId": user.org_id}
    if userinfo.needs_api(token):
        answer = send(userinfo.api_request(token, org, target.api_version), world, end)
        if problem := userinfo.api_problem(answer, token, org):
            raise _at(replace(problem, http_status=answer.status), org)
    ended = replace(unverified(token, grant), username=user.username)
    fate, place = _fate(target, token, user, ended.flow, how, world, work)
    return replace(ended, token=fate, kept=place)


def _fate(
    target: Target, token: Token, user: User, flow: str, how: How, world: World, work: Work
) -> tuple[events.Fate, events.Kept | None]:
    """Let the verified token go, the way that was asked for; the place of one that is kept."""
    if how.deliver is not None:
        how.deliver(token.access_token)
        return "printed", None
    if how.keep is not None:
        return "saved", _keep(target, token, user, flow, how.keep, world, work)
    if how.revoke:
        if _revoke(token, target.org, world):
            return "revoked", None
        work.warn("Salesforce did not confirm that the token was revoked.")
    return "forgotten", None


def _keep(target: Target, token: Token, user: User, flow: str, place: Place, world: World, work: Work) -> events.Kept:
    """Keep a verified login; where people find it. A refresh token that cannot be kept is revoked: nobody has it."""
    made, sealed = kept.new(target.credentials, target.org, token, user, flow, place, world.clock.utc())
    try:
        with world.store.locked("login", made.id):
            world.store.put(kept.record(made), sealed)
    except EcapipeError:
        if token.refresh_token is not None:
            _revoke(token, target.org, world)
        raise
    work.facts["kept"] = where = world.store.where("login", place)
    if not made.refreshable:
        work.warn("The login is kept, but cannot be refreshed: it ends with its access token.")
    return events.Kept(place, where)


def hand_over(target: Target, token: Token, login: events.Login, how: How, world: World, work: Work) -> events.Login:
    """Let the Salesforce CLI keep the verified `login`; nothing of it is used from then on.

    A refresh token that it refuses is revoked: nobody would hold it. Raises `EcapipeError`.
    """
    username = login.username or ""
    try:
        given = handover.of(
            *(target.credentials, token, username, target.org),
            default=how.set_default,
            replace_alias=how.replace_alias,
        )
        known = {kept.username.casefold() for kept in world.sf.logins()}
        kept = world.sf.log_in(given)
    except EcapipeError as error:
        if token.refresh_token is not None and error.problem.name != "SfTimedOut":
            work.facts["revoked"] = _revoke(token, target.org, world)
        raise _at(error.problem, target.org) from None
    secret = "consumer secret and " if target.credentials.consumer_secret else ""
    what = f"{secret}refresh token" if given.lasting else "access token only"
    work.facts |= {"alias": target.org.alias, "kept": what}
    if kept.username != username:
        work.facts["username"] = kept.username
    if not given.lasting and username.casefold() in known:
        work.warn(f"The Salesforce CLI still holds the refresh token of an earlier login of {username} beside it.")
    for hint in handover.hints(token, target.org, kept):
        work.note("hint", hint)
    return replace(login, token="handedOver")  # noqa: S106


def send(request: Request | Callable[[], Request], world: World, end: float, repeatable: bool = True) -> Answer:
    """Send, and until `end` send again where that is safe: when nothing was sent, or, if `repeatable`, after what
    passes. A request that may be sent only once is made by a call.

    Waits grow and have jitter; a Retry-After is obeyed up to a limit.
    """
    for attempt in range(_ATTEMPTS):
        last = attempt == _ATTEMPTS - 1
        try:
            answer = world.send(request() if callable(request) else request)
        except EcapipeError as error:
            safe = error.problem.name in _UNSENT or (repeatable and error.problem.category == "network")
            if last or not (safe and error.problem.retryable and _paused(attempt, 0.0, world, end)):
                raise
        else:
            passes = repeatable and answer.status in _PASSING
            if last or not (passes and _paused(attempt, answer.retry_after or 0.0, world, end)):
                return answer
    raise AssertionError("the last attempt returns or raises")


def _paused(attempt: int, asked_for: float, world: World, end: float) -> bool:
    """Wait before the next attempt, `asked_for` seconds at least; False, at once, if that would be too long."""
    wait = max(asked_for, 2**attempt * (0.5 + world.chance(1)[0] / 512))
    if asked_for > _LONGEST_WAIT or world.clock.seconds() + wait > end:
        return False
    world.clock.sleep(wait)
    return True


def _revoke(token: Token | Secret, org: Org, world: World) -> bool:
    """Whether the org confirmed it; a refresh token takes its access tokens with it."""
    spent = token if isinstance(token, Secret) else token.refresh_token or token.access_token
    try:
        answer = world.send(tokens.revocation(spent, org))
    except EcapipeError:
        return False
    return answer.status == 200


def _give_back(refresh_token: Secret | None, org: Org, world: World, work: Work) -> None:
    """Revoke a refresh token that nobody will hold, and tell whether the org confirmed it."""
    if refresh_token is not None:
        work.facts["revoked"] = _revoke(refresh_token, org, world)


def _at(problem: Problem, org: Org) -> EcapipeError:
    return EcapipeError(replace(problem, host=org.host))
