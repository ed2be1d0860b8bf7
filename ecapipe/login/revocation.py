"""Revoking tokens that nobody will use."""

from __future__ import annotations

from ecapipe.login.ports import LoginAccess
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import tokens
from ecapipe.oauth.tokens import Token, Unusable
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret


def revoke(token: Token | Secret, org: Org, world: LoginAccess) -> bool:
    """Revoke a token; returns whether the org confirmed it."""
    if isinstance(token, Token):
        # A refresh token takes its access tokens with it, so one request is enough.
        token = token.refresh_token or token.access_token
    try:
        response = world.send(tokens.revocation(token, org))
    # The caller is about to report something else, and an unconfirmed revocation is part of that.
    except EcapipeError:
        return False
    return response.status == 200


def give_back(issued: Token | Unusable, org: Org, world: LoginAccess, work: StageWork) -> None:
    """Revoke the tokens of an answer that cannot be trusted, and record as a fact whether the org confirmed it."""
    # The access token first: after its refresh token it might be unknown to the org.
    found = [token for token in (issued.access_token, issued.refresh_token) if token is not None]
    work.facts["revoked"] = all([revoke(token, org, world) for token in found])
