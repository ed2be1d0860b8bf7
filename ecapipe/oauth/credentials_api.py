"""Keys and secrets as an org's REST API tells them to those who may see them: requests out, consumers back.

Connect REST API, resources ``/apps/oauth/usage`` and ``/apps/oauth/credentials``.
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
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import rest_permission_missing, rest_refused, rest_session_refused, rest_switch_off
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.secret import Secret, redact

VERSION: Final = "65.0"
"""The first API version with staged credentials; every org has a later one."""
PAGE_SIZE: Final = 100

_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9:.]{1,15}(?:Z|[+-][0-9:]{4,5}))?")

SWITCH: Final = "Allow access to External Client App consumer secrets via REST API"
PERMISSIONS: Final = ("External Client App Developer", "View Client Secret")


@dataclass(frozen=True, slots=True)
class UsagePage:
    """A page of the apps that the org has usage data of: their ids by developer name."""

    ids: Mapping[str, str]
    last: bool


@dataclass(frozen=True, slots=True)
class Consumer:
    """A key of an app; its secret is told only when it is asked for by itself."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class StagedPair:
    """A pair that waits to take the place of a consumer's; `stages_until` is when it would expire, in ISO 8601."""

    key: str
    until: str


def usage(org: Org, bearer: Secret, page: int) -> Request:
    """The request for a page of apps; pages count from 0."""
    query = urlencode({"page": page, "pageSize": PAGE_SIZE})
    return Request(f"{_root(org)}/usage?{query}", bearer=bearer)


def listed(answer: Response, org: Org, bearer: Secret) -> UsagePage:
    """The apps of a page. Raises `EcapipeError` (as every reading here: RestSwitchOff, RestPermissionMissing,
    RestSessionRefused, RestRefused, or as `messages.members`)."""
    members = _members(answer, org, bearer)
    ids = {}
    for each in _objects(members, "apps"):
        name, id = each.get("developerName"), each.get("identifier")
        if isinstance(name, str) and isinstance(id, str) and _ID.fullmatch(id):
            ids[name] = id
    return UsagePage(ids, not members.get("nextPageUrl"))


def consumers(org: Org, bearer: Secret, app_id: str) -> Request:
    return Request(f"{_root(org)}/credentials/{app_id}", bearer=bearer)


def known(answer: Response, org: Org, bearer: Secret) -> tuple[Consumer, ...]:
    """The consumers of an app."""
    found = []
    for each in _objects(_members(answer, org, bearer), "consumers"):
        id, key = each.get("id"), each.get("key")
        if isinstance(id, str) and isinstance(key, str) and _ID.fullmatch(id) and key:
            found.append(Consumer(id, key))
    return tuple(found)


def pair(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    return Request(f"{_root(org)}/credentials/{app_id}/{consumer.id}?part=keyandsecret", bearer=bearer)


def secret(answer: Response, org: Org, bearer: Secret, consumer: Consumer) -> Secret | None:
    """The secret of a consumer; None if the org leaves it out. Raises UnexpectedAnswer for another consumer's."""
    members = _members(answer, org, bearer)
    if members.get("key") != consumer.key:
        raise messages.unexpected(answer, org.host, "it is about another consumer key")
    value = members.get("secret")
    return Secret(value) if isinstance(value, str) and value.isprintable() and value.strip() else None


def staging(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    return Request(f"{_root(org)}/credentials/{app_id}/{consumer.id}/staged", bearer=bearer)


def staged(answer: Response, org: Org, bearer: Secret) -> StagedPair | None:
    """The pair that waits, if one does; rotated and expired ones are past."""
    for each in _objects(_members(answer, org, bearer), "stagedCredentials"):
        key, until = each.get("key"), each.get("expirationDate")
        if each.get("state") == "Active" and isinstance(key, str) and key:
            return StagedPair(key, until if isinstance(until, str) and _TIME.fullmatch(until) else "")
    return None


def _root(org: Org) -> str:
    return f"{org.url}/services/data/v{VERSION}/apps/oauth"


def _members(answer: Response, org: Org, bearer: Secret) -> messages.Members:
    if answer.status == 401:
        raise _at(rest_session_refused(org.host), answer, org)
    if 400 <= answer.status < 500 and answer.status != 429:
        code, message = _error(answer, bearer)
        raise _at(_refused(code, message, org.host), answer, org)
    return messages.members(answer, org.host, bearer)


def _error(answer: Response, bearer: Secret) -> tuple[str, str]:
    """Code and message of the first error of a REST answer."""
    try:
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        parsed = None
    first = parsed[0] if isinstance(parsed, list) and parsed else parsed
    if not isinstance(first, dict):
        return "", ""
    texts = (first.get(name) for name in ("errorCode", "message"))
    code, message = (redact(" ".join(text.split())[:300], bearer) if isinstance(text, str) else "" for text in texts)
    return code, message


def _refused(code: str, message: str, host: str) -> Problem:
    said = message.lower()
    if "for this user" in said or code in ("INSUFFICIENT_ACCESS", "INSUFFICIENT_ACCESS_OR_READONLY"):
        return rest_permission_missing(host, PERMISSIONS)
    if "not currently enabled" in said or "feature is not enabled" in said or code == "FUNCTIONALITY_NOT_ENABLED":
        return rest_switch_off(host, SWITCH)
    return rest_refused(host, ": ".join(part for part in (code, message) if part) or "no reason given")


def _at(problem: Problem, answer: Response, org: Org) -> EcapipeError:
    return EcapipeError(replace(problem, host=org.host, http_status=answer.status))


def _objects(members: messages.Members, name: str) -> list[messages.Members]:
    found = members.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
