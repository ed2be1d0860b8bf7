"""The authorize endpoint: which request an app may make of a person, and the callback with its answer."""

from __future__ import annotations

import re
from urllib.parse import quote, urlencode

from ecapipe.emulator.org import Authorization, EmulatedOrg
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.wire import OAuthError, Parameters

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
"""A SHA-256 in base64url: the thumbprint of a key, too."""


def identify(org: EmulatedOrg, query: Parameters) -> tuple[RegisteredApp, str]:
    """The app and its registered callback."""
    # Until both are certain nobody is redirected: an open redirector would hand codes to strangers (RFC 9700, 4.11).
    query.once("client_id", "redirect_uri")
    key = query.need("client_id")
    if org.lacks(key):
        raise OAuthError("OAUTH_EC_APP_NOT_FOUND", "External client app is not installed in this org")
    app = org.app(key)
    redirect_uri = query.get("redirect_uri")
    if redirect_uri is None:
        raise OAuthError("redirect_uri_missing", "redirect_uri must be given")
    # To the letter (RFC 9700, section 2.1): a prefix would admit hosts and paths of others.
    if redirect_uri not in app.callback_urls:
        raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
    if not app.enabled:
        raise OAuthError("OAUTH_APPROVAL_ERROR_GENERIC", "An unexpected error has occurred during authentication")
    return app, redirect_uri


def parse(app: RegisteredApp, redirect_uri: str, query: Parameters, now: float) -> Authorization:
    """The request in full. Its errors go to the callback."""
    query.once()
    if query.need("response_type") != "code":
        raise OAuthError("unsupported_response_type", "response type must be code")
    # Without a scope the app gets all it is configured for, as at Salesforce.
    scopes = tuple(dict.fromkeys((query.get("scope") or "").split())) or app.allowed
    if not set(scopes) <= set(app.allowed):
        raise OAuthError("invalid_scope", "the requested scope is not allowed")
    return Authorization(
        app,
        redirect_uri,
        state=query.get("state"),
        scopes=scopes,
        challenge=_challenge(app, query),
        hint=query.get("login_hint") or "",
        since=now,
        thumbprint=_thumbprint(query),
    )


def callback(redirect_uri: str, state: str | None, **answer: str) -> str:
    """The callback with an answer in its query, every reserved character encoded."""
    if state is not None:
        answer["state"] = state
    separator = "&" if "?" in redirect_uri else "?"
    return f"{redirect_uri}{separator}{urlencode(answer, quote_via=quote, safe='')}"


def _thumbprint(query: Parameters) -> str | None:
    """The key that the code is to be bound to (RFC 9449, section 10)."""
    thumbprint = query.get("dpop_jkt")
    if thumbprint is not None and not _CHALLENGE.fullmatch(thumbprint):
        raise OAuthError("invalid_request", "invalid dpop_jkt")
    return thumbprint


def _challenge(app: RegisteredApp, query: Parameters) -> str | None:
    """The PKCE challenge. Without a method it counts as S256, as at Salesforce; ``plain`` is refused."""
    challenge = query.get("code_challenge")
    if challenge is None:
        if app.pkce_required:
            raise OAuthError("invalid_request", "missing required code challenge")
        return None
    if query.get("code_challenge_method") not in (None, "S256"):
        raise OAuthError("invalid_request", "code challenge method must be S256")
    if not _CHALLENGE.fullmatch(challenge):
        raise OAuthError("invalid_request", "invalid code challenge")
    return challenge
