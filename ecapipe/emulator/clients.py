"""Which app is speaking, and whether it proves it."""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

from ecapipe.emulator.org import EmulatedOrg, RegisteredApp
from ecapipe.emulator.wire import Parameters, Refused
from ecapipe.secret import Secret


def identify(org: EmulatedOrg, form: Parameters, authorization: str) -> tuple[RegisteredApp, bool]:
    """The app, and whether it proved itself with its secret.

    A pair in the form wins over the header. A secret that is sent must be right even where none is needed.
    """
    key, secret = form.get("client_id"), form.get("client_secret")
    if key is None or secret is None:
        key, secret = _basic(authorization) or (key, secret)
    app = enabled(org, key or form.need("client_id"))
    if secret is None:
        return app, False
    if app.consumer_secret is None or not app.consumer_secret.same(Secret(secret)):
        raise Refused("invalid_client", "invalid client credentials")
    return app, True


def enabled(org: EmulatedOrg, key: str) -> RegisteredApp:
    """The app with this key, if an administrator has not switched it off."""
    app = org.app(key)
    if not app.enabled:
        raise Refused("OAUTH_APP_BLOCKED", "this app is blocked by admin")
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
