"""The introspection endpoint: what a token is worth, told to an app that proves itself."""

from __future__ import annotations

from ecapipe.emulator import clients
from ecapipe.emulator.org import SESSION, Approval, EmulatedOrg, EmulatedSession
from ecapipe.emulator.wire import Parameters, Refused

Members = dict[str, str | int | bool]


def describe(org: EmulatedOrg, form: Parameters, authorization: str) -> Members:
    """The answer to a form. A token that is worth nothing, or nothing to this app, is only not active.

    The secret is always needed: a public client cannot prove itself (RFC 7662, section 2.1).
    """
    form.once()
    app, proved = clients.identify(org, form, authorization)
    if not proved:
        raise Refused("invalid_client", "invalid client credentials")
    token = form.need("token")
    found = org.session(token) or org.approval(token)
    if found is None or not (app.introspects_all or found.app is app):
        return {"active": False}
    return _active(org, found)


def _active(org: EmulatedOrg, found: EmulatedSession | Approval) -> Members:
    since = int(found.since)
    members: Members = {
        "active": True,
        "scope": " ".join(found.scopes),
        "client_id": found.app.consumer_key,
        "username": found.user.username,
        "sub": org.identity(found.user),
        "token_type": "access_token" if isinstance(found, EmulatedSession) else "refresh_token",
        "iat": since,
        "nbf": since,
    }
    return members | {"exp": since + int(SESSION)} if isinstance(found, EmulatedSession) else members
