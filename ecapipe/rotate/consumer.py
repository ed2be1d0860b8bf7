"""Finding the consumer: a login to the org, the app there, and which of its consumers has the known key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import inf

from ecapipe.exchange import sending
from ecapipe.exchange.credentials_lookup import MAX_PAGES, MAX_SLOTS, list_consumers
from ecapipe.oauth import credentials_api
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org, error_at, same_id
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.api import api_disabled_for_user, api_session_refused
from ecapipe.problems.credentials import (
    rest_consumer_unknown,
    rest_permission_missing,
    rest_refused,
    rest_session_refused,
    rest_switch_off,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.problems.rotation import (
    packaged_app_not_rotated,
    rotation_api_too_old,
    rotation_app_not_found,
    rotation_login_missing,
    rotation_not_permitted,
    rotation_switched_off,
)
from ecapipe.problems.salesforce_cli import sf_not_found
from ecapipe.rotate.target import Found, Session, Target
from ecapipe.run.world import World
from ecapipe.saved import sessions
from ecapipe.saved.records import SavedLogin
from ecapipe.secret import mask

_NEXT_LOGIN = frozenset(
    {rest_permission_missing, rest_session_refused, rest_refused, api_disabled_for_user, api_session_refused}
)
"""Problems that another user of the org may not have."""


def find(target: Target, allowed: tuple[str, ...], world: World) -> Found:
    """The consumer, through the first login that may see it. Raises `EcapipeError`."""
    first: Problem | None = None
    asking = replace(world, send=sending.bounded(world))
    for log_in in _logins(target.org, allowed, world):
        try:
            return _find(target, log_in(), asking)
        except EcapipeError as error:
            problem = _words(error.problem, target)
            first = first or problem
            if error.problem.kind not in _NEXT_LOGIN and not _is_of_login(error.problem):
                raise EcapipeError(problem) from None
    raise EcapipeError(first or rotation_login_missing(target.app.name, target.org.name, target.org.url))


def _is_of_login(problem: Problem) -> bool:
    """Whether it was no org that refused: a login of the Salesforce CLI that has ended, say."""
    return problem.host is None


def _logins(org: Org, allowed: tuple[str, ...], world: World) -> Iterator[Callable[[], Session]]:
    """Ways to log in to the org: first those of the Salesforce CLI, where administrators are."""
    try:
        logins = [login for login in world.sf.logins() if _leads_to(login, org)]
    except EcapipeError as error:
        # Without a Salesforce CLI there are saved logins; one that is there and fails is to be mended.
        if error.problem.kind is not sf_not_found:
            yield partial(_raise, error)
        logins = []
    yield from (partial(_through_sf, login, allowed, world) for login in logins)
    yield from (partial(_through_saved, login, world) for login in sessions.logins(world)[0] if _is_in(login, org))


def _raise(error: EcapipeError) -> Session:
    raise error


def _leads_to(login: SfLogin, org: Org) -> bool:
    """Whether a login is to the very org, by address: an alias may mean another one to somebody else, and an id that
    a tree gives to the address, too."""
    return login.instance_url.lower() == org.url and same_id(login.org_id, org.org_id or login.org_id)


def _is_in(login: SavedLogin, org: Org) -> bool:
    return login.org.url == org.url and (not login.scopes or not {"api", "full"}.isdisjoint(login.scopes))


def _through_sf(login: SfLogin, allowed: tuple[str, ...], world: World) -> Session:
    # Before the token is asked for, and after, for a refresh can bring another address.
    selection.choose(login.instance_url, {}, allowed)
    bearer, instance_url = world.sf.access_token(login.username)
    return Session(selection.choose(instance_url, {}, allowed), bearer, login.username, org_id=login.org_id)


def _through_saved(login: SavedLogin, world: World) -> Session:
    access = sessions.access(login, world)
    return Session(login.org, access.token, login.org.username, access.key, login.org.org_id)


def ask(request: Request, session: Session, world: World) -> Response:
    """The response to a request that changes nothing, sent again where that may help."""
    return sending.send(session.sign(request), world, inf)


def _find(target: Target, session: Session, world: World) -> Found:
    org, bearer = session.org, session.bearer
    app_id = _app_id(target, session, world)
    consumers = list_consumers(org, bearer, app_id, partial(ask, session=session, world=world))
    for consumer in consumers:
        if consumer.key == target.key:
            return Found(session, app_id, consumer)
    # The key may be one that waits, or one that was replaced.
    for consumer in consumers[:MAX_SLOTS]:
        found = Found(session, app_id, consumer)
        read_slot(found, world)
        if found.slot and found.slot.key == target.key:
            return found
    keys = [mask(consumer.key) for consumer in consumers[:MAX_SLOTS]]
    raise error_at(rest_consumer_unknown(target.app.name, org.host, mask(target.key), keys), org)


def read_slot(found: Found, world: World) -> None:
    """Find what is in the slot of the consumer now; what has expired is good for nothing, but may be in the way."""
    org, bearer = found.session.org, found.session.bearer
    response = ask(credentials_api.staging(org, bearer, found.app_id, found.consumer), found.session, world)
    pairs = {each.state: each for each in credentials_api.slot(response, org, bearer)}
    found.slot, found.expired = pairs.get("Active") or pairs.get("Rotated"), pairs.get("Expired")
    found.read_at = response.date


def find_main(found: Found, key: str, world: World) -> bool:
    """Whether a key is in force now; it is that of the consumer then."""
    session = found.session
    for consumer in list_consumers(
        session.org, session.bearer, found.app_id, partial(ask, session=session, world=world)
    ):
        if consumer.key == key:
            found.consumer = consumer
            return True
    return False


def _app_id(target: Target, session: Session, world: World) -> str:
    """The id of the app: of those that have been used the org lists them, for the others there is a query."""
    org, bearer, name = session.org, session.bearer, target.app.name
    for number in range(MAX_PAGES):
        page = credentials_api.listed(_usage(session, number, world), org, bearer)
        if name in page.packaged:
            raise EcapipeError(packaged_app_not_rotated(name, org.host))
        if name in page.ids:
            return page.ids[name]
        # Orgs send the address of a next page on the last one, too; it leads to an empty page.
        if page.last or not page.ids:
            break
    app_id = credentials_api.queried(ask(credentials_api.query(org, bearer, name), session, world), org, bearer)
    if app_id is None:
        raise error_at(rotation_app_not_found(name, org.host), org)
    return app_id


def _usage(session: Session, number: int, world: World) -> Response:
    org = session.org
    response = ask(credentials_api.usage(org, session.bearer, number), session, world)
    # An org that is older knows no address of the version.
    if response.status == 404:
        newest = credentials_api.newest(ask(credentials_api.versions(org), session, world))
        if newest and float(newest) < float(credentials_api.VERSION):
            raise error_at(rotation_api_too_old(org.host, newest), org)
    return response


def _words(problem: Problem, target: Target) -> Problem:
    """A refusal in the words of a rotation, with the ways out that it has."""
    host = problem.host or target.org.host
    if problem.kind is rest_switch_off:
        worded = rotation_switched_off(host, credentials_api.SWITCH)
    elif problem.kind is rest_permission_missing:
        worded = rotation_not_permitted(host, credentials_api.PERMISSIONS)
    else:
        return problem
    return replace(worded, host=problem.host, http_status=problem.http_status)
