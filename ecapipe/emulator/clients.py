"""Client authentication: which app sends a request, and whether it proves that."""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

from ecapipe.emulator.org import EmulatedOrg
from ecapipe.emulator.registration import RegisteredApp
from ecapipe.emulator.wire import OAuthError, Parameters
from ecapipe.secret import Secret


def identify(org: EmulatedOrg, form: Parameters, authorization: str) -> tuple[RegisteredApp, bool]:
    """The app, and whether it proved itself with its secret. A pair in the form wins over the header."""
    key, secret = form.get("client_id"), form.get("client_secret")
    if key is None or secret is None:
        key, secret = _basic(authorization) or (key, secret)
    app = enabled(org, key or form.need("client_id"))
    if secret is None:
        return app, False
    # Also where no secret is needed: a client that sends a wrong one is not the one it says it is.
    if app.consumer_secret is None or not app.consumer_secret.same(Secret(secret)):
        raise OAuthError("invalid_client", "invalid client credentials")
    return app, True


def enabled(org: EmulatedOrg, key: str) -> RegisteredApp:
    """The app with this key, if an administrator has not switched it off."""
    app = org.app(key)
    if not app.enabled:
        raise OAuthError("OAUTH_APP_BLOCKED", "this app is blocked by admin")
    return app


def _basic(authorization: str) -> tuple[str, str | None] | None:
    """Key and secret of a Basic header; each half is form-encoded (RFC 6749, section 2.3.1)."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(credentials.strip(), validate=True).decode()
    except ValueError:
        return None
    key, _, secret = pair.partition(":")
    return unquote_plus(key), unquote_plus(secret) or None
