"""Saved logins as sessions: find one, use it, refresh it, end it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import inf
from threading import Thread
from typing import Final

from ecapipe.credentials import sources
from ecapipe.events import SavedLoginFacts
from ecapipe.exchange.sending import send
from ecapipe.oauth import messages, tokens, userinfo
from ecapipe.oauth.dpop import ProofKey
from ecapipe.oauth.grants import Grant, RefreshToken
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs.org import same_id
from ecapipe.problems.api import user_info_refused
from ecapipe.problems.oauth import invalid_client, token_refused
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import login_expired, login_not_kept, not_revoked, record_damaged
from ecapipe.saved import idle, records
from ecapipe.saved.ports import SessionsAccess, StoreAccess
from ecapipe.saved.records import SavedClient, SavedLogin, SavedSecrets, UnreadableRecord, read_all
from ecapipe.secret import Secret, mask

_EXPIRED = frozenset({token_refused})
"""The problems of an ``invalid_grant`` that mean an expired refresh token. A dozen other causes share that error, and
those that are recognized keep their own words."""

_PATIENCE: Final = 10.0
"""Seconds that an interrupt waits for an answer which may bring the only copy of a rotated token."""

_TICK: Final = 0.1
"""Seconds between two looks at whether an interrupt has waited long enough."""

SHARED = (
    "Salesforce may issue the same access token to several programs that use this app as this user: they were logged "
    "out as well."
)

_REMAINS = (
    "Its tokens remain valid: revoke them in the org, in Setup under Connected Apps OAuth Usage or Session "
    "Management."
)


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """A login that is no longer saved. `revoked`: its tokens are invalid now; `warning`: a sentence for the user."""

    login: SavedLogin
    revoked: bool
    warning: str | None = None


def logins(world: StoreAccess) -> tuple[tuple[SavedLogin, ...], tuple[UnreadableRecord, ...]]:
    """The saved logins, by app and org, and the records that cannot be read."""
    saved, unreadable = read_all("login", records.login, world)
    return tuple(sorted(saved, key=lambda login: login.full_name.casefold())), tuple(unreadable)


def find(apps: Sequence[str], org: str | None, world: StoreAccess) -> SavedLogin:
    """The one saved login of `apps` in `org`; raises `EcapipeError` as `records.choose`, and for a damaged record."""
    saved, unreadable = logins(world)
    # The damaged record may be the very one that is asked for: "not found" would be a guess.
    if not records.fitting(saved, apps, org):
        for record in unreadable:
            if record.may_fit(apps, org):
                raise EcapipeError(record.problem)
    return records.choose(saved, apps, org)


def fitting(saved: Sequence[SavedLogin], apps: Sequence[str], org: str | None) -> list[SavedLogin]:
    """The logins of `apps` in `org`; raises `EcapipeError` (LoginNotKept) for names that no login has."""
    matches = records.fitting(saved, apps, org)
    if not matches and (apps or org):
        # It finds none either, and its problem lists what there is instead.
        records.choose(saved, apps, org)
    return matches


def facts(login: SavedLogin) -> SavedLoginFacts:
    """The login as output shows it."""
    org, day = login.org, idle.expiry(login)
    return SavedLoginFacts(
        app=login.app,
        org=org.name,
        alias=org.alias,
        url=org.url,
        username=org.username,
        user_id=login.user_id,
        org_id=org.org_id,
        instance_url=login.instance_url,
        scopes=login.scopes,
        flow=login.flow,
        consumer_key=mask(login.consumer_key),
        store=login.place,
        refreshable=login.refreshable,
        saved_at=login.saved_at,
        refreshed_at=login.refreshed_at,
        bound=login.bound,
        last_used_at=idle.last_used(login),
        expires_if_unused_by=day.isoformat() if day else None,
    )


def verify(login: SavedLogin, world: SessionsAccess) -> User:
    """The user of the saved access token; raises `EcapipeError` (UserInfoRefused, WrongOrg, WrongUser, …)."""
    secrets = world.store.unseal(records.record(login))
    if secrets.access_token is None:
        problem = token_refused(login.org.host, "")
        raise EcapipeError(replace(problem, message="No access token is saved, only the means to get one."))
    return _user(login, secrets.access_token, secrets, world)


def refresh(login: SavedLogin, world: SessionsAccess) -> SavedLogin:
    """Get a new access token; returns the login as it is saved from now on. Raises `EcapipeError`.

    One process at a time: two that spend the same refresh token would end the session.
    """
    with world.store.locked("login", login.id):
        current, secrets = _reload(login, world)
        refreshed, _ = _renew(current, secrets, world)
        return refreshed


def move(login: SavedLogin, consumer_key: str, consumer_secret: Secret, world: SessionsAccess) -> SavedLogin:
    """Let a login use another key and secret of its app, proved by a refresh with them.

    Raises `EcapipeError`, and then it is saved as it was.
    """
    with world.store.locked("login", login.id):
        current, secrets = _reload(login, world)
        client = SavedClient(consumer_key, consumer_secret if current.secret_required else None)
        moved, _ = _renew(current, secrets, world, client)
        return moved


@dataclass(frozen=True, slots=True)
class SavedAccess:
    """An access token that the org accepts, and the key that it is bound to, if it is."""

    token: Secret
    key: ProofKey | None


def access(login: SavedLogin, world: SessionsAccess) -> SavedAccess:
    """An access token that the org accepts: the saved one, else a new one. Raises `EcapipeError`.

    Salesforce tells no lifetime with a token (there is no ``expires_in``), so UserInfo is asked.
    """
    secrets = world.store.unseal(records.record(login))
    token = secrets.access_token
    if token is not None and _is_accepted(login, token, secrets, world):
        return _access(login, token, secrets, world)
    with world.store.locked("login", login.id):
        login, secrets = _reload(login, world)
        # Another process may have refreshed it while this one waited for the lock: then its token serves both.
        newer = secrets.access_token
        refreshed = newer is not None and not (token and newer.same(token))
        if newer is not None and refreshed and _is_accepted(login, newer, secrets, world):
            return _access(login, newer, secrets, world)
        renewed, access_token = _renew(login, secrets, world)
        return _access(renewed, access_token, secrets, world)


def _access(login: SavedLogin, token: Secret, secrets: SavedSecrets, world: SessionsAccess) -> SavedAccess:
    return SavedAccess(token, _proof_key(login, secrets, world) if login.bound else None)


def _proof_key(login: SavedLogin, secrets: SavedSecrets, world: SessionsAccess) -> ProofKey | None:
    """What the tokens are bound to, if they are. Raises `EcapipeError` (RecordDamaged)."""
    key = world.proof_keys.load(secrets.dpop_key) if secrets.dpop_key else None
    if key is None and (secrets.dpop_key or login.bound):
        reason = "the key that its tokens are bound to is missing or invalid"
        raise EcapipeError(record_damaged(login.full_name, reason, records.removal("login", login.id)))
    return key


def end(login: SavedLogin, forget: bool, world: SessionsAccess) -> LoggedOut:
    """Revoke the tokens of a login, then forget it; if they cannot be revoked, only with `forget`.

    Raises `EcapipeError` (NotRevoked, and as the store).
    """
    with world.store.locked("login", login.id):
        try:
            login, secrets = _reload(login, world)
            reason = _revoke(login, secrets, world)
        except EcapipeError as error:
            if not forget:
                raise
            reason = error.problem.message.rstrip(".")
        if reason and not forget:
            org = login.org
            problem = not_revoked(login.subject, org.host, reason, login.app, org.name)
            raise EcapipeError(replace(problem, host=org.host))
        world.store.remove(records.record(login))
    if reason:
        return LoggedOut(login, False, f"{login.subject}: {reason}. {_REMAINS}")
    return LoggedOut(login, True, SHARED)


def discard(record: UnreadableRecord, forget: bool, world: StoreAccess) -> str:
    """Remove a record that cannot be read; a sentence for the user.

    One that is not damaged can still be of use, to a later version or once it is private again: without `forget` its
    problem is raised as `EcapipeError`.
    """
    if not forget and record.problem.kind is not record_damaged:
        raise EcapipeError(record.problem)
    with world.store.locked("login", record.id):
        world.store.remove(record)
    return f"{record.problem.file} was unreadable and is removed, but nothing was revoked in the org. {_REMAINS}"


def _reload(login: SavedLogin, world: StoreAccess) -> tuple[SavedLogin, SavedSecrets]:
    """The login as it is stored now: another process may have refreshed or ended it. The caller holds the lock."""
    record = world.store.read("login", login.id)
    if record is None:
        raise EcapipeError(login_not_kept(login.full_name, ()))
    return records.login(record), world.store.unseal(record)


def _renew(
    login: SavedLogin, secrets: SavedSecrets, world: SessionsAccess, client: SavedClient | None = None
) -> tuple[SavedLogin, Secret]:
    """A new access token, saved before it is used; `client`: not as the saved one. The caller holds the lock."""
    try:
        return _exchange(login, secrets, world, client)
    except tokens.Unusable as error:
        # Refresh tokens are another matter: the last is saved already, for the one before is spent.
        for token in error.access_tokens:
            with suppress(EcapipeError):
                send(tokens.revocation(token, login.org, error.key), world, inf)
        raise


def _exchange(
    login: SavedLogin, secrets: SavedSecrets, world: SessionsAccess, client: SavedClient | None
) -> tuple[SavedLogin, Secret]:
    """The same. Raises `tokens.Unusable` for an answer whose access token is to be revoked."""
    faults: list[str] = []
    client = client or records.client(login, secrets, _environment_secret(login, world, faults))
    grant = records.grant(login, secrets, client, faults)
    key = _proof_key(login, secrets, world)
    # With rotation the answer ends the old token: if the new one could not be written, the old must not be spent.
    world.store.put(records.record(login), secrets)
    with _interrupts_deferred(world) as interrupted_at:
        request = tokens.request(grant, client, login.org, key)
        response = _send_in_thread(request, grant.repeatable, interrupted_at, world)
        try:
            token = _parse_token(response, login, grant, client, key)
        except EcapipeError:
            # Whatever is wrong with the rest of the answer, the old token is spent.
            if successor := _rotated_token(response, grant):
                world.store.put(records.record(login), replace(secrets, refresh_token=successor))
            raise
        login, secrets = records.renewed(login, secrets, token, client, world.clock.utc())
        world.store.put(records.record(login), secrets)
    return login, token.access_token


@contextmanager
def _interrupts_deferred(world: SessionsAccess) -> Iterator[list[float]]:
    """A context that an interrupt does not break off: it is raised at the end, unless all is done by then. The list
    has the times of interrupts.

    Between its answer and the store, a rotated token exists nowhere but in this process.
    """
    interrupted_at: list[float] = []
    try:
        with world.interrupts(lambda: interrupted_at.append(world.clock.seconds())):
            yield interrupted_at
    except EcapipeError:
        if interrupted_at:
            raise KeyboardInterrupt from None
        raise


def _send_in_thread(
    request: Request, repeatable: bool, interrupted_at: list[float], world: SessionsAccess
) -> Response:
    """The org's answer; raises `EcapipeError`, and KeyboardInterrupt if an interrupt has waited `_PATIENCE` for it.

    The request has a thread of its own, so that one that hangs (in name resolution, say) cannot hold an interrupt up.
    """
    from concurrent.futures import Future, wait

    future: Future[Response] = Future()

    def exchange() -> Response:
        try:
            # A refresh token is sent again only if it cannot have arrived: Salesforce takes the second use of a
            # rotated token for theft, and revokes its successor and all access tokens.
            return send(request, world, inf, repeatable)
        finally:
            world.close_connections()

    def run() -> None:
        try:
            future.set_result(exchange())
        # Every error, a bug included, is raised where the result is waited for.
        except BaseException as error:
            future.set_exception(error)

    # A daemon: after an interrupt the process does not wait for it.
    Thread(target=run, daemon=True).start()
    while not wait([future], _TICK).done:
        if interrupted_at and world.clock.seconds() - interrupted_at[0] > _PATIENCE:
            raise KeyboardInterrupt
    return future.result()


def _rotated_token(response: Response, grant: Grant) -> Secret | None:
    """The refresh token that replaces a spent one, if the answer has one."""
    if not isinstance(grant, RefreshToken) or response.status != 200:
        return None
    # An error may stand beside it: the token was issued all the same.
    return next(reversed(tokens.issued(response, "refresh_token")), None)


def _parse_token(
    response: Response, login: SavedLogin, grant: Grant, client: SavedClient, key: ProofKey | None
) -> Token:
    """The token for `grant`, of the same user in the same org as before; raises `EcapipeError`."""
    org = login.org
    try:
        token = tokens.read(response, grant, client, org, app=None, key=key)
    except tokens.Unusable:
        raise
    except EcapipeError as error:
        raise EcapipeError(_reword(error.problem, login, grant)) from None
    problem = None
    if not same_id(token.org_id, org.org_id or ""):
        problem = wrong_org(org.org_id or "", token.org_id, _REMAINS)
    elif not same_id(token.user_id, login.user_id):
        problem = wrong_user(login.user_id, token.user_id, _REMAINS)
    if problem:
        raise EcapipeError(replace(problem, actions=(_log_in_again(login),)))
    return token


def _log_in_again(login: SavedLogin) -> str:
    return f"Log in again: {login.command}"


def _reword(problem: Problem, login: SavedLogin, grant: Grant) -> Problem:
    """A refusal in the words of a saved login, with the ways out that it has."""
    if problem.kind is invalid_client:
        way_out = f"If it was rotated, set {login.variable} to the new secret and run again. It is then saved."
        return replace(problem, actions=(way_out, f"Or log in again: {login.command}"))
    if problem.retrievals:
        # What is retrieved does not change what is saved.
        return replace(problem, actions=(*problem.actions, f"Then log in again: {login.command}"))
    if not isinstance(grant, RefreshToken) or problem.oauth_error != "invalid_grant" or problem.kind not in _EXPIRED:
        return problem
    # What follows the colon are the words of the org.
    description = problem.message.partition(": ")[2].rstrip(".")
    expired = login_expired(login.subject, login.org.host, description, login.command)
    return replace(expired, host=problem.host, http_status=problem.http_status, oauth_error=problem.oauth_error)


def _revoke(login: SavedLogin, secrets: SavedSecrets, world: SessionsAccess) -> str | None:
    """Revoke the tokens of a login; returns the reason if the org did not."""
    key = _proof_key(login, secrets, world)
    for token in (secrets.refresh_token, secrets.access_token):
        if token is None:
            continue
        try:
            response = send(tokens.revocation(token, login.org, key), world, inf)
            if response.status != 200:
                # It raises the refusal, in which none of these secrets is repeated.
                messages.members(
                    response,
                    login.org.host,
                    *(token, secrets.access_token, secrets.consumer_secret),
                    place="revoke",
                    app=None,
                    proved=key is not None,
                )
        except EcapipeError as error:
            # The org does not know a refresh token that has expired; the access token may still be valid.
            if error.problem.kind is token_refused:
                continue
            return error.problem.message.rstrip(".")
        # A refresh token takes its access tokens with it.
        break
    else:
        return _still_valid(login, secrets, world)
    return None


def _still_valid(login: SavedLogin, secrets: SavedSecrets, world: SessionsAccess) -> str | None:
    """That the org accepts a token which it did not revoke, if it does: its refusal may only mean that it revokes no
    tokens of this type."""
    token = secrets.access_token
    try:
        if token is None or not _is_accepted(login, token, secrets, world):
            return None
    except EcapipeError as error:
        return error.problem.message.rstrip(".")
    return f"{login.org.host} does not revoke tokens of this type, and still accepts the access token"


def doubts(login: SavedLogin, world: SessionsAccess) -> tuple[str, ...]:
    """Sentences on variables that are set for the consumer secret of a login and hold none; raises `EcapipeError`."""
    faults: list[str] = []
    _environment_secret(login, world, faults)
    return tuple(faults)


def _environment_secret(login: SavedLogin, world: SessionsAccess, faults: list[str] | None = None) -> Secret | None:
    """The consumer secret of a login in the environment: for its org, else for its app in any org."""
    names = (login.variable, sources.variable("consumerSecret", login.app))
    readings = filter(None, (sources.read_variable(name, world) for name in names))
    found = sources.first_credential(readings, [] if faults is None else faults)
    return found.value if found else None


def _is_accepted(login: SavedLogin, token: Secret, secrets: SavedSecrets, world: SessionsAccess) -> bool:
    """Whether the org accepts an access token; raises `EcapipeError` if that cannot be found out."""
    try:
        _user(login, token, secrets, world)
    except EcapipeError as error:
        if error.problem.kind is not user_info_refused:
            raise
        return False
    return True


def _user(login: SavedLogin, access_token: Secret, secrets: SavedSecrets, world: SessionsAccess) -> User:
    """The user of an access token, as UserInfo has it; raises `EcapipeError`, also if it is not the login's user."""
    org = login.org
    consumer_secret = secrets.consumer_secret or _environment_secret(login, world)
    token = Token(
        access_token,
        secrets.refresh_token,
        instance_url=login.instance_url,
        org_id=org.org_id or "",
        user_id=login.user_id,
        scopes=login.scopes,
        # What an answer might repeat: it is never shown.
        sent=(consumer_secret,) if consumer_secret else (),
        key=_access(login, access_token, secrets, world).key,
    )
    user = userinfo.read(send(userinfo.request(token, org), world, inf), token, org)
    if problem := userinfo.mismatch(user, token, org, _REMAINS):
        raise EcapipeError(replace(problem, host=org.host))
    return user
