"""What is sent to an org and what comes back, as plain values; and what an org's refusal means."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
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

_KINDS: Final = frozenset(
    {
        *("application/json", "application/x-www-form-urlencoded", "application/xml"),
        *("text/html", "text/plain", "text/xml"),
    }
)
"""The content types that are named. Any other is what the org made of it."""


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
    """An HTTP answer, bounded in size. `content_type` is lower case, without parameters.

    The body is not part of the ``repr``: it may hold tokens.
    """

    status: int
    content_type: str
    body: bytes = field(repr=False)
    retry_after: float | None = None
    """Seconds, if the host named them."""
    date: float | None = None
    """The host's own time of day, in seconds since 1970, if it named it."""


Send = Callable[[Request], Response]
"""The edge: raises `EcapipeError` for what fails before an answer."""


def members(answer: Response, host: str, *secrets: Secret | None, assertion: bool = False) -> Members:
    """The JSON object of a successful answer.

    Raises `EcapipeError`: the refusal an error answer means (RFC 6749 §5.2), RedirectRefused, ServerBusy, or
    UnexpectedAnswer for anything that is not a JSON object. `secrets` are struck out of what the org says.
    `assertion`: one was sent, so that is what a refusal is about.
    """
    found = json_object(answer)
    if found is not None and (error := _text(found.get("error"))):
        told = _text(found.get("error_description"))
        raise refusal(error, told, host, answer.status, *secrets, assertion=assertion)
    if 300 <= answer.status < 400:
        raise _at(redirect_refused(host, answer.status), host, answer.status)
    if answer.status == 429:
        raise _at(rate_limited(host), host, answer.status)
    if answer.status >= 500:
        raise _at(server_busy(host, f"HTTP {answer.status}"), host, answer.status)
    if found is None or answer.status != 200:
        raise unexpected(answer, host, "a JSON object was expected" if found is None else "success was expected")
    return found


def unexpected(answer: Response, host: str, reason: str) -> EcapipeError:
    """The error for an answer that is none of Salesforce's."""
    kind = answer.content_type if answer.content_type in _KINDS else "of another content type"
    kind = kind if answer.content_type else "no content type"
    return _at(unexpected_answer(host, answer.status, f"{reason}, and it is {kind}"), host, answer.status)


def refuse_repeats(answer: Response, host: str, told: Mapping[str, str], *secrets: Secret | None) -> None:
    """Refuse an answer of which something that will be shown, by the name of its member, repeats a secret.

    Raises `EcapipeError` (UnexpectedAnswer).
    """
    if repeats("\n".join(told.values()), *secrets):
        names = [name for name, text in told.items() if repeats(text, *secrets)]
        raise unexpected(answer, host, f"its {' and its '.join(names)} repeats a secret")


def said(answer: Response, *secrets: Secret | None) -> str:
    """How a resource refuses a token: an error code in JSON, or a bare word like Bad_OAuth_Token."""
    try:
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        parsed = answer.body.decode("utf-8", "replace").strip()
    if isinstance(parsed, list) and parsed:
        parsed = parsed[0]
    if isinstance(parsed, dict):
        parsed = parsed.get("errorCode") or parsed.get("error") or ""
    word = _text(parsed)
    return redact(word, *secrets) if re.fullmatch(r"[\w .-]{1,80}", word) else "no reason given"


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
    told = description or error
    problem = None
    if assertion and error in ("invalid_grant", "invalid_request"):
        problem = _by_description(_OF_ASSERTIONS, description.lower(), told, host)
    elif assertion and error == "invalid_client":  # the assertion is all that was shown
        problem = assertion_refused(host, told)
    problem = problem or _refused(error, description.lower(), told, host)
    if problem is None:
        problem = oauth_refused(host, error, description)
    return _at(replace(problem, oauth_error=error), host, status)


def _refused(error: str, description: str, told: str, host: str) -> Problem | None:
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
            return user_not_approved(host, told)
        case "invalid_scope":
            return invalid_scope(host, told)
        case "invalid_token" | "token_rejected" | "unsupported_token_type":
            return token_refused(host, told)
        case "unsupported_grant_type" | "unauthorized_client" | "unsupported_response_type":
            return unsupported_grant_type(host, told)
        case "inactive_user" | "inactive_org":
            return inactive(host, told)
        case "rate_limit_exceeded" | "slow_down":
            return rate_limited(host)
        case "server_error" | "temporarily_unavailable" | "unknown_error":
            return server_busy(host, told)
        case "invalid_request" if "code challenge" in description:
            return code_challenge_missing(host, told)
        case "invalid_request" | "invalid_grant":
            return _by_description(_DESCRIPTIONS, description, told, host)
        case _:
            return None


_Words = Sequence[tuple[str, Callable[[str, str], Problem]]]

_DESCRIPTIONS: Final[_Words] = (
    ("code verifier", code_verifier_refused),
    ("authorization code", authorization_code_refused),
    ("audience", audience_refused),
    ("assertion", assertion_refused),
    ("ip restricted", lambda host, told: ip_restricted(host)),
    ("login hours", lambda host, told: ip_restricted(host)),
    ("approved", user_not_approved),
    ("client credentials", client_credentials_refused),
    ("not supported on this domain", client_credentials_refused),
    ("password", authentication_failed),
    ("authentication failure", authentication_failed),
    ("inactive", authentication_failed),
    ("challenge required", authentication_failed),
    ("expired", token_refused),
)
"""invalid_grant stands for thirteen causes; only the description tells them apart."""

_OF_ASSERTIONS: Final[_Words] = (
    ("expired", assertion_expired),  # "expired authorization code", though there is none
    ("not yet valid", assertion_expired),
    ("user hasn't approved", assertion_not_approved),
    ("not supported on this domain", unsupported_grant_type),
)
"""The words that mean something else when an assertion was sent."""


def _by_description(known: _Words, description: str, told: str, host: str) -> Problem | None:
    return next((build(host, told) for words, build in known if words in description), None)


def _at(problem: Problem, host: str, status: int | None) -> EcapipeError:
    return EcapipeError(replace(problem, host=host, http_status=status))


def json_object(answer: Response) -> Members | None:
    """The members of a JSON object, or of a form, which Salesforce sends on request and some proxies unasked."""
    try:
        if answer.content_type == "application/x-www-form-urlencoded":
            return dict(parse_qsl(answer.body.decode("utf-8"), strict_parsing=True, max_num_fields=100))
        parsed = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _text(value: object) -> str:
    return " ".join(str(value).split())[:300] if isinstance(value, str) else ""
