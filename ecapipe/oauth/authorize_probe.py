"""Whether an org takes an authorize request, asked without a person: no login, no secret, no redirect followed.

An org looks at key, callback URL, scopes and PKCE before anyone signs in, and shows its login page only if it takes
all of them.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from html import unescape
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qs, unquote_plus, urljoin, urlsplit

from ecapipe.oauth import messages
from ecapipe.oauth.authorize import AuthorizationRequest, same_address, same_origin
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.refusals import CODES, at, one_line, refusal, words_of_org
from ecapipe.problems.oauth import (
    access_denied,
    app_not_found_in_org,
    authorize_unclear,
    invalid_client_id,
    invalid_scope,
    oauth_refused,
    rate_limited,
    redirect_uri_mismatch,
    server_busy,
)
from ecapipe.problems.problem import EcapipeError

Part = Literal["consumerKey", "consumerSecret", "callback", "scopes"]
"""What of an app an org may refuse."""

_PARTS: Final[dict[object, Part]] = {
    invalid_client_id: "consumerKey",
    app_not_found_in_org: "consumerKey",
    redirect_uri_mismatch: "callback",
    invalid_scope: "scopes",
}

_PASSING: Final = frozenset({server_busy, rate_limited})
"""Errors that say nothing about the app."""

_SIGN_IN: Final = re.compile(
    r"(?:^|/)(?:login(?:_portal)?(?:\.jsp)?|\w*sitelogin|\w*communitieslogin|remoteaccessauthorizationpage\.apexp)"
    r"(?:/|$)",
    re.IGNORECASE,
)
"""The path of a page to sign in or to approve an app on."""

_LONGEST_PAGE: Final = 256 * 1024
"""Bytes of a page that are looked at; Salesforce's about an error have some 10 KiB."""
_MARK: Final = re.compile(r"<(?P<open>script|style)\b|</(?P<close>script|style)\s*>|<!--|-->", re.IGNORECASE)
_TAG: Final = re.compile(r"<[^<>]*>")
_ERROR: Final = (
    # As a part of an address.
    re.compile(r"\berror=(?P<code>[^&\n]{1,80})(?:&error_description=(?P<text>[^&\n]*))?"),
    # As certified servers write it.
    re.compile(r"\berror\s*:\s*(?P<code>[a-z0-9]+(?:_[a-z0-9]+)+)(?:\s+error_description\s*:\s*(?P<text>[^\n]*))?"),
    # As Salesforce's page has it: the code, and what it means beside it or below.
    re.compile(
        rf"(?<![\w-])(?P<code>OAUTH_[A-Z_]+|{'|'.join(map(re.escape, sorted(CODES)))})(?![\w-])"
        r"[ :]*\n?(?P<text>[^\n]*)"
    ),
)
"""An error in the text of a page: its code, and what the org says of it."""


class ProbeRefusal(EcapipeError):
    """The org does not accept the app, and `part` is the reason, if it is one of these."""

    def __init__(self, error: EcapipeError, part: Part | None) -> None:
        super().__init__(error.problem)
        self.part: Part | None = part


def request(login: AuthorizationRequest) -> Request:
    """The request that a browser would begin the login with."""
    return Request(login.org.address, login.authorize_url.removeprefix(login.org.url))


def read(response: Response, login: AuthorizationRequest) -> None:
    """Return if the org would let somebody sign in. Raises `ProbeRefusal`, or another `EcapipeError` for a response
    that tells neither."""
    host, status = login.org.host, response.status
    target = _redirect(response, login)
    if error := _error_in_redirect(target, login) if target else _error_in_page(response):
        raise _refusal(*error, status=status, login=login)
    if target and _is_sign_in(target, login):
        return
    if status == 429:
        raise at(rate_limited(host, "HTTP 429"), host, status)
    if status >= 500:
        raise at(server_busy(host, f"HTTP {status}"), host, status)
    answer = _description(response, target, login)
    raise at(authorize_unclear(host, status, answer, login.app.name, login.org.url), host, status)


def _refusal(code: str, description: str, *, status: int, login: AuthorizationRequest) -> EcapipeError:
    host, app, scopes = login.org.host, login.app, login.scopes
    secrets = login.secrets
    error = refusal(code, description, host, status, *secrets, place="authorize", app=app, scopes=scopes)
    problem = error.problem
    if problem.kind in _PASSING:
        return error
    if problem.kind is access_denied:  # nobody was there to press Deny
        refused = replace(oauth_refused(host, code, words_of_org(description, *secrets)), oauth_error=code)
        error = at(refused, host, status)
    return ProbeRefusal(error, _PARTS.get(problem.kind))


def _redirect(response: Response, login: AuthorizationRequest) -> SplitResult | None:
    """Where the response redirects to; None if it does not."""
    if not (300 <= response.status < 400 and response.location):
        return None
    try:
        target = urlsplit(urljoin(login.authorize_url, response.location))
        _ = target.port  # it is read only here, and may be none
    except ValueError:
        return None
    return target


def _error_in_redirect(target: SplitResult, login: AuthorizationRequest) -> tuple[str, str] | None:
    """The error for the callback, or for the org's own page about errors."""
    if not (_at_org(target, login) or same_address(target, login.redirect_uri)):
        return None
    try:
        query = parse_qs(target.query, max_num_fields=50)
    except ValueError:
        return None
    code, description = (query.get(name, [""])[0] for name in ("error", "error_description"))
    return (code, description) if code else None


def _error_in_page(response: Response) -> tuple[str, str] | None:
    members = messages.json_object(response)
    if members is not None and (code := one_line(members.get("error"))):
        return code, one_line(members.get("error_description"))
    text = _visible_text(response.body[:_LONGEST_PAGE].decode("utf-8", "replace"))
    for pattern in _ERROR:
        if found := pattern.search(text):
            return unquote_plus(found["code"]).strip(), unquote_plus(found["text"] or "").strip()
    return None


def _visible_text(page: str) -> str:
    """The text of an HTML page, without empty lines; what tags part stands on lines of its own."""
    pieces, closing, start = [], "", 0
    # One pass, whatever is left open: the page is anybody's.
    for mark in _MARK.finditer(page):
        name = (mark["open"] or mark["close"] or mark[0]).lower()
        if not closing and (mark["open"] or name == "<!--"):
            pieces.append(page[start : mark.start()])
            closing = "-->" if name == "<!--" else name
        elif closing == name and not mark["open"]:
            closing, start = "", mark.end()
    if not closing:
        pieces.append(page[start:])
    text = _TAG.sub("\n", "\n".join(pieces))
    with suppress(ValueError):  # a character's number has more digits than Python reads
        text = unescape(text)
    return "\n".join(filter(None, (" ".join(line.split()) for line in text.splitlines())))


def _at_org(target: SplitResult, login: AuthorizationRequest) -> bool:
    return same_origin(target.geturl(), login.org.url)


def _is_sign_in(target: SplitResult, login: AuthorizationRequest) -> bool:
    """Whether it is the page of this very org to sign in or to approve the app on."""
    if not _at_org(target, login):
        return False
    # The login page of a My Domain is its root, which is told where to go on.
    start = target.path in ("", "/") and "starturl=" in target.query.lower()
    return start or _SIGN_IN.search(target.path) is not None


def _description(response: Response, target: SplitResult | None, login: AuthorizationRequest) -> str:
    if target is None:
        return messages.kind(response.content_type)
    if _at_org(target, login):
        return "a redirect to another page of its own"
    return "a redirect to another host"
