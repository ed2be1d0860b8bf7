"""Requests to an org and its responses, as plain values; and what an org's refusal means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl, urlsplit

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
    """A GET with a bearer, or, when there is a `form`, a POST of it (``application/x-www-form-urlencoded``)."""

    url: str
    bearer: Secret | None = None
    form: Secret | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc


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


Send = Callable[[Request], Response]
"""Sends one request. Raises `EcapipeError` for what fails before there is a response."""


def members(response: Response, host: str, *secrets: Secret | None, assertion: bool = False) -> Members:
    """The JSON object of a successful response.

    Raises `EcapipeError`: the refusal an error response means (RFC 6749 §5.2), RedirectRefused, ServerBusy, or
    UnexpectedAnswer for anything that is not a JSON object. `secrets` are struck out of what the org says.
    `assertion`: one was sent, so that is what a refusal is about.
    """
    content = json_object(response)
    # Before the status, which says less than the error's own code.
    if content is not None and (error := _text(content.get("error"))):
        description = _text(content.get("error_description"))
        raise refusal(error, description, host, response.status, *secrets, assertion=assertion)
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
    if not re.fullmatch(r"[\w .-]{1,80}", code):
        return "no reason given"
    return redact(code, *secrets)


def refusal(
    error: str,
    description: str,
    host: str,
    status: int | None = None,
    *secrets: Secret | None,
    assertion: bool = False,
) -> EcapipeError:
    """What an OAuth error means: by code first, then by description; an unknown one shows both, redacted.

    Codes and descriptions: Salesforce Help "OAuth 2.0 Error Codes", and field reports.
    """
    error = redact(_text(error), *secrets)
    description = redact(_text(description), *secrets)
    reason = description or error
    problem = None
    if assertion:
        problem = _assertion_problem(error, description.lower(), reason, host)
    if problem is None:
        problem = _problem_by_code(error, description.lower(), reason, host)
    if problem is None:
        problem = oauth_refused(host, error, description)
    return _at(replace(problem, oauth_error=error), host, status)


def _assertion_problem(error: str, description: str, reason: str, host: str) -> Problem | None:
    """What an error means only when an assertion was sent."""
    match error:
        case "invalid_grant" | "invalid_request":
            return _problem_by_description(_ASSERTION_DESCRIPTIONS, description, reason, host)
        case "invalid_client":
            # The assertion is the only thing that authenticated the client.
            return assertion_refused(host, reason)
        case _:
            return None


def _problem_by_code(error: str, description: str, reason: str, host: str) -> Problem | None:
    match error:
        case "invalid_client_id":
            return invalid_client_id(host)
        case "invalid_client" | "invalid_client_credentials":
            return invalid_client(host)
        case "OAUTH_EC_APP_NOT_FOUND":
            return app_not_found_in_org(host)
        case "OAUTH_AUTHORIZATION_BLOCKED":
            return cross_org_blocked(host)
        case "OAUTH_APPROVAL_ERROR_GENERIC" | "OAUTH_APP_BLOCKED":
            return approval_refused(host)
        case "access_denied" | "access-denied":
            return access_denied(host)
        case "redirect_uri_mismatch" | "redirect_uri_missing":
            return redirect_uri_mismatch(host)
        case "invalid_app_access" | "OAUTH_APP_ACCESS_DENIED":
            return user_not_approved(host, reason)
        case "invalid_scope":
            return invalid_scope(host, reason)
        case "invalid_token" | "token_rejected" | "unsupported_token_type":
            return token_refused(host, reason)
        case "unsupported_grant_type" | "unauthorized_client" | "unsupported_response_type":
            return unsupported_grant_type(host, reason)
        case "inactive_user" | "inactive_org":
            return inactive(host, reason)
        case "rate_limit_exceeded" | "slow_down":
            return rate_limited(host)
        case "server_error" | "temporarily_unavailable" | "unknown_error":
            return server_busy(host, reason)
        case "invalid_request" if "code challenge" in description:
            return code_challenge_missing(host, reason)
        case "invalid_request" | "invalid_grant":
            return _problem_by_description(_DESCRIPTIONS, description, reason, host)
        case _:
            return None


_Descriptions = Mapping[str, Callable[[str, str], Problem]]
"""Words of a description in lower case, and what makes the problem of a host and a reason. The first match counts."""

# invalid_grant stands for thirteen causes; only the description tells them apart. What is said of an "expired
# authorization code" has to come before "expired".
_DESCRIPTIONS: Final[_Descriptions] = {
    "code verifier": code_verifier_refused,
    "authorization code": authorization_code_refused,
    "audience": audience_refused,
    "assertion": assertion_refused,
    "ip restricted": lambda host, reason: ip_restricted(host),
    "login hours": lambda host, reason: ip_restricted(host),
    "approved": user_not_approved,
    "client credentials": client_credentials_refused,
    "not supported on this domain": client_credentials_refused,
    "password": authentication_failed,
    "authentication failure": authentication_failed,
    "inactive": authentication_failed,
    "challenge required": authentication_failed,
    "expired": token_refused,
}

_ASSERTION_DESCRIPTIONS: Final[_Descriptions] = {
    # Salesforce says "expired authorization code", though there is none.
    "expired": assertion_expired,
    "not yet valid": assertion_expired,
    "user hasn't approved": assertion_not_approved,
    "not supported on this domain": unsupported_grant_type,
}
"""The words that mean something else when an assertion was sent."""


def _problem_by_description(known: _Descriptions, description: str, reason: str, host: str) -> Problem | None:
    for words, build in known.items():
        if words in description:
            return build(host, reason)
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
