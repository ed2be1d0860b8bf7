"""The introspection endpoint (RFC 7662): the state of a token, for an app that proves itself."""

from __future__ import annotations

from ecapipe.emulator import clients
from ecapipe.emulator.org import SESSION, Approval, EmulatedOrg, EmulatedSession
from ecapipe.emulator.wire import OAuthError, Parameters

Members = dict[str, str | int | bool]


def describe(org: EmulatedOrg, form: Parameters, authorization: str) -> Members:
    """The answer to a form. A token that is not valid, or not this app's, is simply not active."""
    form.once()
    app, proved = clients.identify(org, form, authorization)
    # The secret is always needed: a public client cannot prove itself (RFC 7662, section 2.1).
    if not proved:
        raise OAuthError("invalid_client", "invalid client credentials")
    token = form.need("token")
    grant = org.session(token) or org.approval(token)
    # Why it is not active is not said: an app learns nothing of another's tokens (section 2.2).
    if grant is None or not (app.introspects_all or org.same(grant.app, app)):
        return {"active": False}
    return _active(org, grant)


def _active(org: EmulatedOrg, grant: EmulatedSession | Approval) -> Members:
    since = int(grant.since)
    members: Members = {
        "active": True,
        "scope": " ".join(grant.scopes),
        "client_id": grant.app.consumer_key,
        "username": grant.user.username,
        "sub": org.identity(grant.user),
        "token_type": "refresh_token",
        "iat": since,
        "nbf": since,
    }
    # A refresh token has no end of its own.
    if isinstance(grant, EmulatedSession):
        members |= {"token_type": "access_token", "exp": since + int(SESSION)}
    return members
