"""Saved logins: found, used, refreshed, ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from threading import Thread
from typing import Final

from ecapipe.credentials import sources
from ecapipe.events import SavedLoginFacts
from ecapipe.exchange.sending import send
from ecapipe.oauth import messages, tokens, userinfo
from ecapipe.oauth.grants import ClientCredentials, Grant, RefreshToken
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.tokens import Token
from ecapipe.oauth.userinfo import User
from ecapipe.orgs.org import same_id
from ecapipe.problems.oauth import token_refused
from ecapipe.problems.orgs import wrong_org, wrong_user
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.storage import login_expired, login_not_kept, not_revoked
from ecapipe.saved import records
from ecapipe.saved.ports import SessionsAccess, StoreAccess
from ecapipe.saved.records import SavedClient, SavedLogin, SavedSecrets, read_all
from ecapipe.secret import Secret, mask

_DEAD = frozenset({"TokenRefused", "OauthRefused"})
"""What an ``invalid_grant`` says of a refresh token that is over; its other causes keep their own words."""

_PATIENCE: Final = 10.0
"""Seconds that an interrupt waits for an answer that may bring a token nobody else has."""

_TICK: Final = 0.1

SHARED = (
    "Salesforce may give one access token to several programs that use the same app as the same user: "
    "they were logged out with it."
)

_REMAINS = (
    "Its tokens stay valid at Salesforce: revoke them in the org, in Setup under Connected Apps OAuth Usage or "
    "Session Management."
)


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """A login that is kept no more. `revoked`: its tokens are over; `warning`: what is still to be known."""

    login: SavedLogin
    revoked: bool
    warning: str | None = None


def logins(world: StoreAccess) -> tuple[tuple[SavedLogin, ...], tuple[Problem, ...]]:
    """The kept logins, by app and org, and what kept others from being read."""
    found, damaged = read_all("login", records.login, world)
    return tuple(sorted(found, key=lambda each: each.full_name.casefold())), tuple(damaged)


def find(apps: Sequence[str], org: str | None, world: StoreAccess) -> SavedLogin:
    """The one kept login that is meant; raises `EcapipeError` as `records.choose`, or for a record that may be it."""
    found, damaged = logins(world)
    if damaged and not records.fitting(found, apps, org):
        raise EcapipeError(damaged[0])
    return records.choose(found, apps, org)


def fitting(found: Sequence[SavedLogin], apps: Sequence[str], org: str | None) -> list[SavedLogin]:
    """Those of the logins that are meant; raises `EcapipeError` (LoginNotKept) for names that mean none."""
    some = records.fitting(found, apps, org)
    if not some and (apps or org):
        records.choose(found, apps, org)  # which says what there is instead
    return some


def facts(login: SavedLogin) -> SavedLoginFacts:
    """The login as output shows it."""
    org = login.org
    return SavedLoginFacts(
        login.app,
        org.name,
        org.alias,
        org.url,
        org.username,
        login.user_id,
        org.org_id,
        login.instance_url,
        login.scopes,
        login.flow,
        mask(login.consumer_key),
        login.place,
        login.refreshable,
        login.saved_at,
        login.refreshed_at,
    )


def verify(login: SavedLogin, world: SessionsAccess) -> User:
    """Whom the kept access token belongs to; raises `EcapipeError` (UserInfoRefused, WrongOrg, WrongUser, …)."""
    sealed = world.store.unseal(records.record(login))
    if sealed.access_token is None:
        raise EcapipeError(token_refused(login.org.host, "no access token is kept, only what brings one"))
    return _user(login, sealed.access_token, sealed, world)


def refresh(login: SavedLogin, world: SessionsAccess) -> SavedLogin:
    """Get a new access token; the login as it is kept from now on. One process at a time. Raises `EcapipeError`."""
    with world.store.locked("login", login.id):
        return _renew(*_now(login, world), world)[0]


def access(login: SavedLogin, world: SessionsAccess) -> Secret:
    """An access token that the org takes: the kept one, else a new one.

    Salesforce tells no lifetime, so UserInfo is asked. Of several processes that find the token over, one gets the
    next, for all. Raises `EcapipeError`.
    """
    sealed = world.store.unseal(records.record(login))
    token = sealed.access_token
    if token is not None and _accepted(login, token, sealed, world):
        return token
    with world.store.locked("login", login.id):
        login, sealed = _now(login, world)
        newer = sealed.access_token
        if newer is not None and not (token and newer.same(token)) and _accepted(login, newer, sealed, world):
            return newer
        return _renew(login, sealed, world)[1]


def end(login: SavedLogin, forget: bool, world: SessionsAccess) -> LoggedOut:
    """Revoke the tokens of a login, then forget it; if the org cannot be told, only with `forget`.

    Raises `EcapipeError` (NotRevoked, and as the store).
    """
    with world.store.locked("login", login.id):
        try:
            login, sealed = _now(login, world)
            reason = _unrevoked(login, sealed, world)
        except EcapipeError as error:
            if not forget:
                raise
            reason = error.problem.message.rstrip(".")
        if reason and not forget:
            raise EcapipeError(replace(not_revoked(login.subject, login.org.host, reason), host=login.org.host))
        world.store.remove(records.record(login))
    if reason:
        return LoggedOut(login, False, f"{login.subject}: {reason}. {_REMAINS}")
    return LoggedOut(login, True, SHARED)


def _now(login: SavedLogin, world: StoreAccess) -> tuple[SavedLogin, SavedSecrets]:
    """The login as it is kept at this moment: another process may have refreshed it, or ended it."""
    record = world.store.read("login", login.id)
    if record is None:
        raise EcapipeError(login_not_kept(login.full_name, ()))
    return records.login(record), world.store.unseal(record)


def _renew(login: SavedLogin, sealed: SavedSecrets, world: SessionsAccess) -> tuple[SavedLogin, Secret]:
    """A new access token, kept before it is used. The caller holds the lock."""
    client = records.client(login, sealed, _given(login, world))
    grant = records.grant(login, sealed, client)
    # With rotation the answer ends the old token: what cannot be written must not be spent.
    world.store.put(records.record(login), sealed)
    with _whole(world) as came:
        answer = _answer(tokens.request(grant, client, login.org), isinstance(grant, ClientCredentials), came, world)
        try:
            token = _redeemed(answer, login, grant, client)
        except EcapipeError:
            if rotated := _rotated(answer, login, grant):  # whatever is wrong with the rest: the old one is spent
                world.store.put(records.record(login), replace(sealed, refresh_token=rotated))
            raise
        login, sealed = records.renewed(login, sealed, token, client, world.clock.utc())
        world.store.put(records.record(login), sealed)
    return login, token.access_token


@contextmanager
def _whole(world: SessionsAccess) -> Iterator[list[float]]:
    """What runs within ends before an interrupt does: between its answer and its place a token is nowhere else. The
    list tells when interrupts came."""
    came: list[float] = []
    try:
        with world.interrupts(lambda: came.append(world.clock.seconds())):
            yield came
    finally:
        if came:
            raise KeyboardInterrupt


def _answer(request: Request, repeatable: bool, came: list[float], world: SessionsAccess) -> Response:
    """What the org says, in a thread of its own: whatever that hangs at, an interrupt waits only so long for it.

    Raises `EcapipeError`, and KeyboardInterrupt where nothing was said in time.
    """
    from concurrent.futures import Future, wait

    answer: Future[Response] = Future()

    def ask() -> Response:
        try:
            # A refresh token is sent again only if it cannot have arrived: one that was used twice ends the login.
            return send(request, world, inf, repeatable)
        finally:
            world.parted()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:  # it is raised where it is waited for
            answer.set_exception(error)

    Thread(target=run, daemon=True).start()
    while not wait([answer], _TICK).done:
        if came and world.clock.seconds() - came[0] > _PATIENCE:
            raise KeyboardInterrupt
    return answer.result()


def _rotated(answer: Response, login: SavedLogin, grant: Grant) -> Secret | None:
    """The successor of a spent refresh token, if one came that is what RFC 6749 calls one (appendix A.17)."""
    if not isinstance(grant, RefreshToken) or answer.status != 200:
        return None
    token = (messages.json_object(answer) or {}).get("refresh_token")  # though an error may stand beside it
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()) or " " in token or not token:
        return None
    return Secret(token)


def _redeemed(answer: Response, login: SavedLogin, grant: Grant, client: SavedClient) -> Token:
    """The token that `grant` brought; raises `EcapipeError`."""
    org = login.org
    try:
        token = tokens.read(answer, grant, client, org)
    except EcapipeError as error:
        raise EcapipeError(_meaning(error.problem, login, grant)) from None
    if not same_id(token.org_id, org.org_id or ""):
        raise EcapipeError(wrong_org(org.org_id or "", token.org_id, _REMAINS))
    if not same_id(token.user_id, login.user_id):
        raise EcapipeError(wrong_user(login.user_id, token.user_id, _REMAINS))
    return token


def _meaning(problem: Problem, login: SavedLogin, grant: Grant) -> Problem:
    """What a refusal means for a kept login."""
    if problem.name == "InvalidClient":
        way_out = f"If it was rotated, put the new secret in {login.variable} and run again; it is kept from then on."
        return replace(problem, actions=(way_out, f"Or log in again: {login.command}", *problem.actions))
    if not isinstance(grant, RefreshToken) or problem.oauth_error != "invalid_grant" or problem.name not in _DEAD:
        return problem
    told = problem.message.partition(": ")[2].rstrip(".")
    expired = login_expired(login.subject, login.org.host, told, login.command)
    return replace(expired, host=problem.host, http_status=problem.http_status, oauth_error=problem.oauth_error)


def _unrevoked(login: SavedLogin, sealed: SavedSecrets, world: SessionsAccess) -> str | None:
    """Why the org has not ended the login, if it has not. A refresh token takes its access tokens with it; one that
    the org does not know is over already, and the access token may not be."""
    for token in (sealed.refresh_token, sealed.access_token):
        if token is None:
            continue
        try:
            answer = send(tokens.revocation(token, login.org), world, inf)
            if answer.status != 200:
                messages.members(answer, login.org.host, token, sealed.access_token, sealed.consumer_secret)
        except EcapipeError as error:
            if error.problem.name == "TokenRefused":
                continue
            return error.problem.message.rstrip(".")
        break
    return None


def _given(login: SavedLogin, world: SessionsAccess) -> Secret | None:
    """The consumer secret that the environment has for a login."""
    return world.variable(login.variable) or world.variable(sources.variable("consumerSecret", login.app))


def _accepted(login: SavedLogin, token: Secret, sealed: SavedSecrets, world: SessionsAccess) -> bool:
    """Whether the org takes an access token; raises `EcapipeError` where that cannot be told."""
    try:
        _user(login, token, sealed, world)
    except EcapipeError as error:
        if error.problem.name != "UserInfoRefused":
            raise
        return False
    return True


def _user(login: SavedLogin, access: Secret, sealed: SavedSecrets, world: SessionsAccess) -> User:
    org, secret = login.org, sealed.consumer_secret or _given(login, world)
    sent = (secret,) if secret else ()
    ids = org.org_id or "", login.user_id
    token = Token(access, sealed.refresh_token, login.instance_url, *ids, login.scopes, sent)
    user = userinfo.read(send(userinfo.request(token, org), world, inf), token, org)
    if problem := userinfo.mismatch(user, token, org, _REMAINS):
        raise EcapipeError(replace(problem, host=org.host))
    return user
