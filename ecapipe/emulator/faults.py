"""Faults, which go wrong on purpose: an org that is slow, cut off, under maintenance, or another one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Final, TypedDict
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ecapipe.emulator import pages

LARGEST: Final = 64 * 1024 * 1024
"""Bytes that ``huge`` can ask for."""

_ORG_ID: Final = re.compile(r"00D\w{15}")
_USER_ID: Final = re.compile(r"005\w{15}")
_OTHER_ORG: Final = "00D999999999999EAA"
_OTHER_USER: Final = "005999999999999AAA"


class ErrorReply(TypedDict):
    """An OAuth error as it is written on a page."""

    error: str
    error_description: str


class Do(TypedDict, total=False):
    """What goes wrong, by the names of a fault file.

    With `status`, `html` or `redirect` the org does not see the request. Everything else is done to its answer, so
    that a code that was redeemed behind a `reset` is used up.
    """

    status: int
    """Answer with this status, and with `body` if there is one; also the status of `html` and `redirect`."""
    body: object
    """Any JSON value."""
    html: bool | ErrorReply
    """A maintenance page (503), or the page on which an org refuses (400)."""
    redirect: str
    """Send the client to this address (302)."""
    wrongOrg: bool
    """Token and UserInfo name another org."""
    wrongUser: bool
    """Token and UserInfo name another user."""
    form: bool
    """Members as a form and not as JSON."""
    huge: int
    """More than this many bytes: spaces follow the body."""
    wrongContentType: str
    retryAfter: int
    """The seconds of a ``Retry-After`` header."""
    delay: float
    """Seconds before the answer begins."""
    drip: float
    """Bytes per second."""
    truncate: int
    """Close the connection after this many bytes of the body."""
    reset: bool
    """Close the connection without an answer."""
    seen: bool
    """With `status`, `html` or `redirect`: the org does what it is asked, and its answer is lost."""
    unseen: bool
    """The org does not see the request, as if it had been lost on the way."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at `path`, in which ``*`` stands for anything, and at `org`, or at every org.

    The first `after` of these requests are answered as usual, the next `times` of them (None: all) are not.
    Raises ValueError for what cannot be meant.
    """

    path: str
    do: Do
    org: str | None = None
    times: int | None = None
    after: int = 0

    def __post_init__(self) -> None:
        members = {"path": self.path, "do": self.do, "org": self.org, "times": self.times, "after": self.after}
        _check({name: value for name, value in members.items() if value is not None}, _FAULT_RULES)
        _check(self.do, _DO_RULES)
        _check_together(self.do)


class Plan:
    """Which request meets which fault: the first that is due. Every fault counts the requests it is about."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = tuple(faults)
        self._counts = [0] * len(self._faults)

    def due(self, org: str, path: str) -> Do:
        """What goes wrong with this request; empty if nothing does."""
        due: list[Do] = []
        # All of them count, also behind the one that is due: `after` and `times` do not depend on other faults.
        for index, fault in enumerate(self._faults):
            if fault.org in (None, org) and fnmatchcase(path, fault.path):
                self._counts[index] += 1
                turn = self._counts[index] - fault.after
                if turn > 0 and (fault.times is None or turn <= fault.times):
                    due.append(fault.do)
        return next(iter(due), Do())


def parse(data: bytes) -> tuple[Fault, ...]:
    """The faults in a fault file, a JSON list; raises ValueError that says which one is wrong, and why."""
    try:
        faults = json.loads(data, object_pairs_hook=_unique, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg}, line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(faults, list):
        raise ValueError("it is not a list of faults")
    return tuple(_fault(number, members) for number, members in enumerate(faults, 1))


def answer(do: Do, usual: Callable[[], Response]) -> Response:
    """The answer to send: the usual one with what goes wrong done to it, or another in its place."""
    replacement = _replacement(do)
    response = usual() if replacement is None or "seen" in do else replacement
    response = replacement or response
    # Response computes the length anew.
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    body = bytes(response.body)
    if "wrongOrg" in do or "wrongUser" in do:
        body = _exchange_identity(body, do)
    if "form" in do and (members := _members(body)) is not None:
        body = urlencode(members).encode()
        headers["content-type"] = "application/x-www-form-urlencoded"
    if "huge" in do:
        body = body.ljust(do["huge"] + 1)
    if "wrongContentType" in do:
        headers["content-type"] = do["wrongContentType"]
    if "retryAfter" in do:
        headers["retry-after"] = str(do["retryAfter"])
    return Response(body, response.status_code, headers)


async def deliver(
    do: Do, response: Response, scope: Scope, receive: Receive, send: Send, hang_up: Callable[[], None]
) -> None:
    """Send the answer as late, as slowly and as incompletely as `do` says. A client that goes away ends it."""
    if await _disconnects(receive, do.get("delay", 0)):
        return
    if not do.keys() & {"drip", "truncate", "reset"}:
        await response(scope, receive, send)
        return
    if "reset" not in do:
        # The headers announce the length of the whole body, so that its end is missing.
        body = bytes(response.body)[: do.get("truncate")]
        step, pause = len(body) or 1, 0.0
        if "drip" in do:
            step, pause = 1, 1 / do["drip"]
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        for start in range(0, len(body), step):
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
            if await _disconnects(receive, pause):
                return
        if "truncate" not in do:
            await send({"type": "http.response.body", "body": b""})
            return
    hang_up()
    # uvicorn takes a handler that returns before its response is complete for a failure.
    await _disconnects(receive, None)


async def _disconnects(receive: Receive, within: float | None) -> bool:
    """Whether the client goes away within some seconds (None: wait until it does)."""
    if within == 0:
        return False
    try:
        async with asyncio.timeout(within):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True


def _replacement(do: Do) -> Response | None:
    """The answer that stands in for the org's, if one does."""
    if "redirect" in do:
        return Response(status_code=do.get("status", 302), headers={"Location": do["redirect"]})
    if "html" in do:
        page = do["html"]
        if isinstance(page, bool):
            return pages.maintenance(do.get("status", 503))
        return pages.error(page["error"], page["error_description"], do.get("status", 400))
    if "body" in do:
        return JSONResponse(do["body"], do["status"])
    if "status" in do:
        return Response(status_code=do["status"])
    return Response(status_code=503) if "unseen" in do else None


def _exchange_identity(body: bytes, do: Do) -> bytes:
    """A token or UserInfo answer that names another org or user."""
    members = _members(body)
    if members is None:
        return body
    # The signature is over the identity, so that its check alone would find the exchange.
    members.pop("signature", None)
    for name in {"id", "sub", "organization_id", "user_id"} & members.keys():
        if "wrongOrg" in do:
            members[name] = _ORG_ID.sub(_OTHER_ORG, str(members[name]))
        if "wrongUser" in do:
            members[name] = _USER_ID.sub(_OTHER_USER, str(members[name]))
    if "wrongUser" in do and "preferred_username" in members:
        members["preferred_username"] = "somebody.else@elsewhere.example"
    return json.dumps(members).encode()


def _members(body: bytes) -> dict[str, object] | None:
    try:
        members = json.loads(body)
    except ValueError:
        return None
    if not isinstance(members, dict):
        return None
    return members


def _fault(number: int, members: object) -> Fault:
    try:
        if not isinstance(members, dict):
            raise ValueError("it is not an object")
        _check(members, _FAULT_RULES)
        for name in ("path", "do"):
            if name not in members:
                raise ValueError(f'"{name}" is missing')
        return Fault(**members)
    except ValueError as error:
        raise ValueError(f"fault {number}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a member takes, in words and as a predicate."""

    takes: str
    fits: Callable[[object], bool]


def _check(members: Mapping[str, object], rules: Mapping[str, _Rule]) -> None:
    for name, value in members.items():
        if name not in rules:
            raise ValueError(f'"{name}" is unknown{_suggestion(name, rules)}')
        if not rules[name].fits(value):
            raise ValueError(f'"{name}" must be {rules[name].takes}')


def _suggestion(name: str, rules: Iterable[str]) -> str:
    # Folded: names that differ in case alone are the closest of all.
    by_fold = {rule.casefold(): rule for rule in rules}
    for match in get_close_matches(name.casefold(), by_fold, n=1):
        return f'; did you mean "{by_fold[match]}"?'
    return ""


def _check_together(do: Do) -> None:
    if "reset" in do and do.keys() - {"reset", "delay", "unseen"}:
        raise ValueError('"reset" can only be combined with "delay" and "unseen"')
    if "redirect" in do and ("html" in do or "body" in do):
        raise ValueError('"redirect" can\'t be combined with "html" or "body"')
    if "redirect" in do and not 300 <= do.get("status", 302) < 400:
        raise ValueError('the "status" of a "redirect" must be from 300 to 399')
    if "body" in do and ("html" in do or "status" not in do):
        raise ValueError('"body" requires "status", and can\'t be combined with "html"')


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _reject_constant(name: str) -> None:
    # Python reads NaN and Infinity, which no JSON has.
    raise ValueError(f"{name} is not a JSON number")


def _whole(least: int, most: float = float("inf")) -> Callable[[object], bool]:
    # By its type, because true is an int to isinstance.
    return lambda value: type(value) is int and least <= value <= most


def _number(most: float) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= most


def _is_true(value: object) -> bool:
    return value is True


def _is_line(value: object) -> bool:
    return isinstance(value, str) and value.strip() == value != "" and value.isascii() and value.isprintable()


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith(("/", "*"))


def _is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_page(value: object) -> bool:
    if not isinstance(value, dict):
        return value is True
    texts = all(isinstance(text, str) for text in value.values())
    return value.keys() == ErrorReply.__required_keys__ and texts and _is_json(value)


_TRUE: Final = _Rule("true", _is_true)
_FAULT_RULES: Final[Mapping[str, _Rule]] = {
    "path": _Rule('a path like "/services/oauth2/token", in which * matches anything', _is_path),
    "do": _Rule("an object that says what goes wrong", lambda value: isinstance(value, dict) and len(value) > 0),
    "org": _Rule("the name of an org", lambda value: isinstance(value, str)),
    "times": _Rule("a whole number from 1", _whole(1)),
    "after": _Rule("a whole number from 0", _whole(0)),
}
_DO_RULES: Final[Mapping[str, _Rule]] = {
    "status": _Rule(
        "a status from 200 to 599 that can have a body",
        lambda value: _whole(200, 599)(value) and value not in (204, 205, 304),
    ),
    "body": _Rule("a JSON value", _is_json),
    "html": _Rule('true, or an object with "error" and "error_description"', _is_page),
    "redirect": _Rule("an address in ASCII", _is_line),
    "wrongOrg": _TRUE,
    "wrongUser": _TRUE,
    "form": _TRUE,
    "huge": _Rule(f"a whole number of bytes up to {LARGEST}", _whole(0, LARGEST)),
    "wrongContentType": _Rule('a content type like "text/html"', _is_line),
    "retryAfter": _Rule("a whole number of seconds", _whole(0)),
    "delay": _Rule("seconds, more than 0 and up to 3600", _number(3600)),
    "drip": _Rule("bytes per second, more than 0", _number(float("inf"))),
    "truncate": _Rule("a whole number of bytes", _whole(0)),
    "reset": _TRUE,
    "seen": _TRUE,
    "unseen": _TRUE,
}
