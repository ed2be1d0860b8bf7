"""The missing secret, from the org that has it: through a login that the Salesforce CLI keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from ecapipe.credentials.sources import FetchedPair
from ecapipe.exchange.ports import CredentialsAccess
from ecapipe.oauth import credentials_api
from ecapipe.oauth.credentials_api import Consumer
from ecapipe.orgs import selection
from ecapipe.orgs.org import Org, same_id
from ecapipe.orgs.salesforce_cli import SfLogin
from ecapipe.problems.credentials import (
    rest_app_not_listed,
    rest_consumer_unknown,
    rest_consumers_several,
    rest_login_missing,
    rest_pair_staged,
    rest_secret_withheld,
)
from ecapipe.problems.problem import EcapipeError
from ecapipe.project.apps import App
from ecapipe.secret import Secret, mask

_MOST_PAGES: Final = 50
"""Pages of apps that are read: 5,000 apps."""
_ELSEWHERE: Final = frozenset({"RestAppNotListed", "RestConsumerUnknown"})
"""What another org may know better."""


class CredentialsLookup:
    """Asks once for each app and key; see `ecapipe.credentials.sources.FetchPair`. `allowed` are hosts accepted
    besides
    Salesforce's.

    Raises `EcapipeError`: what keeps the Salesforce CLI from giving an access token, RefusedHost, RestLoginMissing,
    RestAppNotListed, RestConsumerUnknown, RestConsumersSeveral, RestSecretWithheld, RestPairStaged, and as the
    readings of `ecapipe.oauth.credentials_api`.
    """

    def __init__(self, allowed: Sequence[str], world: CredentialsAccess) -> None:
        self._allowed, self._world = allowed, world
        self._told: dict[tuple[str, str, str | None], FetchedPair | EcapipeError] = {}
        self._sessions: dict[str, tuple[Org, Secret]] = {}
        self._apps: dict[str, dict[str, str]] = {}

    def __call__(self, app: App, org: Org | None, key: str | None) -> FetchedPair:
        failed: EcapipeError | None = None
        for login in self._logins(app, org):
            asked = login.username, app.name, key
            if asked not in self._told:
                try:
                    self._told[asked] = self._ask(app, login, key)
                except EcapipeError as error:
                    self._told[asked] = error
            told = self._told[asked]
            if isinstance(told, FetchedPair):
                return told
            failed = failed or EcapipeError(told.problem)
            if told.problem.name not in _ELSEWHERE:
                break
        if failed is None:
            where = f"org {app.link_org}" if app.link_org else org.name if org else "its source org"
            url = org.url if org and not app.link_org else None
            raise EcapipeError(rest_login_missing(app.name, where, url))
        raise failed

    def _logins(self, app: App, org: Org | None) -> list[SfLogin]:
        """The logins to orgs that may have the app's consumer: the one that the link names; without a link, where the
        app was made, and the target itself."""
        logins = self._world.sf.logins()
        if source := app.link_org:
            return [login for login in logins if same_id(login.org_id, source)][:1]
        scoped = app.scoped_org
        made_in = [login for login in logins if scoped and same_id(login.org_id, scoped)]
        target = [login for login in logins if org and _is(login, org)]
        return list({login.org_id: login for login in (*made_in[:1], *target[:1])}.values())

    def _ask(self, app: App, login: SfLogin, key: str | None) -> FetchedPair:
        org, bearer = self._session(login)
        send = self._world.send
        app_id = self._listed(login.username, org, bearer).get(app.name)
        if app_id is None:
            raise EcapipeError(replace(rest_app_not_listed(app.name, org.host), host=org.host))
        found = credentials_api.known(send(credentials_api.consumers(org, bearer, app_id)), org, bearer)
        consumer = self._chosen(app, found, key, org, bearer, app_id)
        secret = credentials_api.secret(
            send(credentials_api.pair(org, bearer, app_id, consumer)), org, bearer, consumer
        )
        if secret is None:
            problem = rest_secret_withheld(app.name, org.host, credentials_api.PERMISSIONS)
            raise EcapipeError(replace(problem, host=org.host))
        return FetchedPair(consumer.key, secret, self._notice(app, org, bearer, app_id, consumer))

    def _notice(self, app: App, org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> str | None:
        """What people have to know of the pair that is to take this one's place."""
        request = credentials_api.staging(org, bearer, app_id, consumer)
        try:
            waiting = credentials_api.staged(self._world.send(request), org, bearer)
        except EcapipeError as error:
            return (
                f"Whether a second key and secret of {app.name} are staged could not be told: {error.problem.message}"
            )
        if waiting is None:
            return None
        until = f" until {waiting.until[:10]}" if waiting.until else ""
        return (
            f"A second key and secret are staged for {app.name} in {org.host}{until}: once they are rotated in, "
            "retrieve again."
        )

    def _session(self, login: SfLogin) -> tuple[Org, Secret]:
        if login.username not in self._sessions:
            # Before the token is asked for: it goes nowhere else.
            selection.choose(login.instance_url, {}, self._allowed)
            bearer, instance_url = self._world.sf.access_token(login.username)
            self._sessions[login.username] = selection.choose(instance_url, {}, self._allowed), bearer
        return self._sessions[login.username]

    def _listed(self, username: str, org: Org, bearer: Secret) -> dict[str, str]:
        if username not in self._apps:
            self._apps[username] = dict(self._pages(org, bearer))
        return self._apps[username]

    def _pages(self, org: Org, bearer: Secret) -> Iterator[tuple[str, str]]:
        for number in range(_MOST_PAGES):
            page = credentials_api.listed(self._world.send(credentials_api.usage(org, bearer, number)), org, bearer)
            yield from page.ids.items()
            if page.last or not page.ids:
                return

    def _chosen(
        self, app: App, found: Sequence[Consumer], key: str | None, org: Org, bearer: Secret, app_id: str
    ) -> Consumer:
        """The consumer of the key; without a key, the only one."""
        keys = [mask(each.key) for each in found]
        if key is None:
            if len(found) == 1:
                return found[0]
            raise EcapipeError(replace(rest_consumers_several(app.name, org.host, keys), host=org.host))
        consumer = next((each for each in found if each.key == key), None)
        if consumer is not None:
            return consumer
        for each in found:
            waiting = credentials_api.staged(
                self._world.send(credentials_api.staging(org, bearer, app_id, each)), org, bearer
            )
            if waiting and waiting.key == key:
                raise EcapipeError(replace(rest_pair_staged(app.name, org.host, mask(key)), host=org.host))
        problem = rest_consumer_unknown(app.name, org.host, mask(key), keys)
        raise EcapipeError(replace(problem, host=org.host))


def _is(login: SfLogin, org: Org) -> bool:
    """Whether a login is to the target org: by id, by name, or by address."""
    if org.org_id:
        return same_id(login.org_id, org.org_id)
    return org.alias in login.aliases or login.instance_url.lower() == org.url
