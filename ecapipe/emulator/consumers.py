"""The part of the REST API that lists apps, and discloses their keys and secrets to those who may see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ecapipe.emulator.org import EmulatedOrg, EmulatedPair, RegisteredApp, full_id
from ecapipe.emulator.wire import Parameters, RestError
from ecapipe.secret import Secret

# API versions in which the resources appeared.
_SINCE_USAGE: Final = 59
_SINCE_CREDENTIALS: Final = 60
_SINCE_STAGED: Final = 65

_PAGE_SIZE: Final = 100
_LARGEST_PAGE: Final = 200

Members = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Consumer:
    """A consumer of an app, with the id that the REST API has for it."""

    id: str
    key: str
    secret: Secret | None


def answer(org: EmulatedOrg, version: int, root: str, steps: Sequence[str], query: Parameters) -> Members:
    """The body of the response to a request below `root` (``…/apps/oauth``)."""
    match steps:
        case ["usage"] if version >= _SINCE_USAGE:
            return _usage(org, f"{root}/usage", query)
        case ["credentials", app_id, *rest] if version >= _SINCE_CREDENTIALS:
            if not org.setup.secrets_by_rest:
                raise RestError(
                    403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not currently enabled for this org."
                )
            if not org.setup.may_view_secrets:
                raise RestError(403, "INSUFFICIENT_ACCESS", "This feature is not enabled for this user.")
            return _credentials(org, f"{root}/credentials/{app_id}", app_id, rest, version=version, query=query)
        case _:
            raise _missing()


def _usage(org: EmulatedOrg, url: str, query: Parameters) -> Members:
    """One page of the apps that have usage data."""
    page, size = _number(query, "page", 0), _number(query, "pageSize", _PAGE_SIZE)
    if not 1 <= size <= _LARGEST_PAGE:
        raise _out_of_range("pageSize")
    apps = [(id, app) for id, app in _with_ids(org) if org.uses(app)]
    end = (page + 1) * size

    def page_url(number: int) -> str:
        return f"{url}?page={number}&pageSize={size}"

    return {
        "apps": [
            {
                "accessTokenFormat": "opaque",
                "availableActions": ["Block"],
                "description": None,
                "developerName": app.name,
                "identifier": id,
                "isFromPackage": False,
                "usageDetailsUrl": f"{url}/{id}/users",
            }
            for id, app in apps[page * size : end]
        ],
        "currentPageUrl": page_url(page),
        "nextPageUrl": page_url(page + 1) if end < len(apps) else None,
    }


def _credentials(
    org: EmulatedOrg, url: str, app_id: str, steps: Sequence[str], *, version: int, query: Parameters
) -> Members:
    """All consumers of an app, one of them, or the staged pair of one."""
    app = next((app for id, app in _with_ids(org) if _same(id, app_id)), None)
    if app is None:
        raise _missing()
    consumers = _consumers(org, app)
    if not steps:
        members = [_consumer(consumer, url, app, version) for consumer in consumers]
        return {"consumers": members, "currentPageUrl": url}
    consumer = next((consumer for consumer in consumers if _same(consumer.id, steps[0])), None)
    match consumer, steps[1:]:
        case _Consumer(), []:
            return _consumer(consumer, url, app, version) | _part(query, consumer.secret)
        case _Consumer(), ["staged"] if version >= _SINCE_STAGED:
            return _staged(f"{url}/{consumer.id}/staged", app, consumer.key)
        case _:
            raise _missing()


def _consumer(consumer: _Consumer, url: str, app: RegisteredApp, version: int) -> Members:
    own = f"{url}/{consumer.id}"
    members: Members = {"id": consumer.id, "key": consumer.key, "name": app.name, "url": own}
    if version >= _SINCE_STAGED:
        members["stagedCredentialsUrl"] = f"{own}/staged"
    return members


def _part(query: Parameters, secret: Secret | None) -> Members:
    """What the response has beside the key: nothing, unless the secret is requested."""
    match (query.get("part") or "key").lower():
        case "key":
            return {}
        case "secret" | "keyandsecret":
            return {"secret": secret.reveal() if secret else None}
        case _:
            raise _out_of_range("part")


def _staged(url: str, app: RegisteredApp, key: str) -> Members:
    """The pair that waits for a rotation, as only the app's first consumer has one."""
    if app.staged is None or key != app.consumer_key:
        return {"stagedCredentials": [], "url": url}
    return {"stagedCredentials": [_staged_pair(url, app.staged)], "url": url}


def _staged_pair(url: str, pair: EmulatedPair) -> Members:
    id = full_id("1SC000000000001")
    return {
        "id": id,
        "key": pair.key,
        "secret": pair.secret.reveal(),
        "state": "Active",
        "createdDate": "2026-01-05T09:00:00.000Z",
        "expirationDate": "2026-02-04T09:00:00.000Z",
        "stagedCredentialsUrl": url,
        "url": f"{url}/{id}",
    }


def _with_ids(org: EmulatedOrg) -> Iterator[tuple[str, RegisteredApp]]:
    for number, app in enumerate(org.apps, 1):
        yield full_id(f"0xI{number:012}"), app


def _consumers(org: EmulatedOrg, app: RegisteredApp) -> list[_Consumer]:
    position = org.apps.index(app) + 1
    pairs = [(app.consumer_key, app.consumer_secret), *((pair.key, pair.secret) for pair in app.more_consumers)]
    return [
        _Consumer(full_id(f"888{position:06}{number:06}"), key, secret)
        for number, (key, secret) in enumerate(pairs, 1)
    ]


def _same(id: str, requested: str) -> bool:
    """Whether an id is the requested one, which may be in the short form of 15 characters."""
    return requested in (id, id[:15])


def _number(query: Parameters, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    # isdigit alone takes superscripts, too; and longer numbers than any page need no arithmetic.
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _out_of_range(name)
    return int(text)


def _missing() -> RestError:
    return RestError(404, "NOT_FOUND", "The requested resource does not exist")


def _out_of_range(name: str) -> RestError:
    return RestError(400, "ILLEGAL_QUERY_PARAMETER_VALUE", f"The value of {name} is out of range.")
