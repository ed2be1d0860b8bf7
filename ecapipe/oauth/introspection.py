"""Whether an org accepts key and secret, asked without a login: the introspection of a token that is worthless."""

from __future__ import annotations

from urllib.parse import urlencode

from ecapipe.credentials.resolution import Credentials
from ecapipe.oauth import grants, messages
from ecapipe.oauth.authorize_probe import ProbeRefusal
from ecapipe.oauth.messages import Request, Response
from ecapipe.orgs.org import Org
from ecapipe.problems.oauth import (
    app_not_found_in_org,
    invalid_client,
    invalid_client_id,
    probe_needs_secret,
    secret_required,
)
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret

WORTHLESS = "probe"
"""A token that no org ever issued."""

_KEY_PROBLEMS = frozenset({invalid_client_id, app_not_found_in_org})


def request(credentials: Credentials, org: Org) -> Request:
    """The introspection request (RFC 7662 §2.1): an org says nothing of a token before the app has proved itself."""
    fields = {"token": WORTHLESS, "token_type_hint": "access_token"} | grants.authentication(credentials)
    return Request(org.address, "/services/oauth2/introspect", form=Secret(urlencode(fields)))


def read(response: Response, credentials: Credentials, org: Org) -> None:
    """Return if the org accepts the pair: it says that the token is not active (RFC 7662 §2.2).

    Raises `ProbeRefusal`, or another `EcapipeError` for a response that tells neither.
    """
    try:
        secret = credentials.consumer_secret
        members = messages.members(
            response, org.host, secret, place="introspect", app=credentials.app, client=credentials
        )
    except EcapipeError as error:
        kind = error.problem.kind
        if kind in _KEY_PROBLEMS:
            raise ProbeRefusal(error, "consumerKey") from None
        # An unknown key has an error of its own, so that here it is the secret.
        if kind is invalid_client:
            raise ProbeRefusal(error, "consumerSecret") from None
        if kind is secret_required:
            raise EcapipeError(probe_needs_secret(org.host, credentials.app.name, org.url)) from None
        raise
    if members.get("active") is not False:
        raise messages.unexpected(response, org.host, 'it does not contain "active": false')
