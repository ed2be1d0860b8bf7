"""Requests to an org and its responses, as plain values; and what an org's refusal means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl

from ecapipe.oauth.scopes import scopes_to_request
from ecapipe.orgs.org import Address
from ecapipe.problems.network import redirect_refused, unexpected_answer
from ecapipe.problems.oauth import (
    access_denied,
    app_not_found_in_org,
    approval_refused,
    assertion_expired,
    assertion_not_approved,
    assertion_refused,
    audience_refused,
    authentication_failed,
    authorization_code_refused,
    client_credentials_refused,
    code_challenge_missing,
    code_verifier_refused,
    cross_org_blocked,
    inactive,
    invalid_client,
    invalid_client_id,
    invalid_scope,
    ip_restricted,
    oauth_refused,
    rate_limited,
    redirect_uri_mismatch,
    server_busy,
    token_refused,
    unsupported_grant_type,
    user_not_approved,
)
from ecapipe.problems.problem import EcapipeError, Problem
from ecapipe.project.apps import App
from ecapipe.secret import Secret, redact, repeats

Members = Mapping[str, object]

_CONTENT_TYPES: Final = frozenset(
    {
        *("application/json", "application/x-www-form-urlencoded", "application/xml"),
        *("text/html", "text/plain", "text/xml"),
    }
)
"""The content types that messages name. Any other is text of the host's choice, and not repeated."""


@dataclass(frozen=True, slots=True)
class Request:
    """A GET of a path at an org, or, when there is a `form`, a POST of it (``application/x-www-form-urlencoded``)."""

    to: Address
    path: str
    bearer: Secret | None = None
    form: Secret | None = None

    @property
    def host(self) -> str:
        return self.to.host

    @property
    def url(self) -> str:
        return f"{self.to.url}{self.path}"


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response, bounded in size. `content_type` is lower case, without parameters.

    The body is not part of the ``repr``: it may hold tokens.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    retry_after: float | None = None
    """Seconds to wait before the next request, if the host named them."""
    date: float | None = None
    """The host's own time of day, in seconds since 1970, if it named it."""


_CODE: Final = re.compile(r"[A-Za-z0-9_. -]{1,80}")
"""The code of an error: more than Salesforce uses of what RFC 6749 allows (appendix A.7)."""

Send = Callable[[Request], Response]
"""Sends one request. Raises `EcapipeError` for what fails before there is a response."""


def members(
    response: Response, host: str, *secrets: Secret | None, app: App | None, assertion: bool = False
) -> Members:
    """The JSON object of a successful response.

    Raises `EcapipeError`: the refusal an error response means (RFC 6749 §5.2), RedirectRefused, ServerBusy, or
    UnexpectedAnswer for anything that is not a JSON object. `secrets` are struck out of what the org says.
    `assertion`: one was sent, so that is what a refusal is about. `app` is the one that asked, for the words of it.
    """
    content = json_object(response)
    # Before the status, which says less than the error's own code.
    if content is not None and (error := _text(content.get("error"))):
        description = _text(content.get("error_description"))
        raise refusal(error, description, host, response.status, *secrets, assertion=assertion, app=app)
    # A redirect is not followed: it would take the secret to another host.
    if 300 <= response.status < 400:
        raise _at(redirect_refused(host, response.status), host, response.status)
    if response.status == 429:
        raise _at(rate_limited(host), host, response.status)
    if response.status >= 500:
        raise _at(server_busy(host, f"HTTP {response.status}"), host, response.status)
    if content is None:
        raise unexpected(response, host, "a JSON object was expected")
    if response.status != 200:
        raise unexpected(response, host, "success was expected")
    return content


def unexpected(response: Response, host: str, reason: str) -> EcapipeError:
    """The error for a response that Salesforce does not give; `reason` says what is wrong with it."""
    problem = unexpected_answer(host, response.status, f"{reason}, and it is {_kind(response.content_type)}")
    return _at(problem, host, response.status)


def _kind(content_type: str) -> str:
    if not content_type:
        return "no content type"
    if content_type in _CONTENT_TYPES:
        return content_type
    return "of another content type"


def refuse_repeats(response: Response, host: str, visible: Mapping[str, str], *secrets: Secret | None) -> None:
    """Refuse a response of which something that will be shown, by the name of its member, repeats a secret.

    Raises `EcapipeError` (UnexpectedAnswer).
    """
    # All at once first, for nearly always there is nothing to refuse.
    if repeats("\n".join(visible.values()), *secrets):
        names = [name for name, text in visible.items() if repeats(text, *secrets)]
        raise unexpected(response, host, f"its {' and its '.join(names)} repeats a secret")


def refusal_code(response: Response, *secrets: Secret | None) -> str:
    """The code with which a resource refuses a token: in JSON, or a bare word like Bad_OAuth_Token."""
    try:
        parsed = json.loads(response.body)
    except (ValueError, RecursionError):
        parsed = response.body.decode("utf-8", "replace").strip()
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if isinstance(parsed, dict):
        parsed = parsed.get("errorCode") or parsed.get("error") or ""
    code = _text(parsed)
    # A page of a proxy is no code, and must not fill the terminal.
    if not _CODE.fullmatch(code):
        return "no reason given"
    return redact(code, *secrets)


@dataclass(frozen=True, slots=True)
class _OauthError:
    """What an org refused with, and all that the words for it go by. `app` is the one that asked, if it is known."""

    code: str
    reason: str
    """The org's own words, or its code."""
    host: str
    app: App | None

    @property
    def scopes(self) -> str | None:
        """Scopes that the app has, as far as its files tell."""
        return scopes_to_request(self.app) if self.app else None

    def says(self, words: str) -> bool:
        """Whether these words, in lower case, are among the org's."""
        return words in self.reason.lower()


def refusal(
    error: str,
    description: str,
    host: str,
    status: int | None = None,
    *secrets: Secret | None,
    app: App | None,
    assertion: bool = False,
) -> EcapipeError:
    """What an OAuth error means: by code first, then by description; an unknown one shows both, redacted.

    Codes and descriptions: Salesforce Help "OAuth 2.0 Error Codes", and field reports.
    """
    error = redact(error if _CODE.fullmatch(error := _text(error)) else "", *secrets)
    description = redact(_text(description), *secrets)
    answer = _OauthError(error, description or error, host, app)
    problem = None
    if assertion:
        problem = _assertion_problem(answer)
    if problem is None:
        problem = _problem_by_code(answer)
    if problem is None:
        problem = oauth_refused(host, error, description)
    return _at(replace(problem, oauth_error=error or None), host, status)


def _assertion_problem(error: _OauthError) -> Problem | None:
    """What an error means only when an assertion was sent."""
    match error.code:
        case "invalid_grant" | "invalid_request":
            return _problem_by_description(_ASSERTION_DESCRIPTIONS, error)
        case "invalid_client":
            # The assertion is the only thing that authenticated the client.
            return assertion_refused(error.host, error.reason)
        case _:
            return None


def _problem_by_code(error: _OauthError) -> Problem | None:
    match error.code:
        case "invalid_client_id":
            return invalid_client_id(error.host)
        case "invalid_client" | "invalid_client_credentials":
            return invalid_client(error.host)
        case "OAUTH_EC_APP_NOT_FOUND":
            return app_not_found_in_org(error.host)
        case "OAUTH_AUTHORIZATION_BLOCKED":
            return cross_org_blocked(error.host)
        case "OAUTH_APPROVAL_ERROR_GENERIC" | "OAUTH_APP_BLOCKED":
            return approval_refused(error.host)
        case "access_denied" | "access-denied":
            return access_denied(error.host)
        case "redirect_uri_mismatch" | "redirect_uri_missing":
            return redirect_uri_mismatch(error.host)
        case "invalid_app_access" | "OAUTH_APP_ACCESS_DENIED":
            return user_not_approved(error.host, error.reason)
        case "invalid_scope":
            return invalid_scope(error.host, error.reason, error.scopes)
        case "invalid_token" | "token_rejected" | "unsupported_token_type":
            return token_refused(error.host, error.reason)
        case "unsupported_grant_type" | "unauthorized_client" | "unsupported_response_type":
            return unsupported_grant_type(error.host, error.reason)
        case "inactive_user" | "inactive_org":
            return inactive(error.host, error.reason)
        case "rate_limit_exceeded" | "slow_down":
            return rate_limited(error.host)
        case "server_error" | "temporarily_unavailable" | "unknown_error":
            return server_busy(error.host, error.reason)
        case "invalid_request" if error.says("code challenge"):
            return code_challenge_missing(error.host, error.reason)
        case "invalid_request" | "invalid_grant":
            return _problem_by_description(_DESCRIPTIONS, error)
        case _:
            return None


_Descriptions = Mapping[str, Callable[[_OauthError], Problem]]
"""Words of a description in lower case, and what makes the problem. The first match counts."""

# invalid_grant stands for thirteen causes; only the description tells them apart. What is said of an "expired
# authorization code" has to come before "expired".
_DESCRIPTIONS: Final[_Descriptions] = {
    "code verifier": lambda error: code_verifier_refused(error.host, error.reason),
    "authorization code": lambda error: authorization_code_refused(error.host, error.reason),
    "audience": lambda error: audience_refused(error.host, error.reason),
    "assertion": lambda error: assertion_refused(error.host, error.reason),
    "ip restricted": lambda error: ip_restricted(error.host),
    "login hours": lambda error: ip_restricted(error.host),
    "approved": lambda error: user_not_approved(error.host, error.reason),
    "client credentials": lambda error: client_credentials_refused(error.host, error.reason),
    "not supported on this domain": lambda error: client_credentials_refused(error.host, error.reason),
    "password": lambda error: authentication_failed(error.host, error.reason),
    "authentication failure": lambda error: authentication_failed(error.host, error.reason),
    "inactive": lambda error: authentication_failed(error.host, error.reason),
    "challenge required": lambda error: authentication_failed(error.host, error.reason),
    "expired": lambda error: token_refused(error.host, error.reason),
}

_ASSERTION_DESCRIPTIONS: Final[_Descriptions] = {
    # Salesforce says "expired authorization code", though there is none.
    "expired": lambda error: assertion_expired(error.host, error.reason),
    "not yet valid": lambda error: assertion_expired(error.host, error.reason),
    "user hasn't approved": lambda error: assertion_not_approved(error.host, error.reason),
    "not supported on this domain": lambda error: unsupported_grant_type(error.host, error.reason),
}
"""The words that mean something else when an assertion was sent."""


def _problem_by_description(known: _Descriptions, error: _OauthError) -> Problem | None:
    for words, build in known.items():
        if error.says(words):
            return build(error)
    return None


def _at(problem: Problem, host: str, status: int | None) -> EcapipeError:
    return EcapipeError(replace(problem, host=host, http_status=status))


def json_object(response: Response) -> Members | None:
    """The members of a JSON object, or of a form, which Salesforce sends on request and some proxies unasked."""
    try:
        if response.content_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(response.body.decode("utf-8"), strict_parsing=True, max_num_fields=100))
        parsed = json.loads(response.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    return parsed


def _text(value: object) -> str:
    """A text of the host on one line, cut off before it could fill a terminal; empty for anything else."""
    if not isinstance(value, str):
        return ""
    return " ".join(value.split())[:300]
