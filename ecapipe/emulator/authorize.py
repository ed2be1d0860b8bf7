"""The authorize endpoint: what an app may ask a person, and how the answer travels back."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from ecapipe.emulator.org import Authorization, EmulatedOrg, RegisteredApp
from ecapipe.emulator.wire import Parameters, Refused

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def trust(org: EmulatedOrg, query: Parameters) -> tuple[RegisteredApp, str]:
    """The app and its registered callback. Until both are sure nobody may be redirected anywhere."""
    query.once("client_id", "redirect_uri")
    key = query.need("client_id")
    if org.lacks(key):
        raise Refused("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")
    app = org.app(key)
    redirect_uri = query.get("redirect_uri")
    if redirect_uri is None:
        raise Refused("redirect_uri_missing", "redirect_uri must be given")
    if redirect_uri not in app.callback_urls:
        raise Refused("redirect_uri_mismatch", "redirect_uri must match configuration")
    if not app.enabled:
        raise Refused("OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occurred during authentication")
    return app, redirect_uri


def ask(app: RegisteredApp, redirect_uri: str, query: Parameters, now: float) -> Authorization:
    """The request in full. A refusal goes to the callback."""
    query.once()
    if query.need("response_type") != "code":
        raise Refused("unsupported_response_type", "response type must be code")
    scopes = tuple(dict.fromkeys((query.get("scope") or "").split())) or app.allowed
    if not set(scopes) <= set(app.allowed):
        raise Refused("invalid_scope", "the requested scope is not allowed")
    return Authorization(
        app,
        redirect_uri,
        state=query.get("state"),
        scopes=scopes,
        challenge=_challenge(app, query),
        hint=query.get("login_hint") or "",
        since=now,
    )


def address(redirect_uri: str, state: str | None, **answer: str) -> str:
    """The callback with an answer in its query, every reserved character encoded."""
    parameters = answer if state is None else {**answer, "state": state}
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(parameters, quote_via=quote, safe='')}"


def _challenge(app: RegisteredApp, query: Parameters) -> str | None:
    """The PKCE challenge. Without a method it counts as S256, as at Salesforce; ``plain`` is refused."""
    challenge = query.get("code_challenge")
    if challenge is None:
        if app.pkce_required:
            raise Refused("invalid_request", "missing required code challenge")
        return None
    if query.get("code_challenge_method") not in (None, "S256"):
        raise Refused("invalid_request", "code challenge method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise Refused("invalid_request", "invalid code challenge")
    return challenge
