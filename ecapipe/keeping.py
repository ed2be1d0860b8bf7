"""Logins and secrets that are kept: found, used, refreshed, ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from math import inf
from threading import Thread
from typing import Final, TypeVar

from ecapipe import credentials, discovery, kept, messages, orgs, problems, tokens, userinfo
from ecapipe.discovery import Where
from ecapipe.events import LoginFacts, SecretFacts
from ecapipe.grants import ClientCredentials, Grant, RefreshToken
from ecapipe.kept import Client, Kind, Login, Owner, Place, Record, Sealed
from ecapipe.login import send
from ecapipe.messages import Answer, Request
from ecapipe.orgs import Which, same_id
from ecapipe.problems import EcapipeError, Problem
from ecapipe.secret import Secret, mask
from ecapipe.tokens import Token
from ecapipe.userinfo import User
from ecapipe.world import World

Thing = TypeVar("Thing")

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
class Ended:
    """A login that is kept no more. `revoked`: its tokens are over; `warning`: what is still to be known."""

    login: Login
    revoked: bool
    warning: str | None = None


def logins(world: World) -> tuple[tuple[Login, ...], tuple[Problem, ...]]:
    """The kept logins, by app and org, and what kept others from being read."""
    found, damaged = _readable("login", kept.login, world)
    return tuple(sorted(found, key=lambda each: each.full_name.casefold())), tuple(damaged)


def find(apps: Sequence[str], org: str | None, world: World) -> Login:
    """The one kept login that is meant; raises `EcapipeError` as `kept.choose`, or for a record that may be it."""
    found, damaged = logins(world)
    if damaged and not kept.fitting(found, apps, org):
        raise EcapipeError(damaged[0])
    return kept.choose(found, apps, org)


def fitting(found: Sequence[Login], apps: Sequence[str], org: str | None) -> list[Login]:
    """Those of the logins that are meant; raises `EcapipeError` (LoginNotKept) for names that mean none."""
    some = kept.fitting(found, apps, org)
    if not some and (apps or org):
        kept.choose(found, apps, org)  # which says what there is instead
    return some


def facts(login: Login) -> LoginFacts:
    """The login as output shows it."""
    org = login.org
    return LoginFacts(
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


def secret_facts(owner: Owner) -> SecretFacts:
    """Whose consumer secret is kept, as output shows it."""
    return SecretFacts(owner.app, owner.org, mask(owner.consumer_key), owner.place, owner.saved_at)


def verify(login: Login, world: World) -> User:
    """Whom the kept access token belongs to; raises `EcapipeError` (UserInfoRefused, WrongOrg, WrongUser, …)."""
    sealed = world.store.unseal(kept.record(login))
    if sealed.access_token is None:
        raise EcapipeError(problems.token_refused(login.org.host, "no access token is kept, only what brings one"))
    return _user(login, sealed.access_token, sealed, world)


def refresh(login: Login, world: World) -> Login:
    """Get a new access token; the login as it is kept from now on. One process at a time. Raises `EcapipeError`."""
    with world.store.locked("login", login.id):
        return _renew(*_now(login, world), world)[0]


def access(login: Login, world: World) -> Secret:
    """An access token that the org takes: the kept one, else a new one.

    Salesforce tells no lifetime, so UserInfo is asked. Of several processes that find the token over, one gets the
    next, for all. Raises `EcapipeError`.
    """
    sealed = world.store.unseal(kept.record(login))
    token = sealed.access_token
    if token is not None and _accepted(login, token, sealed, world):
        return token
    with world.store.locked("login", login.id):
        login, sealed = _now(login, world)
        newer = sealed.access_token
        if newer is not None and not (token and newer.same(token)) and _accepted(login, newer, sealed, world):
            return newer
        return _renew(login, sealed, world)[1]


def end(login: Login, forget: bool, world: World) -> Ended:
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
            raise EcapipeError(
                replace(problems.not_revoked(login.subject, login.org.host, reason), host=login.org.host)
            )
        world.store.remove(kept.record(login))
    if reason:
        return Ended(login, False, f"{login.subject}: {reason}. {_REMAINS}")
    return Ended(login, True, SHARED)


def secret(world: World) -> credentials.Kept:
    """What the chain asks for the secret that is kept for a consumer key."""

    @cache
    def find(consumer_key: str) -> Secret | None:
        id = kept.owner_id(consumer_key)
        record = world.store.read("secret", id) if world.store.holds("secret", id) else None
        return None if record is None else world.store.unseal(record).consumer_secret

    return find


def owners(world: World) -> tuple[tuple[Owner, ...], tuple[Problem, ...]]:
    """Whose consumer secrets are kept, and what kept others from being read."""
    found, damaged = _readable("secret", kept.owner, world)
    return tuple(sorted(found, key=lambda each: each.full_name.casefold())), tuple(damaged)


def owner(where: Where, which: Which, place: Place, world: World) -> tuple[Owner, str | None]:
    """Whose secret is to be kept: the consumer key of the one app that `where` names, for an org if one is named; and
    the source that has a secret already, and comes first.

    Raises `EcapipeError`: as `discovery.discover` and `orgs.select`, SettingsDuplicated, ConsumerKeyMissing.
    """
    found = discovery.discover(where, world)
    org = next(iter(orgs.select(which, found.projects)), None) if which.names else None
    if len(found.apps) > 1:
        roots = [app.project for app in found.apps]
        raise EcapipeError(problems.app_in_several_projects(found.apps[0].name, roots))
    (app,) = found.apps
    discovery.refuse_rivals(app)
    chain = credentials.chain(found.apps, (org,) if org else (), world.variable, None)
    resolved = credentials.resolve(app, org, chain, spared=True)
    if isinstance(resolved.outcome, Problem):
        raise EcapipeError(resolved.outcome)
    key, at = resolved.outcome.consumer_key, world.clock.utc()
    return Owner(app.name, org.name if org else None, key, place, at), resolved.secret.source


def keep_secret(owner: Owner, value: Secret, world: World) -> None:
    """Keep the consumer secret of an app; raises `EcapipeError` (SecretUnusable, and as the store)."""
    if reason := credentials.unfit(value, owner.consumer_key):
        raise EcapipeError(problems.secret_unusable(owner.app, reason))
    with world.store.locked("secret", owner.id):
        world.store.put(kept.owner_record(owner), Sealed(consumer_secret=value))


def forget_secrets(
    app: str, org: str | None, every: bool, world: World, consumer_key: str | None = None
) -> tuple[Owner, ...]:
    """Forget the consumer secret of an app, or with `every` all that go by its name; with a `consumer_key`, only one
    that is kept for it.

    Raises `EcapipeError` (SecretNotKept, SecretsAmbiguous).
    """
    known, damaged = owners(world)
    found = [
        owner
        for owner in known
        if owner.app == app and org in (None, owner.org) and consumer_key in (None, owner.consumer_key)
    ]
    if not found and damaged:
        raise EcapipeError(damaged[0])
    if not found:
        name = f"{app}@{org}" if org else app
        meant = problems.did_you_mean(app, [owner.app for owner in known if owner.app != app])
        raise EcapipeError(problems.secret_not_kept(name, [owner.full_name for owner in known], meant))
    if len(found) > 1 and not every:
        raise EcapipeError(problems.secrets_ambiguous(app, [owner.full_name for owner in found]))
    for owner in found:
        with world.store.locked("secret", owner.id):
            world.store.remove(kept.owner_record(owner))
    return tuple(found)


def _readable(kind: Kind, read: Callable[[Record], Thing], world: World) -> tuple[list[Thing], list[Problem]]:
    found: list[Thing] = []
    damaged: list[Problem] = []
    for record in world.store.records(kind):
        if isinstance(record, Problem):
            damaged.append(record)
            continue
        try:
            found.append(read(record))
        except EcapipeError as error:
            damaged.append(error.problem)
    return found, damaged


def _now(login: Login, world: World) -> tuple[Login, Sealed]:
    """The login as it is kept at this moment: another process may have refreshed it, or ended it."""
    record = world.store.read("login", login.id)
    if record is None:
        raise EcapipeError(problems.login_not_kept(login.full_name, ()))
    return kept.login(record), world.store.unseal(record)


def _renew(login: Login, sealed: Sealed, world: World) -> tuple[Login, Secret]:
    """A new access token, kept before it is used. The caller holds the lock."""
    client = kept.client(login, sealed, _given(login, world))
    grant = kept.grant(login, sealed, client)
    # With rotation the answer ends the old token: what cannot be written must not be spent.
    world.store.put(kept.record(login), sealed)
    with _whole(world) as came:
        answer = _answer(tokens.request(grant, client, login.org), isinstance(grant, ClientCredentials), came, world)
        try:
            token = _redeemed(answer, login, grant, client)
        except EcapipeError:
            if rotated := _rotated(answer, login, grant):  # whatever is wrong with the rest: the old one is spent
                world.store.put(kept.record(login), replace(sealed, refresh_token=rotated))
            raise
        login, sealed = kept.renewed(login, sealed, token, client, world.clock.utc())
        world.store.put(kept.record(login), sealed)
    return login, token.access_token


@contextmanager
def _whole(world: World) -> Iterator[list[float]]:
    """What runs within ends before an interrupt does: between its answer and its place a token is nowhere else. The
    list tells when interrupts came."""
    came: list[float] = []
    try:
        with world.interrupts(lambda: came.append(world.clock.seconds())):
            yield came
    finally:
        if came:
            raise KeyboardInterrupt


def _answer(request: Request, repeatable: bool, came: list[float], world: World) -> Answer:
    """What the org says, in a thread of its own: whatever that hangs at, an interrupt waits only so long for it.

    Raises `EcapipeError`, and KeyboardInterrupt where nothing was said in time.
    """
    from concurrent.futures import Future, wait

    answer: Future[Answer] = Future()

    def ask() -> Answer:
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


def _rotated(answer: Answer, login: Login, grant: Grant) -> Secret | None:
    """The successor of a spent refresh token, if one came that is what RFC 6749 calls one (appendix A.17)."""
    if not isinstance(grant, RefreshToken) or answer.status != 200:
        return None
    token = (messages.json_object(answer) or {}).get("refresh_token")  # though an error may stand beside it
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()) or " " in token or not token:
        return None
    return Secret(token)


def _redeemed(answer: Answer, login: Login, grant: Grant, client: Client) -> Token:
    """The token that `grant` brought; raises `EcapipeError`."""
    org = login.org
    try:
        token = tokens.read(answer, grant, client, org)
    except EcapipeError as error:
        raise EcapipeError(_meaning(error.problem, login, grant)) from None
    if not same_id(token.org_id, org.org_id or ""):
        raise EcapipeError(problems.wrong_org(org.org_id or "", token.org_id, _REMAINS))
    if not same_id(token.user_id, login.user_id):
        raise EcapipeError(problems.wrong_user(login.user_id, token.user_id, _REMAINS))
    return token


def _meaning(problem: Problem, login: Login, grant: Grant) -> Problem:
    """What a refusal means for a kept login."""
    if problem.name == "InvalidClient":
        way_out = f"If it was rotated, put the new secret in {login.variable} and run again; it is kept from then on."
        return replace(problem, actions=(way_out, f"Or log in again: {login.command}", *problem.actions))
    if not isinstance(grant, RefreshToken) or problem.oauth_error != "invalid_grant" or problem.name not in _DEAD:
        return problem
    told = problem.message.partition(": ")[2].rstrip(".")
    expired = problems.login_expired(login.subject, login.org.host, told, login.command)
    return replace(expired, host=problem.host, http_status=problem.http_status, oauth_error=problem.oauth_error)


def _unrevoked(login: Login, sealed: Sealed, world: World) -> str | None:
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


def _given(login: Login, world: World) -> Secret | None:
    """The consumer secret that the environment has for a login."""
    return world.variable(login.variable) or world.variable(credentials.variable("consumerSecret", login.app))


def _accepted(login: Login, token: Secret, sealed: Sealed, world: World) -> bool:
    """Whether the org takes an access token; raises `EcapipeError` where that cannot be told."""
    try:
        _user(login, token, sealed, world)
    except EcapipeError as error:
        if error.problem.name != "UserInfoRefused":
            raise
        return False
    return True


def _user(login: Login, access: Secret, sealed: Sealed, world: World) -> User:
    org, secret = login.org, sealed.consumer_secret or _given(login, world)
    sent = (secret,) if secret else ()
    ids = org.org_id or "", login.user_id
    token = Token(access, sealed.refresh_token, login.instance_url, *ids, login.scopes, sent)
    user = userinfo.read(send(userinfo.request(token, org), world, inf), token, org)
    if problem := userinfo.mismatch(user, token, org, _REMAINS):
        raise EcapipeError(replace(problem, host=org.host))
    return user
