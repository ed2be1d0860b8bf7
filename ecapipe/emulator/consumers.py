"""The part of the REST API that lists apps, and discloses and rotates their keys and secrets for those who may."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from ecapipe.emulator.org import EmulatedConsumer, EmulatedOrg, EmulatedUser, Staged, full_id, timestamp
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.wire import Call, Parameters, RestError
from ecapipe.secret import Secret

# API versions in which the resources appeared.
_SINCE_USAGE: Final = 59
_SINCE_CREDENTIALS: Final = 60
_SINCE_STAGED: Final = 65

_PAGE_SIZE: Final = 100
_LARGEST_PAGE: Final = 200

Members = dict[str, object]
T = TypeVar("T")


def answer(
    org: EmulatedOrg, call: Call, steps: Sequence[str], *, root: str, version: int, user: EmulatedUser
) -> Members | None:
    """The body of the response to a request below `root` (``…/apps/oauth``); None for one without."""
    staging = len(steps) > 3 and steps[3] == "staged"
    if call.method != "GET" and not staging:
        raise _not_allowed(call)
    match steps:
        case ["usage"] if version >= _SINCE_USAGE:
            return _usage(org, f"{root}/usage", call.query)
        case ["credentials", app_id, *rest] if version >= _SINCE_CREDENTIALS:
            if not org.setup.secrets_by_rest:
                raise RestError(
                    403, "FUNCTIONALITY_NOT_ENABLED", "This feature is not currently enabled for this org."
                )
            if not org.setup.may_view_secrets:
                raise RestError(403, "INSUFFICIENT_ACCESS", "This feature is not enabled for this user.")
            url = f"{root}/credentials/{app_id}"
            app = next((app for id, app in with_ids(org) if _same(id, app_id)), None)
            if app is None:
                raise _missing()
            if staging and version >= _SINCE_STAGED:
                consumer = _find(org, app, rest[0])
                return _staging(org, call, consumer, rest[2:], url=f"{url}/{consumer.id}/staged", user=user)
            return _credentials(org, url, app, rest, version=version, query=call.query)
        case _:
            raise _missing()


def _usage(org: EmulatedOrg, url: str, query: Parameters) -> Members:
    """One page of the apps that have usage data."""
    apps = [(id, app) for id, app in with_ids(org) if org.uses(app)]
    shown, pages = _page(url, query, apps)
    return {
        "apps": [
            {
                "accessTokenFormat": "opaque",
                "availableActions": ["Block"],
                "description": None,
                "developerName": app.name,
                "identifier": id,
                "isFromPackage": app.packaged,
                "usageDetailsUrl": f"{url}/{id}/users",
            }
            for id, app in shown
        ],
        **pages,
    }


def _page(url: str, query: Parameters, items: Sequence[T]) -> tuple[Sequence[T], Members]:
    """The items of the page that is asked for, and the addresses of this page and the next."""
    page, size = _number(query, "page", 0), _number(query, "pageSize", _PAGE_SIZE)
    if not 1 <= size <= _LARGEST_PAGE:
        raise _out_of_range("pageSize")
    end = (page + 1) * size

    def page_url(number: int) -> str:
        return f"{url}?page={number}&pageSize={size}"

    addresses: Members = {
        "currentPageUrl": page_url(page),
        "nextPageUrl": page_url(page + 1) if end < len(items) else None,
    }
    return items[page * size : end], addresses


def _credentials(
    org: EmulatedOrg, url: str, app: RegisteredApp, steps: Sequence[str], *, version: int, query: Parameters
) -> Members:
    """A page of the consumers of an app, or one of them."""
    match steps:
        case []:
            shown, addresses = _page(url, query, org.consumers(app))
            return {"consumers": [_consumer(each, url, version) for each in shown], **addresses}
        case [consumer_id]:
            consumer = _find(org, app, consumer_id)
            return _consumer(consumer, url, version) | _part(query, consumer.app.consumer_secret)
        case _:
            raise _missing()


def _find(org: EmulatedOrg, app: RegisteredApp, consumer_id: str) -> EmulatedConsumer:
    for consumer in org.consumers(app):
        if _same(consumer.id, consumer_id):
            return consumer
    raise _missing()


def _consumer(consumer: EmulatedConsumer, url: str, version: int) -> Members:
    own, app = f"{url}/{consumer.id}", consumer.app
    members: Members = {"id": consumer.id, "key": app.consumer_key, "name": app.name, "url": own}
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


def _staging(
    org: EmulatedOrg, call: Call, consumer: EmulatedConsumer, steps: Sequence[str], *, url: str, user: EmulatedUser
) -> Members | None:
    """The slot of a consumer, which holds one pair at most: read, filled, rotated in, emptied."""
    slot = org.slot(consumer)
    match call.method, steps:
        case "GET", []:
            return {"stagedCredentials": [_staged(slot, url)] if slot else [], "url": url}
        case "POST", []:
            if consumer.app.packaged:
                raise RestError(403, "INVALID_OPERATION", "Credentials of a packaged app can't be staged.")
            staged = org.stage(consumer, user)
            if staged is None:
                raise RestError(400, "INVALID_OPERATION", "Staged credentials already exist for this consumer.")
            return _staged(staged, url)
        case (("GET" | "PATCH" | "DELETE"), [id]) if slot is None or not _same(slot.id, id):
            raise _missing()
        case "GET", [_]:
            return _staged(slot, url) if slot else None
        case "PATCH", [_]:
            if _command(call) != "rotate":
                raise RestError(400, "JSON_PARSER_ERROR", "The value of command is not valid.")
            rotated = org.rotate(consumer)
            if rotated is None:
                raise RestError(400, "INVALID_OPERATION", "These credentials are already rotated.")
            return _staged(rotated, url)
        case "DELETE", [_]:
            consumer.slot = None
            return None
        case _, ([] | [_]):
            raise _not_allowed(call)
        case _:
            raise _missing()


def _command(call: Call) -> object:
    try:
        body = json.loads(call.body)
    except (ValueError, RecursionError):
        body = None
    return body.get("command") if isinstance(body, dict) else None


def _staged(staged: Staged, url: str) -> Members:
    secret = staged.app.consumer_secret
    return {
        "id": staged.id,
        "key": staged.app.consumer_key,
        "secret": secret.reveal() if secret else None,
        "state": staged.state,
        "createdBy": staged.created_by,
        "createdDate": timestamp(staged.created),
        "expirationDate": timestamp(staged.ends),
        "stagedCredentialsUrl": url,
        "url": f"{url}/{staged.id}",
    }


def with_ids(org: EmulatedOrg) -> Iterator[tuple[str, RegisteredApp]]:
    """The apps of the org, each with the id that the REST API has for it."""
    for number, app in enumerate(org.apps, 1):
        yield full_id(f"0xI{number:012}"), app


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


def _not_allowed(call: Call) -> RestError:
    return RestError(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{call.method}' not allowed")


def _out_of_range(name: str) -> RestError:
    return RestError(400, "ILLEGAL_QUERY_PARAMETER_VALUE", f"The value of {name} is out of range.")
