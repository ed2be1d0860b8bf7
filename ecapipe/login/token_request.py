"""The token step: a grant out, a token back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ecapipe.events import LoginResult
from ecapipe.exchange.sending import send
from ecapipe.login.options import LoginOptions
from ecapipe.login.plan import now
from ecapipe.login.ports import LoginAccess
from ecapipe.login.revocation import give_back
from ecapipe.login.target import Target, UnattendedPlan
from ecapipe.login.tracker import StageWork
from ecapipe.oauth import tokens
from ecapipe.oauth.dpop import ProofKey
from ecapipe.oauth.flows.flow import Flow
from ecapipe.oauth.flows.web import AuthorizationCode
from ecapipe.oauth.grants import Grant
from ecapipe.oauth.messages import Request, Response
from ecapipe.oauth.tokens import Token
from ecapipe.problems.oauth import (
    CLOCK_ACTION,
    SETTLE_ACTION,
    assertion_expired,
    assertion_refused,
    invalid_client_id,
    redirect_uri_mismatch,
)
from ecapipe.problems.problem import EcapipeError, minutes_in_words

LONGEST = 120.0
"""Seconds within which one login's requests are retried, settling aside. A request under way is not cut off."""

_SETTLES = frozenset({invalid_client_id, redirect_uri_mismatch})
"""Refusals that a fresh deployment explains: Salesforce takes minutes to spread new settings."""

_SETTLE_EVERY = 15.0
"""Seconds between two requests while settings spread."""

_CLOCK_PROBLEMS: Final = frozenset({assertion_expired, assertion_refused})
"""Refusals that a wrong clock explains."""

_CLOCK_TOLERANCE: Final = 20.0
"""Seconds between two clocks that do not matter: an assertion is valid for longer."""

_WRONG_CLOCK: Final = 24 * 60 * 60.0
"""A day: an org that tells of another year is not believed, since an assertion for then would be good until then."""


def request_token(
    target: Target,
    source: AuthorizationCode | UnattendedPlan,
    options: LoginOptions,
    world: LoginAccess,
    work: StageWork,
    end: float,
) -> Token:
    """The token for a code, or for the grant of a plan; raises `EcapipeError`.

    Nothing is retried after `end`, in seconds of the clock. The tokens of an answer that cannot be trusted are
    revoked.
    """
    settled = world.clock.seconds() + options.settle * 60
    ahead = 0.0
    attempts: list[Grant] = []
    key = _proof_key(source)

    # A function, so that an assertion is signed anew for each request: it is valid for minutes only.
    def request() -> Request:
        attempts.append(source.grant.make(ahead) if isinstance(source, UnattendedPlan) else source)
        return tokens.request(attempts[-1], target.credentials, target.org, key)

    if isinstance(source, UnattendedPlan):
        work.warnings += source.grant.doubts
    # A failure may have spent a code: it is sent again only when nothing was sent, or after an answer that settling
    # explains.
    repeatable = isinstance(source, UnattendedPlan) or source.repeatable
    while True:
        response = send(request, world, end, repeatable)
        try:
            token = tokens.read(response, attempts[-1], target.credentials, target.org, target.app, key)
        except tokens.Unusable as error:
            give_back((*error.access_tokens, *error.refresh_tokens), error.key, target.org, world, work)
            raise
        except EcapipeError as error:
            difference = 0.0
            if error.problem.kind in _CLOCK_PROBLEMS:
                difference = _clock_difference(response, world)
            # Once: if the org's own clock does not help, the clock was not the reason.
            if difference and not ahead:
                ahead = difference
                continue
            if error.problem.kind not in _SETTLES or world.clock.seconds() + _SETTLE_EVERY > settled:
                right = bool(ahead) or (response.date is not None and not difference)
                raise _without_done(error, options, clock_is_right=right) from None
            work.note("waiting", f"{error.problem.message} Retrying for up to {minutes_in_words(options.settle)}.")
            world.clock.sleep(_SETTLE_EVERY)
        else:
            if ahead:
                work.warn(_clock_warning(ahead, target.org.host))
            if key is not None and token.key is None:
                work.warn(
                    f"{target.org.host} did not bind the token to the key (DPoP), and answered with a bearer token: "
                    "anyone who has it can use it."
                )
            return token


def _proof_key(source: AuthorizationCode | UnattendedPlan) -> ProofKey | None:
    """What the token must be bound to. A code is bound already."""
    if isinstance(source, AuthorizationCode):
        return source.key
    return source.new_key() if source.new_key else None


def _without_done(error: EcapipeError, options: LoginOptions, *, clock_is_right: bool) -> EcapipeError:
    """The same, without the advice to do what was just done, or is not needed."""
    done = {SETTLE_ACTION: bool(options.settle), CLOCK_ACTION: clock_is_right}
    actions = tuple(action for action in error.problem.actions if not done.get(action))
    return EcapipeError(replace(error.problem, actions=actions))


def _clock_difference(response: Response, world: LoginAccess) -> float:
    """By how many seconds the org's clock is ahead of ours; 0 if that is within the tolerance, or unknown."""
    if response.date is None:
        return 0.0
    difference = response.date - now(world)
    if _CLOCK_TOLERANCE < abs(difference) <= _WRONG_CLOCK:
        return difference
    return 0.0


def _clock_warning(ahead: float, host: str) -> str:
    direction = "behind" if ahead > 0 else "ahead of"
    clocks = f"{_duration(abs(ahead))} {direction} that of {host}"
    return f"The clock of this machine is {clocks}: the assertion was signed again with the org's time."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"


def unverified_login(token: Token, flow: Flow) -> LoginResult:
    """The login as far as its token tells it, before UserInfo was asked."""
    return LoginResult(
        username=None,
        user_id=token.user_id,
        org_id=token.org_id,
        instance_url=token.instance_url,
        scopes=token.scopes,
        flow=flow.name,
        token="forgotten",  # noqa: S106
    )
