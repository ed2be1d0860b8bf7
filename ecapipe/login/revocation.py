"""Revoking tokens that nobody will use."""

from __future__ import annotations

from collections.abc import Iterable

from ecapipe.exchange.sending import send_once
from ecapipe.login.ports import LoginAccess
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import tokens
from ecapipe.oauth.dpop import ProofKey
from ecapipe.oauth.tokens import Token
from ecapipe.orgs.org import Org
from ecapipe.problems.problem import EcapipeError
from ecapipe.secret import Secret


def revoke(token: Token, org: Org, world: LoginAccess) -> bool:
    """Revoke a token; returns whether the org confirmed it."""
    # A refresh token takes its access tokens with it, so one request is enough.
    return _revoke(token.refresh_token or token.access_token, token.key, org, world)


def _revoke(token: Secret, key: ProofKey | None, org: Org, world: LoginAccess) -> bool:
    try:
        response = send_once(tokens.revocation(token, org, key), world)
    # The caller is about to report something else, and an unconfirmed revocation is part of that.
    except EcapipeError:
        return False
    return response.status == 200


def give_back(
    issued: Iterable[Secret | None], key: ProofKey | None, org: Org, world: LoginAccess, work: StageWork
) -> None:
    """Revoke the tokens of an answer that cannot be trusted, and record as a fact whether the org confirmed it.

    The access token comes first: after its refresh token it might be unknown to the org.
    """
    work.facts["revoked"] = all([_revoke(token, key, org, world) for token in issued if token is not None])
