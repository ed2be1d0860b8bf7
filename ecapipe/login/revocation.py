"""Tokens that nobody is to hold are revoked."""

from __future__ import annotations

from ecapipe.login.ports import LoginAccess
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import tokens
from ecapipe.oauth.tokens import Token
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret


def revoke(token: Token | Secret, org: Org, world: LoginAccess) -> bool:
    """Whether the org confirmed it; a refresh token takes its access tokens with it."""
    spent = token if isinstance(token, Secret) else token.refresh_token or token.access_token
    try:
        answer = world.send(tokens.revocation(spent, org))
    except EcapipeError:
        return False
    return answer.status == 200


def give_back(refresh_token: Secret | None, org: Org, world: LoginAccess, work: StageWork) -> None:
    """Revoke a refresh token that nobody will hold, and tell whether the org confirmed it."""
    if refresh_token is not None:
        work.facts["revoked"] = revoke(refresh_token, org, world)
