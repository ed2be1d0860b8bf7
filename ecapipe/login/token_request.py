"""The token step: a grant out, a token back."""

from __future__ import annotations

from typing import Final

from ecapipe.events import LoginResult
from ecapipe.exchange.sending import send
from ecapipe.login.options import LoginOptions
from ecapipe.login.plan import now
from ecapipe.login.ports import LoginAccess
from ecapipe.login.revocation import give_back
from ecapipe.login.target import JwtPlan, Target
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import grants, tokens
from ecapipe.oauth.grants import AuthorizationCode, Grant
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.tokens import Token
from ecapipe.problems.problem import EcapipeError

LONGEST = 120.0
"""Seconds that one login's requests may go on being tried, settling aside. One that is under way is not cut off."""

_SETTLES = frozenset({"InvalidClientId", "RedirectUriMismatch"})
"""What a deploy of the last 15 minutes explains."""

_SETTLE_EVERY = 15.0

_OF_CLOCKS: Final = frozenset({"AssertionExpired", "AssertionRefused"})
"""What a clock that is wrong explains."""

_CLOCK_OFF: Final = 20.0
"""Seconds between two clocks that do not matter: an assertion lives for longer."""


def request_token(
    target: Target, grant: Grant | JwtPlan, how: LoginOptions, world: LoginAccess, work: StageWork, end: float
) -> Token:
    """The token for `grant`; raises `EcapipeError`. Nothing is tried again after `end`, in seconds of the clock. The
    refresh token of an answer that cannot be believed is revoked.

    A code is sent again only after an answer that settling explains, or when nothing was sent: never after a
    failure that may have spent it. An assertion is signed anew for each request, and once by the org's own clock if
    ours may be the reason for a refusal.
    """
    settled = world.clock.seconds() + how.settle * 60
    repeatable = not isinstance(grant, AuthorizationCode)
    ahead = 0.0
    sent: list[Grant] = []

    def request() -> Request:
        sent.append(grant.sign(ahead) if isinstance(grant, JwtPlan) else grant)
        return tokens.request(sent[-1], target.credentials, target.org)

    if isinstance(grant, JwtPlan):
        work.warnings += grant.doubts
    while True:
        answer = send(request, world, end, repeatable)
        try:
            token = tokens.read(answer, sent[-1], target.credentials, target.org)
        except tokens.Unusable as error:
            give_back(error.refresh_token, target.org, world, work)
            raise
        except EcapipeError as error:
            off = _ahead(answer, world) if isinstance(grant, JwtPlan) and error.problem.name in _OF_CLOCKS else 0.0
            if off and not ahead:
                ahead = off
                continue
            if error.problem.name not in _SETTLES or world.clock.seconds() + _SETTLE_EVERY > settled:
                raise
            work.note("waiting", f"{error.problem.message} Trying again for up to {how.settle:g} minutes.")
            world.clock.sleep(_SETTLE_EVERY)
        else:
            if ahead:
                late = f"{_spell(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'} that of {target.org.host}"
                work.warn(f"The clock of this machine is {late}: the assertion was signed again by the org's.")
            return token


def _ahead(answer: Response, world: LoginAccess) -> float:
    """By how many seconds the clock of who answered is ahead of ours; 0 for none worth a word."""
    off = 0.0 if answer.date is None else answer.date - now(world)
    return off if abs(off) > _CLOCK_OFF else 0.0


def _spell(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def unverified_login(token: Token, grant: Grant | JwtPlan) -> LoginResult:
    """What is known of a login that ends at its token."""
    flow = "jwt" if isinstance(grant, JwtPlan) else grants.flow_of(grant)
    return LoginResult(None, token.user_id, token.org_id, token.instance_url, token.scopes, flow, "forgotten")
