"""Keys and secrets from an org's REST API, for users who may see them: the requests, and what their responses hold.

Source: Connect REST API, resources ``/apps/oauth/usage`` and ``/apps/oauth/credentials``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlencode

from ecapipe.oauth import messages
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.refusals import RESOURCE_CODES, refusal, words_of_org
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import rest_permission_missing, rest_refused, rest_session_refused, rest_switch_off
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.secret import Secret, withhold

VERSION: Final = "65.0"
"""The first API version with staged credentials; every org has a later one."""
_DATA: Final = f"/services/data/v{VERSION}"
_ROOT: Final = f"{_DATA}/apps/oauth"
PAGE_SIZE: Final = 100

_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_KEY: Final = re.compile(r"[\w.-]{1,512}", re.ASCII)
_NAME: Final = re.compile(r"\w{1,255}", re.ASCII)
_PAGE: Final = re.compile(r"[\w=&.%-]{1,200}", re.ASCII)
_VERSION: Final = re.compile(r"[0-9]{1,3}\.0")
_SECRET: Final = re.compile(r"[!-~]{1,512}")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{1,15}(?:Z|[+-][0-9:]{4,5}))?")

SWITCH: Final = "Allow access to External Client App consumer secrets via REST API"
PERMISSIONS: Final = ("External Client App Developer", "View Client Secret")


@dataclass(frozen=True, slots=True)
class UsagePage:
    """A page of the apps that the org has usage data of: their ids by developer name, and who came with a package."""

    ids: Mapping[str, str]
    last: bool
    packaged: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Consumer:
    """A key of an app; the org gives the secret only in a response of its own, see `pair`."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class ConsumersPage:
    """A page of the consumers of an app, and the query of the next one."""

    consumers: tuple[Consumer, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class StagedPair:
    """A key, with a secret, in the slot of a consumer: it is to replace the one in force (Active), or was replaced by
    it (Rotated). Times are ISO 8601; what the org does not say is empty."""

    key: str
    until: str
    id: str = ""
    state: str = "Active"
    created: str = ""
    created_by: str = ""
    secret: Secret | None = None


def usage(org: Org, bearer: Secret, page: int) -> Request:
    """The request for a page of apps; pages count from 0."""
    query = urlencode({"page": page, "pageSize": PAGE_SIZE})
    return Request(org.address, f"{_ROOT}/usage?{query}", bearer=bearer)


def listed(response: Response, org: Org, bearer: Secret) -> UsagePage:
    """The apps of a page.

    Raises `EcapipeError`, as all that read a response here: RestSwitchOff, RestPermissionMissing, RestSessionRefused,
    RestRefused, or as `messages.members`.
    """
    members = _members(response, org, bearer)
    ids, packaged = {}, set()
    for each in _objects(members, "apps"):
        name, app_id = (_text(response, org, each, *form) for form in (("developerName", _NAME), ("identifier", _ID)))
        if name and app_id:
            ids[name] = app_id
            if each.get("isFromPackage") is True:
                packaged.add(name)
    return UsagePage(ids, not members.get("nextPageUrl"), frozenset(packaged))


def query(org: Org, bearer: Secret, name: str) -> Request:
    """The request for the id of an app by its developer name: the way to one that has not been used."""
    if not _NAME.fullmatch(name):
        raise ValueError("not a developer name")
    soql = f"SELECT Id FROM ExternalClientApplication WHERE DeveloperName='{name}'"  # noqa: S608 - a word, as proved
    return Request(org.address, f"{_DATA}/query?{urlencode({'q': soql})}", bearer=bearer)


def queried(response: Response, org: Org, bearer: Secret) -> str | None:
    """The id of the app; None if the org has none of the name, or does not know the type."""
    # INVALID_TYPE: the user may not see external client apps, or there are none.
    if response.status == 400:
        return None
    ids = [_text(response, org, each, "Id", _ID) for each in _objects(_members(response, org, bearer), "records")]
    return ids[0] or None if len(ids) == 1 else None


def versions(org: Org) -> Request:
    """The request for the API versions of an org, which needs no login."""
    return Request(org.address, "/services/data")


def newest(response: Response) -> str | None:
    """The newest API version of an org, such as 64.0; None where it does not say."""
    try:
        listed = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    texts = [each.get("version") for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    known = [text for text in texts if isinstance(text, str) and _VERSION.fullmatch(text)]
    return max(known, key=float, default=None)


def consumers(org: Org, bearer: Secret, app_id: str, page: str | None = None) -> Request:
    """The request for the consumers of an app: the first of them, or the `page` that the one before names."""
    query = f"?{page}" if page else ""
    return Request(org.address, f"{_ROOT}/credentials/{app_id}{query}", bearer=bearer)


def known(response: Response, org: Org, bearer: Secret) -> ConsumersPage:
    """The consumers of an app, a page of them."""
    result = []
    members = _members(response, org, bearer)
    for each in _objects(members, "consumers"):
        consumer_id, key = (_text(response, org, each, *form) for form in (("id", _ID), ("key", _KEY)))
        if consumer_id and key:
            result.append(Consumer(consumer_id, key))
    # The address itself is not used: nothing but its query may come from the org.
    page = str(members.get("nextPageUrl") or "").partition("?")[2]
    return ConsumersPage(tuple(result), page if _PAGE.fullmatch(page) else None)


def pair(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    """The request for key and secret of a consumer."""
    return Request(org.address, f"{_ROOT}/credentials/{app_id}/{consumer.id}?part=keyandsecret", bearer=bearer)


def secret(response: Response, org: Org, bearer: Secret, consumer: Consumer) -> Secret | None:
    """The secret of a consumer; None if the org leaves it out. Raises UnexpectedAnswer for another consumer's."""
    members = _members(response, org, bearer)
    if members.get("key") != consumer.key:
        raise messages.unexpected(response, org.host, "it is for another consumer key")
    return _secret(response, org, members)


def staging(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    """The request for the pairs that are to replace a consumer's."""
    return Request(org.address, f"{_ROOT}/credentials/{app_id}/{consumer.id}/staged", bearer=bearer)


def staged(response: Response, org: Org, bearer: Secret) -> StagedPair | None:
    """The pair that is to replace the consumer's, if there is one; those rotated in or expired do not count."""
    return next((pair for pair in slot(response, org, bearer) if pair.state == "Active"), None)


def slot(response: Response, org: Org, bearer: Secret) -> tuple[StagedPair, ...]:
    """What is in the slot of a consumer: one pair at most, as far as is known."""
    # Some orgs say so of an empty slot.
    if response.status == 404:
        return ()
    listed = _objects(_members(response, org, bearer), "stagedCredentials")
    return tuple(found for each in listed if (found := _staged_pair(response, org, each)))


def staged_pair(response: Response, org: Org, bearer: Secret) -> StagedPair | None:
    """The pair that a response about one alone has."""
    return _staged_pair(response, org, _members(response, org, bearer))


def _staged_pair(response: Response, org: Org, members: messages.Members) -> StagedPair | None:
    key = _text(response, org, members, "key", _KEY)
    if not key:
        return None
    return StagedPair(
        key,
        until=_text(response, org, members, "expirationDate", _TIME),
        id=_text(response, org, members, "id", _ID),
        state=_text(response, org, members, "state", _NAME),
        created=_text(response, org, members, "createdDate", _TIME),
        created_by=_creator(members.get("createdBy")),
        secret=_secret(response, org, members),
    )


def _secret(response: Response, org: Org, members: messages.Members) -> Secret | None:
    """A secret, which the org may repeat from now on."""
    value = _text(response, org, members, "secret", _SECRET)
    if not value:
        return None
    withhold(secret := Secret(value))
    return secret


def _creator(value: object) -> str:
    """The id of a user, who may be described by an object; empty for anything else."""
    if isinstance(value, dict):
        value = value.get("id") or value.get("Id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def stage(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    """The request that makes a pair to replace a consumer's. Its body is an empty object: without one it hangs."""
    return replace(staging(org, bearer, app_id, consumer), verb="POST", json="{}")


def promote(org: Org, bearer: Secret, app_id: str, consumer: Consumer, pair: StagedPair) -> Request:
    """The request that puts a staged pair in force; the one before it goes into the slot."""
    return replace(_of_pair(org, bearer, app_id, consumer, pair), verb="PATCH", json='{"command": "rotate"}')


def end(org: Org, bearer: Secret, app_id: str, consumer: Consumer, pair: StagedPair) -> Request:
    """The request that empties the slot of a consumer: the pair in it is good no more."""
    return replace(_of_pair(org, bearer, app_id, consumer, pair), verb="DELETE")


def require_success(response: Response, org: Org, bearer: Secret) -> None:
    """Raises `EcapipeError`, as `listed`, unless the org did what it was asked; what it says beside is not read."""
    if response.status not in (201, 202, 204):
        _members(response, org, bearer)


def _of_pair(org: Org, bearer: Secret, app_id: str, consumer: Consumer, pair: StagedPair) -> Request:
    request = staging(org, bearer, app_id, consumer)
    return replace(request, path=f"{request.path}/{pair.id}")


def _members(response: Response, org: Org, bearer: Secret) -> messages.Members:
    # REST errors have a form of their own, which `messages.members` does not know.
    if response.status == 201:
        response = replace(response, status=200)
    if response.status == 401:
        raise _at(rest_session_refused(org.host), response, org)
    if 400 <= response.status < 500 and response.status != 429:
        code, message = _error(response, bearer)
        if code in RESOURCE_CODES:
            raise refusal(code, message, org.host, response.status, place="rest", app=None)
        raise _at(_problem(code, message, org.host), response, org)
    return messages.members(response, org.host, bearer, place="rest", app=None)


def _error(response: Response, bearer: Secret) -> tuple[str, str]:
    """Code and message of the first error of a REST response, empty if it has none."""
    try:
        parsed = json.loads(response.body)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if not isinstance(parsed, dict):
        return "", ""
    code, message = (words_of_org(parsed.get(name), bearer).rstrip(". ") for name in ("errorCode", "message"))
    return code, message


def _problem(code: str, message: str, host: str) -> Problem:
    # First, for both refusals speak of a feature that is not enabled; the permission's adds "for this user".
    text = message.lower()
    if "for this user" in text or code in ("INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"):
        return rest_permission_missing(host, PERMISSIONS)
    if "not currently enabled" in text or "feature is not enabled" in text or code == "FUNCTIONALITY_NOT_ENABLED":
        return rest_switch_off(host, SWITCH)
    return rest_refused(host, ": ".join(part for part in (code, message) if part) or "no reason given")


def _text(response: Response, org: Org, members: messages.Members, name: str, form: re.Pattern[str]) -> str:
    """A member in its form, empty if it is not there; raises `EcapipeError` (UnexpectedAnswer) for any other.

    Ids become part of the next URL, and sentences show the rest, so that nothing else may stand there.
    """
    value = members.get(name)
    if value is None or value == "":
        return ""
    if not isinstance(value, str) or not form.fullmatch(value):
        raise messages.unexpected(response, org.host, f"its {name} has an invalid format")
    return value


def _at(problem: Problem, response: Response, org: Org) -> EcapipeError:
    return EcapipeError(replace(problem, host=org.host, http_status=response.status))


def _objects(members: messages.Members, name: str) -> list[messages.Members]:
    """The objects of a list; anything else in it is left out."""
    items = members.get(name)
    if not isinstance(items, list):
        return []
    return [each for each in items if isinstance(each, dict)]
