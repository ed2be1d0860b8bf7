"""The token endpoint: the grants of the four flows, and the token answer to each."""

from __future__ import annotations

import base64
import hashlib
import hmac

from ecapipe.emulator import assertions, clients
from ecapipe.emulator.org import REFRESHING, Authorization, EmulatedOrg
from ecapipe.emulator.wire import Call, OAuthError, Parameters

NOT_APPROVED = "user is not admin approved to access this app"

_NEEDS_A_PERSON = frozenset({"full", "web", "refresh_token", "offline_access"})
"""Scopes that a client credentials token never carries."""

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def grant(org: EmulatedOrg, call: Call) -> dict[str, str]:
    """The token answer to a form. A form without a grant type is refused as Salesforce does it."""
    form = call.form
    form.once()
    if form.get("scope") is not None:
        # Scopes belong to the authorize request; Salesforce refuses them here (golang/oauth2 issue 165).
        raise OAuthError("invalid_request", "scope parameter not supported")
    # First: a request whose nonce alone is wrong must change nothing.
    key = org.proofs.verify(call)
    match form.get("grant_type"):
        case "authorization_code":
            return _authorization_code(org, form, call.authorization, key)
        case "client_credentials":
            return _client_credentials(org, form, call.authorization, key)
        case "refresh_token":
            return _refresh(org, form, call.authorization, key)
        case type if type == _JWT_BEARER:
            return _jwt_bearer(org, form, key)
        case _:
            raise OAuthError("unsupported_grant_type", "grant type not supported")


def _authorization_code(org: EmulatedOrg, form: Parameters, authorization: str, key: str | None) -> dict[str, str]:
    app, proved = clients.identify(org, form, authorization)
    if not proved and not app.secret_optional:
        raise OAuthError("invalid_client", "invalid client credentials")
    code, redirect_uri = form.need("code"), form.need("redirect_uri")
    request, user = org.redeem(code, app)
    if redirect_uri != request.redirect_uri:
        raise OAuthError("redirect_uri_mismatch", "redirect_uri must match configuration")
    if not _verify(request, form.get("code_verifier")):
        raise OAuthError("invalid_grant", "invalid code verifier")
    if request.thumbprint not in (None, key):
        raise OAuthError("invalid_grant", "the authorization code is bound to another key")
    return org.log_in(app, user, request.scopes, lasting=True, thumbprint=key)


def _client_credentials(org: EmulatedOrg, form: Parameters, authorization: str, key: str | None) -> dict[str, str]:
    # A host that many orgs share cannot know which of them is meant.
    if org.setup.login_host:
        raise OAuthError("invalid_grant", "request not supported on this domain")
    app, proved = clients.identify(org, form, authorization)
    # Always the secret: in this flow there is nothing else that says who logs in.
    if not proved:
        raise OAuthError("invalid_client", "invalid client credentials")
    if not app.client_credentials or app.run_as_user is None:
        raise OAuthError("invalid_grant", "no client credentials user enabled")
    if not app.approved:
        raise OAuthError("invalid_app_access", NOT_APPROVED)
    scopes = tuple(scope for scope in app.allowed if scope not in _NEEDS_A_PERSON)
    return org.log_in(app, org.user(app.run_as_user), scopes, lasting=False, thumbprint=key)


def _refresh(org: EmulatedOrg, form: Parameters, authorization: str, key: str | None) -> dict[str, str]:
    app, proved = clients.identify(org, form, authorization)
    if not proved and app.refresh_needs_secret:
        raise OAuthError("invalid_client", "invalid client credentials")
    return org.refresh(form.need("refresh_token"), app, key)


def _jwt_bearer(org: EmulatedOrg, form: Parameters, key: str | None) -> dict[str, str]:
    # No secret and no refresh token: the signature proves the app, and it can sign again.
    app, username = assertions.verify(org, form.need("assertion"))
    user = org.known(username)
    if user is None or not (app.pre_authorized or org.approved(app, user)):
        raise OAuthError("invalid_grant", "user hasn't approved this consumer")
    if not app.approved:
        raise OAuthError("invalid_app_access", NOT_APPROVED)
    scopes = tuple(scope for scope in app.allowed if scope not in REFRESHING)
    return org.log_in(app, user, scopes, lasting=False, thumbprint=key)


def _verify(authorization: Authorization, verifier: str | None) -> bool:
    """Whether the PKCE verifier fits the challenge, or there is neither."""
    # A verifier without a challenge is refused, too: somebody took the challenge away (RFC 9700, section 2.1.1).
    if authorization.challenge is None or verifier is None:
        return authorization.challenge is None and verifier is None
    digest = hashlib.sha256(verifier.encode()).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"="), authorization.challenge.encode())
