"""What goes wrong on purpose: an org that is slow, cut off, under maintenance, or not itself."""

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

    With `status`, `html` or `redirect` the org is not asked at all. Everything else is done to its answer,
    so that a code that was redeemed behind a `reset` is used up.
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
        _check({name: value for name, value in members.items() if value is not None}, _OF_A_FAULT)
        _check(self.do, _OF_DO)
        _check_together(self.do)


class Plan:
    """Which request meets which fault: the first that is due. Every fault counts the requests it is about."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults = tuple(faults)
        self._met = [0] * len(self._faults)

    def due(self, org: str, path: str) -> Do:
        """What goes wrong with this request; empty if nothing does."""
        due: list[Do] = []
        for at, fault in enumerate(self._faults):
            if fault.org in (None, org) and fnmatchcase(path, fault.path):
                self._met[at] += 1
                turn = self._met[at] - fault.after
                if turn > 0 and (fault.times is None or turn <= fault.times):
                    due.append(fault.do)
        return due[0] if due else Do()


def parse(data: bytes) -> tuple[Fault, ...]:
    """The faults in a fault file, a JSON list; raises ValueError that says which one is wrong, and why."""
    try:
        found = json.loads(data, object_pairs_hook=_once, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg}, line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, list):
        raise ValueError("it is not a list of faults")
    return tuple(_fault(number, members) for number, members in enumerate(found, 1))


def answer(do: Do, usual: Callable[[], Response]) -> Response:
    """The answer to send: the usual one with what goes wrong done to it, or another in its place."""
    response = _instead(do) or usual()
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    body = bytes(response.body)
    if "wrongOrg" in do or "wrongUser" in do:
        body = _misnamed(body, do)
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
    if await _gone(receive, do.get("delay", 0)):
        return
    if not do.keys() & {"drip", "truncate", "reset"}:
        await response(scope, receive, send)
        return
    if "reset" not in do:
        body = bytes(response.body)[: do.get("truncate")]
        step, pause = (1, 1 / do["drip"]) if "drip" in do else (len(body) or 1, 0)
        await send({"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers})
        for at in range(0, len(body), step):
            await send({"type": "http.response.body", "body": body[at : at + step], "more_body": True})
            if await _gone(receive, pause):
                return
        if "truncate" not in do:
            await send({"type": "http.response.body", "body": b""})
            return
    hang_up()
    await _gone(receive, None)


async def _gone(receive: Receive, within: float | None) -> bool:
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


def _instead(do: Do) -> Response | None:
    if "redirect" in do:
        return Response(status_code=do.get("status", 302), headers={"Location": do["redirect"]})
    if "html" in do:
        page = do["html"]
        if isinstance(page, bool):
            return pages.maintenance(do.get("status", 503))
        return pages.error(page["error"], page["error_description"], do.get("status", 400))
    if "status" in do:
        return JSONResponse(do["body"], do["status"]) if "body" in do else Response(status_code=do["status"])
    return None


def _misnamed(body: bytes, do: Do) -> bytes:
    """The identity of a token or UserInfo answer exchanged; without the signature, which would give it away."""
    members = _members(body)
    if members is None:
        return body
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
        found = json.loads(body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _fault(number: int, members: object) -> Fault:
    try:
        if not isinstance(members, dict):
            raise ValueError("it is not an object")
        _check(members, _OF_A_FAULT)
        for name in ("path", "do"):
            if name not in members:
                raise ValueError(f'"{name}" is missing')
        return Fault(**members)
    except ValueError as error:
        raise ValueError(f"fault {number}: {error}") from None


_Rule = tuple[str, Callable[[object], bool]]


def _check(members: Mapping[str, object], known: Mapping[str, _Rule]) -> None:
    for name, value in members.items():
        if name not in known:
            by_fold = {one.casefold(): one for one in known}
            near = get_close_matches(name.casefold(), by_fold, n=1)
            hint = f'; did you mean "{by_fold[near[0]]}"?' if near else ""
            raise ValueError(f'"{name}" is not known{hint}')
        takes, fits = known[name]
        if not fits(value):
            raise ValueError(f'"{name}" takes {takes}')


def _check_together(do: Do) -> None:
    if "reset" in do and do.keys() - {"reset", "delay"}:
        raise ValueError('beside "reset" there is no answer to change: only "delay" goes with it')
    if "redirect" in do and ("html" in do or "body" in do):
        raise ValueError('"redirect" has neither "html" nor "body"')
    if "redirect" in do and not 300 <= do.get("status", 302) < 400:
        raise ValueError('the "status" of a "redirect" is 300 to 399')
    if "body" in do and ("html" in do or "status" not in do):
        raise ValueError('"body" needs a "status", and excludes "html"')


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("an object has a member twice")
    return members


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number in JSON")


def _whole(least: int, most: float = float("inf")) -> Callable[[object], bool]:
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


_TRUE: Final[_Rule] = ("true", _is_true)
_OF_A_FAULT: Final[Mapping[str, _Rule]] = {
    "path": ('a path like "/services/oauth2/token", in which * stands for anything', _is_path),
    "do": ("an object that says what goes wrong", lambda value: isinstance(value, dict) and len(value) > 0),
    "org": ("the name of an org", lambda value: isinstance(value, str)),
    "times": ("a whole number from 1", _whole(1)),
    "after": ("a whole number from 0", _whole(0)),
}
_OF_DO: Final[Mapping[str, _Rule]] = {
    "status": (
        "a status from 200 to 599 that can have a body",
        lambda value: _whole(200, 599)(value) and value not in (204, 205, 304),
    ),
    "body": ("a JSON value", _is_json),
    "html": ('true, or an object with "error" and "error_description"', _is_page),
    "redirect": ("an address in ASCII", _is_line),
    "wrongOrg": _TRUE,
    "wrongUser": _TRUE,
    "form": _TRUE,
    "huge": (f"a whole number of bytes up to {LARGEST}", _whole(0, LARGEST)),
    "wrongContentType": ('a content type like "text/html"', _is_line),
    "retryAfter": ("a whole number of seconds", _whole(0)),
    "delay": ("seconds, more than 0 and up to 3600", _number(3600)),
    "drip": ("bytes per second, more than 0", _number(float("inf"))),
    "truncate": ("a whole number of bytes", _whole(0)),
    "reset": _TRUE,
}
