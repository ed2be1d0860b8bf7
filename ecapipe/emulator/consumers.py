"""The part of the REST API that knows which apps there are, and tells their keys and secrets to those who may."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from ecapipe.emulator.org import EmulatedOrg, EmulatedPair, RegisteredApp, full_id
from ecapipe.emulator.wire import Parameters, RestError
from ecapipe.secret import Secret

_SINCE_USAGE: Final = 59
_SINCE_CREDENTIALS: Final = 60
_SINCE_STAGED: Final = 65

_PAGE_SIZE: Final = 100
_LARGEST_PAGE: Final = 200

Members = dict[str, object]


def answer(org: EmulatedOrg, version: int, root: str, steps: Sequence[str], query: Parameters) -> Members:
    """What a request below `root` (``…/apps/oauth``) is told."""
    match steps:
        case ["usage"] if version >= _SINCE_USAGE:
            return _usage(org, f"{root}/usage", query)
        case ["credentials", app_id, *rest] if version >= _SINCE_CREDENTIALS:
            return _credentials(org, version, f"{root}/credentials/{app_id}", app_id, rest, query)
        case _:
            raise _missing()


def _usage(org: EmulatedOrg, url: str, query: Parameters) -> Members:
    """One page of the apps that have usage data."""
    page, size = _number(query, "page", 0), _number(query, "pageSize", _PAGE_SIZE)
    if not 1 <= size <= _LARGEST_PAGE:
        raise _out_of_range("pageSize")
    found = [(id, app) for id, app in _identified(org) if org.uses(app)]
    after = (page + 1) * size

    def at(number: int) -> str:
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
            for id, app in found[page * size : after]
        ],
        "currentPageUrl": at(page),
        "nextPageUrl": at(page + 1) if after < len(found) else None,
    }


def _credentials(
    org: EmulatedOrg, version: int, url: str, app_id: str, steps: Sequence[str], query: Parameters
) -> Members:
    if not org.setup.secrets_by_rest:
        raise RestError(403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not currently enabled for this org.")
    if not org.setup.may_view_secrets:
        raise RestError(403, "INSUFFICIENT_ACCESS", "This feature is not enabled for this user.")
    app = next((app for id, app in _identified(org) if _same(id, app_id)), None)
    if app is None:
        raise _missing()
    consumers = {id: _consumer(version, url, id, app, key) for id, key, _ in _pairs(org, app)}
    if not steps:
        return {"consumers": list(consumers.values()), "currentPageUrl": url}
    for id, key, secret in _pairs(org, app):
        if _same(id, steps[0]):
            match steps[1:]:
                case []:
                    return consumers[id] | _part(query, secret)
                case ["staged"] if version >= _SINCE_STAGED:
                    return _staged(f"{url}/{id}/staged", app, key)
                case _:
                    break
    raise _missing()


def _consumer(version: int, url: str, id: str, app: RegisteredApp, key: str) -> Members:
    members: Members = {"id": id, "key": key, "name": app.name, "url": f"{url}/{id}"}
    return members | ({"stagedCredentialsUrl": f"{url}/{id}/staged"} if version >= _SINCE_STAGED else {})


def _part(query: Parameters, secret: Secret | None) -> Members:
    """What is asked for beside the key: nothing, unless it is the secret."""
    match (query.get("part") or "key").lower():
        case "key":
            return {}
        case "secret" | "keyandsecret":
            return {"secret": secret.reveal() if secret else None}
        case _:
            raise _out_of_range("part")


def _staged(url: str, app: RegisteredApp, key: str) -> Members:
    """The pair that waits for a rotation: of the app's first consumer."""
    staged = app.staged if key == app.consumer_key else None
    return {"stagedCredentials": [] if staged is None else [_waiting(url, staged)], "url": url}


def _waiting(url: str, pair: EmulatedPair) -> Members:
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


def _identified(org: EmulatedOrg) -> Iterator[tuple[str, RegisteredApp]]:
    for number, app in enumerate(org.apps, 1):
        yield full_id(f"0xI{number:012}"), app


def _pairs(org: EmulatedOrg, app: RegisteredApp) -> Iterator[tuple[str, str, Secret | None]]:
    """Id, key and secret of each consumer."""
    at = org.apps.index(app) + 1
    yield full_id(f"888{at:06}000001"), app.consumer_key, app.consumer_secret
    for number, pair in enumerate(app.more_consumers, 2):
        yield full_id(f"888{at:06}{number:06}"), pair.key, pair.secret


def _same(id: str, asked: str) -> bool:
    """Ids may be asked for in their short form."""
    return asked in (id, id[:15])


def _number(query: Parameters, name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise _out_of_range(name)
    return int(text)


def _missing() -> RestError:
    return RestError(404, "NOT_FOUND", "The requested resource does not exist")


def _out_of_range(name: str) -> RestError:
    return RestError(400, "ILLEGAL_QUERY_PARAMETER_VALUE", f"The value of {name} is out of range.")
