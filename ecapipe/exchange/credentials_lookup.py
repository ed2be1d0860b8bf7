"""The missing secret, from the org that has it: with a session of the Salesforce CLI."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ecapipe.credentials.sources import FetchedPair
from ecapipe.exchange import sending
from ecapipe.exchange.ports import CredentialsAccess
from ecapipe.oauth import credentials_api
from ecapipe.oauth.credentials_api import Consumer, StagedPair
from ecapipe.oauth.messages import Send
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org, error_at, same_id
from ecapipe.orgs.sf_logins import SfLogin
from ecapipe.problems.credentials import (
    rest_app_not_listed,
    rest_consumer_unknown,
    rest_consumers_several,
    rest_login_missing,
    rest_pair_staged,
    rest_secret_withheld,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App
from ecapipe.secret import Secret, mask

MAX_PAGES: Final = 50
"""Pages of apps that are read: 5,000 apps."""

_MAX_CONSUMERS: Final = MAX_PAGES * credentials_api.PAGE_SIZE
"""Consumers of one app that are read: as many as that many pages have."""

MAX_SLOTS: Final = 100
"""Consumers of one app whose slot is looked into, each with a request of its own: without a bound a page of some
megabytes would be followed by thousands."""

_TRY_NEXT_ORG: Final = frozenset({rest_app_not_listed, rest_consumer_unknown})
"""Problems of an org that does not have the consumer: another one may."""


@dataclass(frozen=True, slots=True)
class _Session:
    """An org, an access token for it, and what sends the requests of one look-up there."""

    org: Org
    bearer: Secret
    send: Send

    def error(self, problem: Problem) -> EcapipeError:
        return error_at(problem, self.org)


class CredentialsLookup:
    """Asks once for each app and key; see `ecapipe.credentials.sources.FetchPair`. `allowed` are hosts accepted
    besides Salesforce's.

    Raises `EcapipeError`: what keeps the Salesforce CLI from giving an access token, RefusedHost, RestLoginMissing,
    RestAppNotListed, RestConsumerUnknown, RestConsumersSeveral, RestSecretWithheld, RestPairStaged, and as the
    functions of `ecapipe.oauth.credentials_api` that read responses.
    """

    def __init__(self, allowed: Sequence[str], access: CredentialsAccess) -> None:
        self._allowed, self._access = allowed, access
        self._results: dict[tuple[str, str, str | None], FetchedPair | EcapipeError] = {}
        self._sessions: dict[str, _Session] = {}
        self._app_ids: dict[str, dict[str, str]] = {}

    def __call__(self, app: App, org: Org | None, key: str | None) -> FetchedPair:
        first_problem: Problem | None = None
        for login in self._logins(app, org):
            result = self._fetch_once(app, login, key)
            if isinstance(result, FetchedPair):
                return result
            # The org that is likeliest to have the consumer comes first, so that its problem says the most.
            first_problem = first_problem or result.problem
            if result.problem.kind not in _TRY_NEXT_ORG:
                break
        raise EcapipeError(first_problem or _login_missing(app, org))

    def _logins(self, app: App, org: Org | None) -> list[SfLogin]:
        """The logins to orgs that may have the app's consumer: the one that the link names; without a link, where the
        app was made, and the target itself."""
        logins = self._access.sf.logins()
        # A linked app has no consumer of its own anywhere else.
        if source := app.link_org:
            return [login for login in logins if same_id(login.org_id, source)][:1]
        scoped = app.scoped_org
        made_in = [login for login in logins if scoped and same_id(login.org_id, scoped)]
        target = [login for login in logins if org and login.leads_to(org, by_alias=True)]
        # Several users may be logged in to one org; it is asked once.
        return list({login.org_id: login for login in (*made_in[:1], *target[:1])}.values())

    def _fetch_once(self, app: App, login: SfLogin, key: str | None) -> FetchedPair | EcapipeError:
        subject = login.username, app.name, key
        if subject not in self._results:
            try:
                session = replace(self._session(login), send=sending.bounded(self._access))
                self._results[subject] = self._fetch(app, session, login.username, key)
            except EcapipeError as error:
                self._results[subject] = error
        return self._results[subject]

    def _fetch(self, app: App, session: _Session, username: str, key: str | None) -> FetchedPair:
        org, bearer, send = session.org, session.bearer, session.send
        app_id = self._app_ids_of(username, session).get(app.name)
        if app_id is None:
            raise session.error(rest_app_not_listed(app.name, org.host))
        consumers = list_consumers(org, bearer, app_id, send)
        if key is None:
            consumer = _only_consumer(app, consumers, session)
        else:
            consumer = self._consumer_of(key, app, app_id, consumers, session)
        response = send(credentials_api.pair(org, bearer, app_id, consumer))
        secret = credentials_api.secret(response, org, bearer, consumer)
        if secret is None:
            raise session.error(rest_secret_withheld(app.name, org.host, credentials_api.PERMISSIONS))
        return FetchedPair(consumer.key, secret, org.host, self._notice(app, app_id, consumer, session))

    def _notice(self, app: App, app_id: str, consumer: Consumer, session: _Session) -> str | None:
        """What people have to know of the pair that is to replace this one."""
        try:
            pair = self._staged_pair(app_id, consumer, session)
        except EcapipeError as error:
            # The secret is there all the same, so that a sentence does.
            reason = error.problem.message
            return f"ecapipe could not check whether a second key and secret of {app.name} are staged: {reason}"
        if pair is None:
            return None
        until = ""
        if pair.until:
            until = f" until {pair.until[:10]}"
        return (
            f"A second key and secret are staged for {app.name} in {session.org.host}{until}. Retrieve again after "
            "they are rotated in."
        )

    def _staged_pair(self, app_id: str, consumer: Consumer, session: _Session) -> StagedPair | None:
        request = credentials_api.staging(session.org, session.bearer, app_id, consumer)
        return credentials_api.staged(session.send(request), session.org, session.bearer)

    def _session(self, login: SfLogin) -> _Session:
        if login.username not in self._sessions:
            # Before the token is asked for: it goes nowhere else.
            selection.choose(login.instance_url, {}, self._allowed)
            bearer, instance_url = self._access.sf.access_token(login.username)
            # Once more, for a refresh can bring another address.
            org = selection.choose(instance_url, {}, self._allowed)
            self._sessions[login.username] = _Session(org, bearer, self._access.send)
        return self._sessions[login.username]

    def _app_ids_of(self, username: str, session: _Session) -> dict[str, str]:
        """The ids of the apps that the org lists, by their names; read once for each login."""
        if username not in self._app_ids:
            self._app_ids[username] = dict(self._list_apps(session))
        return self._app_ids[username]

    def _list_apps(self, session: _Session) -> Iterator[tuple[str, str]]:
        org, bearer = session.org, session.bearer
        for number in range(MAX_PAGES):
            page = credentials_api.listed(session.send(credentials_api.usage(org, bearer, number)), org, bearer)
            yield from page.ids.items()
            # Orgs send the address of a next page on the last one, too; it leads to an empty page.
            if page.last or not page.ids:
                return

    def _consumer_of(
        self, key: str, app: App, app_id: str, consumers: Sequence[Consumer], session: _Session
    ) -> Consumer:
        for consumer in consumers:
            if consumer.key == key:
                return consumer
        host = session.org.host
        # The key may be one that is staged, and not yet in use.
        for consumer in consumers[:MAX_SLOTS]:
            pair = self._staged_pair(app_id, consumer, session)
            if pair and pair.key == key:
                raise session.error(rest_pair_staged(app.name, host, mask(key)))
        raise session.error(rest_consumer_unknown(app.name, host, mask(key), _mask_keys(consumers[:MAX_SLOTS])))


def list_consumers(org: Org, bearer: Secret, app_id: str, send: Send) -> list[Consumer]:
    """The consumers of an app, from all pages. Raises `EcapipeError` as `credentials_api.known`."""
    consumers: list[Consumer] = []
    page = None
    for _ in range(MAX_PAGES):
        known = credentials_api.known(send(credentials_api.consumers(org, bearer, app_id, page)), org, bearer)
        consumers += known.consumers
        page = known.next
        if page is None or not known.consumers or len(consumers) >= _MAX_CONSUMERS:
            break
    return consumers[:_MAX_CONSUMERS]


def _only_consumer(app: App, consumers: Sequence[Consumer], session: _Session) -> Consumer:
    """The consumer of an app whose key is not known: with several, nothing says which of them is meant."""
    if len(consumers) != 1:
        raise session.error(rest_consumers_several(app.name, session.org.host, _mask_keys(consumers)))
    return consumers[0]


def _mask_keys(consumers: Sequence[Consumer]) -> list[str]:
    return [mask(consumer.key) for consumer in consumers]


def _login_missing(app: App, org: Org | None) -> Problem:
    """The problem of an app that no login leads to."""
    if app.link_org:
        return rest_login_missing(app.name, f"org {app.link_org}", None)
    if org:
        return rest_login_missing(app.name, org.name, org.url)
    return rest_login_missing(app.name, "its source org", None)
