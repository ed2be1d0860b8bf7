"""The authorize step: a link out, a code back."""

from __future__ import annotations

from collections.abc import Callable

from ecapipe.login.callbacks import PendingLogins, SignInDeadline
from ecapipe.login.ports import LoginAccess
from ecapipe.login.target import Target, WebPlan
from ecapipe.oauth import authorize
from ecapipe.oauth.grants import AuthorizationCode
from ecapipe.orgs.org import error_at
from ecapipe.problems.oauth import auth_timeout_error


def sign_in(
    target: Target,
    planned: WebPlan,
    world: LoginAccess,
    flight: PendingLogins,
    patience: SignInDeadline,
    tell: Callable[[str], None],
) -> AuthorizationCode:
    """Give the link to `tell`, and wait for what becomes of the login.

    Raises `EcapipeError`: a refusal, AuthTimeoutError, NobodyToAsk, or what ended the flight.
    """
    login = authorize.build_request(
        target.credentials, target.org, planned.redirect_uri, planned.scopes, world.chance
    )
    future = flight.expect(login, pasted=planned.callback == "paste")
    try:
        patience.left()
        tell(login.authorize_url)
        return future.result(patience.left())
    except TimeoutError:
        raise error_at(auth_timeout_error(target.app.name, patience.minutes), target.org) from None
    finally:
        flight.forget(login)
