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
from ecapipe.orgs.org import Org
from ecapipe.problems.credentials import rest_permission_missing, rest_refused, rest_session_refused, rest_switch_off
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.secret import Secret, redact

VERSION: Final = "65.0"
"""The first API version with staged credentials; every org has a later one."""
_ROOT: Final = f"/services/data/v{VERSION}/apps/oauth"
PAGE_SIZE: Final = 100

_ID: Final = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_KEY: Final = re.compile(r"[\w.-]{1,512}", re.ASCII)
_NAME: Final = re.compile(r"\w{1,255}", re.ASCII)
_SECRET: Final = re.compile(r"[!-~]{1,512}")
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
    """A key of an app; the org gives the secret only in a response of its own, see `pair`."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class StagedPair:
    """A key, with a secret, that is to replace a consumer's; `until` is when it expires, in ISO 8601, or empty."""

    key: str
    until: str


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
    ids = {}
    for each in _objects(members, "apps"):
        name, app_id = (_text(response, org, each, *form) for form in (("developerName", _NAME), ("identifier", _ID)))
        if name and app_id:
            ids[name] = app_id
    return UsagePage(ids, not members.get("nextPageUrl"))


def consumers(org: Org, bearer: Secret, app_id: str) -> Request:
    """The request for the consumers of an app."""
    return Request(org.address, f"{_ROOT}/credentials/{app_id}", bearer=bearer)


def known(response: Response, org: Org, bearer: Secret) -> tuple[Consumer, ...]:
    """The consumers of an app."""
    result = []
    for each in _objects(_members(response, org, bearer), "consumers"):
        consumer_id, key = (_text(response, org, each, *form) for form in (("id", _ID), ("key", _KEY)))
        if consumer_id and key:
            result.append(Consumer(consumer_id, key))
    return tuple(result)


def pair(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    """The request for key and secret of a consumer."""
    return Request(org.address, f"{_ROOT}/credentials/{app_id}/{consumer.id}?part=keyandsecret", bearer=bearer)


def secret(response: Response, org: Org, bearer: Secret, consumer: Consumer) -> Secret | None:
    """The secret of a consumer; None if the org leaves it out. Raises UnexpectedAnswer for another consumer's."""
    members = _members(response, org, bearer)
    if members.get("key") != consumer.key:
        raise messages.unexpected(response, org.host, "it is for another consumer key")
    value = _text(response, org, members, "secret", _SECRET)
    return Secret(value) if value else None


def staging(org: Org, bearer: Secret, app_id: str, consumer: Consumer) -> Request:
    """The request for the pairs that are to replace a consumer's."""
    return Request(org.address, f"{_ROOT}/credentials/{app_id}/{consumer.id}/staged", bearer=bearer)


def staged(response: Response, org: Org, bearer: Secret) -> StagedPair | None:
    """The pair that is to replace the consumer's, if there is one; those rotated in or expired do not count."""
    for each in _objects(_members(response, org, bearer), "stagedCredentials"):
        if each.get("state") != "Active":
            continue
        key, until = (_text(response, org, each, *form) for form in (("key", _KEY), ("expirationDate", _TIME)))
        if key:
            return StagedPair(key, until)
    return None


def _members(response: Response, org: Org, bearer: Secret) -> messages.Members:
    # REST errors have a form of their own, which `messages.members` does not know.
    if response.status == 401:
        raise _at(rest_session_refused(org.host), response, org)
    if 400 <= response.status < 500 and response.status != 429:
        code, message = _error(response, bearer)
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
    return _error_text(parsed.get("errorCode"), bearer), _error_text(parsed.get("message"), bearer)


def _error_text(value: object, bearer: Secret) -> str:
    """A text of the org on one line, cut off before it could fill a terminal; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return redact(" ".join(value.split())[:300], bearer).rstrip(". ")


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
